//! The key space as the old servers kept it: what a replay of their logs changes.
//!
//! The store of this project would not do: deadlines in the old logs are absolute and in
//! nanoseconds, values and names need not be UTF-8, and the trees have other roots. What is here is
//! the `store` package of etcd 0.4.9 and 2.3.8 (the same but for names and for read-only paths),
//! reduced to what a log needs.

mod history;
mod path;
mod tree;

pub use history::Action;
pub(crate) use history::{Event, History};
pub(crate) use path::{DEPTH_MAX, clean, depth};
pub(crate) use tree::{Condition, InOrder, Node, Refused, Tree, Write};
