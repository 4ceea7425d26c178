//! A network of the run's own: a namespace for each member, a bridge between them.
//!
//! All names carry the process id, so that two runs do not meet, and all of it goes when this value
//! does.

use crate::tool::{run, run_with};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of the members among themselves.
pub(crate) const PEER_PORT: u16 = 7001;

/// What a cut lets through no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
    Both,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Net {
    bridge: String,
    namespaces: Vec<String>,
    addrs: Vec<IpAddr>,
    /// Where the members reach the run itself.
    pub(crate) own: IpAddr,
}

impl Net {
    /// Makes the network.
    pub(crate) fn make(count: usize) -> Result<Self, String> {
        let pid = std::process::id();
        let part = |number: u32| u8::try_from(number).unwrap_or(0);
        let (high, low) = (part(64 + pid % 128), part(pid / 128 % 250));
        let addr = |last: usize| Ipv4Addr::new(10, high, low, u8::try_from(last).unwrap_or(0));
        let (bridge, own) = (format!("stb{pid}"), IpAddr::V4(addr(254)));
        let mut net = Self { bridge, namespaces: vec![], addrs: vec![], own };
        run("ip", &["link", "add", &net.bridge, "type", "bridge"])?;
        run("ip", &["addr", "add", &format!("{}/24", net.own), "dev", &net.bridge])?;
        run("ip", &["link", "set", &net.bridge, "up"])?;
        for at in 0..count {
            let (name, cable) = (format!("st{pid}m{at}"), format!("sv{pid}m{at}"));
            let own = addr(at + 1);
            run("ip", &["netns", "add", &name])?;
            net.namespaces.push(name.clone());
            net.addrs.push(IpAddr::V4(own));
            let peer = ["type", "veth", "peer", "name", "eth0", "netns", &name];
            run("ip", &[&["link", "add", &cable], &peer[..]].concat())?;
            run("ip", &["link", "set", &cable, "master", &net.bridge, "up"])?;
            run("ip", &["-n", &name, "addr", "add", &format!("{own}/24"), "dev", "eth0"])?;
            run("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
            run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(net)
    }

    pub(crate) fn namespace(&self, at: usize) -> Option<&str> {
        self.namespaces.get(at).map(String::as_str)
    }

    /// Where a member is, with the ports of its clients and of other members.
    pub(crate) fn addrs(&self, at: usize) -> Option<(SocketAddr, SocketAddr)> {
        let ip = *self.addrs.get(at)?;
        Some((SocketAddr::new(ip, 4001), SocketAddr::new(ip, PEER_PORT)))
    }

    /// Drops what a member and others send to each other's peer ports.
    pub(crate) fn cut(&self, at: usize, others: &[usize], way: Way) -> Result<(), String> {
        let mut rules = [String::new(), String::new()];
        for other in others.iter().filter_map(|other| self.addrs.get(*other)) {
            for side in ["dport", "sport"] {
                rules[0] += &format!("ip saddr {other} tcp {side} {PEER_PORT} drop;");
                rules[1] += &format!("ip daddr {other} tcp {side} {PEER_PORT} drop;");
            }
        }
        self.drop_packets(at, &rules, way)
    }

    /// Drops everything that a member and the world send to each other.
    pub(crate) fn cut_all(&self, at: usize) -> Result<(), String> {
        let rules = ["iifname eth0 drop;".to_owned(), "oifname eth0 drop;".to_owned()];
        self.drop_packets(at, &rules, Way::Both)
    }

    fn drop_packets(&self, at: usize, rules: &[String; 2], way: Way) -> Result<(), String> {
        let hook = |name: &str, rules: &str| {
            format!("chain {name} {{ type filter hook {name} priority 0; {rules} }}\n")
        };
        let mut table = "table inet cut {\n".to_owned();
        if way != Way::Out {
            table += &hook("input", &rules[0]);
        }
        if way != Way::In {
            table += &hook("output", &rules[1]);
        }
        table += "}\n";
        let name = self.namespaces.get(at).ok_or("no such member")?;
        run_with("ip", &["netns", "exec", name, "nft", "-f", "-"], &table)
    }

    /// Lets everything through again.
    pub(crate) fn mend(&self) -> Result<(), String> {
        for name in &self.namespaces {
            run("ip", &["netns", "exec", name, "nft", "flush", "ruleset"])?;
        }
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // What cannot be removed is not there; nobody is left to be told.
        for name in &self.namespaces {
            let _ = run("ip", &["netns", "del", name]);
        }
        let _ = run("ip", &["link", "del", &self.bridge]);
    }
}
