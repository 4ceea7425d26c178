//! Everything that a run makes: directories, a network, members. All of it goes with this value.

use crate::http::{self, Connection};
use crate::member::Member;
use crate::net::Net;
use crate::tls;
use crate::tool::Tools;
use serde_json::Value;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long forming and healing may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(500);

/// A cluster and the ground that it stands on. Fields are dropped from above: members first.
pub(crate) struct Lab {
    pub(crate) members: Vec<Member>,
    pub(crate) net: Option<Net>,
    pub(crate) tools: Tools,
    pub(crate) tls: Option<tls::Files>,
    /// Questions that a deposed leader has not answered so far, and the value that it must tell.
    pub(crate) asked: Vec<Connection>,
    pub(crate) expected: String,
    dir: Dir,
}

/// The directory of a run; it stays when something is to be looked into.
struct Dir {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Lab {
    pub(crate) fn make(
        binary: &Path,
        count: usize,
        is_loopback: bool,
        with_tls: bool,
    ) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("stead-torture-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let dir = Dir { path: path.clone(), is_kept: false };
        let tools = Tools::find(&path, is_loopback);
        let net = if tools.namespaces { Some(Net::make(count)?) } else { None };
        let (members, asked, expected) = (Vec::new(), Vec::new(), String::new());
        let mut lab = Self { members, net, tools, tls: None, asked, expected, dir };
        let binary = binary.display().to_string();
        for at in 0..count {
            let mut program = Vec::new();
            if let Some(name) = lab.net.as_ref().and_then(|net| net.namespace(at)) {
                program.extend(["ip", "netns", "exec", name].map(str::to_owned));
            }
            program.push(binary.clone());
            let addrs = match lab.net.as_ref().and_then(|net| net.addrs(at)) {
                Some(addrs) => addrs,
                None => (free_port(LOOPBACK)?, free_port(LOOPBACK)?),
            };
            let has_own_disk = lab.tools.mount && at + 1 == count;
            let member = Member::make(
                path.join(format!("m{at}")),
                addrs,
                program,
                &lab.tools,
                has_own_disk,
            )?;
            lab.members.push(member);
        }
        if with_tls && lab.tools.openssl {
            let ips: Vec<String> =
                lab.members.iter().map(|member| member.peer_addr.ip().to_string()).collect();
            lab.tls = Some(tls::Files::make(&path, &ips)?);
        }
        Ok(lab)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir.path
    }

    /// Leaves the directory, with logs and data, for those who look into it.
    pub(crate) fn keep(&mut self) {
        self.dir.is_kept = true;
        for member in &mut self.members {
            member.kill();
            if member.has_own_disk {
                // The disk goes with the run; what is on it does not.
                let copy = member.dir().join("disk-copy");
                let from = crate::tool::text(&member.disk());
                let _ = crate::tool::run("cp", &["-a", &from, &crate::tool::text(&copy)]);
            }
        }
    }

    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.addr).collect()
    }

    /// Starts all members; the first one founds the cluster.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let founder = self.members.first().map(|one| one.peer_addr.to_string()).unwrap_or_default();
        let mut flags = self.tls.as_ref().map(tls::Files::flags).unwrap_or_default();
        flags.extend(["-snapshot-count", "2000"].map(str::to_owned));
        for (at, member) in self.members.iter_mut().enumerate() {
            member.set_flags(flags.clone());
            let peers = ["-peers".to_owned(), founder.clone()];
            member.spawn(if at > 0 { &peers } else { &[] })?;
        }
        // From the second start on the lines name all others: one that has lost its disk must not
        // found another cluster because it was the first once.
        for at in 0..self.members.len() {
            let line = [&flags[..], &["-peers".to_owned(), self.others(at)]].concat();
            if let Some(member) = self.members.get_mut(at) {
                member.set_flags(line);
            }
        }
        self.wait_whole()
    }

    /// The addresses at which a member finds the others.
    fn others(&self, at: usize) -> String {
        let others = self.members.iter().enumerate().filter(|(other, _)| *other != at);
        others.map(|(_, one)| one.peer_addr.to_string()).collect::<Vec<_>>().join(",")
    }

    /// Waits until all members run, vote, know one leader and differ in nothing.
    pub(crate) fn wait_whole(&mut self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let complaint = self.complaint();
            match complaint {
                None => return Ok(()),
                Some(text) if start.elapsed() > PATIENCE => {
                    return Err(format!("not whole after {PATIENCE:?}: {text}"));
                }
                Some(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// What keeps the cluster from being whole.
    fn complaint(&mut self) -> Option<String> {
        let count = self.members.len();
        for member in &mut self.members {
            let is_running = member.is_running();
            let name = &member.name;
            if !is_running {
                return Some(format!("{name} does not run"));
            }
            let Some(metrics) = get(member.addr, "/metrics") else {
                return Some(format!("{name} does not answer"));
            };
            let number = |what: &str| {
                let line = metrics.lines().find_map(|line| {
                    line.strip_prefix(what).and_then(|rest| rest.strip_prefix(' '))
                });
                line.and_then(|text| text.trim().parse::<f64>().ok())
            };
            if number("stead_raft_is_voter") != Some(1.0) {
                return Some(format!("{name} does not vote"));
            }
            if number("stead_members_diverged") != Some(0.0) {
                return Some(format!("{name} sees members that differ"));
            }
            let machines = get(member.addr, "/v2/admin/machines").unwrap_or_default();
            let machines: Value = serde_json::from_str(&machines).unwrap_or_default();
            let machines = machines.as_array().cloned().unwrap_or_default();
            let leaders = machines.iter().filter(|one| one["state"] == "leader").count();
            if machines.len() != count || leaders != 1 {
                return Some(format!("{name} sees {} members, {leaders} leaders", machines.len()));
            }
        }
        None
    }

    /// The member that says that it leads.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.members.iter().position(|member| {
            let state = get(member.addr, "/v2/stats/self").unwrap_or_default();
            let state: Value = serde_json::from_str(&state).unwrap_or_default();
            state["state"] == "leader"
        })
    }
}

fn get(addr: SocketAddr, target: &str) -> Option<String> {
    let answer = http::once(addr, LOOK, ("GET", target, ""))?;
    (answer.status == 200).then_some(answer.body)
}

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A port below those that the system hands out by itself, and another one each time.
pub(crate) fn free_port(ip: IpAddr) -> Result<SocketAddr, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(31);
    for _ in 0..5000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(15_000 + start.wrapping_add(step) % 17_000).unwrap_or(15_000);
        let addr = SocketAddr::new(ip, port);
        if TcpListener::bind(addr).is_ok() {
            return Ok(addr);
        }
    }
    Err("no port is free".to_owned())
}
