//! Users, roles and their changes as bytes: in the log, and as a section of a snapshot.
//!
//! ```text
//! principal: user id (0: nobody) | if a user: index of its password (0: a certificate)
//! change: kind u8 | the fields in the order of their declaration
//! section: enabled u8 | revision
//!   | user count | user, ...    user: id, name, hash, index of the password, list
//!   | role count | role, ...    role: name, list for reading, list for writing
//! list: 0 absent, else one more than its length | text, ...
//! ```
//! Numbers are LEB128, texts have their length in front, an absent hash is an empty one. A section
//! begins with what the fields of the state say, so that equal members write equal bytes.

use super::rights::Rights;
use super::{Auth, AuthChange, Principal, User, UserId};
use crate::codec::{self, DecodeError};
use crate::time::StoreIndex;

const ENABLE: u8 = 1;
const DISABLE: u8 = 2;
const CREATE_USER: u8 = 3;
const PUT_USER: u8 = 4;
const UPDATE_USER: u8 = 5;
const DELETE_USER: u8 = 6;
const CREATE_ROLE: u8 = 7;
const UPDATE_ROLE: u8 = 8;
const DELETE_ROLE: u8 = 9;

type List = Option<Vec<String>>;

fn put_list(out: &mut Vec<u8>, list: Option<&[String]>) {
    codec::put_number(out, list.map_or(0, |list| list.len() as u64 + 1));
    list.into_iter().flatten().for_each(|text| codec::put_text(out, text));
}

fn put_rights(out: &mut Vec<u8>, rights: &Rights) {
    put_list(out, rights.read.as_deref());
    put_list(out, rights.write.as_deref());
}

/// Where texts and numbers come from: a log entry, or a snapshot's stream.
pub(crate) trait Read {
    type Error;
    fn number(&mut self) -> Result<u64, Self::Error>;
    fn text(&mut self) -> Result<String, Self::Error>;
}

impl Read for &[u8] {
    type Error = DecodeError;

    fn number(&mut self) -> Result<u64, DecodeError> {
        codec::take_number(self)
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        codec::take_text(self).map(str::to_owned)
    }
}

fn take_list<R: Read>(input: &mut R) -> Result<List, R::Error> {
    let Some(len) = input.number()?.checked_sub(1) else { return Ok(None) };
    // What the length promises may not be there: memory is taken as texts come.
    let mut list = Vec::new();
    for _ in 0..len {
        list.push(input.text()?);
    }
    Ok(Some(list))
}

fn take_rights<R: Read>(input: &mut R) -> Result<Rights, R::Error> {
    Ok(Rights { read: take_list(input)?, write: take_list(input)? })
}

fn take_hash<R: Read>(input: &mut R) -> Result<Option<String>, R::Error> {
    Ok(Some(input.text()?).filter(|hash| !hash.is_empty()))
}

impl Principal {
    /// Appends it to `out`.
    pub fn encode(self, out: &mut Vec<u8>) {
        match self {
            Principal::Guest => codec::put_number(out, 0),
            Principal::User { id, password } => {
                codec::put_number(out, id.0);
                codec::put_number(out, password.map_or(0, |since| since.0));
            }
        }
    }

    /// Reads one from the front of `bytes`, which it moves past it.
    ///
    /// # Errors
    /// [`DecodeError`] on anything that [`Principal::encode`] does not write.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let id = codec::take_number(bytes)?;
        if id == 0 {
            return Ok(Principal::Guest);
        }
        let since = codec::take_number(bytes)?;
        let password = (since > 0).then_some(StoreIndex(since));
        Ok(Principal::User { id: UserId(id), password })
    }
}

impl AuthChange {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut begin = |kind: u8, name: &str| {
            out.push(kind);
            codec::put_text(out, name);
        };
        match self {
            AuthChange::Enable { opens_guest } => out.extend([ENABLE, u8::from(*opens_guest)]),
            AuthChange::Disable => out.push(DISABLE),
            AuthChange::CreateUser { name, password_hash, roles } => {
                begin(CREATE_USER, name);
                codec::put_text(out, password_hash.as_deref().unwrap_or_default());
                put_list(out, roles.as_deref());
            }
            AuthChange::PutUser { name, password_hash, roles } => {
                begin(PUT_USER, name);
                codec::put_text(out, password_hash.as_deref().unwrap_or_default());
                put_list(out, roles.as_deref());
            }
            AuthChange::UpdateUser { name, password_hash, grant, revoke } => {
                begin(UPDATE_USER, name);
                codec::put_text(out, password_hash.as_deref().unwrap_or_default());
                put_list(out, Some(grant));
                put_list(out, Some(revoke));
            }
            AuthChange::DeleteUser { name } => begin(DELETE_USER, name),
            AuthChange::CreateRole { name, rights } => {
                begin(CREATE_ROLE, name);
                put_rights(out, rights);
            }
            AuthChange::UpdateRole { name, grant, revoke } => {
                begin(UPDATE_ROLE, name);
                put_rights(out, grant);
                put_rights(out, revoke);
            }
            AuthChange::DeleteRole { name } => begin(DELETE_ROLE, name),
        }
    }

    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let kind = codec::take_byte(bytes)?;
        if kind == ENABLE {
            return match codec::take_byte(bytes)? {
                flag @ (0 | 1) => Ok(AuthChange::Enable { opens_guest: flag == 1 }),
                _ => Err(DecodeError),
            };
        }
        if kind == DISABLE {
            return Ok(AuthChange::Disable);
        }
        let name = bytes.text()?;
        Ok(match kind {
            CREATE_USER => {
                let password_hash = take_hash(bytes)?;
                AuthChange::CreateUser { name, password_hash, roles: take_list(bytes)? }
            }
            PUT_USER => {
                let password_hash = take_hash(bytes)?;
                AuthChange::PutUser { name, password_hash, roles: take_list(bytes)? }
            }
            UPDATE_USER => AuthChange::UpdateUser {
                name,
                password_hash: take_hash(bytes)?,
                grant: take_list(bytes)?.ok_or(DecodeError)?,
                revoke: take_list(bytes)?.ok_or(DecodeError)?,
            },
            DELETE_USER => AuthChange::DeleteUser { name },
            CREATE_ROLE => AuthChange::CreateRole { name, rights: take_rights(bytes)? },
            UPDATE_ROLE => {
                let grant = take_rights(bytes)?;
                AuthChange::UpdateRole { name, grant, revoke: take_rights(bytes)? }
            }
            DELETE_ROLE => AuthChange::DeleteRole { name },
            _ => return Err(DecodeError),
        })
    }
}

impl Auth {
    /// Appends the section of a snapshot.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_number(out, u64::from(self.is_enabled));
        codec::put_number(out, self.revision.0);
        codec::put_number(out, self.users.len() as u64);
        for user in self.users.values() {
            codec::put_number(out, user.id.0);
            codec::put_text(out, &user.name);
            codec::put_text(out, &user.password_hash);
            codec::put_number(out, user.password_since.0);
            put_list(out, user.roles.as_deref());
        }
        codec::put_number(out, self.roles.len() as u64);
        for (name, rights) in &self.roles {
            codec::put_text(out, name);
            put_rights(out, rights);
        }
    }

    /// Reads such a section.
    ///
    /// # Errors
    /// What the input gave, or the sentence that says what is wrong.
    pub(crate) fn read<R: Read>(input: &mut R) -> Result<Result<Self, &'static str>, R::Error> {
        let mut auth = Auth::default();
        match input.number()? {
            flag @ (0 | 1) => auth.is_enabled = flag == 1,
            _ => return Ok(Err("whether users count is unclear")),
        }
        auth.revision = StoreIndex(input.number()?);
        for _ in 0..input.number()? {
            let user = User {
                id: UserId(input.number()?),
                name: input.text()?.into(),
                password_hash: input.text()?,
                password_since: StoreIndex(input.number()?),
                roles: take_list(input)?,
            };
            let is_later = user.id.0.max(user.password_since.0) > auth.revision.0;
            let follows = auth.users.last_key_value().is_none_or(|(last, _)| **last < *user.name);
            if is_later || !follows || auth.names.contains_key(&user.id) || user.id.0 == 0 {
                return Ok(Err("a user comes twice, or out of order, or from the future"));
            }
            if auth.put_user(user).is_err() {
                return Ok(Err("there are too many users"));
            }
        }
        for _ in 0..input.number()? {
            let name = input.text()?;
            let rights = take_rights(input)?;
            if auth.roles.last_key_value().is_some_and(|(last, _)| **last >= *name) {
                return Ok(Err("a role comes twice or out of order"));
            }
            if auth.put_role(&name, rights, true).is_err() {
                return Ok(Err("there are too many roles"));
            }
        }
        Ok(Ok(auth))
    }
}
