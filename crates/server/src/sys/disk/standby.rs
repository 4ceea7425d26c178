//! The standby marker: a file which records that a machine is a standby.
//!
//! A machine that lost it would take its empty directory for a reason to found a cluster. So only
//! a file that is not there means that it does not stand by.

use super::DataDir;
use super::contents::STANDBY_NAME;
use std::fs;
use std::io;

/// The first line of the file; peer URLs follow, a line each.
const VERSION: &str = "stead standby 1";

impl DataDir {
    /// Whether this machine is marked as a standby, and the peer URLs of members to ask; nothing if
    /// it does not.
    ///
    /// # Errors
    /// A sentence that names the file, when it cannot be read or holds something else.
    pub(crate) fn standby(&self) -> io::Result<Option<Vec<String>>> {
        if self.memory.is_some() {
            return Ok(None);
        }
        let path = self.path.join(STANDBY_NAME);
        let refuse = |kind, detail: &str| {
            let remedy = "this machine may be a standby, so it does not start a cluster; remove \
                          the file only to start this machine as a new one";
            io::Error::new(kind, format!("{}: {detail}: {remedy}", path.display()))
        };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(refuse(error.kind(), &format!("it cannot be read ({error})")));
            }
            Ok(text) => text,
        };
        let mut lines = text.lines();
        if lines.next() != Some(VERSION) {
            let detail = format!("it does not start with {VERSION:?}");
            return Err(refuse(io::ErrorKind::InvalidData, &detail));
        }
        Ok(Some(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()))
    }

    /// Writes that word down, or takes it back. It is durable when this returns.
    ///
    /// # Errors
    /// What the disk gave, with the file's name.
    pub(crate) fn set_standby(&self, peers: Option<&[String]>) -> io::Result<()> {
        let done = match peers {
            Some(peers) => {
                self.replace(STANDBY_NAME, &format!("{VERSION}\n{}\n", peers.join("\n")))
            }
            None => self.remove_if_there(STANDBY_NAME),
        };
        done.map_err(|error| {
            let detail = format!("cannot record that this machine is a standby: {error}");
            io::Error::new(error.kind(), detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk::tests::Scratch;

    #[test]
    fn the_word_is_kept_and_taken_back() {
        let scratch = Scratch::new("standby");
        let data_dir = DataDir::open(scratch.path()).expect("a place for files");
        assert_eq!(data_dir.standby().expect("there is none"), None);
        let peers = ["http://127.0.0.1:7001", "http://127.0.0.1:7002"].map(str::to_owned);
        data_dir.set_standby(Some(&peers)).expect("the disk works");
        assert_eq!(data_dir.standby().expect("it is there"), Some(peers.to_vec()));
        // A list without a member says as much as one with some.
        data_dir.set_standby(Some(&[])).expect("the disk works");
        assert_eq!(data_dir.standby().expect("it is there"), Some(Vec::new()));
        data_dir.set_standby(None).expect("the disk works");
        data_dir.set_standby(None).expect("there is nothing to be done");
        assert_eq!(data_dir.standby().expect("there is none"), None);
    }

    #[test]
    fn what_a_write_left_behind_is_removed() {
        let scratch = Scratch::new("standby-left");
        drop(DataDir::open(scratch.path()).expect("a place for files"));
        let left = scratch.path().join("standby.tmp");
        fs::write(&left, "stead stand").expect("the disk works");
        let data_dir = DataDir::open(scratch.path()).expect("it is ours");
        assert!(!left.exists());
        assert_eq!(data_dir.standby().expect("there is none"), None);
    }

    #[test]
    fn a_word_that_cannot_be_read_is_no_word_that_there_is_none() {
        for content in ["", "stead standby 2\nhttp://127.0.0.1:7001\n", "\0\0\0\0", "\u{fffd}"] {
            let scratch = Scratch::new("standby-unknown");
            let data_dir = DataDir::open(scratch.path()).expect("a place for files");
            fs::write(scratch.path().join(STANDBY_NAME), content).expect("the disk works");
            let refusal = data_dir.standby().expect_err("it says nothing that is known");
            let path = scratch.path().join(STANDBY_NAME);
            assert!(refusal.to_string().contains(&path.display().to_string()), "{refusal}");
        }
        // A directory of this name is an error of another kind, for every user.
        let scratch = Scratch::new("standby-directory");
        let data_dir = DataDir::open(scratch.path()).expect("a place for files");
        fs::create_dir(scratch.path().join(STANDBY_NAME)).expect("the disk works");
        let refusal = data_dir.standby().expect_err("it cannot be read");
        assert!(refusal.to_string().contains("cannot be read"), "{refusal}");
        assert!(data_dir.set_standby(None).is_err());
    }
}
