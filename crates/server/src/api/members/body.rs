//! The members as 2.x shows and takes them (docs/spec/cluster.md section 8.1).

use crate::api::json;
use crate::config::Dialect;
use crate::join::{is_url, leads_somewhere};
use replica::Member;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
}

/// Reads the peer URL of a member to be. 2.x took several; the first one is kept.
///
/// # Errors
/// What is wrong with the body, in the words of 2.x.
pub(crate) fn parse_peer_url(body: &[u8]) -> Result<String, String> {
    let wire: Wire = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let urls: Vec<&str> = wire.peer_urls.iter().map(|url| url.trim_end_matches('/')).collect();
    for url in &urls {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("URL scheme must be http or https: {url}"));
        }
        if !is_url(url) {
            return Err(format!("URL address does not have the form \"host:port\": {url}"));
        }
        if !leads_somewhere(url) {
            return Err(format!("URL address does not lead to a machine: {url}"));
        }
    }
    urls.first().map(|url| (*url).to_owned()).ok_or_else(|| "no valid URLs given".to_owned())
}

#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    name: &'a str,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<&'a str>,
    #[serde(rename = "clientURLs")]
    client_urls: Vec<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(member: &'a Member, dialect: Dialect) -> Self {
        let peer_url = Some(member.peer_url.as_str()).filter(|url| !url.is_empty());
        Self {
            id: member.id.to_string(),
            name: &member.name,
            peer_urls: peer_url.into_iter().collect(),
            // A machine that has not started has no address for clients.
            client_urls: dialect.urls_of(member),
        }
    }
}

#[derive(Serialize)]
struct Members<'a> {
    members: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    message: &'a str,
}

/// A member, with its addresses for clients that speak a dialect.
pub(crate) fn member_body(member: &Member, dialect: Dialect) -> Vec<u8> {
    json::line(&Shown::new(member, dialect))
}

/// All members, in the order in which they are given.
pub(super) fn members_body(members: &[&Member], dialect: Dialect) -> Vec<u8> {
    let shown = members.iter().map(|member| Shown::new(member, dialect));
    json::line(&Members { members: shown.collect() })
}

pub(crate) fn error_body(message: &str) -> Vec<u8> {
    json::body(&Refusal { message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use replica::MemberId;

    #[test]
    fn only_urls_of_machines_are_taken() {
        let parse = |body: &str| parse_peer_url(body.as_bytes());
        let good = r#"{"id":"1","peerURLs":["http://h:7001/","https://i:1"],"x":0}"#;
        assert_eq!(parse(good).as_deref(), Ok("http://h:7001"));
        for (body, why) in [
            (r#"{"peerURLs":[]}"#, "no valid URLs given"),
            (r#"{"peerURLs":["bad"]}"#, "URL scheme must be http or https: bad"),
            (r#"{"peerURLs":["http://h:1","ftp://h:1"]}"#, "URL scheme"),
            (r#"{"peerURLs":["http://h"]}"#, "URL address does not have the form"),
            (r#"{"peerURLs":["http://h:0"]}"#, "URL address"),
            (r#"{"peerURLs":["http://h:1/path"]}"#, "URL address"),
            (r#"{"peerURLs":["http://a b:1"]}"#, "URL address"),
            (r#"{"peerURLs":"http://h:1"}"#, "invalid type"),
            (r#"{"peerURLs":null}"#, "invalid type"),
            ("{}", "missing field"),
            ("[]", "invalid"),
            ("", "EOF"),
            ("{\"peerURLs\":[", "EOF"),
        ] {
            let error = parse(body).expect_err(body);
            assert!(error.contains(why), "{body}: {error}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err(), "nesting is bounded");
        assert!(parse_peer_url(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn a_member_that_has_not_started_has_no_name_and_no_client_url() {
        let member = |id, name: &str, client: &str| Member {
            id: MemberId(id),
            name: name.into(),
            client_url: client.into(),
            peer_url: "http://p:1".into(),
            ..Member::default()
        };
        let (one, two) = (member(255, "a", "http://c:1"), member(256, "", ""));
        let want = "{\"members\":[\
                    {\"id\":\"ff\",\"name\":\"a\",\"peerURLs\":[\"http://p:1\"],\
                    \"clientURLs\":[\"http://c:1\"]},\
                    {\"id\":\"100\",\"name\":\"\",\"peerURLs\":[\"http://p:1\"],\
                    \"clientURLs\":[]}]}\n";
        assert_eq!(
            String::from_utf8(members_body(&[&one, &two], Dialect::V04)).as_deref(),
            Ok(want)
        );
        assert_eq!(error_body("a\"b"), b"{\"message\":\"a\\\"b\"}");
    }
}
