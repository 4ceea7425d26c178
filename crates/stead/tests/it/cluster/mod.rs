//! Several real processes on loopback that form a cluster.

mod behind;
mod discovery;
mod elsewhere;
mod failures;
mod formation;
pub(crate) mod kit;
mod membership;
mod moving;
mod outcomes;
mod places;
mod proxies;
mod reading;
mod removal;
mod srv;
mod starting;
mod stranded;
