//! Every setting of the program, in one table.
//!
//! Flags, environment variables, keys of the configuration file, `--help`, `stead config show` and
//! docs/configuration.md all come from here (docs/spec/cli.md section 2).

mod former;
#[cfg(test)]
mod lists;
mod table;

pub(crate) use former::{FORMER, Fate, Former};
use std::fmt;
pub(crate) use table::SETTINGS;

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any string.
    Text,
    /// `true` or `false`; the flag alone means true.
    Bool,
    /// A whole number in a range.
    Number(u64, u64),
    /// A size, in bytes without a unit.
    Bytes(u64, u64),
    /// A time, in whole microseconds without a unit.
    Micros(u64, u64),
    /// A time, in whole milliseconds without a unit.
    Millis(u64, u64),
    /// A time, in seconds with fractions without a unit.
    Seconds,
    /// Strings with commas between them; an array in the file.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// Names a setting in the program: the flag of its row, so that one that does not exist does not
/// compile. In the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flag {
    Name,
    DataDir,
    WalDir,
    Force,
    Config,
    ConfigFile,
    Hangup,
    Addr,
    BindAddr,
    V2Addr,
    PeerAddr,
    PeerBindAddr,
    Compat,
    Modules,
    Dashboard,
    Cors,
    HostWhitelist,
    HttpReadTimeout,
    HttpWriteTimeout,
    BusyPoll,
    CertFile,
    KeyFile,
    CaFile,
    PeerCertFile,
    PeerKeyFile,
    PeerCaFile,
    AutoTls,
    PeerAutoTls,
    CipherSuites,
    Snapshot,
    SnapshotCount,
    BackupDir,
    BackupInterval,
    BackupKeep,
    PeerHeartbeatInterval,
    PeerElectionTimeout,
    ClusterActiveSize,
    ClusterRemoveDelay,
    ClusterSyncInterval,
    FollowerMode,
    StandbyMode,
    MaxBodyBytes,
    MaxHeadBytes,
    MaxConnections,
    MaxWatchers,
    StreamBufferBytes,
    HistoryBytes,
    RequestTimeout,
    Metrics,
    LogFormat,
    LogLevel,
    AuditLog,
    AuditReads,
    V,
    Vv,
    Vvv,
    Peers,
    PeersFile,
    Discovery,
    DiscoverySrv,
    DiscoverySrvName,
    DiscoverySrvServer,
    DiscoveryFallback,
    DiscoveryProxy,
    MaxRetryAttempts,
    RetryInterval,
    ForceRejoin,
    PeerToken,
    PeerTokenFile,
    OpenMembership,
    AuthGuest,
    RequireSecure,
    InitialCluster,
    InitialClusterState,
    InitialClusterToken,
    InitialAdvertisePeerUrls,
    ListenPeerUrls,
    AdvertiseClientUrls,
    ListenClientUrls,
    TrustedCaFile,
    ClientCertAuth,
    PeerTrustedCaFile,
    PeerClientCertAuth,
    Proxy,
    ForceNewCluster,
}

impl Flag {
    pub(crate) fn setting(self) -> &'static Setting {
        SETTINGS.get(self as usize).expect("each flag has its row")
    }
}

/// As it is written on the command line, without the dash.
impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting().name)
    }
}

// Each flag has one row, at its own place.
const _: () = {
    let mut at = 0;
    while at < SETTINGS.len() {
        assert!(SETTINGS[at].flag as usize == at);
        at += 1;
    }
    assert!(Flag::ForceNewCluster as usize + 1 == SETTINGS.len());
};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) flag: Flag,
    pub(crate) name: &'static str,
    pub(crate) env: &'static str,
    /// The key in the file, with its table before a dot; nothing if it cannot stand there.
    pub(crate) toml: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    pub(crate) group: &'static str,
    pub(crate) help: &'static str,
    /// Other names of the flag.
    pub(crate) aliases: &'static [&'static str],
    /// Words of earlier servers, and what they mean here.
    pub(crate) synonyms: &'static [(&'static str, &'static str)],
}

/// What a name on the command line, in the environment or in a file means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// A setting, and whether that is another name of it.
    Setting(&'static Setting, bool),
    Former(&'static Former),
}

/// What a flag of this name means, without its dashes.
pub(crate) fn by_name(name: &str) -> Option<Known> {
    let named = SETTINGS.iter().find(|setting| setting.name == name);
    let aliased = || SETTINGS.iter().find(|setting| setting.aliases.contains(&name));
    let former = || FORMER.iter().find(|former| former.name == name).map(Known::Former);
    named
        .map(|setting| Known::Setting(setting, false))
        .or_else(|| aliased().map(|setting| Known::Setting(setting, true)))
        .or_else(former)
}

/// Names of variables that are not made of a flag's.
const ENV_ALIASES: [(&str, &str); 3] = [
    ("ETCD_CORS_ORIGINS", "cors"),
    ("ETCD_MAX_CLUSTER_SIZE", "cluster-active-size"),
    ("ETCD_CPU_PROFILE_FILE", "cpuprofile"),
];

/// What a variable means: by its name in the table, or by that which 2.x makes of a flag's
/// (`ETCD_` and the flag in capitals).
pub(crate) fn by_env(name: &str) -> Option<Known> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.env == name) {
        return Some(Known::Setting(setting, false));
    }
    if let Some((_, flag)) = ENV_ALIASES.iter().find(|(alias, _)| *alias == name) {
        return by_name(flag);
    }
    let is_made_of = |flag: &&str| flag.len() > 2 && env_of(flag) == name;
    known_names().find(is_made_of).and_then(by_name)
}

/// What a key of a TOML file means.
pub(crate) fn by_key(key: &str) -> Option<Known> {
    let setting = SETTINGS.iter().find(|setting| !setting.toml.is_empty() && setting.toml == key);
    let is_named = |former: &&Former| match former.name {
        "cpuprofile" => key == "cpu_profile_file",
        name => name.replace('-', "_") == key,
    };
    let former = || FORMER.iter().find(is_named).map(Known::Former);
    setting.map(|setting| Known::Setting(setting, false)).or_else(former)
}

/// The variable that 2.x makes of a flag.
pub(crate) fn env_of(flag: &str) -> String {
    format!("ETCD_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// Every name that a flag may have.
pub(crate) fn known_names() -> impl Iterator<Item = &'static str> {
    let settings =
        SETTINGS.iter().flat_map(|setting| setting.aliases.iter().chain([&setting.name]));
    settings.copied().chain(FORMER.iter().map(|former| former.name))
}

/// The known name nearest to what was written, if one is near: one letter in three may be wrong,
/// missing or swapped.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let is_near = |distance: usize, name: &str| distance * 3 <= name.len().max(written.len());
    known
        .filter(|name| name.len() > 2)
        .map(|name| (strsim::osa_distance(written, name), name))
        .min()
        .filter(|(distance, name)| is_near(*distance, name))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_name_means_two_settings() {
        let mut flags = BTreeSet::new();
        for name in known_names() {
            assert!(flags.insert(name), "-{name} is there twice");
        }
        let envs: Vec<_> = SETTINGS.iter().map(|s| s.env).filter(|env| !env.is_empty()).collect();
        assert_eq!(envs.iter().collect::<BTreeSet<_>>().len(), envs.len());
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let flags = || SETTINGS.iter().map(|setting| setting.name);
        assert_eq!(nearest("dta-dir", flags()), Some("data-dir"));
        assert_eq!(nearest("snapshot-cuont", flags()), Some("snapshot-count"));
        assert_eq!(nearest("bogus", flags()), None);
        assert_eq!(nearest("port", flags()), None, "-cors is another word");
        assert_eq!(nearest("gte", ["set", "get"].into_iter()), Some("get"), "swapped");
    }
}
