//! What a run is asked to do.
use kvbench::*;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Work {
    Put,
    Get,
    Qget,
    Mixed,
    Cas,
    Post,
    List,
    Fill,
    Ttl,
}

#[derive(Clone)]
pub(crate) struct Opt {
    pub(crate) urls: Vec<String>,
    pub(crate) work: Work,
    pub(crate) conns: usize,
    pub(crate) secs: f64,
    pub(crate) warm: f64,
    pub(crate) rate: f64,
    pub(crate) keys: u64,
    pub(crate) size: usize,
    pub(crate) fan: u64,
    pub(crate) prefix: String,
    pub(crate) reads: u64,
    pub(crate) quorum_reads: bool,
    pub(crate) timeout: u64,
    pub(crate) follow: bool,
    pub(crate) ttl: u64,
    pub(crate) refresh_param: bool,
    pub(crate) form: String,
    /// A name and a password, with `{}` for the number of the connection.
    pub(crate) user: Option<String>,
}

impl Opt {
    /// None where --work names nothing that is known.
    pub(crate) fn new(a: &Args) -> Option<Opt> {
        let work = match a.get("--work").unwrap_or("put") {
            "put" | "watch" => Work::Put,
            "get" => Work::Get,
            "qget" => Work::Qget,
            "mixed" => Work::Mixed,
            "cas" => Work::Cas,
            "post" => Work::Post,
            "list" => Work::List,
            "fill" => Work::Fill,
            "ttl" => Work::Ttl,
            _ => return None,
        };
        let urls = a.get("--url").unwrap_or("http://127.0.0.1:4001");
        Some(Opt {
            urls: urls.split(',').map(String::from).collect(),
            work,
            conns: a.num("--conns", 1),
            secs: a.num("--secs", 5.0),
            warm: a.num("--warm", 1.0),
            rate: a.num("--rate", 0.0),
            keys: a.num("--keys", 10_000),
            size: a.num("--size", 64),
            fan: a.num("--fan", 0),
            prefix: a.get("--prefix").unwrap_or("/bench").to_string(),
            reads: a.num("--reads", 90),
            quorum_reads: a.flag("--quorum-reads"),
            timeout: a.num("--timeout-ms", 10_000),
            follow: a.flag("--follow"),
            ttl: a.num("--ttl", 15),
            refresh_param: a.flag("--refresh-param"),
            form: a.get("--form").unwrap_or("").to_string(),
            user: a.get("--user").map(String::from),
        })
    }

    pub(crate) fn hosts(&self) -> Vec<String> {
        self.urls.iter().map(|u| host(u)).collect()
    }
}

/// The header lines that say who sends on a connection.
pub(crate) fn credentials(user: &str, number: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let user = user.replace("{}", &number.to_string());
    let mut out = String::from("\r\nAuthorization: Basic ");
    for part in user.as_bytes().chunks(3) {
        let bits = part.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b));
        let bits = bits << (8 * (3 - part.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= part.len() { digit as char } else { '=' });
        }
    }
    out
}

pub(crate) fn host(url: &str) -> String {
    let u = url.strip_prefix("http://").unwrap_or(url);
    u.split('/').next().unwrap_or(u).to_string()
}
