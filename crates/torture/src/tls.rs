//! Certificates between the members, and a caller that has the wrong one.

use crate::tool::{run, text};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the certificates are.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    /// Makes an authority with a certificate for the members, and one that nobody trusts.
    pub(crate) fn make(dir: &Path, ips: &[String]) -> Result<Self, String> {
        let dir = dir.join("certificates");
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let names: Vec<String> = ips.iter().map(|ip| format!("IP:{ip}")).collect();
        let names = format!("subjectAltName={}", names.join(","));
        for side in ["right", "wrong"] {
            let file = |name: &str| text(&dir.join(format!("{side}-{name}")));
            let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
            let (cert, key) = (file("cert.pem"), file("key.pem"));
            let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
            let plain = ["-nodes", "-days", "2"];
            let subject = format!("/CN={side} authority");
            let own = ["-keyout", &ca_key, "-out", &ca, "-subj", &subject];
            run("openssl", &[&new[..], &plain[..], &own[..]].concat())?;
            let own = ["-keyout", &key, "-out", &cert, "-subj", "/CN=member"];
            let signed = ["-CA", &ca, "-CAkey", &ca_key, "-addext", &names];
            let usage = ["-addext", "basicConstraints=critical,CA:FALSE"];
            run("openssl", &[&new[..], &plain[..], &own[..], &signed[..], &usage[..]].concat())?;
        }
        Ok(Self { dir })
    }

    fn file(&self, name: &str) -> String {
        text(&self.dir.join(name))
    }

    /// The flags of every member.
    pub(crate) fn flags(&self) -> Vec<String> {
        let flags = [
            ("-peer-cert-file", "right-cert.pem"),
            ("-peer-key-file", "right-key.pem"),
            ("-peer-ca-file", "right-ca.pem"),
        ];
        flags.iter().flat_map(|(flag, name)| [(*flag).to_owned(), self.file(name)]).collect()
    }

    /// Asks for the members at a peer port; fails if it is not answered.
    pub(crate) fn call(&self, addr: SocketAddr, side: &str) -> Result<(), String> {
        let (cert, key) = (format!("{side}-cert.pem"), format!("{side}-key.pem"));
        self.ask(addr, &["--cert", &self.file(&cert), "--key", &self.file(&key)])
    }

    /// The same as somebody who has no certificate.
    pub(crate) fn call_without(&self, addr: SocketAddr) -> Result<(), String> {
        self.ask(addr, &[])
    }

    fn ask(&self, addr: SocketAddr, with: &[&str]) -> Result<(), String> {
        let url = format!("https://{addr}/v2/admin/machines");
        let ca = self.file("right-ca.pem");
        let plain = ["-sS", "-f", "--max-time", "5", &url, "--cacert", &ca];
        run("curl", &[&plain, with].concat())
    }
}
