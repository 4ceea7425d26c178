//! The name of a child of a directory.
//!
//! Short names, and hardly any others exist, lie in the page of the directory itself: a search
//! follows no pointer for each comparison, and a key takes one allocation less.

use std::cmp::Ordering;
use std::fmt;

/// The longest name without an allocation of its own. One byte more would make each entry of a page
/// larger by eight.
const SHORT_LEN: usize = 22;

#[derive(Clone)]
pub(crate) enum Name {
    Short { len: u8, bytes: [u8; SHORT_LEN] },
    Long(Box<str>),
}

impl Name {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short { len, bytes } => {
                bytes.get(..usize::from(*len)).expect("a short name fits")
            }
            Name::Long(text) => text.as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Name::Short { .. } => {
                str::from_utf8(self.as_bytes()).expect("a name is made from a str")
            }
            Name::Long(text) => text,
        }
    }

    pub(crate) fn cmp_text(&self, text: &str) -> Ordering {
        self.as_bytes().cmp(text.as_bytes())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT_LEN];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(slot), Ok(len)) => {
                slot.copy_from_slice(text.as_bytes());
                Name::Short { len, bytes }
            }
            _ => Name::Long(text.into()),
        }
    }
}

impl Default for Name {
    fn default() -> Self {
        Name::from("")
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_are_what_they_were_made_of() {
        for len in 0..100 {
            let text = "x".repeat(len);
            let name = Name::from(text.as_str());
            assert_eq!(name.as_str(), text);
            assert_eq!(matches!(name, Name::Short { .. }), len <= SHORT_LEN);
            assert_eq!(name.cmp_text(&text), Ordering::Equal);
            assert_eq!(name.cmp_text(&format!("{text}\0")), Ordering::Less);
        }
        assert_eq!(size_of::<Name>(), 24);
    }
}
