//! The files of the dashboard (docs/spec/modules.md section 3), which are in the program itself.

use super::answers::{not_found, redirect_to};
use super::json;
use crate::config::{Config, Dashboard};
use crate::net::Response;
use serde::Serialize;

/// What every file is sent with. A page may load and speak to nothing but the server that it came
/// from, and may not be put into another page.
const HEADERS: &str = concat!(
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; ",
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; ",
    "frame-ancestors 'none'\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Referrer-Policy: no-referrer\r\n",
    "Cache-Control: no-cache\r\n",
);

/// Where the page is.
const PATH: &str = "/mod/dashboard/";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../../dashboard/", $name))
    };
}

const FILES: [(&str, &str, &[u8]); 19] = [
    ("", HTML, file!("index.html")),
    ("style.css", CSS, file!("style.css")),
    ("icon.svg", SVG, file!("icon.svg")),
    ("app.js", SCRIPT, file!("app.js")),
    ("api.js", SCRIPT, file!("api.js")),
    ("credentials.js", SCRIPT, file!("credentials.js")),
    ("login.js", SCRIPT, file!("login.js")),
    ("dom.js", SCRIPT, file!("dom.js")),
    ("form.js", SCRIPT, file!("form.js")),
    ("health.js", SCRIPT, file!("health.js")),
    ("chart.js", SCRIPT, file!("chart.js")),
    ("diff.js", SCRIPT, file!("diff.js")),
    ("cluster.js", SCRIPT, file!("cluster.js")),
    ("keys.js", SCRIPT, file!("keys.js")),
    ("tree.js", SCRIPT, file!("tree.js")),
    ("node.js", SCRIPT, file!("node.js")),
    ("search.js", SCRIPT, file!("search.js")),
    ("tail.js", SCRIPT, file!("tail.js")),
    ("locks.js", SCRIPT, file!("locks.js")),
];

/// Answers a file of the dashboard; nothing named leads to the page.
pub(crate) fn serve(config: &Config, asset: Option<&str>) -> Response {
    let Some(name) = asset else { return redirect_to(301, PATH) };
    let response = if name == "settings.json" {
        let settings = settings_body(&config.name, config.dashboard, config.metrics);
        Response::json(200, settings)
    } else if let Some((kind, body)) = file(name) {
        Response::new(200, kind, body)
    } else {
        not_found()
    };
    response.with(HEADERS)
}

/// A file's content type and bytes, by its name behind [`PATH`].
fn file(name: &str) -> Option<(&'static str, &'static [u8])> {
    let (_, kind, bytes) = FILES.iter().find(|(known, ..)| *known == name)?;
    Some((kind, bytes))
}

/// What the page has to know before it begins: `settings.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'a> {
    name: &'a str,
    version: &'a str,
    metrics: bool,
    read_only: bool,
}

fn settings_body(name: &str, mode: Dashboard, metrics: bool) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    json::line(&Settings { name, version, metrics, read_only: mode != Dashboard::On })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_that_is_imported_is_there() {
        let mut imports = 0;
        for (_, kind, bytes) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            let text = std::str::from_utf8(bytes).expect("text");
            for import in text.lines().filter(|line| line.starts_with("import ")) {
                let name = import.rsplit('"').nth(1).expect("a name in quotes");
                let name = name.strip_prefix("./").expect("a file beside it");
                assert_eq!(file(name).map(|(kind, _)| kind), Some(*kind), "{import}");
                imports += 1;
            }
        }
        assert!(imports > 10);
    }

    #[test]
    fn the_page_has_nothing_that_the_policy_forbids() {
        let page = std::str::from_utf8(file("").expect("there").1).expect("text");
        for word in ["<style", " style=", " onclick=", "http://", "https://"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(file("nothing.js").is_none() && file("../Cargo.toml").is_none());
    }

    #[test]
    fn every_request_is_sent_at_one_place_which_knows_the_user() {
        fn count(bytes: &[u8], word: &str) -> usize {
            std::str::from_utf8(bytes).expect("text").matches(word).count()
        }
        for (name, _, bytes) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            let sends = count(bytes, "fetch(");
            assert_eq!(sends, usize::from(*name == "api.js"), "{name}");
            for word in ["EventSource(", "XMLHttpRequest(", "WebSocket(", "sendBeacon("] {
                assert_eq!(count(bytes, word), 0, "{word} in {name}");
            }
        }
    }

    #[test]
    fn the_mode_is_told() {
        let body = |mode| String::from_utf8(settings_body("m\"1", mode, true)).expect("text");
        assert!(body(Dashboard::On).starts_with("{\"name\":\"m\\\"1\",\"version\":\""));
        assert!(body(Dashboard::On).ends_with(",\"readOnly\":false}\n"));
        assert!(body(Dashboard::ReadOnly).ends_with(",\"readOnly\":true}\n"));
    }
}
