//! The commands and flags of etcdctl 2.

use super::call::Call;
use super::flags::{Flag, Kind};
use super::stop::Stop;
use super::{auth, keys, member, role, user, watch};

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Run(fn(&Call) -> Result<u8, Stop>),
    Group(&'static [Command]),
    Help,
}

/// A command.
#[derive(Clone, Copy)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// Its arguments, as its help shows them.
    pub(super) args: &'static str,
    pub(super) about: &'static str,
    pub(super) flags: &'static [Flag],
    pub(super) act: Act,
}

/// The flag that every command has beside its own.
pub(super) const HELP: Flag = Flag::new(&["help", "h"], Kind::Switch, "show this help");

const fn run(
    name: &'static str,
    args: &'static str,
    about: &'static str,
    flags: &'static [Flag],
    act: fn(&Call) -> Result<u8, Stop>,
) -> Command {
    Command { name, args, about, flags, act: Act::Run(act) }
}

const fn group(name: &'static str, about: &'static str, commands: &'static [Command]) -> Command {
    let args = "command [command options] [arguments...]";
    Command { name, args, about, flags: &[HELP], act: Act::Group(commands) }
}

const TTL: Flag = Flag::new(&["ttl"], Kind::Number, "seconds to live; 0 for no end");
const SORT: Flag = Flag::new(&["sort"], Kind::Switch, "sort what is in directories");
const QUORUM: Flag = Flag::new(&["quorum", "q"], Kind::Switch, "ask a majority");
const AFTER: Flag =
    Flag::new(&["after-index"], Kind::Number, "begin with the events behind this index");
const BELOW: Flag = Flag::new(&["recursive", "r"], Kind::Switch, "all that is below the key too");
const ROLES: Flag = Flag::new(&["roles"], Kind::Texts, "a role; may be given several times");
const RIGHTS: &[Flag] = &[
    Flag::new(&["path"], Kind::Text, "the key, or a pattern such as /app/*"),
    Flag::new(&["read"], Kind::Switch, "the right to read"),
    Flag::new(&["write"], Kind::Switch, "the right to write"),
    Flag::new(&["readwrite", "rw"], Kind::Switch, "both"),
    HELP,
];

/// The flags before the command.
pub(super) const GLOBAL: &[Flag] = &[
    Flag::new(&["debug"], Kind::Switch, "show each request, as a command line of curl"),
    Flag::new(&["no-sync"], Kind::Switch, "do not ask the cluster first where its members are"),
    Flag::new(&["output", "o"], Kind::Text, "simple, extended or json"),
    Flag::new(&["discovery-srv", "D"], Kind::Text, "not supported: name the endpoints"),
    Flag::new(&["insecure-discovery"], Kind::Switch, "goes with --discovery-srv"),
    Flag::new(&["peers", "C"], Kind::Text, "the old name of --endpoints"),
    Flag::new(&["endpoint"], Kind::Text, "another name of --endpoints"),
    Flag::new(&["endpoints"], Kind::Text, "where servers are, with commas between"),
    Flag::new(&["cert-file"], Kind::Text, "the certificate to show to servers (PEM)"),
    Flag::new(&["key-file"], Kind::Text, "its key (PEM)"),
    Flag::new(&["ca-file"], Kind::Text, "the authorities that servers are checked against (PEM)"),
    Flag::new(&["username", "u"], Kind::Text, "NAME or NAME:PASSWORD; the password is asked for"),
    Flag::new(&["timeout"], Kind::Time, "how long one endpoint may take, as in 2s"),
    Flag::new(&["total-timeout"], Kind::Time, "how long a call may take, as in 5s"),
    HELP,
    Flag::new(&["version", "v"], Kind::Switch, "print the version"),
];

/// The commands, in the order of the help.
pub(super) const COMMANDS: &[Command] = &[
    run("backup", " ", "refused: see `stead backup`", BACKUP, member::backup),
    run("cluster-health", " ", "whether each member is healthy", HEALTH, member::health),
    run("mk", "<key> <value>", "make a key that is not there yet", MK, keys::mk),
    run("mkdir", "<key>", "make a directory that is not there yet", DIR, keys::mkdir),
    run("rm", "<key>", "remove a key or a directory", RM, keys::rm),
    run("rmdir", "<key>", "remove an empty directory or a key", &[HELP], keys::rmdir),
    run("get", "<key>", "print the value of a key", GET, keys::get),
    run("ls", "[key]", "list a directory", LS, keys::ls),
    run("set", "<key> <value>", "set the value of a key", SET, keys::set),
    run("setdir", "<key>", "make a directory, or change its TTL", DIR, keys::setdir),
    run("update", "<key> <value>", "change a key that is there", DIR, keys::update),
    run("updatedir", "<key>", "change the TTL of a directory that is there", DIR, keys::updatedir),
    run("watch", "<key>", "wait for a change of a key", WATCH, watch::watch),
    run("exec-watch", "<key> <command> [args...]", EXEC_ABOUT, EXEC_WATCH, watch::exec_watch),
    group("member", "list, add, remove and update members", MEMBER),
    group("user", "list, add, change and remove users", USER),
    group("role", "list, add, change and remove roles", ROLE),
    group("auth", "whether users count", AUTH),
    HELP_COMMAND,
];

const EXEC_ABOUT: &str = "run a program for each change of a key";

const HELP_COMMAND: Command = Command {
    name: "help",
    args: "[command]",
    about: "list the commands, or explain one",
    flags: &[HELP],
    act: Act::Help,
};

const BACKUP: &[Flag] = &[
    Flag::new(&["data-dir"], Kind::Text, "a data directory of etcd"),
    Flag::new(&["wal-dir"], Kind::Text, "its log"),
    Flag::new(&["backup-dir"], Kind::Text, "where the backup goes"),
    Flag::new(&["backup-wal-dir"], Kind::Text, "where its log goes"),
    Flag::new(&["with-v3"], Kind::Switch, "v3 keys too"),
    HELP,
];
const HEALTH: &[Flag] =
    &[Flag::new(&["forever", "f"], Kind::Switch, "look again every 10 seconds"), HELP];
const MK: &[Flag] = &[
    Flag::new(&["in-order"], Kind::Switch, "make a key in the directory, named after the index"),
    TTL,
    HELP,
];
const DIR: &[Flag] = &[TTL, HELP];
const RM: &[Flag] = &[
    Flag::new(&["dir"], Kind::Switch, "remove an empty directory or a key"),
    Flag::new(&["recursive", "r"], Kind::Switch, "remove all that is below the key too"),
    Flag::new(&["with-value"], Kind::Text, "only if this is its value"),
    Flag::new(&["with-index"], Kind::Number, "only if this is its modified index"),
    HELP,
];
const GET: &[Flag] = &[SORT, QUORUM, HELP];
const LS: &[Flag] = &[
    SORT,
    Flag::new(&["recursive", "r"], Kind::Switch, "list what is in directories below as well"),
    Flag::new(&["p"], Kind::Switch, "append a slash to directories"),
    QUORUM,
    HELP,
];
const SET: &[Flag] = &[
    TTL,
    Flag::new(&["swap-with-value"], Kind::Text, "only if this is its value"),
    Flag::new(&["swap-with-index"], Kind::Number, "only if this is its modified index"),
    HELP,
];
const WATCH: &[Flag] = &[
    Flag::new(&["forever", "f"], Kind::Switch, "go on after the first event"),
    AFTER,
    BELOW,
    HELP,
];
const EXEC_WATCH: &[Flag] = &[AFTER, BELOW, HELP];

const MEMBER: &[Command] = &[
    run("list", " ", "list the members", &[HELP], member::list),
    run("add", "<name> <peerURL>", "announce a new member", &[HELP], member::add),
    run("remove", "<memberID>", "remove a member for good", &[HELP], member::remove),
    run("update", "<memberID> <peerURLs>", "change its peer URLs", &[HELP], member::update),
    HELP_COMMAND,
];
const USER: &[Command] = &[
    run("add", "<user>", "add a user: NAME or NAME:PASSWORD", &[HELP], user::add),
    run("get", "<user>", "print the roles of a user", &[HELP], user::get),
    run("list", " ", "list the users", &[HELP], user::list),
    run("remove", "<user>", "remove a user", &[HELP], user::remove),
    run("grant", "<user>", "give roles to a user", &[ROLES, HELP], user::grant),
    run("revoke", "<user>", "take roles from a user", &[ROLES, HELP], user::revoke),
    run("passwd", "<user>", "change the password of a user", &[HELP], user::passwd),
    HELP_COMMAND,
];
const ROLE: &[Command] = &[
    run("add", "<role>", "add a role", &[HELP], role::add),
    run("get", "<role>", "print the rights of a role", &[HELP], role::get),
    run("list", " ", "list the roles", &[HELP], role::list),
    run("remove", "<role>", "remove a role", &[HELP], role::remove),
    run("grant", "<role>", "give rights to a role", RIGHTS, role::grant),
    run("revoke", "<role>", "take rights from a role", RIGHTS, role::revoke),
    HELP_COMMAND,
];
const AUTH: &[Command] = &[
    run("enable", " ", "let users count", &[HELP], auth::enable),
    run("disable", " ", "let everybody do everything", &[HELP], auth::disable),
    HELP_COMMAND,
];
