//! What is found out about a cluster: what it is about, where, and a sentence for people.

/// What a finding is about: what is to be done about it depends on that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A machine does not answer; whether others can speak to it.
    Silent { is_heard: bool },
    /// A check of a machine fails, by its name.
    Check(String),
    /// The state of a machine differs from that of the others.
    Diverged,
    /// A machine of another cluster answers.
    Stranger,
    /// What the start of a machine warned of.
    Start,
    /// Several versions run.
    Versions,
    /// A member lacks many entries.
    Lag,
    /// A certificate ends.
    Certificate,
}

/// A finding: what it is about, which machine has it, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) about: About,
    /// Its name; a URL where that is not known, nothing where it is several.
    pub(super) who: String,
    pub(super) text: String,
}

impl Finding {
    pub(super) fn new(about: About, who: &str, text: String) -> Self {
        Self { about, who: who.to_owned(), text }
    }
}

/// The sentences of findings.
pub(super) fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|one| one.text.clone()).collect()
}
