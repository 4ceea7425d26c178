//! Nodes that the target has already, and whose time to live the source has changed since.

use super::change::{Change, Refusal, What};
use super::verify::{Nodes, differ_in_time};
use crate::import::plan::Item;
use crate::import::target::Target;
use legacy::Node;

/// Gives such nodes the time of the source.
///
/// # Errors
/// Why it stopped, in a sentence.
pub(super) fn touch(
    nodes: &[Node],
    prefix: &str,
    there: &Nodes,
    target: &mut Target,
) -> Result<(), String> {
    for node in nodes {
        let key = format!("{prefix}{}", node.path);
        let Some(found) = there.get(&key) else { continue };
        let (state, deadline) = (&node.state, node.state.expiration);
        let is_same = found.content == state.content;
        if !is_same || differ_in_time(deadline, found.expiration).is_none() {
            continue;
        }
        let value = state.content.clone().into_value();
        let item = Item { key, value, deadline, replaces: true };
        Change { item, what: What::Set }.make(target).map_err(|refusal| match refusal {
            Refusal::Unreachable(why) => why,
            Refusal::Order(why) | Refusal::Final(why) => format!("the target refused {why}"),
        })?;
    }
    Ok(())
}
