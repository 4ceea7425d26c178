//! Answers about one key, as etcdctl 2 prints them.

use crate::client::Reply;
use crate::context::Context;
use crate::event::{self, Event};
use crate::failure::Failure;
use crate::options::Format;
use crate::term::{Screen, print};
use std::fmt::Write as _;

/// Prints what a read or a write gave.
///
/// # Errors
/// [`Failure`] if the answer is no event, or it cannot be printed.
pub(crate) fn reply(cx: &Context, reply: &Reply) -> Result<(), Failure> {
    let event = event::parse(&reply.body)?;
    print(&text(cx.format, cx.screen, &event, reply))
}

/// The same for what is no value, such as a directory: nothing in the simple format.
///
/// # Errors
/// As [`reply`].
pub(crate) fn quiet_reply(cx: &Context, reply: &Reply) -> Result<(), Failure> {
    match cx.format {
        Format::Simple => event::parse(&reply.body).map(|_| ()),
        _ => self::reply(cx, reply),
    }
}

fn text(format: Format, screen: Screen, event: &Event, reply: &Reply) -> String {
    match format {
        Format::Simple => simple(screen, event),
        Format::Extended => extended(screen, event.node.key(), event, reply.index),
        Format::Json => json(&reply.body),
    }
}

/// The server's own document, in one line.
pub(crate) fn json(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    // Line ends outside strings are blanks, and strings have none.
    let mut out: String = text.trim().chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    out.push('\n');
    out
}

/// The value; of a removal the one that was there.
pub(crate) fn simple(screen: Screen, event: &Event) -> String {
    let removed = matches!(event.action.as_str(), "delete" | "compareAndDelete" | "expire");
    match &event.prev_node {
        _ if !removed => format!("{}\n", screen.value(event.node.value())),
        Some(before) => format!("PrevNode.Value: {}\n", screen.value(before.value())),
        None => "PrevNode.Value: \n".to_owned(),
    }
}

/// All that is known, in the manner of a letter's head. `key` is how the key is shown: that of the
/// root is empty for servers, and for etcdctl.
pub(crate) fn extended(screen: Screen, key: &str, event: &Event, index: u64) -> String {
    let node = &event.node;
    let mut out = String::new();
    let _ = writeln!(out, "Key: {}", screen.name(key));
    let _ = writeln!(out, "Created-Index: {}", node.created_index);
    let _ = writeln!(out, "Modified-Index: {}", node.modified_index);
    if let Some(before) = &event.prev_node {
        let _ = writeln!(out, "PrevNode.Value: {}", screen.value(before.value()));
    }
    let _ = writeln!(out, "TTL: {}", node.ttl.unwrap_or(0));
    let _ = writeln!(out, "Index: {index}");
    if event.action != "delete" {
        let _ = writeln!(out, "\n{}", screen.value(node.value()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_look_as_those_of_etcdctl_2() {
        let body = br#"{"action":"set","node":{"key":"/a","value":"2","modifiedIndex":5,
            "createdIndex":5,"ttl":9},"prevNode":{"key":"/a","value":"1"}}"#;
        let event = event::parse(body).expect("it is one");
        let screen = Screen::fixed(false, false);
        assert_eq!(simple(screen, &event), "2\n");
        assert_eq!(
            extended(screen, event.node.key(), &event, 5),
            "Key: /a\nCreated-Index: 5\nModified-Index: 5\nPrevNode.Value: 1\nTTL: 9\n\
             Index: 5\n\n2\n"
        );
        assert_eq!(json(b"{\"a\":\n 1}\n"), "{\"a\": 1}\n");
        let removed = Event { action: "delete".to_owned(), ..event };
        assert_eq!(simple(screen, &removed), "PrevNode.Value: 1\n");
    }
}
