//! What one machine says about itself and its cluster.

use serde::Deserialize;
use server::Access;
use std::io::Read;
use std::time::{Duration, Instant};

/// How long a machine may take for all that it is asked.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer that are read; a view of a thousand members has half of it.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Members, standbys and lines of an answer that are taken at most.
const ITEMS_MAX: usize = 1000;

/// A machine that was asked, and its answer, or why there is none.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) url: String,
    pub(super) heard: Result<Heard, String>,
}

/// The answer of a machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) version: String,
    pub(super) part: Part,
    pub(super) readiness: Readiness,
    pub(super) gauges: Gauges,
    /// Whether users count; nothing where that is not known.
    pub(super) counts_users: Option<bool>,
}

/// What `/metrics` says, where it is served and has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Gauges {
    /// Keys that have a value.
    pub(super) keys: Option<u64>,
    /// When the first certificate of the machine ends, in seconds since 1970.
    pub(super) certificate_ends: Option<u64>,
    /// Bytes that are free on the disk of the data directory, and all of them.
    pub(super) disk: Option<(u64, u64)>,
    /// Syncs of the log, and how many of them were quick ([`QUICK_SYNC`]).
    pub(super) syncs: Option<(u64, u64)>,
    /// Files that are open, and that may be.
    pub(super) files: Option<(u64, u64)>,
    /// Seconds that the wall clock is ahead of the leader's.
    pub(super) clock_ahead: Option<f64>,
    /// When it last made a backup by itself, in seconds since 1970; 0 for never.
    pub(super) backup_at: Option<u64>,
    /// How often another member has come to lead, since its start.
    pub(super) leader_changes: Option<u64>,
    /// Bytes of the log, and of all values.
    pub(super) sizes: Option<(u64, u64)>,
}

/// A sync that takes longer is slow: seconds, as one of the buckets of the histogram has it.
pub(super) const QUICK_SYNC: &str = "0.064";

impl Gauges {
    fn parse(text: &str) -> Self {
        let number = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
            values.find_map(|rest| rest.strip_prefix(' ')?.trim().parse::<f64>().ok())
        };
        // Anything but a count is ignored.
        let count = |value: &f64| (0.0..1e15).contains(value);
        let gauge = |name: &str| number(name).filter(count).map(|value| value as u64);
        let quick = format!("etcd_disk_wal_fsync_duration_seconds_bucket{{le=\"{QUICK_SYNC}\"}}");
        Self {
            keys: gauge("stead_store_keys"),
            certificate_ends: gauge("stead_certificate_expiry_time_seconds"),
            disk: gauge("stead_disk_free_bytes").zip(gauge("stead_disk_size_bytes")),
            syncs: gauge("etcd_disk_wal_fsync_duration_seconds_count").zip(gauge(&quick)),
            files: gauge("process_open_fds").zip(gauge("process_max_fds")),
            clock_ahead: number("stead_clock_offset_seconds").filter(|ahead| ahead.is_finite()),
            backup_at: gauge("stead_backup_last_time_seconds"),
            leader_changes: gauge("stead_raft_leader_changes_total"),
            sizes: gauge("stead_wal_bytes").zip(gauge("stead_store_value_bytes")),
        }
    }
}

/// What a machine is.
#[derive(Clone, Debug, Default)]
pub(super) enum Part {
    /// It waits for a place, or for others to tell it how to start.
    #[default]
    Waiting,
    /// A standby, with its name and the client URLs of the members that it knows.
    Standby {
        name: String,
        members: Vec<String>,
    },
    Member(View),
}

/// What `/readyz?verbose` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Readiness {
    pub(super) is_ready: bool,
    /// The checks that fail, by name, with the reason.
    pub(super) failed: Vec<(String, String)>,
    /// What the start warned of.
    pub(super) warnings: Vec<String>,
}

/// The cluster as a member sees it: `/v2/stats/cluster`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct View {
    pub(super) cluster: String,
    pub(super) leader: String,
    pub(super) seen_by: String,
    pub(super) term: u64,
    pub(super) commit_index: u64,
    pub(super) etcd_index: u64,
    pub(super) members: Vec<Seen>,
    pub(super) standbys: Option<Vec<StandingBy>>,
}

/// A member as another one sees it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: String,
    #[serde(rename = "clientURL")]
    pub(super) client_url: String,
    #[serde(rename = "peerURL")]
    pub(super) peer_url: String,
    pub(super) version: String,
    pub(super) applied_index: Option<u64>,
    pub(super) lag_entries: Option<u64>,
    pub(super) uptime: Option<u64>,
    pub(super) voter: bool,
    pub(super) reachable: bool,
    pub(super) diverged: bool,
}

/// A standby that the leader knows of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StandingBy {
    pub(super) name: String,
    #[serde(rename = "clientURL")]
    pub(super) client_url: String,
}

impl View {
    /// What the member says of itself.
    pub(super) fn own(&self) -> Option<&Seen> {
        self.members.iter().find(|seen| seen.name == self.seen_by)
    }
}

impl Readiness {
    /// Reads the lines of the answer; 200 is what counts.
    fn parse(status: u16, text: &str) -> Self {
        let mut readiness = Self { is_ready: status == 200, ..Self::default() };
        let mut is_over = false;
        for line in text.lines().take(ITEMS_MAX) {
            if let Some(failure) = line.strip_prefix("[-]") {
                let (name, why) = failure.split_once(" failed: ").unwrap_or((failure, ""));
                readiness.failed.push((name.to_owned(), why.to_owned()));
            } else if is_over && !line.trim().is_empty() {
                readiness.warnings.push(line.to_owned());
            } else if !line.starts_with("[+]") {
                // `ok` or `not ready`; the warnings follow.
                is_over = true;
            }
        }
        readiness
    }

    /// Whether a check fails.
    pub(super) fn fails(&self, check: &str) -> bool {
        self.failed.iter().any(|(name, _)| name == check)
    }
}

#[derive(Deserialize)]
struct Version {
    stead: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnStats {
    name: String,
    state: String,
}

/// The calls to one machine, which end at a common moment.
struct Caller<'a> {
    agent: ureq::Agent,
    url: &'a str,
    end: Instant,
}

impl Caller<'_> {
    /// The status and the body.
    fn get(&self, path: &str) -> Result<(u16, Vec<u8>), String> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_late());
        }
        let request = self.agent.get(format!("{}{path}", self.url));
        let called = request.config().timeout_global(Some(left)).build().call();
        let response = called.map_err(|error| why(&error))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let reader = response.into_body().into_reader();
        let read = reader.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut body);
        read.map_err(|error| match Instant::now() < self.end {
            true => error.to_string(),
            false => too_late(),
        })?;
        if body.len() as u64 > ANSWER_BYTES_MAX {
            return Err(format!("the answer to {path} is longer than {ANSWER_BYTES_MAX} bytes"));
        }
        Ok((status, body))
    }
}

fn too_late() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => too_late(),
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Asks a machine.
pub(super) fn probe(url: &str, access: Access<'_>) -> Probe {
    Probe { url: url.to_owned(), heard: hear(url, access) }
}

fn hear(url: &str, access: Access<'_>) -> Result<Heard, String> {
    let agent = server::agent(url.starts_with("https://"), access, Some(PATIENCE))?;
    let caller = Caller { agent, url, end: Instant::now() + PATIENCE };
    let (status, body) = caller.get("/version")?;
    let Ok(Version { stead: version }) = serde_json::from_slice(&body) else {
        return Err(format!("answers, but is not Stead (status {status} at /version)"));
    };
    let (status, body) = caller.get("/readyz?verbose")?;
    let readiness = Readiness::parse(status, &String::from_utf8_lossy(&body));
    let (status, body) = caller.get("/v2/stats/self")?;
    let own = match status {
        200 => serde_json::from_slice(&body).unwrap_or_default(),
        404 => return Err("this is not a port for clients".to_owned()),
        _ => OwnStats::default(),
    };
    let part = match own.state.as_str() {
        "" => Part::Waiting,
        // A standby sends on what it cannot answer itself.
        "standby" => {
            let (status, body) = caller.get("/v2/machines")?;
            let list = String::from_utf8_lossy(&body);
            let urls = list.split(',').map(|url| url.trim().to_owned()).take(ITEMS_MAX);
            let members = if status == 200 { urls.collect() } else { Vec::new() };
            Part::Standby { name: own.name, members }
        }
        _ => Part::Member(view(&caller)?),
    };
    // It may be switched off.
    let gauges = match caller.get("/metrics") {
        Ok((200, body)) => Gauges::parse(&String::from_utf8_lossy(&body)),
        _ => Gauges::default(),
    };
    let counts_users = match &part {
        Part::Member(_) => counts_users(&caller),
        Part::Waiting | Part::Standby { .. } => None,
    };
    Ok(Heard { version, part, readiness, gauges, counts_users })
}

fn counts_users(caller: &Caller<'_>) -> Option<bool> {
    #[derive(Deserialize)]
    struct Users {
        enabled: bool,
    }
    let (_, body) = caller.get("/v2/auth/enable").ok().filter(|(status, _)| *status == 200)?;
    serde_json::from_slice::<Users>(&body).ok().map(|users| users.enabled)
}

fn view(caller: &Caller<'_>) -> Result<View, String> {
    let (status, body) = caller.get("/v2/stats/cluster")?;
    if status != 200 {
        return Err(format!("status {status} at /v2/stats/cluster"));
    }
    let view: View = serde_json::from_slice(&body)
        .map_err(|error| format!("the answer to /v2/stats/cluster is invalid: {error}"))?;
    let standbys = view.standbys.as_ref().map_or(0, Vec::len);
    if view.members.len().max(standbys) > ITEMS_MAX {
        return Err(format!("it names more than {ITEMS_MAX} machines"));
    }
    Ok(view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_has_the_failed_checks_and_what_the_start_warned_of() {
        let text =
            "[+]identity ok\n[-]disk failed: the disk is full\n[-]x\nnot ready\nWARNING: a\n";
        let readiness = Readiness::parse(503, text);
        assert!(!readiness.is_ready && readiness.fails("disk") && !readiness.fails("identity"));
        let failed: Vec<_> =
            readiness.failed.iter().map(|(name, why)| (name.as_str(), why.as_str())).collect();
        assert_eq!(failed, [("disk", "the disk is full"), ("x", "")]);
        assert_eq!(readiness.warnings, ["WARNING: a"]);
        let standing_by = Readiness::parse(200, "[+]identity ok\nok: standing by\n");
        assert!(standing_by.is_ready && standing_by.warnings.is_empty());
        assert!(Readiness::parse(200, "").failed.is_empty());
        let endless = "[-]a failed: b\n".repeat(100_000);
        assert_eq!(Readiness::parse(503, &endless).failed.len(), ITEMS_MAX);
    }

    #[test]
    fn gauges_are_those_of_the_machine_or_unknown() {
        let text = "# HELP stead_store_keys keys\nstead_store_keys_more 1\nstead_store_keys 40\n\
                    stead_certificate_expiry_time_seconds 1.8e9\n";
        let want =
            Gauges { keys: Some(40), certificate_ends: Some(1_800_000_000), ..Gauges::default() };
        assert_eq!(Gauges::parse(text), want);
        let syncs = "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.064\"} 7\n\
                     etcd_disk_wal_fsync_duration_seconds_count 9\n\
                     stead_clock_offset_seconds -1.5\nprocess_open_fds 3\n";
        let read = Gauges::parse(syncs);
        assert_eq!((read.syncs, read.clock_ahead, read.files), (Some((9, 7)), Some(-1.5), None));
        let none = "stead_store_keys NaN\nstead_certificate_expiry_time_seconds\n";
        assert_eq!(Gauges::parse(none), Gauges::default());
        assert_eq!(Gauges::parse("stead_store_keys -1\n"), Gauges::default());
    }

    #[test]
    fn a_view_without_some_fields_is_one() {
        let view: View = serde_json::from_slice(b"{\"members\":[{\"name\":\"a\"}],\"new\":1}")
            .expect("it is an object");
        assert_eq!((view.members.len(), view.own().is_some()), (1, false));
    }
}
