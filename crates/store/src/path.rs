//! Clean key paths.

use std::fmt;

/// How many components a path may have.
///
/// The original knows no limit; this one keeps the depth of the tree, and so of every walk over it,
/// in bounds (COMPAT.md). No known client goes beyond a dozen.
pub const DEPTH_MAX: usize = 1000;

/// The deepest node that a command can make: an in-order key in the deepest directory.
pub(crate) const NODE_DEPTH_MAX: usize = DEPTH_MAX + 1;

/// A clean key path: begins with `/`, has no empty component, no `.` or `..`, no trailing slash
/// (the root is `/`). Borrowed, so that parsing a request allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath<'a>(&'a str);

/// Why a string is not a clean path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It lacks the leading slash, or holds an empty, `.` or `..` component or a trailing slash.
    NotClean,
    /// It has more than [`DEPTH_MAX`] components.
    TooDeep,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::NotClean => f.write_str("the key is not a clean path"),
            PathError::TooDeep => write!(f, "the key has more than {DEPTH_MAX} components"),
        }
    }
}

impl std::error::Error for PathError {}

impl<'a> KeyPath<'a> {
    /// The root directory, `/`.
    pub const ROOT: KeyPath<'static> = KeyPath("/");

    /// Takes a string that is a clean path already.
    ///
    /// # Errors
    /// [`PathError`] when it is not; nothing is repaired here.
    pub fn parse(text: &'a str) -> Result<Self, PathError> {
        if text == "/" {
            return Ok(KeyPath(text));
        }
        let rest = text.strip_prefix('/').ok_or(PathError::NotClean)?;
        let mut depth = 0;
        for component in rest.split('/') {
            if matches!(component, "" | "." | "..") {
                return Err(PathError::NotClean);
            }
            depth += 1;
        }
        if depth > DEPTH_MAX {
            return Err(PathError::TooDeep);
        }
        Ok(KeyPath(text))
    }

    /// The path as a string.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether this is `/`.
    pub fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// The components from the root down; none for the root.
    pub fn components(self) -> impl DoubleEndedIterator<Item = &'a str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }
}

/// Whether a string is the path of a node that a command could have made: clean, and not the root.
/// An in-order key may be one component deeper than clients may ask for.
pub(crate) fn is_node_path(text: &str) -> bool {
    match KeyPath::parse(text) {
        Ok(path) => !path.is_root(),
        Err(PathError::TooDeep) => text.matches('/').count() <= NODE_DEPTH_MAX,
        Err(PathError::NotClean) => false,
    }
}

impl<'a> KeyPath<'a> {
    /// A path that was put together from clean parts. It may be one component deeper than clients
    /// may ask for.
    pub(crate) fn join_checked(text: &'a str) -> Self {
        debug_assert!(!matches!(Self::parse(text), Err(PathError::NotClean)), "{text}");
        Self(text)
    }
}
