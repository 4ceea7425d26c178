//! Which part of a listing is wanted, and what of it: parameters that neither 0.4 nor 2.x know.

use super::truth::truth;
use crate::api::error::{ApiError, INVALID_FIELD};
use crate::api::keys::filter::Filter;
use std::borrow::Cow;

/// The most nodes of a page.
const LIMIT_MAX: u32 = 10_000;

/// By what children are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OrderBy {
    #[default]
    Name,
    Modified,
    Created,
    /// The length of the value; a directory has none.
    Size,
    /// A node without a TTL comes behind all others.
    Expires,
}

/// In which order children come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) by: OrderBy,
    pub(crate) descends: bool,
}

/// Which part of a listing is wanted, and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Whether the answer says what there is beside this part.
    pub(crate) is_page: bool,
    /// Nodes at most.
    pub(crate) limit: Option<u32>,
    /// The name, or the path below the directory, behind which it begins.
    pub(crate) after: Box<str>,
    /// Children that are passed over.
    pub(crate) offset: u32,
    pub(crate) order: Order,
    pub(crate) filter: Option<Filter>,
    pub(crate) keys_only: bool,
    /// Bytes of values at most.
    pub(crate) preview: Option<u32>,
    /// Whether all that is below is counted as well.
    pub(crate) count: bool,
}

impl View {
    /// Whether children come in another order than they are kept in.
    pub(crate) fn is_sorted(&self) -> bool {
        self.order != Order::default()
    }
}

/// The parameters as they were first given.
#[derive(Debug, Default)]
pub(super) struct ViewFields<'a> {
    limit: Option<Cow<'a, str>>,
    after: Option<Cow<'a, str>>,
    offset: Option<Cow<'a, str>>,
    order: Option<Cow<'a, str>>,
    filter: Option<Cow<'a, str>>,
    keys_only: Option<Cow<'a, str>>,
    preview: Option<Cow<'a, str>>,
    count: Option<Cow<'a, str>>,
}

impl<'a> ViewFields<'a> {
    /// Keeps a parameter if it is one of these, and the first of its name.
    pub(super) fn set(into: &mut Option<Box<Self>>, name: &str, value: Cow<'a, str>) {
        let slot: fn(&mut Self) -> &mut Option<Cow<'a, str>> = match name {
            "limit" => |fields| &mut fields.limit,
            "after" => |fields| &mut fields.after,
            "offset" => |fields| &mut fields.offset,
            "order" => |fields| &mut fields.order,
            "filter" => |fields| &mut fields.filter,
            "keysOnly" => |fields| &mut fields.keys_only,
            "preview" => |fields| &mut fields.preview,
            "count" => |fields| &mut fields.count,
            _ => return,
        };
        slot(into.get_or_insert_default()).get_or_insert(value);
    }

    /// What they ask for. `index` is the store's, which 0.4 names in errors.
    ///
    /// # Errors
    /// 209 with the parameter that cannot be, or that does not go with another one.
    pub(super) fn read(&self, recursive: bool, index: u64) -> Result<Box<View>, ApiError> {
        let refused = |cause: &str| ApiError::new(INVALID_FIELD, cause, index);
        let flag = |field: &Option<Cow<'_, str>>, cause| {
            truth(field.as_deref()).map_err(|()| refused(cause))
        };
        let mut view = View {
            keys_only: flag(&self.keys_only, "invalid value for \"keysOnly\"")?,
            count: flag(&self.count, "invalid value for \"count\"")?,
            after: self.after.as_deref().unwrap_or_default().into(),
            ..View::default()
        };
        match number(&self.limit) {
            Ok(limit) if limit.is_none_or(|limit| (1..=LIMIT_MAX).contains(&limit)) => {
                view.limit = limit;
            }
            _ => {
                return Err(refused(
                    "invalid value for \"limit\": a number from 1 to 10000 is wanted",
                ));
            }
        }
        match number(&self.offset) {
            Ok(offset) => view.offset = offset.unwrap_or(0),
            Err(()) => return Err(refused("invalid value for \"offset\": a number is wanted")),
        }
        match number(&self.preview) {
            Ok(preview) => view.preview = preview,
            Err(()) => {
                return Err(refused("invalid value for \"preview\": a number of bytes is wanted"));
            }
        }
        let order = self.order.as_deref().unwrap_or("name");
        match parse_order(order) {
            Some(order) => view.order = order,
            None => {
                return Err(refused(
                    "invalid value for \"order\": name, modified, created, size or expires is \
                     wanted, or one of them behind a minus",
                ));
            }
        }
        if let Some(text) = &self.filter {
            match Filter::parse(text) {
                Some(filter) => view.filter = Some(filter),
                None => {
                    return Err(refused(
                        "invalid value for \"filter\": it has more than 256 bytes",
                    ));
                }
            }
        }
        if recursive && (view.is_sorted() || self.offset.is_some()) {
            return Err(refused("\"order\" and \"offset\" cannot be used with \"recursive\""));
        }
        if view.is_sorted() && !view.after.is_empty() {
            return Err(refused("\"after\" cannot be used with this \"order\": \"offset\" can"));
        }
        if view.is_sorted() {
            // What is in order is kept until it was sent.
            view.limit.get_or_insert(LIMIT_MAX);
        }
        let parts = [&self.limit, &self.after, &self.offset, &self.order, &self.filter];
        view.is_page = view.count || parts.iter().any(|field| field.is_some());
        Ok(Box::new(view))
    }
}

fn number(field: &Option<Cow<'_, str>>) -> Result<Option<u32>, ()> {
    let Some(text) = field else { return Ok(None) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_number => Ok(Some(number)),
        _ => Err(()),
    }
}

fn parse_order(text: &str) -> Option<Order> {
    let (descends, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text),
    };
    let by = match name {
        "name" => OrderBy::Name,
        "modified" => OrderBy::Modified,
        "created" => OrderBy::Created,
        "size" => OrderBy::Size,
        "expires" => OrderBy::Expires,
        _ => return None,
    };
    Some(Order { by, descends })
}
