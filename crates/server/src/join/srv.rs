//! Machines in the DNS (`-discovery-srv`): SRV records name the peer ports of a cluster, as for 2.x
//! and 3.x.
//!
//! What a name server says is bounded and checked; whoever answers in its place can still name
//! machines of its own, as with any DNS without signatures (docs/security.md).

use crate::config::SrvDomain;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

/// Where the system keeps the addresses of its name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The longest such file that is read, in bytes.
const RESOLV_CONF_MAX: u64 = 64 << 10;

/// Name servers that are asked at most, and how often each.
const SERVERS_MAX: usize = 3;
const TRIES: u32 = 2;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers to others that are passed over while one is awaited.
const STRANGERS_MAX: usize = 64;

/// Machines that a name may stand for; more are an error.
const RECORDS_MAX: usize = 64;

/// The longest answer over UDP, in bytes; what does not fit is asked for over TCP.
const DATAGRAM_MAX: usize = 4096;

/// A machine: a name that is the same for everybody who asks, and its peer URL.
pub(crate) type Listed = (String, String);

/// The machines of a domain, in the order of their names.
///
/// # Errors
/// Why there are none, in a sentence.
pub(crate) fn look_up(srv: &SrvDomain) -> Result<Vec<Listed>, String> {
    let servers = match srv.server {
        Some(server) => vec![server],
        None => system_servers()?,
    };
    let suffix = if srv.suffix.is_empty() { String::new() } else { format!("-{}", srv.suffix) };
    let mut found: Vec<(String, u16, &str)> = Vec::new();
    let mut problems = Vec::new();
    for (service, scheme) in [("etcd-server-ssl", "https"), ("etcd-server", "http")] {
        let name = format!("_{service}{suffix}._tcp.{}", srv.domain);
        match ask_all(&servers, &name) {
            Ok(records) => {
                found.extend(records.into_iter().map(|(host, port)| (host, port, scheme)));
            }
            Err(why) => problems.push(why),
        }
    }
    if found.is_empty() {
        return Err(format!("-discovery-srv {}: {}", srv.domain, problems.join("; ")));
    }
    Ok(listed(found))
}

/// Names for machines, which have to be distinct and the same everywhere.
fn listed(mut found: Vec<(String, u16, &str)>) -> Vec<Listed> {
    found.sort();
    found.dedup_by(|one, other| (&one.0, one.1) == (&other.0, other.1));
    let is_alone = |host: &str| found.iter().filter(|(other, ..)| other == host).count() == 1;
    let name = |host: &str, port: u16| match is_alone(host) {
        true => host.to_owned(),
        false => format!("{host}-{port}"),
    };
    let url = |(host, port, scheme): &(String, u16, &str)| format!("{scheme}://{host}:{port}");
    found.iter().map(|one| (name(&one.0, one.1), url(one))).collect()
}

/// Which of the listed machines this one is: the one with its peer URL, or whose name has its
/// address.
pub(crate) fn own_among(listed: &[Listed], peer_url: &str) -> Option<usize> {
    let place = |url: &str| url.split("://").last().unwrap_or_default().to_owned();
    let own = place(peer_url);
    if let Some(at) = listed.iter().position(|(_, url)| place(url) == own) {
        return Some(at);
    }
    let addresses = |place: &str| -> Vec<SocketAddr> {
        place.to_socket_addrs().map(Iterator::collect).unwrap_or_default()
    };
    let own = addresses(&own);
    let is_own = |(_, url): &Listed| addresses(&place(url)).iter().any(|one| own.contains(one));
    listed.iter().position(is_own)
}

/// The name servers of the system.
fn system_servers() -> Result<Vec<SocketAddr>, String> {
    let mut text = String::new();
    File::open(RESOLV_CONF)
        .and_then(|file| file.take(RESOLV_CONF_MAX).read_to_string(&mut text))
        .map_err(|error| format!("cannot read {RESOLV_CONF}: {error}"))?;
    let servers = servers_in(&text);
    if servers.is_empty() {
        return Err(format!("{RESOLV_CONF} names no name server"));
    }
    Ok(servers)
}

fn servers_in(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse::<IpAddr>().ok())?
    };
    let addresses = text.lines().filter_map(address).take(SERVERS_MAX);
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

/// The hosts and ports of a name, from the first server that answers.
fn ask_all(servers: &[SocketAddr], name: &str) -> Result<Vec<(String, u16)>, String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        for server in servers {
            match ask(*server, name) {
                Ok(Answer::Records(records)) => return Ok(records),
                Ok(Answer::None(why)) => return Err(format!("{name}: {why}")),
                Err(why) => last = format!("{name}: {server}: {why}"),
            }
        }
    }
    Err(last)
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Records(Vec<(String, u16)>),
    /// There are none, for certain.
    None(String),
}

fn ask(server: SocketAddr, name: &str) -> Result<Answer, String> {
    let id = draw_id();
    let query = query(id, name)?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer within {} s", PATIENCE.as_secs())
        }
        _ => error.to_string(),
    };
    let bytes = by_udp(server, &query, id).map_err(failed)?;
    match read_answer(&bytes, id, name)? {
        Some(answer) => Ok(answer),
        // It was cut short.
        None => {
            let bytes = by_tcp(server, &query).map_err(failed)?;
            read_answer(&bytes, id, name)?.ok_or_else(|| "an incomplete answer".to_owned())
        }
    }
}

/// A number that who does not see the question cannot guess.
fn draw_id() -> u16 {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    u16::try_from(bits & 0xffff).unwrap_or(0)
}

fn query(id: u16, name: &str) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{name} cannot be asked for: {error}");
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let qname = Name::new(name).map_err(|error| failed(&error))?;
    let (qtype, qclass) = (QTYPE::TYPE(TYPE::SRV), QCLASS::CLASS(CLASS::IN));
    packet.questions.push(Question::new(qname, qtype, qclass, false));
    packet.build_bytes_vec().map_err(|error| failed(&error))
}

fn by_udp(server: SocketAddr, query: &[u8], id: u16) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    // Only what comes from there is received.
    socket.connect(server)?;
    socket.send(query)?;
    let until = Instant::now() + PATIENCE;
    let mut bytes = vec![0; DATAGRAM_MAX];
    for _ in 0..STRANGERS_MAX {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        let read = socket.recv(&mut bytes)?;
        if bytes.get(..2) == Some(&id.to_be_bytes()) && read > 2 {
            bytes.truncate(read);
            return Ok(bytes);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn by_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect_timeout(&server, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    socket.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    socket.read_exact(&mut length)?;
    let until = Instant::now() + PATIENCE;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    let mut at = 0;
    // Who sends a byte now and then does not make this wait for ever.
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        if Instant::now() > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match socket.read(rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => at += read,
        }
    }
    Ok(bytes)
}

/// What an answer says; nothing if it was cut short. An answer to another question is an error.
fn read_answer(bytes: &[u8], id: u16, name: &str) -> Result<Option<Answer>, String> {
    let packet = Packet::parse(bytes).map_err(|error| format!("an invalid answer: {error}"))?;
    let asked = packet.questions.first().map(|question| question.qname.to_string());
    let is_own = packet.id() == id
        && packet.has_flags(PacketFlag::RESPONSE)
        && asked.is_none_or(|asked| asked.eq_ignore_ascii_case(name.trim_end_matches('.')));
    if !is_own {
        return Err("an answer to another question".to_owned());
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Ok(None);
    }
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Ok(Some(Answer::None("there is no such name".to_owned()))),
        other => return Err(format!("the name server answers {other:?}")),
    }
    let mut records = Vec::new();
    for record in &packet.answers {
        let RData::SRV(srv) = &record.rdata else { continue };
        let host = srv.target.to_string().to_ascii_lowercase();
        if !is_host(&host) || srv.port == 0 {
            let mut shown = String::new();
            let _ = write!(shown, "{host:.80?}");
            return Err(format!("it names {shown} with port {}, which nothing is", srv.port));
        }
        records.push((host, srv.port));
    }
    if records.len() > RECORDS_MAX {
        return Err(format!("it names more than {RECORDS_MAX} machines"));
    }
    if records.is_empty() {
        return Ok(Some(Answer::None("it has no SRV records".to_owned())));
    }
    Ok(Some(Answer::Records(records)))
}

/// Whether a name can be that of a machine, and of a member.
fn is_host(host: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !host.is_empty() && host.len() <= 253 && host.bytes().all(is_legal) && !host.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::SRV;

    const NAME: &str = "_etcd-server._tcp.example.com";

    fn reply(id: u16, name: &str, records: &[(&str, u16)]) -> Vec<u8> {
        let mut packet = Packet::new_reply(id);
        let qname = Name::new_unchecked(name);
        let (qtype, qclass) = (QTYPE::TYPE(TYPE::SRV), QCLASS::CLASS(CLASS::IN));
        packet.questions.push(Question::new(qname.clone(), qtype, qclass, false));
        for (target, port) in records {
            let target = Name::new_unchecked(target);
            let srv = SRV { priority: 0, weight: 0, port: *port, target };
            let record = ResourceRecord::new(qname.clone(), CLASS::IN, 60, RData::SRV(srv));
            packet.answers.push(record);
        }
        packet.build_bytes_vec().expect("it is small")
    }

    #[test]
    fn an_answer_is_read_and_nothing_else_is_one() {
        let read = |bytes: &[u8]| read_answer(bytes, 7, NAME);
        let two = reply(7, NAME, &[("M1.example.com", 2380), ("m2.example.com", 2380)]);
        let want = [("m1.example.com", 2380), ("m2.example.com", 2380)];
        let want = want.map(|(host, port)| (host.to_owned(), port)).to_vec();
        assert_eq!(read(&two), Ok(Some(Answer::Records(want))));
        assert!(matches!(read(&reply(7, NAME, &[])), Ok(Some(Answer::None(_)))));
        for (bytes, why) in [
            (reply(8, NAME, &[("m1", 1)]), "another question"),
            (reply(7, "_etcd-server._tcp.example.org", &[("m1", 1)]), "another question"),
            (query(7, NAME).expect("sound"), "another question"),
            (reply(7, NAME, &[("m1", 0)]), "port 0"),
            (reply(7, NAME, &[("m 1", 1)]), "which nothing is"),
            (reply(7, NAME, &[("m1", 1); 65]), "more than 64"),
            (vec![0; 5], "invalid answer"),
        ] {
            let refused = read(&bytes).expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
        let mut cut = two.clone();
        cut[2] |= 2;
        assert_eq!(read(&cut), Ok(None), "it is asked for over TCP");
        let mut missing = reply(7, NAME, &[]);
        missing[3] |= 3;
        assert!(matches!(read(&missing), Ok(Some(Answer::None(why))) if why.contains("no such")));
    }

    #[test]
    fn machines_have_names_that_are_distinct_and_the_same_everywhere() {
        let of = |list: &[(&str, u16, &'static str)]| {
            listed(
                list.iter()
                    .map(|(host, port, scheme)| ((*host).to_owned(), *port, *scheme))
                    .collect(),
            )
        };
        let one = of(&[("b", 2, "http"), ("a", 1, "http"), ("a", 3, "http")]);
        let other = of(&[("a", 3, "http"), ("b", 2, "http"), ("a", 1, "http"), ("a", 1, "http")]);
        assert_eq!(one, other);
        let names: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a-1", "a-3", "b"]);
        // Of a machine that is in both lists the first scheme counts.
        assert_eq!(of(&[("a", 1, "https"), ("a", 1, "http")]), [("a".into(), "http://a:1".into())]);
        assert_eq!(own_among(&one, "http://b:2"), Some(2));
        assert_eq!(own_among(&one, "http://127.0.0.1:2"), None);
        let local = of(&[("localhost", 7001, "http")]);
        assert_eq!(own_among(&local, "http://127.0.0.1:7001"), Some(0), "by its address");
    }

    #[test]
    fn name_servers_are_those_of_the_system() {
        let text = "# a\nsearch x\nnameserver 10.0.0.1\nnameserver ::1 \nnameserver x\n\
                    nameserver 1.1.1.1\nnameserver 2.2.2.2\n";
        let servers: Vec<String> = servers_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[::1]:53", "1.1.1.1:53"]);
        assert!(servers_in("").is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn no_answer_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200),
                                       at in 0_usize..120, byte in any::<u8>()) {
            let _ = read_answer(&bytes, 7, NAME);
            let mut changed = reply(7, NAME, &[("m1.example.com", 2380), ("m2.example.com", 2381)]);
            if let Some(slot) = changed.get_mut(at) {
                *slot = byte;
            }
            let _ = read_answer(&changed, 7, NAME);
            let _ = read_answer(&changed[..at.min(changed.len())], 7, NAME);
        }
    }
}
