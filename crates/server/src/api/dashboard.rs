//! The files of the dashboard (docs/spec/modules.md section 3), which are in the program itself, as
//! they are and compressed (`build.rs`).

use super::answers::{not_found, redirect_to};
use super::json;
use crate::config::{Config, Dashboard};
use crate::http::request::Terms;
use crate::net::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use std::sync::OnceLock;

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

/// How much of a hash is in a tag.
const VERSION_BYTES: usize = 12;

/// Where the page is.
const PATH: &str = "/mod/dashboard/";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file of the page.
struct File {
    /// Its name behind [`PATH`].
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    /// The same, compressed.
    packed: &'static [u8],
    /// What of its hash is in its `ETag`, once somebody has asked for it.
    version: OnceLock<String>,
}

macro_rules! file {
    ($name:literal, $kind:ident, $file:literal) => {
        File {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/dashboard/", $file)),
            packed: include_bytes!(concat!(env!("OUT_DIR"), "/dashboard/", $file, ".gz")),
            version: OnceLock::new(),
        }
    };
    ($name:literal, $kind:ident) => {
        file!($name, $kind, $name)
    };
}

static FILES: [File; 6] = [
    file!("", HTML, "index.html"),
    file!("app.css", CSS),
    file!("icon.svg", SVG),
    file!("app.js", SCRIPT),
    file!("editor.js", SCRIPT),
    file!("licenses.txt", TEXT),
];

impl File {
    fn named(name: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.name == name)
    }

    /// The tag of the file as it is, or compressed: these are two forms of one thing.
    fn etag(&self, is_packed: bool) -> String {
        let version = self.version.get_or_init(|| {
            let hash = digest(&SHA256, self.bytes);
            URL_SAFE_NO_PAD.encode(hash.as_ref().get(..VERSION_BYTES).expect("it is longer"))
        });
        format!("\"{version}{}\"", if is_packed { "-gzip" } else { "" })
    }

    fn serve(&self, terms: Terms<'_>) -> Response {
        let is_packed = terms.accepts_gzip();
        let tags = [self.etag(is_packed), self.etag(!is_packed)];
        let mut head = format!("{HEADERS}Vary: Accept-Encoding\r\nETag: {}\r\n", tags[0]);
        // Whoever has either form has all of it.
        if tags.iter().any(|tag| terms.has(tag)) {
            return Response::empty(304).with(head);
        }
        if is_packed {
            head.push_str("Content-Encoding: gzip\r\n");
        }
        let body = if is_packed { self.packed } else { self.bytes };
        Response::new(200, self.kind, body).with(head)
    }
}

/// Answers a file of the dashboard; nothing named leads to the page.
pub(crate) fn serve(config: &Config, asset: Option<&str>, terms: Terms<'_>) -> Response {
    let Some(name) = asset else { return redirect_to(301, PATH) };
    if let Some(file) = File::named(name) {
        return file.serve(terms);
    }
    let response = if name == "settings.json" {
        let settings = settings_body(&config.name, config.dashboard, config.metrics);
        Response::json(200, settings)
    } else {
        not_found()
    };
    response.with(HEADERS)
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
    fn every_file_that_is_named_is_there() {
        let mut names = 0;
        for file in &FILES {
            let text = std::str::from_utf8(file.bytes).expect("text");
            let imports = text.split("import(\"./").skip(1);
            let links =
                ["src=\"", "href=\""].map(|word| text.split(word).skip(1)).into_iter().flatten();
            for name in imports.chain(links.filter(|_| file.kind == HTML)) {
                let name = name.split('"').next().expect("there is a first part");
                assert!(File::named(name).is_some(), "{name} in {}", file.name);
                names += 1;
            }
        }
        assert!(names > 4);
    }

    #[test]
    fn the_page_has_nothing_that_the_policy_forbids() {
        let page = std::str::from_utf8(File::named("").expect("there").bytes).expect("text");
        for word in ["<style", " style=", " onclick=", "http://", "https://"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(File::named("nothing.js").is_none() && File::named("../Cargo.toml").is_none());
    }

    #[test]
    fn every_request_is_sent_at_one_place_which_knows_the_user() {
        fn count(bytes: &[u8], word: &str) -> usize {
            std::str::from_utf8(bytes).expect("text").matches(word).count()
        }
        for File { name, bytes, .. } in FILES.iter().filter(|file| file.kind == SCRIPT) {
            let sends = count(bytes, "fetch(");
            assert_eq!(sends, usize::from(*name == "app.js"), "{name}");
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
