//! Requests about the key space: from parameters to what is wanted (docs/spec/keys.md sections 1 to
//! 9).
//!
//! Presence decides, not only value; the body goes before the query; the first of several wins. The
//! order of the checks is part of the protocol, since it decides which error a client sees.

use crate::api::error::{
    ApiError, INDEX_NOT_A_NUMBER, INVALID_FIELD, PREV_VALUE_REQUIRED, REFRESH_TTL_REQUIRED,
    REFRESH_VALUE, TTL_NOT_A_NUMBER, VALUE_OR_TTL_REQUIRED,
};
use crate::api::form::each_parameter;
use crate::config::Dialect;
use crate::http::request::{Method, Request};
use std::borrow::Cow;
use store::{Access, Command, InOrder, KeyPath, Right};
use truth::truth;
use view::{View, ViewFields};

/// The longest TTL in seconds: what fits a signed count of nanoseconds (docs/spec/keys.md section
/// 6).
pub(crate) const TTL_SECONDS_MAX: i64 = 9_223_372_036;

mod truth;
pub(crate) mod v1;
pub(crate) mod view;

/// In the words of which API a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    V2,
    /// v2's short one: only the action of a write.
    ActionOnly,
    /// The API before v2.
    V1,
}

/// The operation of a request about the key space.
#[derive(Debug)]
// It lives on the stack for the length of one request; a box would cost an allocation.
#[allow(clippy::large_enum_variant)]
pub(crate) enum KeysRequest<'a> {
    /// A mutation.
    Write(Write<'a>),
    /// A read of the present state.
    Get(Get),
    /// News.
    Watch(Watch),
}

impl KeysRequest<'_> {
    /// The right that a reader needs; what a writer needs its command says.
    pub(crate) fn access<'k>(&self, path: KeyPath<'k>) -> Option<Access<'k>> {
        let recursive = match self {
            Self::Write(_) => return None,
            Self::Get(get) => get.recursive,
            Self::Watch(watch) => watch.recursive,
        };
        Some(Access { recursive, ..Access::new(path, Right::Read) })
    }

    /// Whether it cannot be served without the leader's help.
    pub(crate) fn needs_leader(&self) -> bool {
        match self {
            Self::Write(_) => true,
            Self::Get(get) => get.quorum,
            Self::Watch(_) => false,
        }
    }
}

/// A mutation, with its strings.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    kind: WriteKind,
    fields: Fields<'a>,
    ttl: Option<i64>,
    prev_index: Option<u64>,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKind {
    Set,
    Create,
    CreateInOrder(InOrder),
    Update,
    CompareAndSwap { or_create: bool },
    Delete,
    CompareAndDelete,
}

impl WriteKind {
    /// How it is answered: removals pass over `noValueOnSuccess` (docs/spec/keys.md section 5.3).
    fn form(self, no_value: bool) -> Form {
        match self {
            WriteKind::Delete | WriteKind::CompareAndDelete => Form::V2,
            _ if no_value => Form::ActionOnly,
            _ => Form::V2,
        }
    }
}

/// A read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Get {
    pub(crate) recursive: bool,
    /// Whether hidden nodes are listed too: an extension, for people who look after a tree.
    pub(crate) hidden: bool,
    /// Whether the answer must hold every write that was answered before.
    pub(crate) quorum: bool,
    pub(crate) form: Form,
    /// What the client asked for beside that; mostly nothing.
    pub(crate) view: Option<Box<View>>,
    /// The entity tags of what it has already, as sent.
    pub(crate) has: Option<Box<[u8]>>,
    /// Whether it can read what is compressed.
    pub(crate) takes_gzip: bool,
}

/// A watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) recursive: bool,
    /// Whether it is told of hidden nodes as well.
    pub(crate) hidden: bool,
    pub(crate) stream: bool,
    /// Whether a stream says now and then how far it is.
    pub(crate) progress: bool,
    /// The first index of interest; zero for "from now on".
    pub(crate) wait_index: u64,
    pub(crate) form: Form,
}

/// The parameters that mean anything, as they were first given.
#[derive(Debug, Default)]
struct Fields<'a> {
    value: Option<Cow<'a, str>>,
    ttl: Option<Cow<'a, str>>,
    dir: Option<Cow<'a, str>>,
    prev_value: Option<Cow<'a, str>>,
    prev_index: Option<Cow<'a, str>>,
    prev_exist: Option<Cow<'a, str>>,
    refresh: Option<Cow<'a, str>>,
    no_value: Option<Cow<'a, str>>,
    wait: Option<Cow<'a, str>>,
    wait_index: Option<Cow<'a, str>>,
    /// The `waitIndex` of v1.
    index: Option<Cow<'a, str>>,
    stream: Option<Cow<'a, str>>,
    recursive: Option<Cow<'a, str>>,
    sorted: Option<Cow<'a, str>>,
    hidden: Option<Cow<'a, str>>,
    quorum: Option<Cow<'a, str>>,
    consistent: Option<Cow<'a, str>>,
    progress: Option<Cow<'a, str>>,
    view: Option<Box<ViewFields<'a>>>,
}

fn text<'f>(field: &'f Option<Cow<'_, str>>) -> &'f str {
    field.as_deref().unwrap_or_default()
}

impl<'a> Fields<'a> {
    /// The read that is asked for. `index` is for errors.
    fn read_of(&self, recursive: bool, quorum: bool, index: u64) -> Result<Get, ApiError> {
        let view = self.view.as_ref().map(|view| view.read(recursive, index)).transpose()?;
        let hidden = is_true(&self.hidden);
        let (form, has, takes_gzip) = (Form::V2, None, false);
        Ok(Get { recursive, hidden, quorum, form, view, has, takes_gzip })
    }

    /// The watch that is asked for.
    fn watch_of(&self, recursive: bool, stream: bool, wait_index: u64) -> Watch {
        let (hidden, progress) = (is_true(&self.hidden), stream && is_true(&self.progress));
        Watch { recursive, hidden, stream, progress, wait_index, form: Form::V2 }
    }

    fn read(request: &Request<'a>, dialect: Dialect, index: u64) -> Result<Self, ApiError> {
        let mut fields = Self::default();
        each_parameter(request, dialect, index, |name, value| fields.set(name, value))?;
        Ok(fields)
    }

    /// Keeps a parameter, if it is the first of its name. Says whether it is known.
    fn set(&mut self, name: &str, value: Cow<'a, str>) -> bool {
        let slot = match name {
            "value" => &mut self.value,
            "ttl" => &mut self.ttl,
            "dir" => &mut self.dir,
            "prevValue" => &mut self.prev_value,
            "prevIndex" => &mut self.prev_index,
            "prevExist" => &mut self.prev_exist,
            "refresh" => &mut self.refresh,
            "noValueOnSuccess" => &mut self.no_value,
            "wait" => &mut self.wait,
            "waitIndex" => &mut self.wait_index,
            "index" => &mut self.index,
            "stream" => &mut self.stream,
            "recursive" => &mut self.recursive,
            "sorted" => &mut self.sorted,
            "hidden" => &mut self.hidden,
            "quorum" => &mut self.quorum,
            "consistent" => &mut self.consistent,
            // A form with nothing else in it is one in which nothing is known, as ever.
            _ => {
                match name {
                    "progress" => _ = self.progress.get_or_insert(value),
                    _ => ViewFields::set(&mut self.view, name, value),
                }
                return false;
            }
        };
        slot.get_or_insert(value);
        true
    }
}

/// True only for the word itself, in any letter case; anything else is false (0.4).
fn is_true(field: &Option<Cow<'_, str>>) -> bool {
    text(field).eq_ignore_ascii_case("true")
}

fn parse_index(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// A signed decimal within bounds; nothing is permanent.
fn parse_ttl(text: &str) -> Result<Option<i64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<i64>() {
        Ok(ttl) if ttl <= TTL_SECONDS_MAX => Ok(Some(ttl)),
        _ => Err(()),
    }
}

/// Reads a request. `index` is the store's, which 0.4 names in these errors.
pub(crate) fn parse<'a>(
    request: &Request<'a>,
    dialect: Dialect,
    index: u64,
) -> Result<KeysRequest<'a>, ApiError> {
    match dialect {
        Dialect::V04 => {
            V04 { index, fields: Fields::read(request, dialect, index)? }.parse(request)
        }
        Dialect::V2 => parse_v2(Fields::read(request, dialect, 0)?, request.method),
    }
}

/// The checks of 0.4 (docs/spec/keys.md sections 5.1, 7, 8 and 9.1).
struct V04<'a> {
    index: u64,
    fields: Fields<'a>,
}

impl<'a> V04<'a> {
    fn parse(self, request: &Request<'_>) -> Result<KeysRequest<'a>, ApiError> {
        match request.method {
            Method::Put => self.put(),
            Method::Post => {
                let ttl = self.ttl("Create")?;
                let kind = WriteKind::CreateInOrder(InOrder::Plain);
                Ok(self.write(kind, ttl, None))
            }
            Method::Delete => self.delete(),
            _ => self.get(),
        }
    }

    fn error<T>(&self, code: u16, cause: &str) -> Result<T, ApiError> {
        Err(ApiError::new(code, cause, self.index))
    }

    fn ttl(&self, operation: &str) -> Result<Option<i64>, ApiError> {
        parse_ttl(text(&self.fields.ttl)).or_else(|()| self.error(TTL_NOT_A_NUMBER, operation))
    }

    fn prev_index(&self, operation: &str) -> Result<Option<u64>, ApiError> {
        let Some(given) = &self.fields.prev_index else { return Ok(None) };
        match parse_index(given) {
            Some(index) => Ok(Some(index)),
            None => self.error(INDEX_NOT_A_NUMBER, operation),
        }
    }

    fn check_prev_value(&self, operation: &str) -> Result<(), ApiError> {
        match &self.fields.prev_value {
            Some(value) if value.is_empty() => self.error(PREV_VALUE_REQUIRED, operation),
            _ => Ok(()),
        }
    }

    fn write(self, kind: WriteKind, ttl: Option<i64>, prev_index: Option<u64>) -> KeysRequest<'a> {
        let form = kind.form(is_true(&self.fields.no_value));
        KeysRequest::Write(Write { kind, fields: self.fields, ttl, prev_index, form })
    }

    fn put(self) -> Result<KeysRequest<'a>, ApiError> {
        let ttl = self.ttl("Update")?;
        let fields = &self.fields;
        if is_true(&fields.refresh) {
            if !text(&fields.value).is_empty() {
                return self.error(REFRESH_VALUE, "A value was provided on a refresh");
            }
            if ttl.is_none() {
                return self.error(REFRESH_TTL_REQUIRED, "No TTL value set");
            }
        }
        let has_condition = fields.prev_value.is_some() || fields.prev_index.is_some();
        let Some(prev_exist) = &fields.prev_exist else {
            return if has_condition {
                self.compare_and_swap(ttl)
            } else {
                Ok(self.write(WriteKind::Set, ttl, None))
            };
        };
        if prev_exist.eq_ignore_ascii_case("false") {
            return Ok(self.write(WriteKind::Create, ttl, None));
        }
        if !prev_exist.eq_ignore_ascii_case("true") || has_condition {
            return self.compare_and_swap(ttl);
        }
        if text(&fields.value).is_empty() && ttl.is_none() {
            return self.error(VALUE_OR_TTL_REQUIRED, "Update");
        }
        Ok(self.write(WriteKind::Update, ttl, None))
    }

    fn compare_and_swap(self, ttl: Option<i64>) -> Result<KeysRequest<'a>, ApiError> {
        let prev_index = self.prev_index("CompareAndSwap")?;
        self.check_prev_value("CompareAndSwap")?;
        // An index of zero alone always passes, on a missing key too.
        let or_create = prev_index == Some(0)
            && self.fields.prev_value.is_none()
            && self.fields.prev_exist.is_none();
        Ok(self.write(WriteKind::CompareAndSwap { or_create }, ttl, prev_index))
    }

    fn delete(self) -> Result<KeysRequest<'a>, ApiError> {
        if self.fields.prev_value.is_none() && self.fields.prev_index.is_none() {
            return Ok(self.write(WriteKind::Delete, None, None));
        }
        let prev_index = self.prev_index("CompareAndDelete")?;
        self.check_prev_value("CompareAndDelete")?;
        Ok(self.write(WriteKind::CompareAndDelete, None, prev_index))
    }

    fn get(self) -> Result<KeysRequest<'a>, ApiError> {
        let fields = &self.fields;
        let recursive = is_true(&fields.recursive);
        if is_true(&fields.quorum) || !is_true(&fields.wait) {
            // Both parameters ask for a linearizable read, and get one in both dialects; the
            // original sent `consistent` readers to any member that believed to lead.
            let quorum = is_true(&fields.quorum) || is_true(&fields.consistent);
            return Ok(KeysRequest::Get(fields.read_of(recursive, quorum, self.index)?));
        }
        let wait_index = match text(&fields.wait_index) {
            "" => 0,
            given => match parse_index(given) {
                Some(index) => index,
                None => return self.error(INDEX_NOT_A_NUMBER, "Watch From Index"),
            },
        };
        let stream = is_true(&fields.stream);
        Ok(KeysRequest::Watch(fields.watch_of(recursive, stream, wait_index)))
    }
}

fn v2_error<T>(code: u16, cause: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::new(code, cause, 0))
}

/// A truth value of 2.x.
fn v2_bool(field: &Option<Cow<'_, str>>, cause: &str) -> Result<bool, ApiError> {
    truth(field.as_deref()).map_or_else(|()| v2_error(INVALID_FIELD, cause), Ok)
}

fn v2_index(field: &Option<Cow<'_, str>>, name: &str) -> Result<u64, ApiError> {
    let Some(given) = field else { return Ok(0) };
    match parse_index(given) {
        Some(index) => Ok(index),
        None => v2_error(INDEX_NOT_A_NUMBER, format!("invalid value for \"{name}\"")),
    }
}

/// The checks of 2.x, the same for all methods (docs/spec/keys.md section 5.2).
fn parse_v2(fields: Fields<'_>, method: Method) -> Result<KeysRequest<'_>, ApiError> {
    let prev_index = v2_index(&fields.prev_index, "prevIndex")?;
    let wait_index = v2_index(&fields.wait_index, "waitIndex")?;
    let recursive = v2_bool(&fields.recursive, "invalid value for \"recursive\"")?;
    v2_bool(&fields.sorted, "invalid value for \"sorted\"")?;
    let wait = v2_bool(&fields.wait, "invalid value for \"wait\"")?;
    v2_bool(&fields.dir, "invalid value for \"dir\"")?;
    let quorum = v2_bool(&fields.quorum, "invalid value for \"quorum\"")?;
    let stream = v2_bool(&fields.stream, "invalid value for \"stream\"")?;
    if wait && method != Method::Get {
        return v2_error(INVALID_FIELD, "\"wait\" can only be used with GET requests");
    }
    if fields.prev_value.as_deref() == Some("") {
        return v2_error(PREV_VALUE_REQUIRED, "\"prevValue\" cannot be empty");
    }
    let no_value = v2_bool(&fields.no_value, "invalid value for \"noValueOnSuccess\"")?;
    let is_unsigned = text(&fields.ttl).bytes().all(|byte| byte.is_ascii_digit());
    let ttl = parse_ttl(text(&fields.ttl))
        .ok()
        .filter(|_| is_unsigned)
        .map_or_else(|| v2_error(TTL_NOT_A_NUMBER, "invalid value for \"ttl\""), Ok)?;
    let prev_exist = match &fields.prev_exist {
        None => None,
        given => Some(v2_bool(given, "invalid value for prevExist")?),
    };
    if v2_bool(&fields.refresh, "invalid value for refresh")? {
        if !text(&fields.value).is_empty() {
            return v2_error(REFRESH_VALUE, "A value was provided on a refresh");
        }
        if ttl.is_none() {
            return v2_error(REFRESH_TTL_REQUIRED, "No TTL value set");
        }
    }
    let has_condition = prev_index > 0 || fields.prev_value.is_some();
    let kind = match (method, prev_exist) {
        (Method::Put, Some(false)) => WriteKind::Create,
        (Method::Put, Some(true)) if !has_condition => WriteKind::Update,
        (Method::Put, None) if !has_condition => WriteKind::Set,
        (Method::Put, _) => WriteKind::CompareAndSwap { or_create: false },
        (Method::Post, _) => WriteKind::CreateInOrder(InOrder::Padded),
        (Method::Delete, _) if has_condition => WriteKind::CompareAndDelete,
        (Method::Delete, _) => WriteKind::Delete,
        _ if wait && !quorum => {
            return Ok(KeysRequest::Watch(fields.watch_of(recursive, stream, wait_index)));
        }
        _ => {
            let quorum = quorum || is_true(&fields.consistent);
            return Ok(KeysRequest::Get(fields.read_of(recursive, quorum, 0)?));
        }
    };
    let form = kind.form(no_value);
    Ok(KeysRequest::Write(Write { kind, fields, ttl, prev_index: Some(prev_index), form }))
}

/// 2.x takes more words than 0.4 for true; all that 0.4 takes are among them but for letter case.
fn is_set(field: &Option<Cow<'_, str>>) -> bool {
    is_true(field) || matches!(field.as_deref(), Some("1" | "t" | "T"))
}

impl Write<'_> {
    /// The command for the log. `dialect` is the one that the request was read in.
    pub(crate) fn command<'c>(&'c self, path: KeyPath<'c>, dialect: Dialect) -> Command<'c> {
        let flag = |field| match dialect {
            Dialect::V04 => is_true(field),
            Dialect::V2 => is_set(field),
        };
        let fields = &self.fields;
        let value = text(&fields.value);
        let ttl = self.ttl;
        let refresh = flag(&fields.refresh);
        let dir = flag(&fields.dir);
        match self.kind {
            WriteKind::Set => {
                Command::Set { path, value: if dir { "" } else { value }, dir, ttl, refresh }
            }
            WriteKind::Create => Command::Create { path, value, dir, ttl, in_order: None },
            WriteKind::CreateInOrder(naming) => {
                Command::Create { path, value, dir, ttl, in_order: Some(naming) }
            }
            WriteKind::Update => Command::Update { path, value, ttl, refresh },
            WriteKind::CompareAndSwap { or_create } => Command::CompareAndSwap {
                path,
                value,
                ttl,
                refresh,
                prev_value: fields.prev_value.as_deref(),
                prev_index: self.prev_index,
                or_create,
            },
            WriteKind::Delete => {
                let recursive = flag(&fields.recursive);
                Command::Delete { path, dir, recursive }
            }
            WriteKind::CompareAndDelete => Command::CompareAndDelete {
                path,
                prev_value: fields.prev_value.as_deref(),
                prev_index: self.prev_index,
            },
        }
    }
}

#[cfg(test)]
mod tests;
