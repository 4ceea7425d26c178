//! `watch` and `exec-watch`.
//!
//! A watch that breaks goes on by itself, as `stead watch` does; one whose past the server has
//! forgotten ends with the server's error, as in etcdctl 2.

use super::call::{Call, Session};
use super::keys;
use super::print;
use super::stop::Stop;
use crate::follow::{Follow, News};
use crate::term::say;
use crate::watch::run;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::process;
use std::thread;

/// The index behind which events are wanted; `-1` and no flag stand for those to come.
fn after(call: &Call) -> Option<u64> {
    let after = call.own.number("after-index");
    Some(after.cast_unsigned()).filter(|after| !matches!(*after, 0 | u64::MAX))
}

/// Ends this process with success when the user has seen enough.
pub(super) fn end_on_interrupt() -> Result<(), Stop> {
    let no_signals = |error: std::io::Error| Stop::plain(format!("no signals: {error}"));
    let mut signals = Signals::new([SIGINT]).map_err(no_signals)?;
    let wait = move || {
        if signals.forever().next().is_some() {
            process::exit(0);
        }
    };
    thread::Builder::new().spawn(wait).map(|_| ()).map_err(no_signals)
}

fn follow<'a>(session: &'a mut Session, call: &Call, key: &str) -> Result<Follow<'a>, Stop> {
    let key = keys::plain(key)?;
    end_on_interrupt()?;
    let is_recursive = call.own.is_set("recursive");
    Ok(Follow::new(&mut session.client, key, is_recursive, after(call)).polling())
}

pub(super) fn watch(call: &Call) -> Result<u8, Stop> {
    let mut session = call.synced()?;
    let key = call.key()?;
    let (screen, format) = (session.screen, session.format.clone());
    let is_recursive = call.own.is_set("recursive");
    let mut follow = follow(&mut session, call, key)?;
    loop {
        let news = follow.next().map_err(|failure| Stop::of_server(&failure))?;
        let News::Event(event, _) = &news else { continue };
        if event.node.dir {
            continue;
        }
        if is_recursive {
            let key = screen.name(&event.node.key);
            print::put(&format!("[{}] {key}\n", event.action))?;
        }
        print::event(screen, &format, event, follow.index())?;
        if !call.own.is_set("forever") {
            return Ok(0);
        }
    }
}

pub(super) fn exec_watch(call: &Call) -> Result<u8, Stop> {
    let mut session = call.synced()?;
    let missing = || Stop::bad_args("key and command to exec required");
    let (key, rest) = call.own.args.split_first().ok_or_else(missing)?;
    let words = match rest.split_first() {
        Some((dashes, words)) if dashes == "--" => words,
        _ => rest,
    };
    let program = words.split_first().ok_or_else(missing)?;
    let mut follow = follow(&mut session, call, key)?;
    loop {
        let news = follow.next().map_err(|failure| Stop::of_server(&failure))?;
        match &news {
            News::Event(event, _) if event.node.dir => {
                say(&format!("Ignored dir {} change", event.node.key().escape_debug()));
            }
            news => {
                run(program, key, news).map_err(|failure| Stop::plain(failure.to_string()))?;
            }
        }
    }
}
