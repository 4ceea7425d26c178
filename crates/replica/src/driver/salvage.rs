//! What is left of a cluster in the directory of one member that is stopped: all of its state, with
//! the end of its log that is not known to be committed.

use crate::clock::Now;
use crate::driver::open::{Loaded, Recovering, load_snapshot};
use crate::error::Fatal;
use crate::membership::{ClusterConfig, Member};
use crate::types::{ClusterId, LogIndex, MemberId, Term};
use store::{Limits, Stamp, Store};
use wal::Disk;

/// The state of a member that is not going to be opened.
#[derive(Debug)]
pub struct Salvage {
    /// The cluster that the directory belongs to.
    pub cluster: ClusterId,
    /// The member whose it is.
    pub id: MemberId,
    /// That member's name.
    pub name: String,
    /// The members that it knows of, itself among them.
    pub members: Vec<Member>,
    /// The configuration of the cluster.
    pub config: ClusterConfig,
    /// The keys, with the effect of every entry in the log.
    pub store: Store,
    /// The cluster's clock at the last record.
    pub stamp: Stamp,
    /// The clocks of this machine at the last record.
    pub seen: Now,
    /// The last entry of the log, and its term.
    pub last: (LogIndex, Term),
    /// The last entry that is known to be committed. What is above it may have been acknowledged,
    /// or may never have reached a majority.
    pub committed: LogIndex,
}

/// Reads the whole directory and changes nothing.
///
/// # Errors
/// [`Fatal`] when the log or the snapshot is damaged or incomplete. An end that was torn off is
/// none: what was acknowledged is never in it.
pub fn salvage<D: Disk>(disk: &D, limits: Limits) -> Result<Salvage, Fatal> {
    let report = wal::check(disk)?;
    let Loaded { header, store, .. } = load_snapshot(disk, limits)?;
    if let Some(error) = report.log_error {
        return Err(Fatal::Log(error));
    }
    let (cluster, id, name) = (header.cluster, header.member, header.name.clone());
    let (stamp, seen, log_id) = (header.stamp, header.seen, header.log_id);
    let mut recovering = Recovering::from_snapshot(header, store, 0, seen);
    let mut clocks = (stamp, seen);
    for payload in wal::look(disk, log_id)? {
        let payload = payload?;
        clocks = recovering.replay_for_salvage(&payload)?;
    }
    let committed = recovering.apply_all()?;
    let state = recovering.state;
    Ok(Salvage {
        cluster,
        id,
        name,
        members: state.membership.members().cloned().collect(),
        config: state.membership.config(),
        last: (state.applied, state.applied_term),
        store: state.store,
        stamp: clocks.0,
        seen: clocks.1,
        committed,
    })
}
