//! `stead status` and `stead doctor`: how a cluster is, from any machine and with whichever members
//! answer.

mod ask;
mod doctor;
mod finding;
mod judge;
mod show;
mod survey;

use crate::args::{Args, Flags};
use crate::console::print;
use crate::source::Usage;
use ask::Probe;
use doctor::Diagnosis;
use judge::{Report, Verdict};
use server::Access;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

pub(super) const HELP: &str = "\
stead status: how a cluster is, with whichever of its machines answer

Usage:
  stead status [flags]

Asks the machines that are named, and those that these know of, all at the same time and for
three seconds each. Prints the members with state, lag and readiness, what is wrong, and what
to do about it. Nothing is changed anywhere.

Exit codes: 0 healthy, 1 degraded (a machine does not answer or is not ready), 2 nothing
answers, no leader, or a mistake on the command line.

Flags:
  --endpoint URL[,URL]   machines to begin with; one that answers is enough; also
                         --endpoints (STEAD_ENDPOINTS, or http://127.0.0.1:4001)
  --json                 print JSON; also --output json (-o json)
  --ca-file FILE         authorities of the machines' certificates (PEM)
  --cert-file FILE       certificate to show to the machines (PEM)
  --key-file FILE        its key (PEM)
  --token-file FILE      taken, so that the flags of `stead backup` fit; nothing that is asked
                         here needs the cluster's secret, and it is sent to nobody

Examples:
  stead status
  stead status --endpoint 10.0.0.1:4001,10.0.0.2:4001 --json
";

pub(super) const DOCTOR_HELP: &str = "\
stead doctor: what is wrong with a cluster, and what mends it

Usage:
  stead doctor [flags]

Asks the machines that are named, and those that these know of, as `stead status` does, and says
of each thing that is wrong what to do about it. It looks at machines that do not answer, the
majority, learners and lag, disks and their syncs, clocks, certificates, versions, open files,
backups, and who is let in. Nothing is changed anywhere.

Exit codes: 0 nothing is wrong, 1 problems or warnings, 2 nothing answers, no leader, or a
mistake on the command line.

Flags:
  --endpoint URL[,URL]   machines to begin with; one that answers is enough; also
                         --endpoints (STEAD_ENDPOINTS, or http://127.0.0.1:4001)
  --json                 print JSON; also --output json (-o json)
  --ca-file FILE         authorities of the machines' certificates (PEM)
  --cert-file FILE       certificate to show to the machines (PEM)
  --key-file FILE        its key (PEM)

Examples:
  stead doctor
  stead doctor --endpoint http://10.0.0.1:4001
  stead doctor --json | jq '.findings[] | select(.level == \"problem\")'
";

const VALUED: &[&str] = &["endpoint", "output", "token-file", "ca-file", "cert-file", "key-file"];

pub(super) const FLAGS: Flags =
    Flags { command: "status", valued: VALUED, repeated: &[], plain: &["json"], has_words: false };
pub(super) const DOCTOR_FLAGS: Flags = Flags { command: "doctor", ..FLAGS };

/// The exit code for a cluster that takes no writes.
const DOWN: u8 = 2;
/// The exit code for a cluster that goes on, though not all of it is well.
const DEGRADED: u8 = 1;

/// Runs `stead status`.
pub(super) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    let Some((report, _, is_json)) = ask_all(FLAGS, args)? else { return Ok(print(HELP)) };
    let printed = print(&if is_json { show::json(&report) } else { show::text(&report) });
    Ok(match report.verdict {
        Verdict::Healthy => printed,
        Verdict::Degraded => ExitCode::from(DEGRADED),
        Verdict::Down => ExitCode::from(DOWN),
    })
}

/// Runs `stead doctor`.
pub(super) fn run_doctor(args: &[String]) -> Result<ExitCode, Usage> {
    let Some((report, probes, is_json)) = ask_all(DOCTOR_FLAGS, args)? else {
        return Ok(print(DOCTOR_HELP));
    };
    let diagnosis = Diagnosis::of(&report, &probes);
    let printed = print(&if is_json { diagnosis.json() } else { diagnosis.text() });
    Ok(match report.verdict {
        Verdict::Down => ExitCode::from(DOWN),
        Verdict::Healthy if diagnosis.is_well() => printed,
        Verdict::Healthy | Verdict::Degraded => ExitCode::from(DEGRADED),
    })
}

/// Asks all machines; what they said, and whether JSON is wanted. Nothing if help is.
fn ask_all(flags: Flags, args: &[String]) -> Result<Option<(Report, Vec<Probe>, bool)>, Usage> {
    let args = Args::parse(flags, args)?;
    if args.help {
        return Ok(None);
    }
    let shown = match (args.value("cert-file"), args.value("key-file")) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((Path::new(cert), Path::new(key))),
        _ => return Err(Usage("--cert-file and --key-file belong together".to_owned())),
    };
    let access = Access { ca: args.value("ca-file").map(Path::new), shown, ..Access::default() };
    let endpoints = endpoints(&args.endpoints())?;
    let is_json = args.wants_json()?;
    let probes = survey::survey(&endpoints, |url| ask::probe(url, access));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let report = Report::of(&endpoints, &probes, now.as_secs());
    Ok(Some((report, probes, is_json)))
}

/// The URLs of a list, each with its scheme and without a path.
fn endpoints(list: &str) -> Result<Vec<String>, Usage> {
    let mut urls = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let url = if word.contains("://") { word.to_owned() } else { format!("http://{word}") };
        let url = survey::base(&url).ok_or_else(|| {
            Usage(format!("--endpoint: invalid URL {word:?}: give it as in http://10.0.0.1:4001"))
        })?;
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    match urls.len() {
        0 => Err(Usage("--endpoint names nobody".to_owned())),
        1..=survey::MACHINES_MAX => Ok(urls),
        _ => Err(Usage(format!("--endpoint names more than {} machines", survey::MACHINES_MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_or_addresses() {
        let urls = endpoints("10.0.0.1:4001, https://b:1/,http://10.0.0.1:4001").expect("valid");
        assert_eq!(urls, ["http://10.0.0.1:4001", "https://b:1"]);
        for wrong in ["", ",", "ftp://a:1", "http://a:1/x", "http://", "http://a b", "http://u@h"] {
            assert!(endpoints(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..65).map(|at| format!("h:{at}")).collect();
        assert!(endpoints(&many.join(",")).is_err() && endpoints(&many[1..].join(",")).is_ok());
    }

    #[test]
    fn help_fits_the_terminal() {
        assert!([HELP, DOCTOR_HELP].iter().flat_map(|help| help.lines()).all(|l| l.len() <= 100));
    }
}
