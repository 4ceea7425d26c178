//! The `log` file of 0.2 to 0.4.
//!
//! ```text
//! entry: length in hexadecimal ASCII, padded on the left with blanks to 8 bytes | '\n' | message
//! message: 1 varint index, from 1 without gaps | 2 varint term | 3 command name | 4 command JSON
//! ```
//! There are no checksums. A last entry that is shorter than announced was never finished; but as
//! a changed length looks the same, no whole entry may follow it.
//!
//! See docs/spec/migration.md section 2.1.

use crate::proto::{Fields, Malformed};
use crate::{Damage, Error, Options, Warning};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

const HEADER_LEN: usize = 9;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) index: u64,
    pub(super) term: u64,
    /// The name of its command.
    pub(super) name: String,
    /// Where its command is in the file.
    command: Range<usize>,
    pub(super) offset: u64,
    /// Where the next one begins.
    end: usize,
}

/// A log that was read.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    bytes: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    pub(super) warnings: Vec<Warning>,
}

impl Log {
    /// Reads the file. None means an empty log.
    pub(super) fn read(path: &Path, options: &Options) -> Result<Self, Error> {
        let mut log = Self {
            path: path.to_owned(),
            bytes: Vec::new(),
            entries: Vec::new(),
            warnings: Vec::new(),
        };
        if !path.exists() {
            return Ok(log);
        }
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).map_err(|error| Error::io(path, error))?;
            Ok((metadata.len(), metadata.modified().ok()))
        };
        let before = stamp(path)?;
        log.bytes = fs::read(path).map_err(|error| Error::io(path, error))?;
        if stamp(path)? != before {
            if !options.live {
                let dir = path.parent().unwrap_or(path);
                return Err(Error::InUse(dir.to_owned()));
            }
            log.warnings.push(Warning::ChangedWhileRead(path.to_owned()));
        }
        log.parse(options)?;
        Ok(log)
    }

    /// The command of an entry, as JSON.
    pub(super) fn command(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.command.clone()).unwrap_or_default()
    }

    /// The raft index of the last entry.
    pub(super) fn last_index(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.index)
    }

    fn parse(&mut self, options: &Options) -> Result<(), Error> {
        let mut at = 0;
        while at < self.bytes.len() {
            let what = match self.entry(at) {
                Ok(entry) if self.entries.is_empty() || entry.index == self.last_index() + 1 => {
                    at = entry.end;
                    self.entries.push(entry);
                    continue;
                }
                Ok(entry) => format!("the entry has raft index {}", entry.index),
                Err(Flaw::Cut) if !self.is_followed(at) => {
                    let (file, last_good) = (self.path.clone(), self.last_index());
                    self.warnings.push(Warning::TornTail { file, offset: at as u64, last_good });
                    return Ok(());
                }
                Err(Flaw::Cut) => "an entry ends beyond the file, but others follow".to_owned(),
                Err(Flaw::Header) => "invalid header of an entry".to_owned(),
                Err(Flaw::Message) => "invalid entry".to_owned(),
            };
            return self.refuse(at, what, options);
        }
        Ok(())
    }

    fn refuse(&mut self, at: usize, what: String, options: &Options) -> Result<(), Error> {
        let (file, offset, last_good) = (self.path.clone(), at as u64, Some(self.last_index()));
        let damage = Damage { file, offset, what, last_good };
        if !options.accept_damage {
            return Err(Error::Damage { damage, can_be_accepted: true });
        }
        self.warnings.push(Warning::Damage(damage));
        Ok(())
    }

    fn entry(&self, at: usize) -> Result<Entry, Flaw> {
        let end = entry_end(&self.bytes, at)?;
        let message = self.bytes.get(at + HEADER_LEN..end).ok_or(Flaw::Cut)?;
        let (index, term, name, command) = message_parts(message).map_err(|_| Flaw::Message)?;
        let start = match command {
            [] => end,
            command => command.as_ptr().addr().saturating_sub(self.bytes.as_ptr().addr()),
        };
        let name = String::from_utf8(name.to_vec()).map_err(|_| Flaw::Message)?;
        let command = start..start + command.len();
        Ok(Entry { index, term, name, command, offset: at as u64, end })
    }

    /// Whether a whole entry with a later index follows somewhere. Its header cannot be part of a
    /// command: JSON has no line feeds but the last byte.
    fn is_followed(&self, at: usize) -> bool {
        let last = self.last_index();
        (at + 1..self.bytes.len().saturating_sub(HEADER_LEN)).any(|at| {
            self.bytes.get(at + HEADER_LEN - 1) == Some(&b'\n')
                && self.entry(at).is_ok_and(|entry| entry.index > last)
        })
    }
}

/// Why an entry cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Cut,
    Header,
    Message,
}

/// Where an entry ends, by its header.
fn entry_end(bytes: &[u8], at: usize) -> Result<usize, Flaw> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((header, body)) = rest.split_at_checked(HEADER_LEN) else {
        return Err(Flaw::Cut);
    };
    let (digits, line_feed) = header.split_at(HEADER_LEN - 1);
    let digits = std::str::from_utf8(digits).map_err(|_| Flaw::Header)?.trim_start_matches(' ');
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let len = usize::from_str_radix(digits, 16).map_err(|_| Flaw::Header)?;
    if line_feed != b"\n" || !is_hex {
        return Err(Flaw::Header);
    }
    if len > body.len() {
        return Err(Flaw::Cut);
    }
    Ok(at + HEADER_LEN + len)
}

type Parts<'a> = (u64, u64, &'a [u8], &'a [u8]);

fn message_parts(message: &[u8]) -> Result<Parts<'_>, Malformed> {
    let (mut index, mut term, mut name, mut command) = (None, None, None, &[][..]);
    for field in Fields::new(message) {
        match field? {
            (1, value) => index = Some(value.number()?),
            (2, value) => term = Some(value.number()?),
            (3, value) => name = Some(value.bytes()?),
            (4, value) => command = value.bytes()?,
            _ => return Err(Malformed),
        }
    }
    match (index, term, name) {
        (Some(index), Some(term), Some(name)) => Ok((index, term, name, command)),
        _ => Err(Malformed),
    }
}
