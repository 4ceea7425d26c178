//! The members that a proxy knows: all that it keeps, as 2.x kept `proxy/cluster`.
//!
//! The file also says that the directory is that of a proxy, so that no later start takes it for
//! the empty one of a machine that may found a cluster.

use super::DataDir;
use super::contents::PROXY_NAME;
use std::fs::File;
use std::io::{self, Read};

/// The first line of the file; peer URLs follow, a line each.
const VERSION: &str = "stead proxy 1";

/// The longest file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

impl DataDir {
    /// The peer URLs of the members that a proxy knew; nothing if the directory is not that of one.
    ///
    /// # Errors
    /// A sentence that names the file, when it cannot be read or holds something else.
    pub(crate) fn proxied(&self) -> io::Result<Option<Vec<String>>> {
        if self.memory.is_some() {
            return Ok(None);
        }
        let path = self.path.join(PROXY_NAME);
        let refuse = |kind, detail: &str| {
            let remedy = "remove the file: the members are found again from the start line";
            io::Error::new(kind, format!("{}: {detail}: {remedy}", path.display()))
        };
        let mut text = String::new();
        let read =
            File::open(&path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(refuse(error.kind(), &format!("it cannot be read ({error})")));
            }
            Ok(_) => {}
        }
        let mut lines = text.lines();
        if lines.next() != Some(VERSION) {
            let detail = format!("it does not start with {VERSION:?}");
            return Err(refuse(io::ErrorKind::InvalidData, &detail));
        }
        let urls = lines.filter(|line| crate::join::is_url(line));
        Ok(Some(urls.map(str::to_owned).collect()))
    }

    /// Writes the members down. It is durable when this returns.
    ///
    /// # Errors
    /// What the disk gave, with the file's name.
    pub(crate) fn set_proxied(&self, members: &[String]) -> io::Result<()> {
        self.replace(PROXY_NAME, &format!("{VERSION}\n{}\n", members.join("\n")))
    }

    /// Takes the word back that the directory is that of a proxy.
    ///
    /// # Errors
    /// What the disk gave.
    pub(crate) fn forget_proxied(&self) -> io::Result<()> {
        self.remove_if_there(PROXY_NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk::tests::Scratch;
    use std::fs;

    #[test]
    fn members_are_kept_and_garbage_is_named() {
        let scratch = Scratch::new("proxied");
        let data_dir = DataDir::open(scratch.path()).expect("a place for files");
        assert_eq!(data_dir.proxied().expect("there is none"), None);
        let members = ["http://127.0.0.1:7001", "https://h:7002"].map(str::to_owned);
        data_dir.set_proxied(&members).expect("the disk works");
        assert_eq!(data_dir.proxied().expect("it is there"), Some(members.to_vec()));
        data_dir.set_proxied(&[]).expect("the disk works");
        assert_eq!(data_dir.proxied().expect("it is there"), Some(Vec::new()));
        let path = scratch.path().join(PROXY_NAME);
        for (content, want) in [
            (&b""[..], Err(())),
            (b"stead proxy 2\n", Err(())),
            (b"\xff\xfe", Err(())),
            (b"stead proxy 1\nhttp://h:1\nnonsense\n\n", Ok(1)),
        ] {
            fs::write(&path, content).expect("the disk works");
            let read = data_dir.proxied();
            match want {
                Ok(count) => assert_eq!(read.expect("fine").expect("there").len(), count),
                Err(()) => {
                    let error = read.expect_err("it says nothing that is known").to_string();
                    assert!(error.contains("proxy-members") && error.contains("remove"), "{error}");
                }
            }
        }
        data_dir.forget_proxied().expect("the disk works");
        data_dir.forget_proxied().expect("there is nothing to be done");
        assert_eq!(data_dir.proxied().expect("there is none"), None);
    }
}
