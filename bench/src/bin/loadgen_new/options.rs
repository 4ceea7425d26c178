//! The command line.

use kvbench::Args;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Work {
    Put,
    Get,
    Qget,
    Mixed,
    Cas,
    Post,
    List,
    Fill,
    Ttl,
}

#[derive(Clone)]
pub(crate) struct Opt {
    pub(crate) urls: Vec<String>,
    pub(crate) work: Work,
    pub(crate) conns: usize,
    pub(crate) secs: f64,
    pub(crate) warm: f64,
    pub(crate) rate: f64,
    pub(crate) keys: u64,
    pub(crate) size: usize,
    pub(crate) fan: u64,
    pub(crate) prefix: String,
    pub(crate) reads: u64,
    pub(crate) quorum_reads: bool,
    pub(crate) timeout: u64,
    pub(crate) follow: bool,
    pub(crate) ttl: u64,
    pub(crate) refresh_param: bool,
}
