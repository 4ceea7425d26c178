//! What a metric is, and how one is printed.

use crate::member::context::Context;
use crate::member::inbound::Heard;
use crate::metrics::{Meters, Times};
use crate::net::Load;
use crate::notice::notice;
use crate::peer::LinkStats;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};
use replica::{Latency, MemberId, RoundTrips};

/// What metrics are read from.
pub(super) struct Scrape<'a> {
    pub(super) meters: &'a Meters,
    pub(super) load: Load,
    /// Nothing at a machine that is no member.
    pub(super) member: Option<&'a Context>,
    pub(super) peers: Vec<Peer<'a>>,
    /// The monotonic clock.
    pub(super) now: u64,
    /// What this machine is, in a word.
    pub(super) state: &'static str,
    pub(super) has_leader: bool,
    /// When the certificate ends that ends first, in seconds since 1970.
    pub(super) certificate_ends: Option<u64>,
    pub(super) open_files: f64,
    /// Bytes that are free on the disk of the data directory, and all of them.
    pub(super) disk: Option<(u64, u64)>,
}

/// One of the other members.
pub(super) struct Peer<'a> {
    /// This member, and the other one.
    pub(super) ids: (MemberId, MemberId),
    pub(super) name: &'a str,
    pub(super) is_open: bool,
    /// Whether it was heard of lately, too.
    pub(super) is_reached: bool,
    pub(super) link: LinkStats,
    pub(super) heard: Heard,
    pub(super) latency: Latency,
    pub(super) round_trips: RoundTrips,
    /// How many committed entries it is not known to have; only a leader knows.
    pub(super) lag: Option<u64>,
    pub(super) has_diverged: bool,
}

/// The labels of what is known of each other member. Ours is its name; etcd's are ids.
#[derive(Clone, Copy)]
pub(super) enum PeerLabels {
    Member,
    To,
    From,
    Ends,
}

impl PeerLabels {
    const fn names(self) -> &'static [&'static str] {
        match self {
            PeerLabels::Member => &["member"],
            PeerLabels::To => &["To"],
            PeerLabels::From => &["From"],
            PeerLabels::Ends => &["Local", "Remote"],
        }
    }

    fn values(self, peer: &Peer<'_>) -> Vec<String> {
        let (own, other) = peer.ids;
        match self {
            PeerLabels::Member => vec![peer.name.to_owned()],
            PeerLabels::To | PeerLabels::From => vec![other.to_string()],
            PeerLabels::Ends => vec![own.to_string(), other.to_string()],
        }
    }
}

/// How the values of a metric are read.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// Every machine has it.
    Server(fn(&Scrape<'_>) -> f64),
    /// A machine may have it.
    Known(fn(&Scrape<'_>) -> Option<f64>),
    /// A member has it, and no other machine.
    Member(fn(&Context) -> f64),
    /// Known of each other member or not.
    Peers(PeerLabels, fn(&Peer<'_>) -> Option<f64>),
    /// With these labels, each sample with a value for each of them.
    Labels(&'static [&'static str], fn(&Scrape<'_>) -> Labelled),
    Histogram(fn(&Meters) -> &Times),
    /// One for each value of the label.
    Histograms(&'static [&'static str], fn(&Scrape<'_>) -> Vec<(String, Spread)>),
}

/// Samples by the values of their labels.
pub(super) type Labelled = Vec<(Vec<String>, f64)>;

/// Samples with one label, in its order.
pub(super) fn by_word<'a>(values: impl IntoIterator<Item = (&'a str, u64)>) -> Labelled {
    let mut samples: Labelled =
        values.into_iter().map(|(word, value)| (vec![word.to_owned()], value as f64)).collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

/// How many of some times were within each bound, how many there were, and how long they took
/// together.
pub(super) struct Spread {
    pub(super) within: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) seconds: f64,
}

impl From<&Times> for Spread {
    fn from(times: &Times) -> Self {
        let within = times.cumulative().collect();
        Self { within, count: times.count(), seconds: times.seconds() }
    }
}

impl From<&RoundTrips> for Spread {
    fn from(trips: &RoundTrips) -> Self {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let within = trips.cumulative().map(|(bound, count)| (seconds(bound), count)).collect();
        Self { within, count: trips.count, seconds: seconds(trips.sum) }
    }
}

/// A row of a table.
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
pub(super) const fn histogram(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, help, kind: MetricType::HISTOGRAM, read }
}

impl Metric {
    /// The same under the name that another release of etcd gave it.
    pub(super) const fn named(&self, name: &'static str) -> Metric {
        Metric { name, help: self.help, kind: self.kind, read: self.read }
    }

    /// The same of each other member under etcd's name and with its labels.
    pub(super) const fn named_for(&self, name: &'static str, labels: PeerLabels) -> Metric {
        let read = match self.read {
            Read::Peers(_, read) => Read::Peers(labels, read),
            other => other,
        };
        Metric { name, help: self.help, kind: self.kind, read }
    }

    pub(super) const fn labels(&self) -> &'static [&'static str] {
        match self.read {
            Read::Server(_) | Read::Known(_) | Read::Member(_) | Read::Histogram(_) => &[],
            Read::Peers(labels, _) => labels.names(),
            Read::Labels(names, _) | Read::Histograms(names, _) => names,
        }
    }

    fn samples(&self, at: &Scrape<'_>) -> Vec<Sample> {
        let one = |value: Option<f64>| value.map(|value| self.sample([], value));
        match self.read {
            Read::Server(read) => vec![self.sample([], read(at))],
            Read::Known(read) => one(read(at)).into_iter().collect(),
            Read::Member(read) => one(at.member.map(read)).into_iter().collect(),
            Read::Peers(labels, read) => {
                let known = at.peers.iter().filter_map(|peer| Some((peer, read(peer)?)));
                known.map(|(peer, value)| self.sample(labels.values(peer), value)).collect()
            }
            Read::Labels(_, read) => {
                read(at).into_iter().map(|(labels, value)| self.sample(labels, value)).collect()
            }
            Read::Histogram(read) => vec![self.buckets([], &Spread::from(read(at.meters)))],
            Read::Histograms(_, read) => {
                let spreads = read(at).into_iter();
                spreads.map(|(label, spread)| self.buckets([label], &spread)).collect()
            }
        }
    }

    fn labelled(&self, labels: impl IntoIterator<Item = String>) -> Sample {
        let pairs = self.labels().iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        });
        Sample::from_label(pairs.collect())
    }

    fn sample(&self, labels: impl IntoIterator<Item = String>, value: f64) -> Sample {
        let mut sample = self.labelled(labels);
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

    fn buckets(&self, labels: impl IntoIterator<Item = String>, spread: &Spread) -> Sample {
        let buckets = spread.within.iter().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(spread.count);
        histogram.set_sample_sum(spread.seconds);
        let mut sample = self.labelled(labels);
        sample.set_histogram(histogram);
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

/// The text that Prometheus reads, by name. A metric without samples is left out, as the format
/// wants it.
pub(super) fn render(tables: &[&[Metric]], at: &Scrape<'_>) -> Vec<u8> {
    let metrics = tables.iter().copied().flatten();
    let mut families: Vec<MetricFamily> = metrics.map(|metric| metric.family(at)).collect();
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let mut out = Vec::with_capacity(64 << 10);
    if let Err(error) = TextEncoder::new().encode(&families, &mut out) {
        notice!(MetricsFailed, "", "{error}");
    }
    out
}
