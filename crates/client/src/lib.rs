//! The command line client: keys, watches, locks and members of a cluster, over the v2 API.
//!
//! It is a part of the `stead` program that knows none of the server's: all that it uses is HTTP,
//! so that it works with an etcd too. `stead get` of a local server takes a few milliseconds in
//! all. Therefore nothing is prepared that a command does not need: no certificates without TLS,
//! no thread, no look-up of an address that is none.

#![forbid(unsafe_code)]

mod answer;
mod bench;
mod cli;
mod client;
mod context;
mod copy;
mod dial;
mod diff;
mod documents;
mod edit;
mod endpoint;
mod etcdctl;
mod event;
mod failure;
mod follow;
mod generate;
mod glob;
mod key;
mod lock;
mod members;
mod options;
mod pager;
mod prompt;
mod read;
mod remove;
mod request;
mod settings;
mod show;
mod term;
mod text;
mod tls;
mod tree;
mod user;
mod watch;
mod write;

pub use etcdctl::run as etcdctl;
pub use user::authorization_in;

use clap::Parser;
use clap::error::ErrorKind;
use cli::{Cli, Command};
use context::Context;
use failure::{Failure, code};
use options::{Format, Options};
use std::process::ExitCode;
use term::{Screen, Tone, say};
use write::Before;

/// Words of commands that others than this client have too, with those of theirs that are ours.
const SHARED: [(&str, &[&str]); 1] = [("config", &["get", "set"])];

/// The endpoints that the environment names, as a list.
pub fn endpoints_of_environment() -> Option<String> {
    endpoint::named(|name| std::env::var(name).ok()).map(|(list, _)| list)
}

/// The commands of this client.
pub fn commands() -> &'static [&'static str] {
    cli::WORDS
}

/// Runs the command that the arguments begin with; nothing if they begin with none of this client.
/// `complete` adds the other commands of the program to the table, for its manual and for shells.
pub fn run(args: &[String], complete: fn(clap::Command) -> clap::Command) -> Option<ExitCode> {
    let (word, rest) = args.split_first()?;
    if word == "help" {
        // The help of one command; all of it together is the program's.
        let (word, _) = rest.split_first().filter(|(word, _)| is_ours(word, None))?;
        return Some(parse_and_act(&[word.clone(), "--help".to_owned()], complete));
    }
    is_ours(word, rest.first()).then(|| parse_and_act(args, complete))
}

fn is_ours(word: &str, next: Option<&String>) -> bool {
    if let Some((_, ours)) = SHARED.iter().find(|(shared, _)| *shared == word) {
        return next.is_some_and(|next| ours.contains(&next.as_str()));
    }
    cli::WORDS.contains(&word)
}

fn parse_and_act(args: &[String], complete: fn(clap::Command) -> clap::Command) -> ExitCode {
    let words = std::iter::once("stead").chain(args.iter().map(String::as_str));
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            let is_asked = matches!(error.kind(), ErrorKind::DisplayHelp);
            // Nobody is left to tell if this fails.
            let _ = error.print();
            return ExitCode::from(if is_asked { 0 } else { code::BAD_ARGS });
        }
    };
    let made = match &cli.command {
        Command::Completion(args) => generate::completion(args, complete(cli::command())),
        Command::Man(args) => generate::man(args, complete(cli::command())),
        _ => return tell_end(act(cli.command, &cli.options), cli.options.output),
    };
    tell_end(made.map(|()| 0), cli.options.output)
}

/// The exit code of a command, after its failure was told.
fn tell_end(ended: Result<u8, Failure>, format: Format) -> ExitCode {
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell(&failure, format);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Says why a command failed, on standard error.
fn tell(failure: &Failure, format: Format) {
    if *failure == Failure::ClosedPipe {
        return;
    }
    if format == Format::Json {
        return say(&failure.to_json());
    }
    let screen = Screen::of_stderr();
    // With two blanks behind the colon, as etcdctl 2 has them.
    say(&format!("{}  {failure}", screen.paint(Tone::Bad, "Error:")));
    if let Some(next) = failure.next_step() {
        say(&format!("{} {next}", screen.paint(Tone::Faint, "Next:")));
    }
}

fn act(command: Command, options: &Options) -> Result<u8, Failure> {
    let cx = &mut Context::new(options)?;
    match command {
        Command::Get(args) => read::get(&args, cx),
        Command::Cat(args) => read::cat(&args, cx),
        Command::Ls(args) => read::ls(&args, cx),
        Command::Set(args) => write::set(&args, cx),
        Command::Mk(args) => write::mk(&args, cx),
        Command::Update(args) => write::update(&args, cx),
        Command::Rm(args) => remove::rm(&args, cx),
        Command::Mkdir(args) => write::dir(&args, Before::Nothing, cx),
        Command::Setdir(args) => write::dir(&args, Before::Anything, cx),
        Command::Updatedir(args) => write::dir(&args, Before::Something, cx),
        Command::Rmdir(args) => remove::rmdir(&args, cx),
        Command::Cp(args) => copy::cp(&args, cx),
        Command::Mv(args) => copy::mv(&args, cx),
        Command::Tree(args) => tree::tree(&args, cx),
        Command::Edit(args) => edit::edit(&args, cx),
        Command::Members => members::members(cx),
        Command::Member(args) => members::member(&args, cx),
        Command::MoveLeader(args) => members::move_leader(&args, cx),
        Command::Config(args) => settings::settings(&args, cx),
        Command::Watch(args) => return watch::watch(&args, cx),
        Command::ExecWatch(args) => return watch::exec_watch(&args, cx),
        Command::Lock(args) => return lock::lock(&args, cx),
        Command::Health(args) => return members::health(&args, cx),
        Command::Bench(args) => return bench::bench(&args, cx),
        Command::Completion(_) | Command::Man(_) => unreachable!("they need no cluster"),
    }
    .map(|()| 0)
}
