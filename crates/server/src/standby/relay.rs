//! Clients' connections that are passed on, and to whom.

use super::tunnel::{Moved, Tunnel};
use super::{Standby, TOKEN_BASE, TUNNEL_BASE, refuse};
use crate::config::ProxyMode;
use crate::http::request::{Method, Request};
use crate::net::tls::Dialer;
use crate::net::{Caller, Key, Reply, Response, Service};
use mio::{Interest, Token};
use std::io;

impl Standby<'_> {
    /// Passes a client's connection on. With `-proxy readonly` that is one request, since each has
    /// to be looked at.
    pub(super) fn begin_tunnel(
        &mut self,
        caller: Caller,
        request: &Request<'_>,
    ) -> Reply<Box<Tunnel>> {
        let is_single = self.config.proxy == Some(ProxyMode::ReadOnly);
        if is_single && !matches!(request.method, Method::Get | Method::Head) {
            // As the proxies of 2.x and 3.x answer.
            return Response::empty(501).into();
        }
        // A proxy asks members that know no leader as well: they answer reads.
        if self.leader().is_none() && self.config.proxy.is_none() {
            return Reply::Last(refuse("no leader is known"));
        }
        let mut tunnel = Box::new(Tunnel::new(is_single));
        match self.dial(caller, &mut tunnel) {
            Ok(()) => Reply::Relay(tunnel),
            Err(why) => Reply::Last(refuse(&why)),
        }
    }

    /// Dials the next of those where a tunnel may lead.
    fn dial(&mut self, caller: Caller, tunnel: &mut Tunnel) -> Result<(), String> {
        let mut why = "no member of the cluster is known".to_owned();
        let dialect = caller.port.dialect();
        while let Some(upstream) = self.upstreams.of(dialect).get(tunnel.dialled) {
            let tls = self.dialer.as_ref().map(Dialer::config);
            let address = upstream.address;
            let dialled = tunnel.dial(upstream, tls, self.front.now.monotonic);
            match dialled.and_then(|()| self.listen_to(caller.key, tunnel)) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    why = format!("cannot reach {} at {address}: {error}", self.whom());
                }
            }
        }
        Err(why)
    }

    /// What a proxy reaches is any member.
    fn whom(&self) -> &'static str {
        if self.config.proxy.is_some() { "the cluster" } else { "the leader" }
    }

    fn listen_to(&mut self, key: Key, tunnel: &mut Tunnel) -> io::Result<()> {
        let token = Token(key.slot as usize + TOKEN_BASE + TUNNEL_BASE);
        let interest = Interest::READABLE | Interest::WRITABLE;
        match &mut tunnel.socket {
            Some(socket) => self.front.poll.registry().register(socket.socket(), token, interest),
            None => Ok(()),
        }
    }

    /// Moves what can be moved between a client and the leader.
    pub(super) fn carry(&mut self, key: Key) {
        let Some(mut tunnel) = self.front.take_pending(key) else { return };
        let Some(connection) = self.front.get_mut(key) else { return };
        let moved = tunnel.carry(connection);
        let is_open = tunnel.is_open;
        match moved {
            Ok(Moved::Finished) => return self.close(key),
            Err(_) if is_open => return self.close(key),
            Ok(Moved::Share) => self.unfinished.push(key),
            Ok(Moved::Everything) | Err(_) => {}
        }
        self.front.set_pending(key, tunnel);
        if let Err(error) = moved {
            self.dial_next(key, &error.to_string());
        }
    }

    /// Nothing has reached the one that was dialled: another is tried, if there is one.
    pub(super) fn dial_next(&mut self, key: Key, why: &str) {
        let Some(caller) = self.front.caller(key) else { return };
        let Some(mut tunnel) = self.front.take_pending(key) else { return };
        let others = self.upstreams.of(caller.port.dialect()).len();
        if others > tunnel.dialled && self.dial(caller, &mut tunnel).is_ok() {
            return self.front.set_pending(key, tunnel);
        }
        // Its request never left. What follows it was not looked at, so this is the end.
        let cause = format!("cannot reach {}: {why}; nothing was done", self.whom());
        self.front.answer_last(key, refuse(&cause), &[]);
    }
}
