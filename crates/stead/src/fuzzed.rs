//! What must hold of settings from anywhere: they are taken or refused with a sentence, and what is
//! taken from one place is taken from another as the same.
//!
//! The fuzz target `settings` is this claim, driven by a fuzzer; a test runs it on kept inputs.

use crate::finding;
use crate::setting::{Flag, SETTINGS};
use crate::source::{Environment, Values};
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// Takes arguments, environment and the content of a file, each up to a zero byte: the arguments
/// and the variables a line each.
pub(crate) fn settings(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0).map(String::from_utf8_lossy);
    let mut next = || parts.next().unwrap_or_default().into_owned();
    let (args, env, file) = (next(), next(), next());
    let args: Vec<String> = args.lines().map(str::to_owned).collect();
    let env: Vec<(OsString, OsString)> = env
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let read_file = |path: &Path| -> io::Result<String> {
        if path.starts_with("/etc") {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Ok(file.clone())
        }
    };
    let environment = Environment { args: &args, env: &env, read_file: &read_file };
    let values = match Values::gather(&environment) {
        Ok((values, _)) => values,
        Err(usage) => return assert!(!usage.to_string().trim().is_empty(), "refused in silence"),
    };
    for flag in [Flag::Peers, Flag::ListenClientUrls, Flag::Cors] {
        let items = values.list(flag);
        assert!(items.iter().all(|item| !item.is_empty() && item.trim() == item));
    }
    if let Ok(Some(cluster)) = finding::initial_cluster(&values) {
        for (at, (name, url)) in cluster.members.iter().enumerate() {
            assert!(url.starts_with("http"), "{url}");
            let before = cluster.members.iter().take(at);
            assert_eq!(before.filter(|one| one.0 == *name || one.1 == *url).count(), 0);
        }
    }
    again_as_flags(&values);
}

/// Accepted settings are accepted again, value for value, when each is given as a flag.
fn again_as_flags(values: &Values) {
    let flags: Vec<Flag> = SETTINGS.iter().map(|setting| setting.flag).collect();
    let args: Vec<String> =
        flags.iter().map(|flag| format!("-{flag}={}", values.get(*flag).0)).collect();
    let nothing = |_: &Path| -> io::Result<String> { Err(io::ErrorKind::NotFound.into()) };
    // Of the files that may be named here none is there.
    let args: Vec<String> = args
        .into_iter()
        .filter(|arg| !arg.starts_with("-config=") && !arg.starts_with("-config-file="))
        .collect();
    let environment = Environment { args: &args, env: &[], read_file: &nothing };
    let Ok((again, _)) = Values::gather(&environment) else { return };
    for flag in flags.iter().filter(|flag| !matches!(flag, Flag::Config | Flag::ConfigFile)) {
        assert_eq!(again.get(*flag).0, values.get(*flag).0, "-{flag}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_hold_for_kept_inputs_and_all_their_truncations() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/settings");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("it is there") {
            let input = std::fs::read(entry.expect("listed").path()).expect("it can be read");
            for len in 0..=input.len() {
                settings(&input[..len]);
            }
            for at in 0..input.len() {
                let mut changed = input.clone();
                for byte in [0, b'=', b'"', b'\n', 0xff] {
                    changed[at] = byte;
                    settings(&changed);
                }
            }
            count += 1;
        }
        assert!(count > 2, "inputs are kept");
    }
}
