//! A walk through all nodes of a store.

use store::{KeyPath, Node, Store};

/// Calls `visit` for each node below the root with its path, parents before their children, names
/// in the order of their bytes.
pub(crate) fn walk(store: &Store, visit: &mut dyn FnMut(&str, &Node)) {
    let root = store.peek(KeyPath::ROOT).expect("there is always a root");
    below(&root, &mut String::new(), visit);
}

/// Directories nest some thousand deep at most.
fn below(node: &Node, path: &mut String, visit: &mut dyn FnMut(&str, &Node)) {
    for (name, child) in node.children() {
        let len = path.len();
        path.push('/');
        path.push_str(name);
        visit(path, child);
        below(child, path, visit);
        path.truncate(len);
    }
}
