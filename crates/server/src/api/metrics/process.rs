//! The process, its program and its certificates.

use super::family::Read::{Known, Labels, Server};
use super::family::{Metric, counter, gauge};
use super::system;
use std::env::consts::{ARCH, OS};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version whose API all members speak, as `/version` says it.
const CLUSTER_VERSION: &str = "2.3";

const OPEN_FILES: Metric = gauge(
    "process_open_fds",
    "File descriptors that the process holds.",
    Server(|at| at.open_files),
);

pub(super) const TABLE: &[Metric] = &[
    gauge(
        "stead_build_info",
        "1, with what this program was built from and for.",
        Labels(&["version", "os", "arch"], |_| {
            vec![([VERSION, OS, ARCH].map(str::to_owned).into(), 1.0)]
        }),
    ),
    gauge(
        "etcd_server_version",
        "1, with the version of this program.",
        Labels(&["server_version"], |_| vec![(vec![VERSION.to_owned()], 1.0)]),
    ),
    gauge(
        "etcd_cluster_version",
        "1, with the version of etcd whose API is served.",
        Labels(&["cluster_version"], |_| vec![(vec![CLUSTER_VERSION.to_owned()], 1.0)]),
    ),
    gauge(
        "stead_certificate_expiry_time_seconds",
        "When the certificate ends that ends first, in seconds since 1970.",
        Known(|at| at.certificate_ends.map(|seconds| seconds as f64)),
    ),
    OPEN_FILES,
    // That of 2.x.
    OPEN_FILES.named("etcd_server_file_descriptors_used_total"),
    gauge(
        "process_max_fds",
        "File descriptors that the process may hold.",
        Known(|_| system::max_files()),
    ),
    counter("process_cpu_seconds_total", "Processor time used.", Server(|_| system::cpu_seconds())),
    gauge(
        "process_resident_memory_bytes",
        "Resident memory.",
        Server(|_| system::resident_bytes()),
    ),
    gauge("process_virtual_memory_bytes", "Address space.", Server(|_| system::virtual_bytes())),
    gauge(
        "process_start_time_seconds",
        "When the process started.",
        Server(|at| at.meters.started as f64),
    ),
];
