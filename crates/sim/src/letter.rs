//! Addresses of machines, and what travels between them.

use replica::PeerClaim;

/// The address of a machine's peer port.
pub(crate) type Address = u64;

/// The peer URL at an address.
pub(crate) fn url(address: Address) -> String {
    format!("http://a{address}:7001")
}

/// The address in a peer URL that [`url`] made.
pub(crate) fn address_in(url: &str) -> Option<Address> {
    url.strip_prefix("http://a")?.strip_suffix(":7001")?.parse().ok()
}

/// A message, with what its sender says of itself: it comes over a connection that began with that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Letter {
    pub(crate) claim: PeerClaim,
    /// The machine that sent it; none has this number if nobody did.
    pub(crate) place: usize,
    /// The start of that machine.
    pub(crate) start: u64,
    /// Where the sender says that it is reached.
    pub(crate) address: Address,
    pub(crate) bytes: Vec<u8>,
}
