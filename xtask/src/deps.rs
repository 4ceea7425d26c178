//! Whether the dependencies keep to deny.toml: licences, sources, several versions of one crate.
//!
//! `cargo deny` checks the same and more. This part needs no download and no other program, so that
//! it runs wherever the tests do; to build cargo-deny takes longer than most of CI. Advisories are
//! in a git repository that cannot be had from a package registry, so they are left to
//! `cargo deny check` on a machine with a network; that its list of exceptions is that of
//! `cargo audit` is checked here.

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use toml::Table;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What stands for a part of an expression that is settled.
const ALLOWED: &str = "allowed";
const REFUSED: &str = "refused";

/// Everything that is against the rules, a sentence each.
pub(crate) fn check() -> Vec<String> {
    let policy = std::fs::read_to_string("deny.toml").map_err(|error| error.to_string());
    let policy = policy.and_then(|text| text.parse::<Table>().map_err(|error| error.to_string()));
    match (policy, metadata()) {
        (Ok(policy), Ok(metadata)) => {
            let mut problems = check_packages(&policy, &metadata);
            let audit = std::fs::read_to_string(".cargo/audit.toml").unwrap_or_default();
            check_advisories(&policy, &audit.parse().unwrap_or_default(), &mut problems);
            problems
        }
        (Err(error), _) => vec![format!("deny.toml: {error}")],
        (_, Err(error)) => vec![format!("cargo metadata: {error}")],
    }
}

/// What cargo knows of every package that is built here.
fn metadata() -> Result<Value, String> {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO")).args(args).output();
        let output = output.map_err(|error| error.to_string())?;
        let error = || String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(output.stdout) } else { Err(error()) }
    };
    let version = run(&["--version", "--verbose"])?;
    let version = String::from_utf8_lossy(&version);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    // Packages of other systems need not be there.
    let host = host.ok_or("cargo does not report its target")?;
    let only = ["--filter-platform", host];
    let args = ["metadata", "--format-version", "1", "--locked"];
    let offline = ["--offline"];
    // On a machine where nothing was built yet the packages have to be fetched first.
    let json = run(&[&args[..], &only, &offline].concat())
        .or_else(|_| run(&[&args[..], &only].concat()))?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

fn check_packages(policy: &Table, metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let licenses = strings(policy, "licenses", "allow");
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if packages.is_empty() || licenses.is_empty() {
        problems.push("deny.toml or cargo's metadata is empty".to_owned());
    }
    for package in packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        versions.entry(name).or_default().push(version);
        // Those of the workspace have none.
        if !package["source"].is_null() && text("source") != REGISTRY {
            problems.push(format!("{name} {version} is from {}", text("source")));
        }
        if !is_allowed(text("license"), &licenses) {
            let license = text("license");
            problems.push(format!("{name} {version}: the licence {license:?} is not allowed"));
        }
    }
    check_versions(policy, &versions, &mut problems);
    problems
}

/// All versions of a crate but one must be listed, and what is listed must be there.
fn check_versions(
    policy: &Table,
    versions: &BTreeMap<&str, Vec<&str>>,
    problems: &mut Vec<String>,
) {
    let skipped = strings(policy, "bans", "skip");
    let is_skipped = |name: &str, version: &str| {
        skipped.iter().filter_map(|entry| entry.split_once('@')).any(|(crate_name, start)| {
            let rest = version.strip_prefix(start).filter(|_| crate_name == name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    for (name, found) in versions {
        let left = found.iter().filter(|version| !is_skipped(name, version)).count();
        if left > 1 {
            let found = found.join(", ");
            problems.push(format!("{name} is present in several versions: {found}"));
        }
    }
    for entry in skipped {
        let name = entry.split_once('@').map_or(entry, |(name, _)| name);
        if versions.get(name).is_none_or(|found| found.len() < 2) {
            problems.push(format!(
                "deny.toml lists {entry}, but only one version of it is \
                                   present"
            ));
        }
    }
}

/// Both programs that look for advisories make the same exceptions.
fn check_advisories(policy: &Table, audit: &Table, problems: &mut Vec<String>) {
    let [deny, audit] = [policy, audit].map(|table| strings(table, "advisories", "ignore"));
    if deny != audit {
        problems.push(format!(".cargo/audit.toml ignores {audit:?}, and deny.toml {deny:?}"));
    }
}

/// A list of texts, or of tables that hold one as their `crate` or `id`.
fn strings<'a>(policy: &'a Table, table: &str, key: &str) -> Vec<&'a str> {
    let list = policy.get(table).and_then(|table| table.get(key)).and_then(|list| list.as_array());
    let items = list.map(Vec::as_slice).unwrap_or_default();
    let text = |item: &'a toml::Value| ["crate", "id"].iter().find_map(|key| item.get(key));
    items.iter().filter_map(|item| text(item).unwrap_or(item).as_str()).collect()
}

/// Whether an SPDX expression can be met with these licences; a slash is an old way to write OR.
/// Brackets are settled from the innermost outwards.
fn is_allowed(expression: &str, licenses: &[&str]) -> bool {
    let is_met = |text: &str| {
        text.split(" OR ").any(|choice| {
            choice.split(" AND ").map(str::trim).all(|id| id == ALLOWED || licenses.contains(&id))
        })
    };
    let mut text = expression.replace('/', " OR ");
    while let Some((before, rest)) = text.rsplit_once('(') {
        let Some((inner, after)) = rest.split_once(')') else { return false };
        let word = if is_met(inner) { ALLOWED } else { REFUSED };
        text = format!("{before}{word}{after}");
    }
    is_met(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_say() {
        let licenses = ["MIT", "Apache-2.0", "Unicode-3.0"];
        for (expression, want) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("Apache-2.0 / MIT", true),
            ("MIT AND GPL-3.0", false),
            ("MIT OR GPL-3.0 AND BSD-2-Clause", true),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("(MIT AND GPL-3.0) OR (GPL-3.0 OR (MIT))", true),
            ("MIT AND (GPL-3.0 OR (BSD-2-Clause))", false),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &licenses), want, "{expression}");
        }
    }

    #[test]
    fn each_rule_finds_what_is_against_it() {
        let policy = "[licenses]\nallow = [\"MIT\"]\n[bans]\n\
            skip = [{ crate = \"twice@1\", reason = \"r\" }, \"gone@1\"]";
        let policy: Table = policy.parse().expect("TOML");
        let package = |name: &str, version: &str, license: &str, source: &str| {
            serde_json::json!({
                "name": name, "version": version, "license": license, "source": source
            })
        };
        let metadata = serde_json::json!({ "packages": [
            { "name": "own", "version": "1.0.0", "license": "MIT", "source": null },
            { "name": "bare", "version": "1.0.0", "license": null, "source": REGISTRY },
            package("fine", "1.0.0", "MIT", REGISTRY),
            package("foreign", "1.0.0", "MIT", "git+https://example.org/x"),
            package("closed", "1.0.0", "GPL-3.0", REGISTRY),
            package("twice", "1.2.0", "MIT", REGISTRY),
            package("twice", "10.0.0", "MIT", REGISTRY),
            package("thrice", "1.0.0", "MIT", REGISTRY),
            package("thrice", "2.0.0", "MIT", REGISTRY),
        ] });
        let want = [
            "bare 1.0.0: the licence \"\" is not allowed",
            "foreign 1.0.0 is from git+https://example.org/x",
            "closed 1.0.0: the licence \"GPL-3.0\" is not allowed",
            "thrice is present in several versions: 1.0.0, 2.0.0",
            "deny.toml lists gone@1, but only one version of it is present",
        ];
        assert_eq!(check_packages(&policy, &metadata), want);
        assert_eq!(check_packages(&policy, &Value::Null).len(), 3);
    }

    #[test]
    fn exceptions_are_the_same_for_both_programs() {
        let table = |text: &str| text.parse::<Table>().expect("TOML");
        let deny = table("[advisories]\nignore = [{ id = \"A-1\", reason = \"r\" }, \"A-2\"]");
        for (audit, want) in [("\"A-1\", \"A-2\"", 0), ("\"A-1\"", 1)] {
            let mut problems = Vec::new();
            let audit = table(&format!("[advisories]\nignore = [{audit}]"));
            check_advisories(&deny, &audit, &mut problems);
            assert_eq!(problems.len(), want);
        }
    }
}
