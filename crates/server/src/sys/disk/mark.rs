//! The mark of a move of files that is under way: a version, then the name of a sub-directory or of
//! two, a line each.

use super::contents::{MARK_NAME, is_set_aside};
use std::fs;
use std::io;
use std::path::Path;

/// The first line of a mark that names one sub-directory.
pub(super) const MARK_VERSION: &str = "stead set-aside 1";
/// The same where a third line names the sub-directory whose files come next.
const THEN_VERSION: &str = "stead set-aside 2";
/// Nothing is to be set aside any more: files come from the sub-directory that is named.
const ADOPT_VERSION: &str = "stead adopt 1";

/// What the mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Files move into a sub-directory, and then others come from another one.
    SetAside { target: String, then: Option<String> },
    /// Files come from a sub-directory.
    Adopt { built: String },
}

impl Mark {
    pub(super) fn text(&self) -> String {
        match self {
            Mark::SetAside { target, then: None } => format!("{MARK_VERSION}\n{target}\n"),
            Mark::SetAside { target, then: Some(built) } => {
                format!("{THEN_VERSION}\n{target}\n{built}\n")
            }
            Mark::Adopt { built } => format!("{ADOPT_VERSION}\n{built}\n"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let name = |name: &str| is_set_aside(name).then(|| name.to_owned());
        match lines.as_slice() {
            [MARK_VERSION, target] => Some(Mark::SetAside { target: name(target)?, then: None }),
            [THEN_VERSION, target, built] => {
                Some(Mark::SetAside { target: name(target)?, then: Some(name(built)?) })
            }
            [ADOPT_VERSION, built] => Some(Mark::Adopt { built: name(built)? }),
            _ => None,
        }
    }
}

/// What was under way with the files of a directory when it was left; nothing if that is not so.
pub(super) fn unfinished(path: &Path) -> Result<Option<Mark>, String> {
    let mark = path.join(MARK_NAME);
    let text = match fs::read_to_string(&mark) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", mark.display())),
        Ok(text) => text,
    };
    match Mark::parse(&text) {
        Some(mark) => Ok(Some(mark)),
        None => Err(format!(
            "{} records an unfinished move of files in a format that this version does not know: \
             start the version that wrote it",
            mark.display()
        )),
    }
}
