//! `edit`: a value in an editor, saved only if nobody else has changed it meanwhile.

use crate::client::Request;
use crate::context::Context;
use crate::diff;
use crate::event;
use crate::failure::Failure;
use crate::key::{self, Pairs};
use crate::prompt;
use crate::term::{print, say};
use crate::write::{Before, key_request, swap_request};
use clap::Args;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// `stead edit`.
#[derive(Args, Debug)]
pub(crate) struct Edit {
    /// The key; one that is not there is made
    key: String,
}

/// A value as it was read.
struct Seen {
    value: String,
    /// Nothing if the key is not there.
    index: Option<u64>,
    ttl: Option<u64>,
    at: Instant,
}

impl Seen {
    /// The TTL that is left, so that saving does not make the key live longer.
    fn ttl_left(&self) -> Option<u64> {
        self.ttl.map(|ttl| ttl.saturating_sub(self.at.elapsed().as_secs()).max(1))
    }
}

/// A file that only its owner reads, and that is removed unless somebody needs it.
struct Draft {
    path: PathBuf,
    is_kept: bool,
}

impl Draft {
    fn new(key: &str, text: &str) -> Result<Self, Failure> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let base = base.filter(|path| path.is_dir()).unwrap_or_else(std::env::temp_dir);
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        // The ending tells an editor what it is.
        let name: String = key::name(key).chars().rev().filter(is_plain).take(60).collect();
        let name: String = name.chars().rev().collect();
        let random = RandomState::new().hash_one(std::process::id());
        let path = base.join(format!("stead-{random:016x}-{name}"));
        let failed = |error| Failure::Local(format!("cannot write {}: {error}", path.display()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.map_err(failed)?;
        let draft = Self { path: path.clone(), is_kept: false };
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(draft)
    }

    fn read(&self) -> Result<String, Failure> {
        fs::read_to_string(&self.path).map_err(|error| {
            Failure::Local(format!("cannot read {}: {error}", self.path.display()))
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed is in a directory that is emptied at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(crate) fn edit(args: &Edit, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let mut seen = look(cx, &key)?;
    let mut draft = Draft::new(&key, &seen.value)?;
    let told = edited(cx, &key, &mut seen, &mut draft);
    if draft.is_kept {
        say(&format!("your text is in {}", draft.path.display()));
    }
    let text = told?;
    match cx.is_json() {
        true => print(&format!("{}\n", serde_json::json!({ "key": key, "result": text }))),
        false => print(&format!("{key}: {text}\n")),
    }
}

fn edited(
    cx: &mut Context,
    key: &str,
    seen: &mut Seen,
    draft: &mut Draft,
) -> Result<&'static str, Failure> {
    loop {
        let ran = run_editor(&draft.path);
        let mut text = match draft.read() {
            Ok(text) => text,
            Err(failure) => {
                // It may be something else than text: whoever wrote it wants it back.
                draft.is_kept = draft.path.exists();
                return Err(failure);
            }
        };
        if text.ends_with('\n') && !seen.value.ends_with('\n') {
            // Editors end the last line.
            text.pop();
        }
        if text == seen.value && (seen.index.is_some() || text.is_empty()) {
            ran?;
            return Ok("unchanged");
        }
        // From here on there is something to lose.
        draft.is_kept = true;
        ran?;
        let request = match seen.index {
            Some(index) => swap_request(key, &text, index, seen.ttl_left()),
            None => key_request(key, &text, Before::Nothing, None),
        };
        let refused = match cx.client.call(&request) {
            Ok(_) => {
                draft.is_kept = false;
                return Ok("saved");
            }
            Err(failure) if matches!(failure.api_code(), Some(100 | 101 | 105)) => failure,
            Err(failure) => return Err(failure),
        };
        let theirs = look(cx, key)?;
        say(&format!("{key} was changed by somebody else while you were editing:"));
        say(&diff::unified(&seen.value, &theirs.value, ("before", "theirs")));
        say("and this is what you want to save:");
        say(&diff::unified(&theirs.value, &text, ("theirs", "yours")));
        match prompt::ask("Edit your text again, to be saved over theirs? [y/N]").as_deref() {
            Some("y" | "Y" | "yes") => *seen = theirs,
            _ => return Err(refused),
        }
    }
}

/// What is there, as a majority has it.
fn look(cx: &mut Context, key: &str) -> Result<Seen, Failure> {
    let mut query = Pairs::default();
    query.add("quorum", "true");
    let at = Instant::now();
    match cx.client.call(&Request::list(query.behind(&key::path(key)))) {
        Ok(reply) => {
            let node = event::parse(&reply.body)?.node;
            if node.dir {
                return Err(Failure::Usage(format!("{key} is a directory")));
            }
            let ttl = node.ttl.and_then(|ttl| u64::try_from(ttl).ok());
            Ok(Seen { value: node.value().to_owned(), index: Some(node.modified_index), ttl, at })
        }
        Err(failure) if failure.api_code() == Some(100) => {
            Ok(Seen { value: String::new(), index: None, ttl: None, at })
        }
        Err(failure) => Err(failure),
    }
}

fn run_editor(path: &Path) -> Result<(), Failure> {
    let set = |name: &str| std::env::var(name).ok().filter(|words| !words.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(path)
        .status()
        .map_err(|error| Failure::Local(format!("cannot run {editor}: {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::Local(format!("{editor} ended with {status}: nothing was saved"))),
    }
}
