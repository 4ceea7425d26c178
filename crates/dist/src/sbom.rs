//! The bill of materials: an SPDX 2.3 document with every crate that the program is made of, and
//! every package of npm that is in the dashboard it serves.

use crate::source::{Source, run};
use crate::sums::sha256;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The crates that are linked into the program for a target, and which of them takes which.
struct Graph {
    /// By their id: what cargo says of each.
    packages: BTreeMap<String, Value>,
    /// By the id: what it depends on.
    needs: BTreeMap<String, Vec<String>>,
    root: String,
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

impl Graph {
    /// Asks cargo.
    fn read(source: &Source) -> Result<Self, String> {
        let said = run(Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform"])
            .arg(&source.target)
            .current_dir(&source.root))?;
        let all: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        let packages: BTreeMap<String, Value> = list(&all, "packages")
            .map(|package| (text(package, "id").to_owned(), package.clone()))
            .collect();
        let is_linked = |need: &&Value| list(need, "dep_kinds").any(|kind| kind["kind"].is_null());
        let needs = list(&all["resolve"], "nodes").map(|node| {
            let linked = list(node, "deps").filter(is_linked);
            let linked = linked.map(|need| text(need, "pkg").to_owned()).collect();
            (text(node, "id").to_owned(), linked)
        });
        let root = packages.iter().find(|(_, package)| text(package, "name") == "stead");
        let root = root.map(|(id, _)| id.clone()).ok_or("cargo knows no package stead")?;
        let needs = needs.collect();
        Ok(Self { packages, needs, root })
    }

    /// The ids of all that the program needs, itself included.
    fn linked(&self) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut next = vec![self.root.as_str()];
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                next.extend(self.needs.get(id).into_iter().flatten().map(String::as_str));
            }
        }
        seen
    }
}

/// A name as SPDX allows it in its references.
fn reference(package: &Value) -> String {
    let name = format!("{}-{}", text(package, "name"), text(package, "version"));
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' };
    format!("SPDXRef-{}", name.chars().map(plain).collect::<String>())
}

fn describe(package: &Value) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let licence = package["license"].as_str().map(|text| text.replace('/', " OR "));
    let licence = licence.unwrap_or_else(|| "NOASSERTION".to_owned());
    let is_own = package["source"].is_null();
    let place = if is_own {
        "NOASSERTION".into()
    } else {
        format!("https://crates.io/api/v1/crates/{name}/{version}/download")
    };
    let mut described = json!({
        "SPDXID": reference(package),
        "name": name,
        "versionInfo": version,
        "downloadLocation": place,
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION"
    });
    if !is_own {
        described["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:cargo/{name}@{version}")
        }]);
    }
    described
}

/// What the dashboard is made of: its build writes there what it has put into its files.
const DASHBOARD: &str = "dashboard/dist/licenses.txt";

/// A line such as `preact 11.2.0 (MIT)`: name, version, licence.
fn script(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.split_once(' ')?;
    let (version, licence) = rest.split_once(' ')?;
    let licence = licence.strip_prefix('(')?.strip_suffix(')')?;
    let is_version =
        version.split('.').count() == 3 && version.starts_with(|c: char| c.is_ascii_digit());
    is_version.then_some((name, version, licence))
}

fn describe_script((name, version, licence): (&str, &str, &str)) -> Value {
    let file = name.rsplit('/').next().unwrap_or(name);
    let own = json!({"name": format!("npm-{}", name.trim_start_matches('@')), "version": version});
    json!({
        "SPDXID": reference(&own),
        "name": name,
        "versionInfo": version,
        "downloadLocation": format!("https://registry.npmjs.org/{name}/-/{file}-{version}.tgz"),
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:npm/{}@{version}", name.replace('@', "%40"))
        }]
    })
}

/// The document.
///
/// # Errors
/// That cargo does not say what the program is made of, or the dashboard not what it is made of.
pub(crate) fn document(source: &Source, program: &[u8]) -> Result<String, String> {
    let graph = Graph::read(source)?;
    let linked = graph.linked();
    let of = |id: &str| graph.packages.get(id).ok_or(format!("cargo does not describe {id}"));
    let mut packages = Vec::new();
    let mut relations = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": reference(of(&graph.root)?)
    })];
    for id in &linked {
        let mut described = describe(of(id)?);
        if *id == graph.root {
            described["checksums"] =
                json!([{"algorithm": "SHA256", "checksumValue": sha256(program)}]);
        }
        packages.push(described);
        for need in graph.needs.get(*id).into_iter().flatten() {
            relations.push(json!({
                "spdxElementId": reference(of(id)?),
                "relationshipType": "DEPENDS_ON",
                "relatedSpdxElement": reference(of(need)?)
            }));
        }
    }
    let listed = source.read(DASHBOARD)?;
    let scripts: Vec<Value> = listed.lines().filter_map(script).map(describe_script).collect();
    if scripts.is_empty() {
        return Err(format!("{DASHBOARD} lists nothing"));
    }
    for script in scripts {
        relations.push(json!({
            "spdxElementId": reference(of(&graph.root)?),
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": script["SPDXID"]
        }));
        packages.push(script);
    }
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": source.label(),
        "documentNamespace": format!("urn:stead:sbom:{}:{}", source.target, source.commit),
        "creationInfo": {"created": source.date()?, "creators": ["Tool: cargo xtask dist"]},
        "packages": packages,
        "relationships": relations
    });
    serde_json::to_string_pretty(&document)
        .map(|text| text + "\n")
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dashboard_is_made_of_is_read_from_its_list() {
        assert_eq!(script("preact 11.2.0 (MIT)"), Some(("preact", "11.2.0", "MIT")));
        for line in ["MIT License", "Copyright (C) 2018-2021 by (somebody)", "a 1 (b)", ""] {
            assert_eq!(script(line), None, "{line}");
        }
        let described = describe_script(("@lezer/json", "1.0.3", "MIT"));
        assert_eq!(described["SPDXID"], "SPDXRef-npm-lezer-json-1.0.3");
        assert_eq!(described["externalRefs"][0]["referenceLocator"], "pkg:npm/%40lezer/json@1.0.3");
        let place = "https://registry.npmjs.org/@lezer/json/-/json-1.0.3.tgz";
        assert_eq!(described["downloadLocation"], place);
    }
}
