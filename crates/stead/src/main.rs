//! The `stead` program: flags, environment, files and commands around the server.

mod binding;
mod command;
mod console;
#[cfg(test)]
mod fuzzed;
mod import;
mod log;
mod reach;
mod resolve;
mod secure;
mod setting;
mod source;
mod text;

use console::{FAILED, USAGE, print, say};
use log::LogQueue;
use setting::Flag;
use source::{Environment, Invocation, Usage, Values};
use std::ffi::OsString;
use std::process::ExitCode;
use tracing::Level;

/// Small allocations of many sizes are what a key-value store makes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = args().and_then(|args| {
        if let Some(result) = command::run(&args) {
            return result;
        }
        let env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let environment = Environment { args: &args, env: &env, read_file: &source::read_file };
        let (values, invocation) = Values::gather(&environment)?;
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

/// The arguments. Bytes that are not UTF-8 are refused: a name that was changed on its way would
/// lead to another directory.
fn args() -> Result<Vec<String>, Usage> {
    let refuse = |arg: OsString| Usage(format!("the argument {arg:?} is not UTF-8"));
    std::env::args_os().skip(1).map(|arg| arg.into_string().map_err(refuse)).collect()
}

fn act(mut values: Values, invocation: &Invocation) -> Result<ExitCode, Usage> {
    if invocation.help {
        return Ok(print(&text::help()));
    }
    let command: Vec<&str> = invocation.command.iter().map(String::as_str).collect();
    match command.as_slice() {
        _ if invocation.version => Ok(print_version()),
        [] => serve(values),
        ["version"] => Ok(print_version()),
        ["help"] => Ok(print(&text::help())),
        ["config", "show"] => {
            resolve::config(&mut values)?;
            Ok(print(&text::show(&values)))
        }
        ["config", "check"] => {
            resolve::config(&mut values)?;
            values.notes.iter().for_each(|note| say(note));
            Ok(print("the configuration is valid\n"))
        }
        ["config", "docs"] => Ok(print(&text::docs())),
        ["check"] => check(&values),
        other => Err(Usage(format!(
            "unknown command {:?}: run `stead --help` for the list of commands",
            other.join(" ")
        ))),
    }
}

fn print_version() -> ExitCode {
    print(&format!("stead version {}\n", env!("CARGO_PKG_VERSION")))
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
    let log = start_logging(&values).map_err(|error| {
        Usage(format!(
            "cannot start a thread: \
                                                                    {error}"
        ))
    })?;
    for note in &values.notes {
        tracing::warn!("{note}");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        name = config.name,
        client_url = config.client_url(),
        peer_url = config.peer_url(),
        data_dir = %config.data_dir.display(),
        "stead is starting"
    );
    let prepared = match values.is_set(Flag::ForceNewCluster) {
        true => command::force_new_cluster(&config.data_dir, &config.name),
        false => Ok(()),
    };
    let ended = prepared.and_then(|()| server::run(config));
    log.flush();
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            say(&format!("stead: {error}"));
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// What is logged. The flags of the original ask for more, never for less.
fn log_level(values: &Values) -> Level {
    let given = values.get(Flag::LogLevel).0.parse().unwrap_or(Level::INFO);
    let asked = match (values.is_set(Flag::V) || values.is_set(Flag::Vv), values.is_set(Flag::Vvv))
    {
        (_, true) => Level::TRACE,
        (true, _) => Level::DEBUG,
        _ => Level::ERROR,
    };
    given.max(asked)
}

fn start_logging(values: &Values) -> std::io::Result<LogQueue> {
    let queue = LogQueue::start(std::io::stderr())?;
    let level = log_level(values);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false)
        .with_writer(queue.clone());
    if values.get(Flag::LogFormat).0 == "json" {
        builder.json().init();
    } else {
        builder.init();
    }
    // The cause of a panic is logged before it.
    let (panicked, say_panic) = (queue.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        panicked.flush();
        say_panic(panic);
    }));
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_is_asked_for_is_logged() {
        for (args, want) in [
            (&[][..], Level::INFO),
            (&["-log-level=error"], Level::ERROR),
            (&["-log-level", "warn"], Level::WARN),
            (&["-v"], Level::DEBUG),
            (&["-vv"], Level::DEBUG),
            (&["-vvv"], Level::TRACE),
            (&["-log-level=trace", "-v"], Level::TRACE),
            (&["-log-level=error", "-v"], Level::DEBUG),
            (&["-log-level=error", "-v=false"], Level::ERROR),
        ] {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let read_file = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
            let environment = Environment { args: &args, env: &[], read_file: &read_file };
            let (values, _) = Values::gather(&environment).expect("sound");
            assert_eq!(log_level(&values), want, "{args:?}");
        }
    }
}
