//! Paths in the tree: `/a/b`, and the empty string for the root.

/// How many components a path may have. The old servers know no limit; the store that the keys go
/// to has this one.
pub(crate) const DEPTH_MAX: usize = 1000;

/// What `path.Clean(path.Join("/", p))` of the servers makes of a path.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut cleaned = Vec::with_capacity(path.len() + 1);
    for part in parts {
        cleaned.push(b'/');
        cleaned.extend_from_slice(part);
    }
    cleaned
}

/// The directory that a node is in; nothing for the root.
pub(crate) fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    path.get(..slash)
}

/// The number of components.
pub(crate) fn depth(path: &[u8]) -> usize {
    path.iter().filter(|byte| **byte == b'/').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_the_servers_did() {
        for (path, want) in [
            ("/", ""),
            ("", ""),
            ("a", "/a"),
            ("/a/b/", "/a/b"),
            ("//a/./b/../c", "/a/c"),
            ("/../a", "/a"),
            ("/...", "/..."),
        ] {
            assert_eq!(clean(path.as_bytes()), want.as_bytes(), "{path}");
        }
    }

    #[test]
    fn the_parent_of_a_top_level_node_is_the_root() {
        assert_eq!(parent(b"/a/b"), Some(&b"/a"[..]));
        assert_eq!(parent(b"/a"), Some(&b""[..]));
        assert_eq!(parent(b""), None);
        assert_eq!((depth(b""), depth(b"/a"), depth(b"/a/b")), (0, 1, 2));
    }
}
