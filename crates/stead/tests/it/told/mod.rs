//! What an operator reads in the logs of an incident: the right lines, in the logs of the right
//! machines, and few of them (docs/messages.md).

mod hangup;
mod health;
mod machines;
mod refused;
mod settings;
mod status;
mod vitals;

use crate::cluster::kit::{Cluster, Machine};
use crate::testkit::wait::holds_within;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Lines that a machine may write in a minute of any incident.
const LINES_MAX: usize = 12;

/// The logs of machines from a moment on.
struct Logs(Vec<usize>);

fn log_of(machine: &Machine) -> String {
    std::fs::read_to_string(machine.site.log_path()).unwrap_or_default()
}

impl Logs {
    /// An incident begins now.
    fn from_now(cluster: &Cluster) -> Self {
        Self(cluster.machines.iter().map(|machine| log_of(machine).len()).collect())
    }

    fn lines(&self, cluster: &Cluster, at: usize) -> Vec<String> {
        let text = log_of(&cluster.machines[at]).split_off(self.0[at]);
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for a line with all these words in the log of a machine.
    fn wait(&self, cluster: &Cluster, at: usize, words: &[&str]) {
        let has_all = |line: &String| words.iter().all(|word| line.contains(word));
        let is_there = holds_within(PATIENCE, || self.lines(cluster, at).iter().any(has_all));
        let lines = self.lines(cluster, at).join("\n");
        assert!(is_there, "not in the log of m{at}: {words:?}\n{lines}");
    }

    /// Checks that nobody wrote too much. What a start writes does not count.
    fn check_few(&self, cluster: &Cluster) {
        for (at, _) in self.0.iter().enumerate() {
            let starts = [
                "stead is starting",
                "process limits",
                "configuration: ",
                "data directory opened",
                "listening for",
                "standing by",
                "joined the cluster",
                "stopping",
                "stopped",
            ];
            let counts = |line: &String| !starts.iter().any(|words| line.contains(words));
            let lines: Vec<String> = self.lines(cluster, at).into_iter().filter(counts).collect();
            assert!(lines.len() <= LINES_MAX, "m{at}: {}", lines.join("\n"));
        }
    }
}

fn others(cluster: &Cluster, but: usize) -> Vec<usize> {
    (0..cluster.machines.len()).filter(|at| *at != but).collect()
}
