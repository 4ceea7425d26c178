//! An event as the bytes that watchers get: printed once, however many they are.

use crate::api::json;
use crate::config::Dialect;
use crate::http::response::{put_end, put_piece};
use bytes::Bytes;
use std::sync::Arc;
use store::Event;

/// The shapes in which one event is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) dialect: Dialect,
    pub(crate) stream: bool,
    pub(crate) is_chunked: bool,
}

/// The last event that was printed, in the shapes that were asked for.
#[derive(Debug, Default)]
pub(crate) struct EventBytes {
    event: Option<Arc<Event>>,
    shapes: Vec<(Shape, Bytes)>,
}

impl EventBytes {
    /// The bytes of an event for one watcher: a piece of a stream, or the whole body of a long
    /// poll.
    pub(crate) fn get(&mut self, event: &Arc<Event>, shape: Shape) -> Bytes {
        if !self.event.as_ref().is_some_and(|held| Arc::ptr_eq(held, event)) {
            self.event = Some(Arc::clone(event));
            self.shapes.clear();
        }
        if let Some((_, bytes)) = self.shapes.iter().find(|(held, _)| *held == shape) {
            return bytes.clone();
        }
        let bytes = Bytes::from(print(event, shape));
        self.shapes.push((shape, bytes.clone()));
        bytes
    }

    /// Lets go of the event.
    pub(crate) fn clear(&mut self) {
        self.event = None;
        self.shapes.clear();
    }
}

fn print(event: &Event, shape: Shape) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    json::put_event(&mut body, event, shape.dialect);
    // Events of a stream need something between them; 0.4 sent nothing, which no parser minds.
    if shape.stream || shape.dialect == Dialect::V2 {
        body.push(b'\n');
    }
    let mut out = Vec::with_capacity(body.len() + 16);
    put_piece(&mut out, &body, shape.is_chunked);
    if !shape.stream {
        put_end(&mut out, shape.is_chunked);
    }
    out
}
