//! `-discovery-srv`: machines that find one another in the DNS. The name server is one of the test.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use simple_dns::rdata::{RData, SRV};
use simple_dns::{CLASS, Name, Packet, RCODE, ResourceRecord};

use super::kit::{Cluster, PATIENCE, members, sites};
use crate::testkit::http::send;
use crate::testkit::server::template;
use crate::testkit::{Request, Site, ask, port, wait_until};

/// A name server that knows machines at these ports, until it is told to be silent.
struct NameServer {
    addr: SocketAddr,
    is_silent: Arc<AtomicBool>,
}

impl NameServer {
    fn start(answer: impl Fn(&Packet<'_>) -> Vec<u8> + Send + 'static) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let socket = UdpSocket::bind(addr).expect("the port is free");
        let is_silent = Arc::new(AtomicBool::new(false));
        let silent = Arc::clone(&is_silent);
        // The thread ends with the test process; nothing waits for it.
        std::thread::spawn(move || {
            let mut bytes = [0; 2048];
            while let Ok((read, from)) = socket.recv_from(&mut bytes) {
                let Ok(asked) = Packet::parse(&bytes[..read]) else { continue };
                if !silent.load(Ordering::Relaxed) {
                    // Whoever is gone needs no answer.
                    let _ = socket.send_to(&answer(&asked), from);
                }
            }
        });
        Self { addr, is_silent }
    }

    /// Names machines of this one at some ports, for `_etcd-server._tcp.stead.test` alone.
    fn naming(ports: Vec<u16>) -> Self {
        Self::start(move |asked| {
            let mut reply = Packet::new_reply(asked.id());
            reply.questions.clone_from(&asked.questions);
            let name = asked.questions[0].qname.clone();
            if name.to_string() != "_etcd-server._tcp.stead.test" {
                *reply.rcode_mut() = RCODE::NameError;
                return reply.build_bytes_vec().unwrap();
            }
            for port in &ports {
                let target = Name::new_unchecked("127.0.0.1");
                let srv = SRV { priority: 0, weight: 0, port: *port, target };
                let record = ResourceRecord::new(name.clone(), CLASS::IN, 60, RData::SRV(srv));
                reply.answers.push(record);
            }
            reply.build_bytes_vec().unwrap()
        })
    }

    fn flags(&self) -> String {
        format!("-discovery-srv stead.test -discovery-srv-server {}", self.addr)
    }
}

#[test]
fn machines_that_the_dns_names_begin_a_cluster_together() {
    if template().is_some() {
        return;
    }
    let mut all = sites("srv", 3, "");
    let ports = all.iter().map(|site| site.peer_addr().port()).collect();
    let server = NameServer::naming(ports);
    all.iter_mut().for_each(|site| site.set_flags(&server.flags()));
    let mut cluster = Cluster::of(all, &[2, 0, 1]);
    for machine in &cluster.machines {
        let put = Request::put(&format!("/v2/keys/{}", machine.site.name()), "value=1");
        assert_eq!(ask(machine.addr(), &put).status(), 201);
    }
    cluster.wait_equal();
    wait_until("members have their own names", PATIENCE, || {
        let mut names: Vec<String> =
            members(cluster.machines[0].addr()).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names == ["m0", "m1", "m2"]
    });
    // A member restarts without the DNS, and a proxy goes on without it.
    let proxy = Site::new("srv-proxy").named("p").flags(&format!("-proxy on {}", server.flags()));
    let relay = proxy.spawn();
    let relays = || {
        let put = Request::put("/v2/keys/p", "value=1");
        send(proxy.addr(), &put).is_ok_and(|answer| answer.status() < 300)
    };
    wait_until("the proxy relays", PATIENCE, relays);
    server.is_silent.store(true, Ordering::Relaxed);
    assert_eq!(relay.terminate().code(), Some(0));
    let _relay = proxy.spawn();
    wait_until("the proxy relays again", PATIENCE, relays);
    cluster.machines[1].kill();
    cluster.machines[1].spawn();
    cluster.wait_formed(3);
}

#[test]
fn answers_that_name_nobody_or_strangers_stop_the_start() {
    if template().is_some() {
        return;
    }
    let refused = |server: &NameServer, want: &str| {
        let site = Site::new("srv-refused").flags(&server.flags());
        let since = Instant::now();
        let (status, text) = site.run_to_end();
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains("stead: -discovery-srv stead.test: "), "{text}");
        assert!(text.contains(want), "{want}: {text}");
        assert!(since.elapsed() < Duration::from_secs(30));
        assert!(!site.data_dir().join("standby").exists());
    };
    refused(&NameServer::naming(vec![1, 2]), "is not among the machines that the DNS names");
    refused(&NameServer::naming(Vec::new()), "it has no SRV records");
    refused(
        &NameServer::start(|asked| {
            let mut bytes = Packet::new_reply(asked.id()).build_bytes_vec().unwrap();
            bytes[7] = 255;
            bytes
        }),
        "an invalid answer",
    );
    let none = NameServer::naming(Vec::new());
    let site = Site::new("srv-name").flags(&format!("{} -discovery-srv-name x", none.flags()));
    assert!(site.run_to_end().1.contains("_etcd-server-x._tcp.stead.test: there is no such name"));
}
