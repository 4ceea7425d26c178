//! The settings that this program has, a row for each.

use super::{Flag, Kind, Setting};

const MACHINE_GROUP: &str = "Machine";
const NETWORK_GROUP: &str = "Network";
const STORE_GROUP: &str = "Durability";
const CLUSTER_GROUP: &str = "Cluster configuration";
const LIMIT_GROUP: &str = "Limits";
const LOG_GROUP: &str = "Logs and metrics";
const JOIN_GROUP: &str = "Joining a cluster";
const URL_GROUP: &str = "Flags of etcd 2.x";

const fn works(
    (flag, name): (Flag, &'static str),
    env: &'static str,
    toml: &'static str,
    kind: Kind,
    default: &'static str,
    group: &'static str,
    help: &'static str,
) -> Setting {
    Setting { flag, name, env, toml, kind, default, group, help, aliases: &[], synonyms: &[] }
}

impl Setting {
    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn synonyms(mut self, synonyms: &'static [(&'static str, &'static str)]) -> Self {
        self.synonyms = synonyms;
        self
    }
}

const BYTES_MAX: u64 = 1 << 40;

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    works((Flag::Name, "name"), "ETCD_NAME", "name", Kind::Text, "", MACHINE_GROUP,
        "The machine's name, unique in its cluster. Default: the host's name, if \
         -data-dir is not given either.").alias(&["n"]),
    works((Flag::DataDir, "data-dir"), "ETCD_DATA_DIR", "data_dir", Kind::Text, "", MACHINE_GROUP,
        "Directory of the log and the snapshots (created with mode 0700). Default: NAME.etcd in \
         the working directory.").alias(&["d"]),
    works((Flag::WalDir, "wal-dir"), "ETCD_WAL_DIR", "wal_dir", Kind::Text, "", MACHINE_GROUP,
        "A directory for the log alone (2.x), such as one on a disk that syncs fast. The data directory \
         records where it is, so that later starts and other commands find it."),
    works((Flag::Force, "force"), "", "", Kind::Bool, "false", MACHINE_GROUP,
        "Start over: the log and the snapshots in the data directory are first moved to its \
         sub-directory replaced-DATE-TIME. Refused where that would start a second cluster at the \
         address of a member of the first one.").alias(&["f"]),
    works((Flag::Config, "config"), "ETCD_CONFIG", "", Kind::Text, "", MACHINE_GROUP,
        "A configuration file (TOML). /etc/etcd/etcd.conf is read before it if it exists."),
    works((Flag::ConfigFile, "config-file"), "ETCD_CONFIG_FILE", "", Kind::Text, "", MACHINE_GROUP,
        "A configuration file of etcd 3.x (YAML), whose keys are names of flags. It is read after \
         -config; the environment and the command line still count more."),
    works((Flag::Hangup, "hangup"), "STEAD_HANGUP", "hangup", Kind::Choice(&["auto", "end", "reload"]), "auto", MACHINE_GROUP,
        "What SIGHUP does: end stops the server as SIGTERM does, reload reads certificates, log level \
         and limits again. auto ends a server that has a controlling terminal and was not started \
         with nohup, and reloads otherwise."),
    works((Flag::Addr, "addr"), "ETCD_ADDR", "addr", Kind::Text, "127.0.0.1:4001", NETWORK_GROUP,
        "Advertised client address: HOST:PORT, without a scheme. For 0.0.0.0 the address of the \
         interface with the default route is advertised.").alias(&["c"]),
    works((Flag::BindAddr, "bind-addr"), "ETCD_BIND_ADDR", "bind_addr", Kind::Text, "", NETWORK_GROUP,
        "Address to listen on for clients: HOST[:PORT], 0.0.0.0 or [::] for all interfaces. \
         Default: -addr; or all interfaces, with a warning, if -addr is not an address of this \
         machine. The port defaults to that of -addr.").alias(&["cl"]),
    works((Flag::V2Addr, "v2-addr"), "STEAD_V2_ADDR", "v2_addr", Kind::Text, "", NETWORK_GROUP,
        "A second client port that uses the 2.x dialect: HOST[:PORT], default port 2379. It is \
         listened on and advertised as -addr is; for 0.0.0.0 the host of -addr is advertised if \
         that is one for other machines. Off by default."),
    works((Flag::PeerAddr, "peer-addr"), "ETCD_PEER_ADDR", "peer.addr", Kind::Text, "127.0.0.1:7001", NETWORK_GROUP,
        "Advertised peer address, for other machines and administrators: HOST:PORT. 0.0.0.0 as \
         for -addr.").alias(&["s"]),
    works((Flag::PeerBindAddr, "peer-bind-addr"), "ETCD_PEER_BIND_ADDR", "peer.bind_addr", Kind::Text, "", NETWORK_GROUP,
        "Address to listen on for peers: HOST[:PORT]. Default: as for -bind-addr.").alias(&["sl"]),
    works((Flag::Compat, "compat"), "STEAD_COMPAT", "compat", Kind::Choice(&["v04", "v2"]), "v04", NETWORK_GROUP,
        "API dialect at -addr: v04 for etcd 0.4, v2 for etcd 2.x."),
    works((Flag::Modules, "modules"), "STEAD_MODULES", "modules", Kind::Choice(&["on", "off"]), "on", NETWORK_GROUP,
        "Serve the lock and leader modules, /mod/v2/lock and /mod/v2/leader, on the client ports."),
    works((Flag::Dashboard, "dashboard"), "STEAD_DASHBOARD", "dashboard", Kind::Choice(&["on", "read-only", "off"]), "on", NETWORK_GROUP,
        "Serve the dashboard, /mod/dashboard/, on the client ports: on, read-only, or off."),
    works((Flag::Cors, "cors"), "ETCD_CORS", "cors", Kind::List, "", NETWORK_GROUP,
        "Origins of web pages that may use the API, comma-separated, or *."),
    works((Flag::HostWhitelist, "host-whitelist"), "ETCD_HOST_WHITELIST", "host_whitelist", Kind::List, "*", NETWORK_GROUP,
        "Accepted Host headers, besides the addresses of this machine, localhost and the hosts of \
         -addr and -peer-addr. Requests from web pages under any other name are refused; without \
         * in the list, so is every request under any other name."),
    works((Flag::HttpReadTimeout, "http-read-timeout"), "ETCD_HTTP_READ_TIMEOUT", "http_read_timeout", Kind::Seconds, "300", NETWORK_GROUP,
        "Time that a client may take to send a request, or stay idle between two; 0 for no \
         limit."),
    works((Flag::HttpWriteTimeout, "http-write-timeout"), "ETCD_HTTP_WRITE_TIMEOUT", "http_write_timeout", Kind::Seconds, "300", NETWORK_GROUP,
        "Time that a client may take to receive an answer; 0 for no limit. Waiting for an \
         event does not count."),
    works((Flag::BusyPoll, "busy-poll"), "STEAD_BUSY_POLL", "busy_poll", Kind::Micros(0, 1000), "50", NETWORK_GROUP,
        "Busy-poll window: how long to poll for the next request before sleeping, \
         while requests arrive that quickly; 0 turns busy polling off."),
    works((Flag::CertFile, "cert-file"), "ETCD_CERT_FILE", "cert_file", Kind::Text, "", NETWORK_GROUP,
        "The certificate presented to clients (PEM), including intermediate certificates. With \
         -key-file it turns HTTPS on.").alias(&["clientCert"]),
    works((Flag::KeyFile, "key-file"), "ETCD_KEY_FILE", "key_file", Kind::Text, "", NETWORK_GROUP,
        "The private key of -cert-file (PEM).").alias(&["clientKey"]),
    works((Flag::CaFile, "ca-file"), "ETCD_CA_FILE", "ca_file", Kind::Text, "", NETWORK_GROUP,
        "Certificate authorities (PEM): a client must present a certificate signed by one of \
         them.").alias(&["clientCAFile"]),
    works((Flag::PeerCertFile, "peer-cert-file"), "ETCD_PEER_CERT_FILE", "peer.cert_file", Kind::Text, "", NETWORK_GROUP,
        "The certificate presented to other machines, as server and as client (PEM). With \
         -peer-key-file it turns TLS between machines on.").alias(&["serverCert"]),
    works((Flag::PeerKeyFile, "peer-key-file"), "ETCD_PEER_KEY_FILE", "peer.key_file", Kind::Text, "", NETWORK_GROUP,
        "The private key of -peer-cert-file (PEM).").alias(&["serverKey"]),
    works((Flag::PeerCaFile, "peer-ca-file"), "ETCD_PEER_CA_FILE", "peer.ca_file", Kind::Text, "", NETWORK_GROUP,
        "Certificate authorities (PEM) of the other machines: both sides of a connection must \
         present a certificate signed by one of them. Without it the system's authorities are \
         used, and only the server side must present one.").alias(&["serverCAFile"]),
    works((Flag::AutoTls, "auto-tls"), "ETCD_AUTO_TLS", "auto_tls", Kind::Bool, "false", NETWORK_GROUP,
        "Speak HTTPS to clients with a certificate that the server makes itself and keeps in the data \
         directory (3.x). It encrypts; clients cannot verify whom they speak to. Passed over where \
         -cert-file is set."),
    works((Flag::PeerAutoTls, "peer-auto-tls"), "ETCD_PEER_AUTO_TLS", "peer.auto_tls", Kind::Bool, "false", NETWORK_GROUP,
        "The same between machines, where any certificate is accepted (3.x): give them a \
         -peer-token-file as well. Passed over where -peer-cert-file is set."),
    works((Flag::CipherSuites, "cipher-suites"), "ETCD_CIPHER_SUITES", "cipher_suites", Kind::List, "", NETWORK_GROUP,
        "Suites of TLS 1.2 that are offered to clients and machines, comma-separated (3.x). Those of \
         TLS 1.3 are always offered."),
    works((Flag::Snapshot, "snapshot"), "ETCD_SNAPSHOT", "snapshot", Kind::Bool, "true", STORE_GROUP,
        "Write snapshots, so that the log can be recycled."),
    works((Flag::SnapshotCount, "snapshot-count"), "ETCD_SNAPSHOTCOUNT", "snapshot_count", Kind::Number(1, 1 << 40), "10000", STORE_GROUP,
        "Minimum number of commands between two snapshots; after small commands a snapshot waits \
         until it is worth writing.").alias(&["snapshotCount"]),
    works((Flag::BackupDir, "backup-dir"), "STEAD_BACKUP_DIR", "backup_dir", Kind::Text, "", STORE_GROUP,
        "Write backups to this directory, which has to be there. On one machine of a cluster that is enough."),
    works((Flag::BackupInterval, "backup-interval"), "STEAD_BACKUP_INTERVAL", "backup_interval", Kind::Seconds, "86400", STORE_GROUP,
        "Time between two backups of -backup-dir; at least 1s."),
    works((Flag::BackupKeep, "backup-keep"), "STEAD_BACKUP_KEEP", "backup_keep", Kind::Number(1, 1_000_000), "7", STORE_GROUP,
        "How many backups of this machine are kept in -backup-dir; older ones are removed."),
    works((Flag::PeerHeartbeatInterval, "peer-heartbeat-interval"), "ETCD_PEER_HEARTBEAT_INTERVAL", "peer.heartbeat_interval", Kind::Millis(10, 60_000), "50", STORE_GROUP,
        "Time between two heartbeats of a leader.").alias(&["peer-heartbeat-timeout", "heartbeat-interval"]),
    works((Flag::PeerElectionTimeout, "peer-election-timeout"), "ETCD_PEER_ELECTION_TIMEOUT", "peer.election_timeout", Kind::Millis(20, 600_000), "200", STORE_GROUP,
        "Silence after which an election may begin; at least twice the heartbeat interval.").alias(&["election-timeout"]),
    works((Flag::ClusterActiveSize, "cluster-active-size"), "ETCD_CLUSTER_ACTIVE_SIZE", "cluster.active_size", Kind::Number(0, 1 << 30), "9", CLUSTER_GROUP,
        "Maximum number of voting members; at least 3. Used when a new cluster \
         starts.").alias(&["maxsize", "max-cluster-size"]),
    works((Flag::ClusterRemoveDelay, "cluster-remove-delay"), "ETCD_CLUSTER_REMOVE_DELAY", "cluster.remove_delay", Kind::Seconds, "1800", CLUSTER_GROUP,
        "Time after which a silent machine is removed; at least 2s. Used when a new cluster starts."),
    works((Flag::ClusterSyncInterval, "cluster-sync-interval"), "ETCD_CLUSTER_SYNC_INTERVAL", "cluster.sync_interval", Kind::Seconds, "5", CLUSTER_GROUP,
        "Standby check interval; at least 1s. Used when a new cluster starts."),
    works((Flag::FollowerMode, "follower-mode"), "STEAD_FOLLOWER_MODE", "follower_mode", Kind::Choice(&["forward", "redirect"]), "forward", CLUSTER_GROUP,
        "How a follower handles writes and linearizable reads: forward serves them through the \
         leader, redirect sends the client to the leader (307, as 0.4 did; not at ports of the \
         2.x dialect)."),
    works((Flag::StandbyMode, "standby-mode"), "STEAD_STANDBY_MODE", "standby_mode", Kind::Choice(&["redirect", "proxy"]), "redirect", CLUSTER_GROUP,
        "How a standby handles requests: redirect sends the client to the leader (307), proxy \
         relays them to it."),
    works((Flag::MaxBodyBytes, "max-body-bytes"), "STEAD_MAX_BODY_BYTES", "limit.body_bytes", Kind::Bytes(1024, 32 << 20), "10485760", LIMIT_GROUP,
        "Maximum size of a request body; at most 32MiB, so that a value fits into a message between \
         machines."),
    works((Flag::MaxHeadBytes, "max-head-bytes"), "STEAD_MAX_HEAD_BYTES", "limit.head_bytes", Kind::Bytes(1024, 1 << 30), "131072", LIMIT_GROUP,
        "Maximum size of a request line and headers; the line alone may take half of it."),
    works((Flag::MaxConnections, "max-connections"), "STEAD_MAX_CONNECTIONS", "limit.connections", Kind::Number(1, 1 << 24), "65536", LIMIT_GROUP,
        "Maximum number of open connections."),
    works((Flag::MaxWatchers, "max-watchers"), "STEAD_MAX_WATCHERS", "limit.watchers", Kind::Number(0, 1 << 24), "1048576", LIMIT_GROUP,
        "Maximum number of waiting watches."),
    works((Flag::StreamBufferBytes, "stream-buffer-bytes"), "STEAD_STREAM_BUFFER_BYTES", "limit.stream_buffer_bytes", Kind::Bytes(1024, BYTES_MAX), "262144", LIMIT_GROUP,
        "How much is buffered for a slow reader of a stream before it is served from the event history."),
    works((Flag::HistoryBytes, "history-bytes"), "STEAD_HISTORY_BYTES", "limit.history_bytes", Kind::Bytes(0, BYTES_MAX), "8388608", LIMIT_GROUP,
        "Size of the event history, which serves waitIndex. At least 1000 events are \
         kept, unless they take more than 8 times as many bytes, or 8 MiB."),
    works((Flag::RequestTimeout, "request-timeout"), "STEAD_REQUEST_TIMEOUT", "limit.request_timeout", Kind::Millis(100, 3_600_000), "5400", LIMIT_GROUP,
        "Time after which a write or a quorum read times out."),
    works((Flag::Metrics, "metrics"), "STEAD_METRICS", "metrics", Kind::Choice(&["on", "off"]), "on", LOG_GROUP,
        "Serve /metrics on the client ports. 3.4's words basic and extensive mean on.").synonyms(&[("basic", "on"), ("extensive", "on")]),
    works((Flag::LogFormat, "log-format"), "STEAD_LOG_FORMAT", "log_format", Kind::Choice(&["text", "json"]), "text", LOG_GROUP,
        "Format of the log lines on standard error."),
    works((Flag::LogLevel, "log-level"), "STEAD_LOG_LEVEL", "log_level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), "info", LOG_GROUP,
        "Log lines of this level and above; read again on SIGHUP.").synonyms(&[("panic", "error"), ("fatal", "error")]),
    works((Flag::AuditLog, "audit-log"), "STEAD_AUDIT_LOG", "audit_log", Kind::Text, "", LOG_GROUP,
        "Write who changed what, and who was refused, as lines of JSON: to a file, which is opened \
         again on SIGHUP, or to stderr or journald."),
    works((Flag::AuditReads, "audit-reads"), "STEAD_AUDIT_READS", "audit_reads", Kind::Bool, "false", LOG_GROUP,
        "Write reads that were served to the audit log too."),
    works((Flag::V, "v"), "ETCD_VERBOSE", "verbose", Kind::Bool, "false", LOG_GROUP, "Log at level debug, unless -log-level says more.").alias(&["debug"]),
    works((Flag::Vv, "vv"), "ETCD_VERY_VERBOSE", "very_verbose", Kind::Bool, "false", LOG_GROUP, "As -v."),
    works((Flag::Vvv, "vvv"), "ETCD_VERY_VERY_VERBOSE", "very_very_verbose", Kind::Bool, "false", LOG_GROUP, "Log at level trace."),
    works((Flag::Peers, "peers"), "ETCD_PEERS", "peers", Kind::List, "", JOIN_GROUP,
        "Machines of the cluster to join, as HOST:PORT of their -peer-addr, comma-separated. A \
         machine with data in its directory stays in its cluster, and asks these for new \
         addresses of members.").alias(&["C"]),
    works((Flag::PeersFile, "peers-file"), "ETCD_PEERS_FILE", "peers_file", Kind::Text, "", JOIN_GROUP,
        "A file with such a list; overrides -peers.").alias(&["CF"]),
    works((Flag::Discovery, "discovery"), "ETCD_DISCOVERY", "discovery", Kind::Text, "", JOIN_GROUP,
        "Discovery URL, a directory on any v2 server: http://HOST:PORT/v2/keys/PATH. The first \
         machine to register there starts the cluster."),
    works((Flag::DiscoverySrv, "discovery-srv"), "ETCD_DISCOVERY_SRV", "discovery_srv", Kind::Text, "", JOIN_GROUP,
        "A domain whose SRV records name all machines of a new cluster (2.x): \
         _etcd-server-ssl._tcp.DOMAIN for those that speak TLS to one another, _etcd-server._tcp.DOMAIN \
         for the others. In the place of -initial-cluster."),
    works((Flag::DiscoverySrvName, "discovery-srv-name"), "ETCD_DISCOVERY_SRV_NAME", "discovery_srv_name", Kind::Text, "", JOIN_GROUP,
        "A suffix of the service's name in such records: NAME for _etcd-server-NAME._tcp.DOMAIN (3.x)."),
    works((Flag::DiscoverySrvServer, "discovery-srv-server"), "STEAD_DISCOVERY_SRV_SERVER", "discovery_srv_server", Kind::Text, "", JOIN_GROUP,
        "The name server to ask for them, IP:PORT. Default: those of /etc/resolv.conf."),
    works((Flag::DiscoveryFallback, "discovery-fallback"), "ETCD_DISCOVERY_FALLBACK", "discovery_fallback", Kind::Choice(&["standby", "exit", "proxy"]), "standby", JOIN_GROUP,
        "What becomes of a machine that finds its cluster full by -discovery: it stands by, exits, or \
         stands by and relays requests as with -standby-mode=proxy (2.x)."),
    works((Flag::DiscoveryProxy, "discovery-proxy"), "ETCD_DISCOVERY_PROXY", "discovery_proxy", Kind::Text, "", JOIN_GROUP,
        "The HTTP proxy by which the discovery service is reached, as a URL (2.x). It has to allow \
         CONNECT to that port."),
    works((Flag::MaxRetryAttempts, "max-retry-attempts"), "ETCD_MAX_RETRY_ATTEMPTS", "max_retry_attempts", Kind::Number(0, 1 << 40), "3", JOIN_GROUP,
        "Number of attempts to join.").alias(&["r"]),
    works((Flag::RetryInterval, "retry-interval"), "ETCD_RETRY_INTERVAL", "retry_interval", Kind::Seconds, "0", JOIN_GROUP,
        "Minimum time per attempt; within it, machines that do not answer are retried every \
         quarter of a second, each for 8 s at most. 0 for 2.5 s to 5 s at random."),
    works((Flag::ForceRejoin, "force-rejoin"), "STEAD_FORCE_REJOIN", "force_rejoin", Kind::Bool, "false", JOIN_GROUP,
        "Rejoin as a new member that replaces the one with this name: for a machine whose disk is \
         lost or damaged. The remaining files in its data directory are first moved to its \
         sub-directory replaced-DATE-TIME; without -peers, the members recorded there are asked."),
    works((Flag::PeerToken, "peer-token"), "STEAD_PEER_TOKEN", "peer.token", Kind::Text, "", JOIN_GROUP,
        "Shared secret of the cluster: machines prove to one another that they know it, without \
         sending it; a client that changes the members or the configuration sends it. On the \
         command line every user of the machine can read it."),
    works((Flag::PeerTokenFile, "peer-token-file"), "STEAD_PEER_TOKEN_FILE", "peer.token_file", Kind::Text, "", JOIN_GROUP,
        "A file with that secret, instead of -peer-token. A trailing newline is not part of it."),
    works((Flag::OpenMembership, "open-membership"), "STEAD_OPEN_MEMBERSHIP", "open_membership", Kind::Bool, "false", JOIN_GROUP,
        "Let anyone who reaches the client ports change the members and the configuration without the secret: etcdctl cannot send it."),
    works((Flag::AuthGuest, "auth-guest"), "STEAD_AUTH_GUEST", "auth_guest", Kind::Choice(&["closed", "open"]), "closed", JOIN_GROUP,
        "What clients without credentials may do with keys from when `PUT /v2/auth/enable` is \
         asked at this machine, unless there is a role guest: nothing, or all as in etcd."),
    works((Flag::RequireSecure, "require-secure"), "STEAD_REQUIRE_SECURE", "require_secure", Kind::Bool, "false", JOIN_GROUP,
        "Refuse to start if other machines can reach the peer port and neither client \
         certificates nor -peer-token are required there."),
    works((Flag::InitialCluster, "initial-cluster"), "ETCD_INITIAL_CLUSTER", "initial_cluster", Kind::List, "", JOIN_GROUP,
        "All machines of a new cluster, as NAME=PEER_URL, comma-separated, the same list at every \
         machine (2.x). A machine with an empty data directory first asks the others whether it \
         is already a member."),
    works((Flag::InitialClusterState, "initial-cluster-state"), "ETCD_INITIAL_CLUSTER_STATE", "initial_cluster_state", Kind::Choice(&["new", "existing"]), "new", JOIN_GROUP,
        "Whether the machines of -initial-cluster start a new cluster, or this one joins an \
         existing one (2.x)."),
    works((Flag::InitialClusterToken, "initial-cluster-token"), "ETCD_INITIAL_CLUSTER_TOKEN", "initial_cluster_token", Kind::Text, "etcd-cluster", JOIN_GROUP,
        "Distinguishes clusters of the same machines (2.x). Not a secret."),
    works((Flag::InitialAdvertisePeerUrls, "initial-advertise-peer-urls"), "ETCD_INITIAL_ADVERTISE_PEER_URLS", "initial_advertise_peer_urls", Kind::Text, "", URL_GROUP,
        "As -peer-addr, as a URL. The first one of several is used."),
    works((Flag::ListenPeerUrls, "listen-peer-urls"), "ETCD_LISTEN_PEER_URLS", "listen_peer_urls", Kind::Text, "", URL_GROUP,
        "As -peer-bind-addr, as a URL. The first one of several is used."),
    works((Flag::AdvertiseClientUrls, "advertise-client-urls"), "ETCD_ADVERTISE_CLIENT_URLS", "advertise_client_urls", Kind::List, "", URL_GROUP,
        "URLs at which clients reach this machine; at most 8. Default: -addr if it is set, else \
         -listen-client-urls. Beside -addr and -v2-addr they are those of the 2.x port."),
    works((Flag::ListenClientUrls, "listen-client-urls"), "ETCD_LISTEN_CLIENT_URLS", "listen_client_urls", Kind::List, "", URL_GROUP,
        "URLs to listen on for clients, comma-separated: http://HOST:PORT, https://HOST:PORT, and \
         unix://PATH or unixs://PATH for a Unix socket; 8 addresses at most. These ports use the \
         2.x dialect, unless -compat=v04 is set."),
    works((Flag::TrustedCaFile, "trusted-ca-file"), "ETCD_TRUSTED_CA_FILE", "trusted_ca_file", Kind::Text, "", URL_GROUP,
        "As -ca-file, but clients need a certificate only with -client-cert-auth."),
    works((Flag::ClientCertAuth, "client-cert-auth"), "ETCD_CLIENT_CERT_AUTH", "client_cert_auth", Kind::Bool, "false", URL_GROUP,
        "Require client certificates; where users count, the name in one is a user. Certificates \
         are required with -ca-file too."),
    works((Flag::PeerTrustedCaFile, "peer-trusted-ca-file"), "ETCD_PEER_TRUSTED_CA_FILE", "peer.trusted_ca_file", Kind::Text, "", URL_GROUP,
        "As -peer-ca-file, but a connecting machine needs a certificate only with \
         -peer-client-cert-auth."),
    works((Flag::PeerClientCertAuth, "peer-client-cert-auth"), "ETCD_PEER_CLIENT_CERT_AUTH", "peer.client_cert_auth", Kind::Bool, "false", URL_GROUP,
        "Require certificates from connecting machines. True with -peer-ca-file."),
    works((Flag::Proxy, "proxy"), "ETCD_PROXY", "proxy", Kind::Choice(&["off", "on", "readonly"]), "off", URL_GROUP,
        "Be a proxy: relay the requests of clients to the cluster of -initial-cluster, -peers or \
         -discovery, never become a member, and open no peer port (2.x). readonly relays reads \
         alone."),
    works((Flag::ForceNewCluster, "force-new-cluster"), "ETCD_FORCE_NEW_CLUSTER", "force_new_cluster", Kind::Bool, "false", URL_GROUP,
        "As `stead recover --yes` before the start: a directory that knows other members becomes \
         that of a new cluster of one. For a cluster that has lost its majority for good."),
];
