//! Advertised addresses: they must lead to this machine from elsewhere.

use crate::setting::Flag;
use crate::source::{Usage, Values};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Refuses what cannot be reached from anywhere: port 0, and an address with a zone, which means
/// something on the machine alone that has the interface.
///
/// # Errors
/// [`Usage`] with what is wrong and what to write.
pub(crate) fn check(flag: Flag, address: &str, host: &str, port: u16) -> Result<(), Usage> {
    if port == 0 {
        return Err(Usage(format!(
            "-{flag}: address {address}: port 0 cannot be advertised: choose a port"
        )));
    }
    if host.contains('%') {
        return Err(Usage(format!(
            "-{flag}: address {address}: an address with a zone is valid on this machine only: \
             use a global address or a name"
        )));
    }
    Ok(())
}

/// Whether a host means all interfaces of the machine that uses it.
pub(crate) fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_unspecified())
}

/// Whether a host is reached by its own machine only.
pub(crate) fn is_loopback(host: &str) -> bool {
    let is_it = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(is_it)
}

/// The address to advertise: a concrete one instead of all interfaces, with a note.
pub(crate) fn advertise(
    values: &mut Values,
    flag: Flag,
    address: &str,
    host: &str,
    port: u16,
) -> String {
    if !is_unspecified(host) {
        return address.to_owned();
    }
    let told = SocketAddr::new(outgoing(host.contains(':')), port).to_string();
    let remedy = match flag {
        Flag::PeerAddr | Flag::Addr => format!(
            "set -{flag} to an address of this machine, and -{} to the address to listen on",
            if flag == Flag::PeerAddr { Flag::PeerBindAddr } else { Flag::BindAddr }
        ),
        Flag::V2Addr => format!("set -{flag} to an address of this machine"),
        _ => format!("set -{} to addresses of this machine", Flag::AdvertiseClientUrls),
    };
    values.notes.push(format!(
        "-{flag} {address} means all interfaces, and other machines cannot connect to that \
         address: advertising {told} instead. If that is wrong, {remedy}"
    ));
    told
}

/// The address from which this machine reaches others; loopback if it has no route. Nothing is
/// sent: the system only looks its routes up.
fn outgoing(prefers_v6: bool) -> IpAddr {
    // Addresses for documentation: they are routed like any other of the outside.
    let v4 = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let v6 = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    let v6 = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), v6);
    let order = if prefers_v6 { [v6, v4] } else { [v4, v6] };
    let look_up = |(from, to): (IpAddr, IpAddr)| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        let own = socket.local_addr().ok()?.ip();
        (!own.is_unspecified()).then_some(own)
    };
    order.into_iter().find_map(look_up).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_nowhere_is_refused_with_what_to_write() {
        for (host, port, want) in [("a", 0, "port 0"), ("fe80::1%lo", 4001, "zone")] {
            let error = check(Flag::Addr, "x", host, port).expect_err("it leads nowhere").0;
            assert!(error.contains(want), "{error}");
        }
        assert!(check(Flag::Addr, "x", "fe80::1", 4001).is_ok());
    }

    #[test]
    fn all_interfaces_in_any_spelling_are_no_address() {
        for host in ["0.0.0.0", "::", "::ffff:0.0.0.0", "0:0:0:0:0:0:0:0"] {
            assert!(is_unspecified(host), "{host}");
        }
        for host in ["127.0.0.1", "::1", "name", "10.0.0.0"] {
            assert!(!is_unspecified(host), "{host}");
        }
        for prefers_v6 in [false, true] {
            assert!(!outgoing(prefers_v6).is_unspecified());
        }
    }
}
