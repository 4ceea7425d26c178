//! The `stead` program: flags, environment, files and commands around the server.

mod args;
mod binding;
mod command;
mod console;
mod finding;
mod founded;
#[cfg(test)]
mod fuzzed;
mod hangup;
mod import;
mod log;
mod logging;
mod nodes;
mod ports;
mod reach;
mod resolve;
mod secure;
mod setting;
mod source;
mod supervised;
mod text;
mod value;
mod yaml;

use console::{FAILED, USAGE, print, say};
use server::notice::Notice;
use setting::Flag;
use source::{Environment, Invocation, Usage, Values};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use supervised::Supervisor;

/// Small allocations of many sizes are what a key-value store makes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The name under which this program answers as etcdctl 2 does.
const ETCDCTL: &str = "etcdctl";

fn main() -> ExitCode {
    let result = args().and_then(|args| {
        if is_called_etcdctl() {
            return Ok(client::etcdctl(&args));
        }
        if let Some(code) = client::run(&args, command::whole) {
            return Ok(code);
        }
        if let Some(result) = command::run(&args) {
            return result;
        }
        let (values, invocation) = gather(&args)?;
        act(values, &invocation)
    });
    match result {
        Ok(code) => code,
        Err(usage) => {
            say(&format!("stead: {usage}"));
            ExitCode::from(USAGE)
        }
    }
}

/// Whether a link or a copy of the other name was called.
fn is_called_etcdctl() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name() == Some(ETCDCTL.as_ref()))
}

/// All settings, and what else the command line asks for.
fn gather(args: &[String]) -> Result<(Values, Invocation), Usage> {
    let env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    Values::gather(&Environment { args, env: &env, read_file: &source::read_file })
}

/// The arguments. Bytes that are not UTF-8 are refused: a name that was changed on its way would
/// lead to another directory.
fn args() -> Result<Vec<String>, Usage> {
    let refuse = |arg: OsString| Usage(format!("the argument {arg:?} is not UTF-8"));
    std::env::args_os().skip(1).map(|arg| arg.into_string().map_err(refuse)).collect()
}

fn act(mut values: Values, invocation: &Invocation) -> Result<ExitCode, Usage> {
    let command: Vec<&str> = invocation.command.iter().map(String::as_str).collect();
    if invocation.help {
        return Ok(print(&text::help_of(&command)));
    }
    match command.as_slice() {
        _ if invocation.version => Ok(print(&command::version())),
        [] => serve(values),
        ["help"] => Ok(print(text::HEAD)),
        ["help", command @ ..] if command::NAMES.contains(&command.join(" ").as_str()) => {
            Ok(print(&text::help_of(command)))
        }
        ["config", "show"] => {
            resolve::config(&mut values)?;
            Ok(print(&if invocation.json { text::show_json(&values) } else { text::show(&values) }))
        }
        ["config", "check"] => {
            resolve::config(&mut values)?;
            values.notes.iter().chain(&values.misspelt).for_each(|note| say(note));
            match values.misspelt.len() {
                0 => Ok(print("the configuration is valid\n")),
                1 => Err(Usage("one name is probably misspelt".to_owned())),
                several => Err(Usage(format!("{several} names are probably misspelt"))),
            }
        }
        ["config", "docs"] => Ok(print(&text::docs())),
        ["check"] => check(&values),
        other => Err(Usage(unknown(other))),
    }
}

/// What is said to words that are no command.
fn unknown(words: &[&str]) -> String {
    let given = words.join(" ");
    let first = words.first().copied().unwrap_or_default();
    let known = || command::NAMES.iter().chain(client::commands()).copied();
    let nearest = setting::nearest(&given, known()).or_else(|| setting::nearest(first, known()));
    match nearest.filter(|name| *name != first) {
        Some(name) => format!("unknown command {given:?}: did you mean {name:?}?"),
        None => format!("unknown command {given:?}: run `stead help` for the list of commands"),
    }
}

fn check(values: &Values) -> Result<ExitCode, Usage> {
    let (path, _) = values.get(Flag::DataDir);
    if path.is_empty() {
        return Err(Usage("missing -data-dir: name the directory to check".to_owned()));
    }
    match server::check(path.as_ref()) {
        Ok((report, is_sound)) => {
            let printed = print(&report);
            Ok(if is_sound { printed } else { ExitCode::from(FAILED) })
        }
        Err(error) => {
            say(&format!("stead: {error}"));
            Ok(ExitCode::from(FAILED))
        }
    }
}

fn serve(mut values: Values) -> Result<ExitCode, Usage> {
    let config = resolve::config(&mut values)?;
    // Before there is a second thread: it changes variables.
    let sockets = server::Inherited::take().map_err(Usage)?;
    let no_thread = |error: std::io::Error| Usage(format!("cannot start a thread: {error}"));
    let supervisor = Supervisor::start().map_err(no_thread)?;
    let (log, level) = logging::start(&values, &config.name).map_err(no_thread)?;
    let reloads = server::Reloads::default();
    if !config.ends_on_hangup {
        let again = || gather(&args()?).map(|(values, _)| values);
        let live = hangup::Live { values: values.clone(), level, reloads: reloads.clone() };
        hangup::start(live, again).map_err(no_thread)?;
    }
    for note in values.misspelt.iter().chain(&values.notes) {
        Notice::Configuration.tell(note, format_args!("{note}"));
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        name = config.name,
        client_url = config.client_url,
        peer_url = config.peer_url(),
        data_dir = %config.data_dir.display(),
        "{}",
        Notice::Starting.words()
    );
    let prepared = match values.is_set(Flag::ForceNewCluster) {
        true => command::force_new_cluster(&config.data_dir, &config.name),
        false => Ok(()),
    };
    let handles = server::Handles { reloads, pulse: supervisor.pulse(), sockets };
    let ended = prepared.and_then(|()| server::run(config, handles));
    log.flush();
    supervisor.finish(ended.as_ref().err().map(ToString::to_string));
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            say(&format!("stead: {error}"));
            Ok(ExitCode::from(FAILED))
        }
    }
}
