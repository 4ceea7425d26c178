//! The words of the command line. What a command does is in the module of its name.

use crate::options::Options;
use crate::{
    bench, copy, edit, generate, lock, members, read, remove, settings, tree, watch, write,
};
use clap::{CommandFactory, Parser, Subcommand};

/// Talk to a cluster: keys, watches, locks and members
#[derive(Debug, Parser)]
#[command(name = "stead", disable_help_subcommand = true, subcommand_required = true)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the value of a key
    #[command(after_long_help = "\
Examples:
  stead get /app/colour
  stead get --quorum -o extended /app/colour      with indexes and TTL, as a majority has it
  stead get -o json /app/colour                   the server's whole answer")]
    Get(read::Get),

    /// Set the value of a key
    #[command(after_long_help = "\
Examples:
  stead set /app/colour blue
  stead set /session/7 open --ttl 90s
  stead set /app/conf - < conf.json               the value from standard input
  stead set /app/colour red --swap-with-value blue
  stead set -- /app/offset -1                     a value with a dash")]
    Set(write::Set),

    /// Make a key that is not there yet
    #[command(after_long_help = "\
Examples:
  stead mk /app/owner m1
  stead mk --in-order /queue job1                 prints the name of the new key")]
    Mk(write::Mk),

    /// Change a key that is there already
    #[command(after_long_help = "\
Examples:
  stead update /app/colour green
  stead update /session/7 open --ttl 90s")]
    Update(write::Update),

    /// Remove a key, or a directory
    #[command(after_long_help = "\
Examples:
  stead rm /app/colour
  stead rm --recursive /app
  stead rm /app/owner --with-value m1             only if it is this machine's")]
    Rm(remove::Rm),

    /// Make a directory that is not there yet
    #[command(after_long_help = "\
Examples:
  stead mkdir /app
  stead mkdir /sessions --ttl 1h                  expires with all that is in it")]
    Mkdir(write::Dir),

    /// Make a directory, or change the TTL of one
    #[command(after_long_help = "\
Examples:
  stead setdir /sessions --ttl 1h")]
    Setdir(write::Dir),

    /// Change the TTL of a directory that is there already
    #[command(after_long_help = "\
Examples:
  stead updatedir /sessions --ttl 1h
  stead updatedir /sessions                       lives without end")]
    Updatedir(write::Dir),

    /// Remove an empty directory
    #[command(after_long_help = "\
Examples:
  stead rmdir /app")]
    Rmdir(remove::Rmdir),

    /// List a directory
    #[command(after_long_help = "\
Examples:
  stead ls
  stead ls -p --recursive /app                    directories with a slash
  stead ls -o extended /app                       with modified index and TTL, tabs between")]
    Ls(read::Ls),

    /// Print values of keys as they are, byte by byte
    #[command(after_long_help = "\
Examples:
  stead cat /app/conf > conf.json
  stead cat /ca/root /ca/intermediate > chain.pem")]
    Cat(read::Cat),

    /// Copy a key, or a directory
    #[command(after_long_help = "\
Examples:
  stead cp /app/colour /app/colour.old
  stead cp --recursive /app /backup/app           TTLs are kept, nothing is overwritten
  stead cp --recursive --force /app /backup/app   overwrites keys that are there")]
    Cp(copy::Copy),

    /// Move a key, or a directory
    #[command(after_long_help = "\
Examples:
  stead mv /app/colour /app/color
  stead mv --recursive /app /old/app")]
    Mv(copy::Copy),

    /// Draw all that is below a key
    #[command(after_long_help = "\
Examples:
  stead tree
  stead tree /app --depth 2                       two levels; what is deeper is counted
  stead tree --filter '*.conf'                    what fits, and the way to it
  stead tree --limit 20 --hidden                  20 of each directory, hidden keys too")]
    Tree(tree::Tree),

    /// Wait for a change of a key
    ///
    /// Over a fail-over or a restart of servers the watch goes on by itself. If a server's history
    /// no longer reaches back that is said on standard error, and in JSON as an event with the
    /// action lost.
    #[command(after_long_help = "\
Examples:
  stead watch /app/colour                         ends with the first change
  stead watch --forever --recursive /app
  stead watch -f --after-index 7 -o json /app/colour
  stead watch -f -r /app --exec -- ./reload       runs it with ETCD_WATCH_KEY and so on")]
    Watch(watch::Watch),

    /// Run a program for each change of a key
    ///
    /// The program gets ETCD_WATCH_ACTION, ETCD_WATCH_KEY, ETCD_WATCH_VALUE and
    /// ETCD_WATCH_MODIFIED_INDEX, and runs once for each event, one after the other. Events of
    /// directories are passed over. The action is `lost` if events may be lost.
    #[command(after_long_help = "\
Examples:
  stead exec-watch --recursive /app -- sh -c 'echo $ETCD_WATCH_ACTION $ETCD_WATCH_KEY'")]
    ExecWatch(watch::ExecWatch),

    /// Change a value in an editor ($VISUAL, $EDITOR)
    ///
    /// It is saved if nobody has changed the key meanwhile; otherwise the difference is shown, and
    /// the text can be edited again. A text that cannot be saved stays in a file, which is named.
    #[command(after_long_help = "\
Examples:
  EDITOR=nano stead edit /app/conf.json")]
    Edit(edit::Edit),

    /// Run a program while holding a lock
    ///
    /// The program gets STEAD_LOCK_NAME and STEAD_LOCK_INDEX, a number that grows with each
    /// holder. The exit code is the program's; 7 if the lock was lost and the program told to end.
    #[command(after_long_help = "\
Examples:
  stead lock backup -- ./backup.sh
  stead lock backup --wait 0 -- ./backup.sh       only if nobody else holds it
  stead lock deploy --ttl 10 -- sh -c 'deploy --fence $STEAD_LOCK_INDEX'")]
    Lock(lock::Lock),

    /// List the members
    #[command(after_long_help = "\
Examples:
  stead members
  stead members -o json")]
    Members,

    /// List, add, remove or update members
    #[command(after_long_help = "\
Examples:
  stead member add m4 http://10.0.0.4:7001        prints what m4 is started with
  stead member remove m2
  stead member update m3 http://10.0.0.9:7001
  stead member add m4 http://10.0.0.4:7001 --token-file token")]
    Member(members::MemberArgs),

    /// Let another member lead, as before work on the machine that does
    ///
    /// Without a member it is the one whose log is furthest. Requests wait meanwhile, and none
    /// fails. To name the one that leads already is no error.
    #[command(after_long_help = "\
Examples:
  stead move-leader m2
  stead move-leader 7a3cbb1d0c6e2f5a              by its id
  stead move-leader                               to any other member
  stead move-leader m2 --token-file token")]
    MoveLeader(members::MoveLeader),

    /// Whether each member, and the cluster, is healthy
    #[command(after_long_help = "\
Examples:
  stead health                                    exit code 5 if not all is well
  stead health --local                            only the machine that is asked")]
    Health(members::HealthArgs),

    /// Measure how much a cluster does, and how quickly
    ///
    /// Writes keys of its own, below a hidden directory that is removed at the end and expires in
    /// any case. `put` writes, `get` reads, `mixed` reads three times for each write, and `watch`
    /// measures from a write to its event. Each connection has one request at a time.
    #[command(after_long_help = "\
Examples:
  stead bench
  stead bench put --for 10s --connections 64 --value-size 1000
  stead bench get --quorum --keys 100000
  stead bench watch --connections 4 -o json
  stead bench --endpoints http://10.0.0.1:4001 --yes      a cluster elsewhere, without asking")]
    Bench(bench::Bench),

    /// Print or change the configuration of the cluster
    #[command(after_long_help = "\
Examples:
  stead config get
  stead config set activeSize=5 removeDelay=600")]
    Config(settings::Settings),

    /// Print the completion for a shell
    #[command(after_long_help = "\
Examples:
  stead completion bash > /etc/bash_completion.d/stead
  stead completion zsh > ~/.zfunc/_stead
  stead completion fish > ~/.config/fish/completions/stead.fish")]
    Completion(generate::Completion),

    /// Print a manual page, or write one for each command
    #[command(after_long_help = "\
Examples:
  stead man /usr/local/share/man/man1")]
    Man(generate::Man),
}

/// The words that this client's command lines begin with. A look here is all that a start of the
/// server pays for it.
pub(crate) const WORDS: &[&str] = &[
    "get",
    "set",
    "mk",
    "update",
    "rm",
    "mkdir",
    "setdir",
    "updatedir",
    "rmdir",
    "ls",
    "cat",
    "cp",
    "mv",
    "tree",
    "watch",
    "exec-watch",
    "edit",
    "lock",
    "members",
    "member",
    "move-leader",
    "health",
    "bench",
    "config",
    "completion",
    "man",
];

/// The commands as clap knows them.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
        // Flags of all commands and of one must not share a name.
        let common = Options::augment_args(clap::Command::new("options"));
        let common: Vec<&str> = common.get_arguments().map(|one| one.get_id().as_str()).collect();
        for one in command().get_subcommands() {
            for own in one.get_arguments().map(|own| own.get_id().as_str()) {
                assert!(!common.contains(&own), "{}: {own}", one.get_name());
            }
        }
    }

    #[test]
    fn every_command_is_among_the_words() {
        let commands = command();
        let names: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, WORDS);
    }

    #[test]
    fn every_command_has_examples_that_fit_the_terminal() {
        for one in command().get_subcommands() {
            let examples = one.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.starts_with("Examples:\n"), "{}", one.get_name());
            assert!(examples.lines().all(|line| line.len() <= 100), "{}", one.get_name());
            for line in examples.lines().skip(1) {
                assert!(line.contains("stead "), "{}: {line}", one.get_name());
            }
        }
    }
}
