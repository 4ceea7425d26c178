//! `/v2/stats/history`: what this member counted in the last hour, an extension that the charts of
//! the dashboard are drawn from.

use super::answers::error;
use super::error::{ApiError, INDEX_NOT_A_NUMBER};
use super::form::one_parameter;
use super::json;
use crate::http::request::Request;
use crate::member::context::Context;
use crate::net::{Caller, Response};
use crate::trend::{COLUMNS, Row, Series};
use serde::Serialize;

#[derive(Serialize)]
struct Body {
    /// Milliseconds since 1970, as every time here.
    now: u64,
    columns: [&'static str; COLUMNS.len()],
    fine: Rows,
    coarse: Rows,
}

#[derive(Serialize)]
struct Rows {
    /// Seconds of a row.
    step: u64,
    /// When the last one ended.
    end: u64,
    rows: Vec<[Option<f64>; COLUMNS.len()]>,
}

impl Rows {
    fn of(series: &Series, since: u64) -> Self {
        let rows = series.after(since).map(|row: &Row| row.map(shown));
        Self { step: series.step / 1000, end: series.end, rows: rows.collect() }
    }
}

/// A number as it is printed: what is whole was counted, and everything else measured.
fn shown(number: f64) -> Option<f64> {
    match number.fract() == 0.0 {
        true => Some(number),
        false => (!number.is_nan()).then(|| json::four_digits(number)),
    }
}

/// `/v2/stats/history`.
pub(crate) fn serve(cx: &Context, caller: Caller, request: &Request<'_>) -> Response {
    let since = match one_parameter(request, caller.port.dialect(), cx.index(), "since") {
        Ok(since) => since,
        Err(refused) => return error(cx, &refused),
    };
    let Ok(since) = since.as_deref().unwrap_or("0").parse() else {
        return error(cx, &ApiError::new(INDEX_NOT_A_NUMBER, "since", cx.index()));
    };
    let body = Body {
        now: cx.now.wall / 1_000_000,
        columns: COLUMNS,
        fine: Rows::of(&cx.trend.fine, since),
        coarse: Rows::of(&cx.trend.coarse, since),
    };
    Response::json(200, json::line(&body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_numbers_have_four_digits_and_counted_ones_all() {
        assert_eq!(shown(f64::NAN), None);
        for (number, want) in [
            (0.0, "0"),
            (123_456_789.0, "123456789"),
            (1234.567, "1235"),
            (0.000_123_456, "0.0001235"),
            (33.333_333, "33.33"),
        ] {
            assert_eq!(json::body(&shown(number)), want.as_bytes(), "{number}");
        }
    }
}
