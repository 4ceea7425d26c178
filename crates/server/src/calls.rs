//! Calls of machines of the cluster and of administrators: who may make them.
//!
//! Where the cluster has a secret, its machines prove that they know it, in a way that does not
//! tell it (`proof.rs`), and administrators say it, in the header `Stead-Token`.

use crate::api::error::{ApiError, UNAUTHORIZED};
use crate::api::members::error_body;
use crate::api::route::Port;
use crate::http::reader::Request;
use crate::http::response::JSON;
use crate::owner::Owner;
use crate::proof::{Answered, Asked};
use crate::slab::Key;
use std::borrow::Cow;

/// The shape in which a refusal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// That of 0.4: a code, a sentence and its cause.
    Error,
    /// That of the members API of 2.x: a message.
    Message,
}

/// What is asked for, as the caller wrote it.
pub(crate) fn target<'a>(request: &Request<'a>) -> Cow<'a, str> {
    match request.query {
        "" => Cow::Borrowed(request.path),
        query => Cow::Owned(format!("{}?{query}", request.path)),
    }
}

/// Where header lines send a client on to; empty if nowhere.
pub(crate) fn location_in(lines: &str) -> &str {
    lines.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap_or_default()
}

impl Owner {
    /// What a machine that is about to call needs for its proof.
    pub(crate) fn challenge(&mut self, key: Key) {
        match self.gate.challenge(self.now.monotonic) {
            Ok(challenge) => {
                let body = format!("{{\"challenge\":\"{challenge}\"}}\n");
                self.answer_resource(key, 200, JSON, body.as_bytes());
            }
            Err(error) => {
                let body = error_body(&error.to_string());
                self.answer_resource(key, 503, JSON, &body);
            }
        }
    }

    /// Looks at the proof of a call, if there is one; its answer will be proven then.
    fn take_call(&mut self, key: Key, request: &Request<'_>) -> Result<(), &'static str> {
        if self.config.finding.token.matches(request.token.unwrap_or_default()) {
            return Ok(());
        }
        let target = target(request);
        let method = request.method.as_str();
        let asked = Asked { method, target: &target, body: request.body };
        let proven = self.gate.check(request.proof, asked, self.now.monotonic)?;
        if let Some(connection) = self.connections.get_mut(key) {
            connection.proven = proven.map(Box::new);
        }
        Ok(())
    }

    /// Whether a call that only machines of the cluster make is to be answered. If not, it is
    /// refused here.
    pub(crate) fn is_believed(&mut self, key: Key, request: &Request<'_>) -> bool {
        match self.take_call(key, request) {
            Ok(()) => true,
            Err(why) => {
                self.complain(key, 401, why);
                self.refuse_call(key, why, Shape::Error);
                false
            }
        }
    }

    /// Whether whoever calls may change the members or the configuration. If not, that is refused
    /// here. A peer port that asks for certificates has been shown one.
    pub(crate) fn may_administer(&mut self, key: Key, request: &Request<'_>, shape: Shape) -> bool {
        let port = self.connections.get_mut(key).map(|connection| connection.port);
        let is_let_in = match port {
            Some(Port::Peer) => self.config.knows_peers(),
            _ => self.config.open_membership,
        };
        let may = is_let_in || self.take_call(key, request).is_ok();
        if !may {
            let why = "the cluster's secret is missing or wrong: send it as Stead-Token";
            self.refuse_call(key, why, shape);
        }
        may
    }

    fn refuse_call(&mut self, key: Key, why: &str, shape: Shape) {
        let index = self.driver.store().index().0;
        match shape {
            Shape::Error => {
                self.answer_error(key, &ApiError::refused(UNAUTHORIZED, why, index, 401));
            }
            Shape::Message => self.answer_about_members(key, 401, &error_body(why)),
        }
    }

    /// The header lines of an answer, with its proof if its request was proven.
    pub(crate) fn sealed<'a>(
        &mut self,
        key: Key,
        status: u16,
        extra: &'a str,
        body: &[u8],
    ) -> Cow<'a, str> {
        let proven = self.connections.get_mut(key).and_then(|one| one.proven.take());
        let Some(proven) = proven else { return Cow::Borrowed(extra) };
        let answered = Answered { status, location: location_in(extra), body };
        match self.gate.sign(&proven, answered) {
            Some(proof) => Cow::Owned(format!("{extra}Stead-Proof: {proof}\r\n")),
            None => Cow::Borrowed(extra),
        }
    }
}
