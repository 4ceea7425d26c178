//! Flags of etcd 0.4, 2.x and 3.x that are taken although nothing is to be done for them, and those
//! that would be dangerous to pass over.
//!
//! A variable `ETCD_NAME` and a key `name` in a file go the same way as the flag.

/// What becomes of such a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is accepted, with a warning that says why it has no effect.
    Ignored(&'static str),
    /// Who gives it relies on something that would not be there: refused, with what to do instead.
    Refused(&'static str),
}

/// A flag of an earlier server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Former {
    pub(crate) name: &'static str,
    /// Whether it is a switch, which has no value behind a space.
    pub(crate) is_switch: bool,
    pub(crate) fate: Fate,
}

const fn ignored(name: &'static str, why: &'static str) -> Former {
    Former { name, is_switch: false, fate: Fate::Ignored(why) }
}

const fn switch(name: &'static str, why: &'static str) -> Former {
    Former { name, is_switch: true, fate: Fate::Ignored(why) }
}

const fn refused(name: &'static str, instead: &'static str) -> Former {
    Former { name, is_switch: false, fate: Fate::Refused(instead) }
}

const V3: &str = "it concerns the v3 API, which is not served";
const PROFILE: &str = "there is no profiler inside: use one of the system, such as perf";
const METRICS: &str = "metrics are served at /metrics";
const FILES: &str = "files that are no longer needed are recycled or removed as soon as possible";
const PROXY_TIMES: &str = "a proxy dials with a limit of its own and follows the cluster's \
                           syncInterval";
const V2_STORE: &str = "keys are in the server's own store";

#[rustfmt::skip]
pub(crate) const FORMER: &[Former] = &[
    // 0.4
    ignored("max-result-buffer", "it had no effect in etcd either"),
    ignored("m", "it is an old name of -max-result-buffer, which had no effect in etcd either"),
    ignored("trace", METRICS),
    ignored("graphite-host", "metrics are not pushed: have /metrics collected"),
    ignored("cpuprofile", PROFILE),
    // 2.x
    ignored("max-wals", FILES),
    ignored("max-snapshots", FILES),
    switch("strict-reconfig-check", "changes that would cost the majority are always refused"),
    ignored("log-package-levels", "the level is one for the whole program: use -log-level"),
    switch("enable-pprof", PROFILE),
    ignored("proxy-failure-wait", PROXY_TIMES),
    ignored("proxy-refresh-interval", PROXY_TIMES),
    ignored("proxy-dial-timeout", PROXY_TIMES),
    ignored("proxy-write-timeout", "-http-write-timeout is the limit for clients"),
    ignored("proxy-read-timeout", "-http-read-timeout is the limit for clients"),
    switch("experimental-v3demo", V3),
    ignored("experimental-gRPC-addr", V3),
    ignored("experimental-auto-compaction-retention", V3),
    // 3.x
    switch("enable-v2", "the v2 API is always served"),
    switch("pre-vote", "members always ask before they start an election"),
    switch("initial-election-tick-advance", "it tunes how etcd starts"),
    ignored("quota-backend-bytes", "as in etcd, it does not limit v2 keys"),
    ignored("max-request-bytes", "as in etcd, it does not limit v2 requests; -max-body-bytes does"),
    ignored("backend-batch-interval", V3),
    ignored("backend-batch-limit", V3),
    ignored("max-txn-ops", V3),
    ignored("max-concurrent-streams", V3),
    ignored("grpc-keepalive-min-time", V3),
    ignored("grpc-keepalive-interval", V3),
    ignored("grpc-keepalive-timeout", V3),
    ignored("auto-compaction-retention", V3),
    ignored("auto-compaction-mode", V3),
    ignored("auth-token", V3),
    ignored("auth-token-ttl", V3),
    ignored("bcrypt-cost", "passwords of v2 users are hashed at a cost of their own"),
    ignored("listen-metrics-urls", "/metrics and /health are served at the ports for clients: have \
        them collected there"),
    ignored("logger", "-log-format json writes lines in JSON"),
    ignored("log-outputs", "the log goes to standard error: redirect it, or leave it to systemd"),
    ignored("experimental-enable-v2v3", V2_STORE),
    ignored("experimental-backend-bbolt-freelist-type", V2_STORE),
    ignored("experimental-compaction-batch-limit", V3),
    switch("experimental-enable-lease-checkpoint", V3),
    ignored("experimental-watch-progress-notify-interval", V3),
    ignored("experimental-warning-apply-duration", "slow disks show in /metrics and in the log"),
    switch("experimental-initial-corrupt-check", "members always compare the hashes of their \
        states, and a start always checks what is on disk"),
    ignored("experimental-corrupt-check-time", "members compare the hashes of their states every \
        second"),
    switch("experimental-peer-skip-client-san-verification", "the names in a caller's certificate \
        are never compared with its address"),
    refused("client-crl-file", "revoked certificates would be accepted: have -trusted-ca-file \
        name an authority that signs only who may come, or give certificates a short life"),
    refused("peer-crl-file", "revoked certificates would be accepted: have -peer-trusted-ca-file \
        name an authority that signs only members, or give certificates a short life"),
    refused("client-cert-allowed-hostname", "everyone with a certificate of -trusted-ca-file would \
        be let in: have it name an authority of these clients alone"),
    refused("peer-cert-allowed-cn", "everyone with a certificate of -peer-trusted-ca-file would be \
        let in: have it name an authority of members alone, or add -peer-token-file"),
    refused("peer-cert-allowed-hostname", "everyone with a certificate of -peer-trusted-ca-file \
        would be let in: have it name an authority of members alone, or add -peer-token-file"),
];
