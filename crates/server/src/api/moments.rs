//! `/v2/stats/times`: when indexes of the store were made, an extension.

use super::answers::error;
use super::error::{ApiError, INDEX_NOT_A_NUMBER, INVALID_FIELD};
use super::form::one_parameter;
use super::json;
use crate::http::request::Request;
use crate::member::context::Context;
use crate::net::{Caller, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use store::StoreIndex;

/// How many indexes may be asked about at once.
const INDEXES_MAX: usize = 1000;

#[derive(Serialize)]
struct Body {
    /// Milliseconds since 1970, as every time here, by index.
    times: BTreeMap<u64, Option<u64>>,
    /// The first time that is known.
    since: Option<u64>,
}

/// `/v2/stats/times?index=5,9,12`.
pub(crate) fn serve(cx: &Context, caller: Caller, request: &Request<'_>) -> Response {
    let wanted = one_parameter(request, caller.port.dialect(), cx.index(), "index");
    match wanted.and_then(|list| parse(list.as_deref().unwrap_or_default(), cx.index())) {
        Ok(indexes) => {
            let moments = cx.driver.moments();
            let ms = |ns: u64| ns / 1_000_000;
            let time = |index: u64| (index, moments.of(StoreIndex(index)).map(ms));
            let times = indexes.into_iter().map(time).collect();
            Response::json(200, json::line(&Body { times, since: moments.since().map(ms) }))
        }
        Err(refused) => error(cx, &refused),
    }
}

/// Reads a list of indexes. `at` is the store's, which errors name.
fn parse(list: &str, at: u64) -> Result<Vec<u64>, ApiError> {
    if list.split(',').count() > INDEXES_MAX {
        let cause = format!("index: more than {INDEXES_MAX} of them");
        return Err(ApiError::new(INVALID_FIELD, cause, at));
    }
    let words = list.split(',').filter(|_| !list.is_empty());
    let number =
        |word: &str| word.parse().map_err(|_| ApiError::new(INDEX_NOT_A_NUMBER, "index", at));
    words.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_numbers_and_is_bounded() {
        let read = |list: &str| parse(list, 7).map_err(|refused| refused.body());
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("5,9,5"), Ok(vec![5, 9, 5]));
        for list in ["5,", ",", "a", "-1", "5 ,6", "99999999999999999999"] {
            let body = String::from_utf8(read(list).expect_err(list)).expect("text");
            assert!(body.contains("\"errorCode\":203") && body.contains("\"index\":7"), "{body}");
        }
        let most = vec!["1"; INDEXES_MAX].join(",");
        assert_eq!(read(&most).map(|all| all.len()), Ok(INDEXES_MAX));
        let body = String::from_utf8(read(&format!("{most},1")).expect_err("it is long"));
        assert!(body.expect("text").contains("\"errorCode\":209"));
    }
}
