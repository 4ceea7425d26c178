//! Messages between members: what is taken is encoded and decoded again as the same.

/// See the module.
pub(crate) fn check(data: &[u8]) {
    replica::fuzzing::message(data);
}
