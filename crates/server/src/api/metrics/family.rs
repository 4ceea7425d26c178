//! What a metric is, and how one is printed.

use crate::member::context::Context;
use crate::metrics::{Meters, Times};
use crate::net::Load;
use crate::notice::notice;
use crate::peer::LinkStats;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};
use replica::Latency;

/// What metrics are read from.
pub(super) struct Scrape<'a> {
    pub(super) meters: &'a Meters,
    pub(super) load: Load,
    /// Nothing at a machine that is no member.
    pub(super) member: Option<&'a Context>,
    pub(super) peers: Vec<Peer<'a>>,
}

/// One of the other members.
pub(super) struct Peer<'a> {
    pub(super) name: &'a str,
    pub(super) is_open: bool,
    pub(super) link: LinkStats,
    pub(super) latency: Latency,
    /// How many committed entries it is not known to have; only a leader knows.
    pub(super) lag: Option<u64>,
    pub(super) has_diverged: bool,
}

/// How the values of a metric are read.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// Every machine has it.
    Server(fn(&Scrape<'_>) -> f64),
    /// A member has it; elsewhere it is 0.
    Member(fn(&Context) -> f64),
    /// Known of each other member or not, with the label `member`.
    Peers(fn(&Peer<'_>) -> Option<f64>),
    /// With these labels, each sample with a value for each of them.
    Labels(&'static [&'static str], fn(&Meters) -> Labelled),
    Histogram(fn(&Meters) -> &Times),
}

/// Samples by the values of their labels.
pub(super) type Labelled = Vec<(Vec<String>, u64)>;

/// A row of the table.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) read: Read,
}

/// A value that only grows, until the process ends.
pub(super) const fn counter(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, help, kind: MetricType::COUNTER, read }
}

/// A value that may fall.
pub(super) const fn gauge(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, help, kind: MetricType::GAUGE, read }
}

/// How long something took each time, in seconds.
pub(super) const fn histogram(
    name: &'static str,
    help: &'static str,
    read: fn(&Meters) -> &Times,
) -> Metric {
    Metric { name, help, kind: MetricType::HISTOGRAM, read: Read::Histogram(read) }
}

impl Metric {
    pub(super) const fn labels(&self) -> &'static [&'static str] {
        match self.read {
            Read::Server(_) | Read::Member(_) | Read::Histogram(_) => &[],
            Read::Peers(_) => &["member"],
            Read::Labels(names, _) => names,
        }
    }

    fn samples(&self, at: &Scrape<'_>) -> Vec<Sample> {
        match self.read {
            Read::Server(read) => vec![self.sample([], read(at))],
            Read::Member(read) => vec![self.sample([], at.member.map_or(0.0, read))],
            Read::Peers(read) => {
                let known = at.peers.iter().filter_map(|peer| Some((peer.name, read(peer)?)));
                known.map(|(name, value)| self.sample([name.to_owned()], value)).collect()
            }
            Read::Labels(_, read) => {
                let samples = read(at.meters).into_iter();
                samples.map(|(labels, value)| self.sample(labels, value as f64)).collect()
            }
            Read::Histogram(read) => vec![buckets(read(at.meters))],
        }
    }

    fn sample(&self, labels: impl IntoIterator<Item = String>, value: f64) -> Sample {
        let pairs = self.labels().iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        });
        let mut sample = Sample::from_label(pairs.collect());
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        sample
    }

    fn family(&self, at: &Scrape<'_>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.samples(at));
        family
    }
}

fn buckets(times: &Times) -> Sample {
    let buckets = times.cumulative().map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(times.count());
    histogram.set_sample_sum(times.seconds());
    let mut sample = Sample::default();
    sample.set_histogram(histogram);
    sample
}

/// The text that Prometheus reads, by name. A metric without samples is left out, as the format
/// wants it.
pub(super) fn render(table: &[Metric], at: &Scrape<'_>) -> Vec<u8> {
    let mut families: Vec<MetricFamily> = table.iter().map(|metric| metric.family(at)).collect();
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let mut out = Vec::with_capacity(16 << 10);
    if let Err(error) = TextEncoder::new().encode(&families, &mut out) {
        notice!(MetricsFailed, "", "{error}");
    }
    out
}
