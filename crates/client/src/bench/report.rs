//! What was measured, for people and for programs.

use super::tally::Tally;
use super::{Bench, Load};
use crate::failure::Failure;
use crate::text::clean;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

pub(super) struct Report<'a> {
    pub(super) args: &'a Bench,
    pub(super) endpoints: Vec<String>,
    pub(super) took: Duration,
    pub(super) is_interrupted: bool,
    pub(super) tally: Tally,
}

impl Report<'_> {
    /// The first error, if there was one.
    pub(super) fn first_failure(&self) -> Option<&Failure> {
        self.tally.first.as_ref()
    }

    fn load(&self) -> &'static str {
        match self.args.load {
            Load::Put => "put",
            Load::Get => "get",
            Load::Mixed => "mixed",
            Load::Watch => "watch",
        }
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64().max(0.001)
    }

    pub(super) fn text(&self) -> String {
        let Bench { connections, value_size, key_count, .. } = self.args;
        let mut out = String::new();
        // Writing into a text cannot fail.
        let _ = writeln!(
            out,
            "{} at {}: {connections} connections, values of {value_size} bytes, {key_count} keys, \
             {:.1} s{}",
            self.load(),
            self.endpoints.join(","),
            self.took.as_secs_f64(),
            if self.is_interrupted { ", interrupted" } else { "" }
        );
        let titles = ["requests", "per second", "p50 ms", "p90 ms", "p99 ms", "max ms", "errors"];
        let _ = write!(out, "{:<5}", "");
        titles.iter().for_each(|title| {
            let _ = write!(out, " {title:>10}");
        });
        out.push('\n');
        for (kind, series) in &self.tally.series {
            let _ = write!(out, "{:<5} {:>10}", kind.word(), series.count());
            let _ = write!(out, " {:>10.0}", self.per_second(series.count()));
            for share in [0.5, 0.9, 0.99] {
                let _ = write!(out, " {:>10.3}", series.quantile(share));
            }
            let _ = writeln!(out, " {:>10.3} {:>10}", series.max(), series.errors);
        }
        for (text, count) in &self.tally.errors {
            let _ = writeln!(out, "error, {count} times: {}", clean(text));
        }
        out
    }

    pub(super) fn json(&self) -> String {
        let Bench { connections, value_size, key_count, quorum, .. } = self.args;
        let series = self.tally.series.iter().map(|(kind, series)| {
            let told = json!({
                "requests": series.count(),
                "perSecond": self.per_second(series.count()),
                "p50Ms": series.quantile(0.5),
                "p90Ms": series.quantile(0.9),
                "p99Ms": series.quantile(0.99),
                "maxMs": series.max(),
                "errors": series.errors,
            });
            (kind.word().to_owned(), told)
        });
        let errors = self.tally.errors.iter();
        let errors = errors.map(|(text, count)| json!({ "message": text, "count": count }));
        let told = json!({
            "load": self.load(),
            "endpoints": self.endpoints,
            "connections": connections,
            "valueSize": value_size,
            "keys": key_count,
            "quorum": quorum,
            "seconds": self.took.as_secs_f64(),
            "interrupted": self.is_interrupted,
            "operations": series.collect::<serde_json::Map<_, _>>(),
            "errors": errors.collect::<Vec<_>>(),
        });
        format!("{told}\n")
    }
}
