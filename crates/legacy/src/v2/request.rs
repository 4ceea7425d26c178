//! What an entry of 2.x or 3.x asks for.

use crate::proto::{Fields, Malformed};

/// A request of the v2 API, as the servers replicate it. Strings need not be UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    /// With the prefix: `/1/foo`.
    pub(super) path: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) dir: bool,
    pub(super) prev_value: &'a [u8],
    pub(super) prev_index: u64,
    pub(super) prev_exist: Option<bool>,
    /// Nanoseconds since 1970, 0 for none.
    pub(super) expiration: i64,
    pub(super) recursive: bool,
    /// The time of a SYNC, in nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) refresh: bool,
}

impl<'a> Request<'a> {
    fn decode(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut request = Self::default();
        for field in Fields::new(message) {
            match field? {
                (2, value) => request.method = value.bytes()?,
                (3, value) => request.path = value.bytes()?,
                (4, value) => request.value = value.bytes()?,
                (5, value) => request.dir = value.is_true()?,
                (6, value) => request.prev_value = value.bytes()?,
                (7, value) => request.prev_index = value.number()?,
                (8, value) => request.prev_exist = Some(value.is_true()?),
                (9, value) => request.expiration = value.signed()?,
                (12, value) => request.recursive = value.is_true()?,
                (15, value) => request.time = value.signed()?,
                (17, value) => request.refresh = value.is_true()?,
                _ => {}
            }
        }
        Ok(request)
    }
}

/// The content of a normal entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    V2(Request<'a>),
    /// 3.5: the cluster's version.
    ClusterVersion(&'a [u8]),
    /// 3.5: name and client URLs of a member.
    MemberAttributes {
        id: u64,
        name: &'a [u8],
        client_urls: Vec<&'a [u8]>,
    },
    /// A request of the v3 API.
    V3,
}

/// Fields of `InternalRaftRequest` in 3.5.
const CLUSTER_VERSION: u64 = 1300;
const MEMBER_ATTRIBUTES: u64 = 1301;

/// Reads the data of a normal entry. A `Request` and an `InternalRaftRequest` share field numbers:
/// field 2 is the method of the one and may hold the other.
pub(super) fn decode(data: &[u8]) -> Result<Content<'_>, Malformed> {
    let mut content = Content::V3;
    for field in Fields::new(data) {
        match field? {
            (2, value) => {
                let bytes = value.bytes()?;
                let is_method =
                    matches!(bytes, b"PUT" | b"POST" | b"DELETE" | b"QGET" | b"SYNC" | b"GET");
                let message = if is_method { data } else { bytes };
                return Request::decode(message).map(Content::V2);
            }
            (CLUSTER_VERSION, value) => {
                for field in Fields::new(value.bytes()?) {
                    if let (1, version) = field? {
                        content = Content::ClusterVersion(version.bytes()?);
                    }
                }
            }
            (MEMBER_ATTRIBUTES, value) => content = member_attributes(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(content)
}

fn member_attributes(message: &[u8]) -> Result<Content<'_>, Malformed> {
    let (mut id, mut name, mut client_urls) = (0, &[][..], Vec::new());
    for field in Fields::new(message) {
        match field? {
            (1, value) => id = value.number()?,
            (2, value) => {
                for field in Fields::new(value.bytes()?) {
                    match field? {
                        (1, value) => name = value.bytes()?,
                        (2, value) => client_urls.push(value.bytes()?),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Content::MemberAttributes { id, name, client_urls })
}

/// What a change of the membership asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ConfChange<'a> {
    pub(super) kind: u64,
    pub(super) id: u64,
    /// The member as JSON.
    pub(super) context: &'a [u8],
}

impl<'a> ConfChange<'a> {
    pub(super) const ADD: u64 = 0;
    pub(super) const REMOVE: u64 = 1;
    pub(super) const UPDATE: u64 = 2;
    pub(super) const ADD_LEARNER: u64 = 3;

    pub(super) fn decode(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut change = Self::default();
        for field in Fields::new(data) {
            match field? {
                (2, value) => change.kind = value.number()?,
                (3, value) => change.id = value.number()?,
                (4, value) => change.context = value.bytes()?,
                _ => {}
            }
        }
        Ok(change)
    }
}
