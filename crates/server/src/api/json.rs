//! The only writer of v2 JSON (docs/spec/keys.md section 4): compact, members in the protocol's
//! order.
//!
//! Nodes and events are printed by hand, since this is done for each request. What is asked for
//! seldom is a structure that derives `Serialize`, printed by [`body`] and [`line()`].

use crate::config::Dialect;
use crate::http::time;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use std::io;
use store::{Event, Node, Stamp};

pub(crate) fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Whether a byte can stand in a JSON string as it is. The two separators U+2028 and U+2029 begin
/// with 0xe2, U+FFFD with 0xef; what follows decides there.
const PLAIN: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = false;
        byte += 1;
    }
    table[b'"' as usize] = false;
    table[b'\\' as usize] = false;
    table[b'<' as usize] = false;
    table[b'>' as usize] = false;
    table[b'&' as usize] = false;
    table[0xe2] = false;
    table[0xef] = false;
    table
};

/// How many bytes are looked at together.
const LANES: usize = 16;

/// Whether all bytes can stand as they are. Every lane is judged, so that the compiler judges them
/// all at once: a listing spends much of its time on values in which nothing is to be escaped.
fn are_plain(bytes: &[u8; LANES]) -> bool {
    let mut special = [0; LANES];
    for (special, &byte) in special.iter_mut().zip(bytes) {
        *special = u8::from(byte < 0x20)
            | u8::from(byte == b'"')
            | u8::from(byte == b'\\')
            | u8::from(byte == b'<')
            | u8::from(byte == b'>')
            | u8::from(byte == b'&')
            | u8::from(byte == 0xe2)
            | u8::from(byte == 0xef);
    }
    u128::from_ne_bytes(special) == 0
}

/// How many bytes at the front can stand as they are; those of a last few may be left out.
fn plain_len(bytes: &[u8]) -> usize {
    let (lanes, rest) = bytes.as_chunks::<LANES>();
    match lanes.iter().position(|lane| !are_plain(lane)) {
        Some(at) => at * LANES,
        // The last lanes overlap with those before.
        None if bytes.last_chunk().is_some_and(are_plain) => bytes.len(),
        None => bytes.len() - rest.len(),
    }
}

/// Writes the inside of a string. `escape_replacement` writes U+FFFD as an escape, as 2.x does.
fn put_escaped(out: &mut Vec<u8>, text: &str, escape_replacement: bool) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate().skip(plain_len(bytes)) {
        if PLAIN[usize::from(*byte)] {
            continue;
        }
        let mut control = *b"\\u0000";
        let (escape, len): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            b'\t' => (b"\\t", 1),
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            0xe2 | 0xef => match bytes.get(at..at + 3) {
                Some([0xe2, 0x80, 0xa8]) => (b"\\u2028", 3),
                Some([0xe2, 0x80, 0xa9]) => (b"\\u2029", 3),
                Some([0xef, 0xbf, 0xbd]) if escape_replacement => (b"\\ufffd", 3),
                _ => continue,
            },
            byte => {
                let digit =
                    |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                control[4] = digit(byte >> 4);
                control[5] = digit(byte & 15);
                (&control, 1)
            }
        };
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.extend_from_slice(escape);
        from = at + len;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

/// Writes a string with its quotes.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str, escape_replacement: bool) {
    out.push(b'"');
    put_escaped(out, text, escape_replacement);
    out.push(b'"');
}

/// A measured number without the digits that nobody measured: four of them are left.
pub(crate) fn four_digits(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let scale = 10_f64.powi(3 - number.abs().log10().floor() as i32);
    let rounded = (number * scale).round() / scale;
    if rounded.is_finite() { rounded } else { number }
}

/// Prints a structure.
pub(crate) fn body(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut serializer = Serializer::with_formatter(&mut out, Original);
    value.serialize(&mut serializer).expect("memory takes all, and keys of maps are texts");
    out
}

/// Prints a structure and a line end.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut out = body(value);
    out.push(b'\n');
    out
}

/// Escapes as the original and [`put_string`] do. A whole number has no fraction.
struct Original;

impl Formatter for Original {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value}")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut out = Vec::with_capacity(fragment.len());
        put_escaped(&mut out, fragment, false);
        writer.write_all(&out)
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Backspace => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed => writer.write_all(b"\\u000c"),
            escape => CompactFormatter.write_char_escape(writer, escape),
        }
    }
}

/// Writes `"key":"..."` where the key is a directory's escaped prefix and a name.
pub(crate) fn put_key(out: &mut Vec<u8>, prefix: &[u8], name: &str, dialect: Dialect) {
    out.extend_from_slice(b"{\"key\":\"");
    out.extend_from_slice(prefix);
    put_escaped(out, name, dialect == Dialect::V2);
    out.push(b'"');
}

/// The inside of a key's string.
pub(crate) fn escaped(text: &str, dialect: Dialect) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    put_escaped(&mut out, text, dialect == Dialect::V2);
    out
}

/// Writes `,"expiration":...,"ttl":...` for a node that expires.
pub(crate) fn put_expiration(out: &mut Vec<u8>, node: &Node, now: Stamp) {
    let Some((expiration, ttl)) = time::expiration(node, now) else { return };
    out.extend_from_slice(b",\"expiration\":\"");
    time::put_rfc3339(out, expiration);
    out.push(b'"');
    if ttl != 0 {
        out.extend_from_slice(b",\"ttl\":");
        out.extend_from_slice(itoa::Buffer::new().format(ttl).as_bytes());
    }
}

/// Writes the indexes that are not zero.
pub(crate) fn put_indexes(out: &mut Vec<u8>, modified: u64, created: u64) {
    if modified != 0 {
        out.extend_from_slice(b",\"modifiedIndex\":");
        put_number(out, modified);
    }
    if created != 0 {
        out.extend_from_slice(b",\"createdIndex\":");
        put_number(out, created);
    }
}

/// Writes `,"value":...` or `,"dir":true`.
pub(crate) fn put_kind(out: &mut Vec<u8>, node: &Node, dialect: Dialect) {
    match node.value() {
        Some(value) => {
            out.extend_from_slice(b",\"value\":");
            put_string(out, value, dialect == Dialect::V2);
        }
        None => out.extend_from_slice(b",\"dir\":true"),
    }
}

/// Writes an event, without a line end.
pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event, dialect: Dialect) {
    let key = escaped(&event.key, dialect);
    out.extend_from_slice(b"{\"action\":\"");
    out.extend_from_slice(event.action.as_str().as_bytes());
    out.extend_from_slice(b"\",\"node\":");
    put_key(out, &key, "", dialect);
    match &event.node {
        Some(node) => {
            put_kind(out, node, dialect);
            put_expiration(out, node, event.stamp);
        }
        None => {
            let is_dir = event.prev.as_ref().is_some_and(Node::is_dir);
            if is_dir && event.action == store::Action::Delete {
                out.extend_from_slice(b",\"dir\":true");
            }
        }
    }
    put_indexes(out, event.index.0, event.created.0);
    out.push(b'}');
    if let Some(prev) = &event.prev {
        out.extend_from_slice(b",\"prevNode\":");
        put_key(out, &key, "", dialect);
        put_kind(out, prev, dialect);
        put_expiration(out, prev, event.stamp);
        put_indexes(out, prev.modified().0, prev.created().0);
        out.push(b'}');
    }
    out.push(b'}');
}

/// Prints an event as the answer to a write or to a long poll.
pub(crate) fn print_event(body: &mut Vec<u8>, dialect: Dialect, event: &Event, no_value: bool) {
    body.clear();
    if no_value {
        body.extend_from_slice(b"{\"action\":\"");
        body.extend_from_slice(event.action.as_str().as_bytes());
        body.extend_from_slice(b"\"}\n");
        return;
    }
    put_event(body, event, dialect);
    if dialect == Dialect::V2 {
        body.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
