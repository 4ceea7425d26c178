//! What a machine says that has asked what it is to become, or for a place, and waits for the
//! answer. It lives, so that nobody ends it for its silence; it serves nothing, and says why.

use super::Standby;
use crate::api::error::{ApiError, STANDBY_INTERNAL};
use crate::api::route::{Port, Route};
use crate::http::reader::{Method, Request};
use crate::http::response::{JSON, TEXT};
use crate::join::IdentityCard;
use crate::resource::version_body;
use crate::slab::Key;
use mio::{Interest, Token};
use std::io;

impl Standby<'_> {
    /// Accepts connections of clients from here on.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.is_open {
            return Ok(());
        }
        self.is_open = true;
        self.listen(|port| port != Port::Peer)
    }

    /// Accepts connections at some of the ports from here on.
    pub(super) fn listen(&mut self, wants: impl Fn(Port) -> bool) -> io::Result<()> {
        for (at, (socket, port)) in self.listeners.iter_mut().enumerate() {
            if wants(*port) {
                self.poll.registry().register(socket, Token(at), Interest::READABLE)?;
            }
        }
        Ok(())
    }

    /// Says who this is. The leader asks before it gives a place: at an address that cannot be
    /// reached a member is of no use to anybody.
    pub(super) fn identity(&mut self, key: Key) {
        let card = IdentityCard { id: self.own.id, name: self.own.name.clone() };
        self.answer(key, 200, Some(JSON), "", &card.to_json());
    }

    pub(super) fn answer_while_waiting(
        &mut self,
        key: Key,
        request: &Request<'_>,
        route: Route<'_>,
    ) {
        let is_read = matches!(request.method, Method::Get | Method::Head);
        let why = format!("joining: {}", self.waits_for.as_deref().unwrap_or_default());
        match route {
            Route::Version if is_read => {
                let (kind, body) = version_body(request.accepts_text);
                self.answer(key, 200, Some(kind), "", body.as_bytes());
            }
            Route::Livez if is_read => self.answer(key, 200, Some(TEXT), "", b"ok\n"),
            Route::Health if is_read => {
                self.answer(key, 503, Some(JSON), "", b"{\"health\": \"false\"}\n");
            }
            Route::Readyz if is_read => {
                self.answer(key, 503, Some(TEXT), "", format!("{why}\n").as_bytes());
            }
            _ => {
                let error = ApiError::refused(STANDBY_INTERNAL, why, 0, 503);
                self.answer(key, 503, Some(JSON), "", &error.body());
            }
        }
    }
}
