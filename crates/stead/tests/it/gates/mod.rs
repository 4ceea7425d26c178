//! Who is let in: machines that prove themselves, administrators, pages, addresses.

mod browser;
mod doubled;
mod fake;
mod networks;
mod secrets;

use std::path::PathBuf;
use std::time::Duration;

use crate::testkit::{Request, Site, TempDir};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The secret of the clusters here.
const SECRET: &str = "5eed-of-this-cluster-and-of-no-other";

/// A file with a secret, for its owner alone.
fn secret_file(dir: &TempDir, word: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.path().join(format!("token-{word}"));
    std::fs::write(&path, format!("{word}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// The flag that names a file with the secret of the clusters here.
fn secret_flag(dir: &TempDir) -> String {
    format!("-peer-token-file {}", secret_file(dir, SECRET).display())
}

fn with_secret(request: Request) -> Request {
    request.header("Stead-Token", SECRET)
}

/// The log of a machine so far.
fn log_of(site: &Site) -> String {
    std::fs::read_to_string(site.log_path()).unwrap_or_default()
}

/// The lines of a log in which all these words stand.
fn lines_with(log: &str, words: &[&str]) -> Vec<String> {
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    log.lines().filter(has_all).map(str::to_owned).collect()
}

/// The id of a member by its name.
fn id_of(addr: std::net::SocketAddr, name: &str) -> String {
    let members = crate::testkit::ask(addr, &Request::get("/v2/members")).json();
    let members = members["members"].as_array().expect("a list").clone();
    let named = members.iter().find(|member| member["name"] == name);
    named.and_then(|member| member["id"].as_str()).expect("a member").to_owned()
}
