//! What a run came to, and how it is printed.
use crate::options::Opt;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

pub(crate) fn hist() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).unwrap()
}

pub(crate) struct Tally {
    pub(crate) reads: Histogram<u64>,
    pub(crate) writes: Histogram<u64>,
    pub(crate) ok: u64,
    pub(crate) lost_cas: u64,
    pub(crate) redirects: u64,
    pub(crate) errors: u64,
    pub(crate) bytes: u64,
    pub(crate) status: BTreeMap<u16, u64>,
    pub(crate) sample: String,
    pub(crate) secs: f64,
    pub(crate) gap_us: u64,
    pub(crate) sent_at: Vec<u64>,
}
impl Tally {
    pub(crate) fn new() -> Self {
        Tally {
            reads: hist(),
            writes: hist(),
            ok: 0,
            lost_cas: 0,
            redirects: 0,
            errors: 0,
            bytes: 0,
            status: BTreeMap::new(),
            sample: String::new(),
            secs: 0.0,
            gap_us: 0,
            sent_at: Vec::new(),
        }
    }
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.errors += 1;
        if self.sample.is_empty() {
            self.sample = what.into();
            self.sample.truncate(200);
        }
    }
    pub(crate) fn merge(&mut self, o: Tally) {
        self.reads.add(&o.reads).ok();
        self.writes.add(&o.writes).ok();
        self.ok += o.ok;
        self.lost_cas += o.lost_cas;
        self.redirects += o.redirects;
        self.errors += o.errors;
        self.bytes += o.bytes;
        for (k, v) in o.status {
            *self.status.entry(k).or_default() += v;
        }
        if self.sample.is_empty() {
            self.sample = o.sample;
        }
        self.secs = self.secs.max(o.secs);
        self.gap_us = self.gap_us.max(o.gap_us);
        if self.sent_at.is_empty() {
            self.sent_at = o.sent_at;
        } else {
            for (a, b) in self.sent_at.iter_mut().zip(o.sent_at) {
                *a = (*a).max(b);
            }
        }
    }
}

pub(crate) fn pcts(name: &str, h: &Histogram<u64>) -> String {
    if h.is_empty() {
        return String::new();
    }
    let q = |p| h.value_at_quantile(p);
    format!(
        ",\"{name}\":{{\"n\":{},\"mean_us\":{:.1},\"p50_us\":{},\"p90_us\":{},\
         \"p99_us\":{},\"p999_us\":{},\"max_us\":{}}}",
        h.len(),
        h.mean(),
        q(0.5),
        q(0.9),
        q(0.99),
        q(0.999),
        h.max()
    )
}

pub(crate) fn quote(s: &str) -> String {
    let mut o = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => o.push_str("\\\""),
            '\\' => o.push_str("\\\\"),
            c if (c as u32) < 32 => o.push(' '),
            c => o.push(c),
        }
    }
    o.push('"');
    o
}

pub(crate) fn report(o: &Opt, work: &str, threads: usize, t: &Tally, extra: &str) {
    let st: Vec<String> = t.status.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    let sample = match t.sample.as_str() {
        "" => String::new(),
        sample => format!(",\"sample_error\":{}", quote(sample)),
    };
    println!(
        "{{\"work\":\"{work}\",\"conns\":{},\"threads\":{threads},\"secs\":{:.3},\
         \"rate_asked\":{},\"rate\":{:.1},\
         \"ok\":{},\"errors\":{},\"redirects\":{},\"lost_cas\":{},\
         \"body_mb_s\":{:.2},\"max_gap_ms\":{:.1},\"status\":{{{}}}{}{}{extra}{}}}",
        o.conns,
        t.secs,
        o.rate,
        t.ok as f64 / t.secs.max(1e-9),
        t.ok,
        t.errors,
        t.redirects,
        t.lost_cas,
        t.bytes as f64 / 1e6 / t.secs.max(1e-9),
        t.gap_us as f64 / 1000.0,
        st.join(","),
        pcts("reads", &t.reads),
        pcts("writes", &t.writes),
        sample
    );
}
