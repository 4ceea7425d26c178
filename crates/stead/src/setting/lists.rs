//! Every flag that earlier servers had, as their programs list them, and what becomes of each.

use super::{Fate, Known, by_env, by_key, by_name, env_of};
use crate::source::{Environment, Values};
use std::io;
use std::path::Path;

/// docs/spec/cli.md section 2, with the older names.
const V0_4_9: &str = "name data-dir addr bind-addr peer-addr peer-bind-addr peers peers-file \
    discovery ca-file cert-file key-file peer-ca-file peer-cert-file peer-key-file \
    peer-heartbeat-interval peer-election-timeout snapshot snapshot-count cluster-active-size \
    cluster-remove-delay cluster-sync-interval max-retry-attempts retry-interval \
    max-result-buffer http-read-timeout http-write-timeout cors v vv vvv trace graphite-host \
    cpuprofile config f force C CF n c cl s sl m d r maxsize max-cluster-size clientCAFile \
    clientCert clientKey serverCAFile serverCert serverKey snapshotCount peer-heartbeat-timeout";

/// etcdmain/config.go, the flags of 0.4 that it ignores included.
const V2_3_8: &str = "cors data-dir wal-dir listen-peer-urls listen-client-urls max-snapshots \
    max-wals name snapshot-count heartbeat-interval election-timeout initial-advertise-peer-urls \
    advertise-client-urls discovery discovery-fallback discovery-proxy discovery-srv \
    initial-cluster initial-cluster-token initial-cluster-state strict-reconfig-check proxy \
    proxy-failure-wait proxy-refresh-interval proxy-dial-timeout proxy-write-timeout \
    proxy-read-timeout ca-file cert-file key-file client-cert-auth trusted-ca-file peer-ca-file \
    peer-cert-file peer-key-file peer-client-cert-auth peer-trusted-ca-file debug \
    log-package-levels force-new-cluster experimental-v3demo experimental-gRPC-addr \
    experimental-auto-compaction-retention addr bind-addr peer-addr peer-bind-addr peers \
    peers-file enable-pprof cluster-active-size cluster-remove-delay cluster-sync-interval config \
    force max-result-buffer max-retry-attempts peer-heartbeat-interval peer-election-timeout \
    retry-interval snapshot v vv";

/// `etcd --help`.
const V3_4_23: &str = "config-file name data-dir wal-dir snapshot-count heartbeat-interval \
    election-timeout initial-election-tick-advance listen-peer-urls listen-client-urls \
    max-snapshots max-wals quota-backend-bytes backend-batch-interval backend-batch-limit \
    max-txn-ops max-request-bytes max-concurrent-streams grpc-keepalive-min-time \
    grpc-keepalive-interval grpc-keepalive-timeout initial-advertise-peer-urls initial-cluster \
    initial-cluster-state initial-cluster-token advertise-client-urls discovery \
    discovery-fallback discovery-proxy discovery-srv discovery-srv-name strict-reconfig-check \
    pre-vote auto-compaction-retention auto-compaction-mode enable-v2 cert-file key-file \
    client-cert-auth client-crl-file client-cert-allowed-hostname trusted-ca-file auto-tls \
    peer-cert-file peer-key-file peer-client-cert-auth peer-trusted-ca-file peer-cert-allowed-cn \
    peer-cert-allowed-hostname peer-auto-tls peer-crl-file cipher-suites cors host-whitelist \
    auth-token bcrypt-cost auth-token-ttl enable-pprof metrics listen-metrics-urls logger \
    log-outputs log-level proxy proxy-failure-wait proxy-refresh-interval proxy-dial-timeout \
    proxy-write-timeout proxy-read-timeout experimental-initial-corrupt-check \
    experimental-corrupt-check-time experimental-enable-v2v3 \
    experimental-backend-bbolt-freelist-type experimental-enable-lease-checkpoint \
    experimental-compaction-batch-limit experimental-peer-skip-client-san-verification \
    experimental-watch-progress-notify-interval experimental-warning-apply-duration \
    force-new-cluster debug log-package-levels";

/// Those that it would be dangerous to pass over.
const REFUSED: &str = "client-crl-file client-cert-allowed-hostname peer-cert-allowed-cn \
    peer-cert-allowed-hostname peer-crl-file";

/// Switches: what follows one is another flag.
const SWITCHES: &str = "snapshot force f v vv vvv strict-reconfig-check client-cert-auth \
    peer-client-cert-auth debug force-new-cluster experimental-v3demo enable-pprof \
    initial-election-tick-advance pre-vote enable-v2 auto-tls peer-auto-tls \
    experimental-initial-corrupt-check experimental-enable-lease-checkpoint \
    experimental-peer-skip-client-san-verification";

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split_whitespace()
}

fn gathered(args: &[&str]) -> Result<Values, String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let read_file = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let environment = Environment { args: &args, env: &[], read_file: &read_file };
    Values::gather(&environment).map(|(values, _)| values).map_err(|usage| usage.to_string())
}

#[test]
fn every_flag_of_earlier_servers_is_obeyed_or_answered_with_a_reason() {
    for (server, list) in [("0.4.9", V0_4_9), ("2.3.8", V2_3_8), ("3.4.23", V3_4_23)] {
        assert!(words(list).count() > 45, "{server}");
        for name in words(list) {
            let known = by_name(name).unwrap_or_else(|| panic!("-{name} of {server} is unknown"));
            let Known::Former(former) = known else { continue };
            let is_refused = words(REFUSED).any(|refused| refused == name);
            let arg = format!("--{name}=x");
            match (former.fate, gathered(&[&arg, "-cors=a"])) {
                (Fate::Ignored(why), Ok(values)) if !is_refused => {
                    assert_eq!(values.notes, [format!("-{name} is ignored: {why}")], "{server}");
                    assert_eq!(values.list(super::Flag::Cors), ["a"], "{name}");
                }
                (Fate::Refused(instead), Err(text)) if is_refused => {
                    let want = format!("-{name} is not supported by this version: {instead}");
                    assert_eq!(text, want, "{server}");
                }
                (_, other) => panic!("-{name} of {server}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_flag_of_an_earlier_server_takes_a_value_where_it_took_one() {
    for name in words(V0_4_9).chain(words(V2_3_8)).chain(words(V3_4_23)) {
        let is_switch = match by_name(name).expect("known") {
            Known::Setting(setting, _) => setting.kind == super::Kind::Bool,
            Known::Former(former) => former.is_switch,
        };
        assert_eq!(is_switch, words(SWITCHES).any(|switch| switch == name), "-{name}");
    }
    let values = gathered(&["-enable-v2", "-max-wals", "5", "--debug", "-cors", "a"]);
    assert_eq!(values.expect("sound").list(super::Flag::Cors), ["a"]);
}

#[test]
fn variables_and_keys_go_the_way_of_their_flags() {
    for name in words(V2_3_8).chain(words(V3_4_23)).filter(|name| name.len() > 2) {
        assert!(by_env(&env_of(name)).is_some(), "{}", env_of(name));
    }
    for name in ["max-wals", "enable-v2", "graphite-host", "max-result-buffer"] {
        assert!(by_key(&name.replace('-', "_")).is_some(), "{name}");
    }
    assert!(by_env("ETCD_V").is_none() && by_env("ETCD_UNHEARD_OF").is_none());
}
