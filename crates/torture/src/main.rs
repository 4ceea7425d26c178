//! Real processes under real faults: `cargo xtask torture --help`.
//!
//! Members run in network namespaces of their own where that is allowed, clients work on them at a
//! bounded rate, and faults come one after the other, drawn from a seed. What clients were told is
//! judged by the checkers of the simulator, window by window. The seed decides the faults and what
//! clients ask; when things happen is up to the machine, so that a run is not replayed to the byte.
//! That is what the simulator is for.

// Printing is what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod admin;
mod adopt;
mod damage;
mod fault;
mod http;
mod imposture;
mod judge;
mod lab;
mod login;
mod member;
mod net;
mod record;
mod report;
mod rights;
mod run;
mod shadow;
mod stranger;
mod tls;
mod tool;
mod watch;
mod work;

use fault::Fault;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: torture --binary PATH [--minutes N | --seconds N] [--members N] [--seed S]
               [--faults A,B,C] [--recovery-ms N] [--loopback] [--tls]
               [--users | --users-from N]

  --binary PATH      the server to run
  --minutes N        how long faults are made (1)
  --members N        3 or 5 (3)
  --seed S           decides faults and questions; drawn from the time if it is not said
  --faults A,B,C     only these; all that this machine allows if it is not said
  --recovery-ms N    how long a member may need to take writes after a fault's end (2000)
  --loopback         no network namespaces, even where they are allowed
  --tls              certificates between the members
  --users            users count: clients write as users whose rights change meanwhile
  --users-from N     the same from the window of this number on; one takes 40 seconds
";

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) binary: PathBuf,
    pub(crate) duration: Duration,
    pub(crate) members: usize,
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Fault>,
    pub(crate) recovery: Duration,
    pub(crate) is_loopback: bool,
    pub(crate) with_tls: bool,
    /// From which window on users count.
    pub(crate) users_from: Option<u64>,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Args> {
    let drawn = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut args = Args {
        binary: PathBuf::new(),
        duration: Duration::from_secs(60),
        members: 3,
        seed: drawn.map_or(1, |passed| passed.as_secs()),
        faults: fault::ALL.iter().map(|(fault, _)| *fault).collect(),
        recovery: Duration::from_secs(2),
        is_loopback: false,
        with_tls: false,
        users_from: None,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--loopback" => args.is_loopback = true,
            "--tls" => args.with_tls = true,
            "--users" => args.users_from = Some(1),
            "--users-from" => args.users_from = Some(words.next()?.parse().ok()?),
            "--binary" => args.binary = PathBuf::from(words.next()?),
            "--minutes" => {
                let minutes: u64 = words.next()?.parse().ok()?;
                args.duration = Duration::from_secs(minutes.checked_mul(60)?);
            }
            "--seconds" => args.duration = Duration::from_secs(words.next()?.parse().ok()?),
            "--members" => {
                args.members = words.next()?.parse().ok().filter(|n| (3..=9).contains(n))?;
            }
            "--seed" => args.seed = words.next()?.parse().ok()?,
            "--recovery-ms" => args.recovery = Duration::from_millis(words.next()?.parse().ok()?),
            "--faults" => {
                args.faults = words.next()?.split(',').map(Fault::named).collect::<Option<_>>()?;
            }
            _ => return None,
        }
    }
    (!args.binary.as_os_str().is_empty() && !args.faults.is_empty()).then_some(args)
}

fn main() -> ExitCode {
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match run::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("torture: {text}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Args> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_understood_or_refused() {
        let args = parsed("--binary x --minutes 2 --members 5 --seed 7 --faults kill-one,split");
        let args = args.unwrap();
        assert_eq!((args.members, args.seed, args.duration.as_secs()), (5, 7, 120));
        assert_eq!(args.faults, [Fault::KillOne, Fault::Split]);
        let new = "older-copy,lost-disk,doubled,stranger,stop-leader-long";
        let args = parsed(&format!("--binary x --faults {new}")).unwrap();
        let names: Vec<&str> = args.faults.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.join(","), new);
        let users = |line: &str| parsed(line).unwrap().users_from;
        assert_eq!(users("--binary x --users"), Some(1));
        assert_eq!(users("--binary x --users-from 2"), Some(2));
        let all = parsed("--binary x").unwrap().faults;
        assert!(args.faults.iter().all(|fault| all.contains(fault)), "part of the default");
        for wrong in ["", "--binary", "--binary x --members 2", "--binary x --faults rain", "x"] {
            assert!(parsed(wrong).is_none(), "{wrong}");
        }
    }
}
