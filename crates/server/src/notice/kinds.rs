//! The kinds of lines, in the groups of docs/messages.md.

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something is broken, and does not mend itself.
    Error,
    /// Something is wrong, and may pass.
    Warn,
    /// Something has changed.
    Info,
}

macro_rules! kinds {
    ($($group:literal { $($kind:ident = $level:ident $words:literal),* $(,)? })*) => {
        /// What a line of the log is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "their words are their meaning; docs/messages.md has more")]
        pub enum Notice {
            $($($kind,)*)*
        }

        impl Notice {
            /// All of them.
            #[cfg(test)]
            const ALL: &[(Self, &'static str)] = &[$($((Self::$kind, $group),)*)*];

            /// The first words of the line.
            pub fn words(self) -> &'static str {
                match self { $($(Self::$kind => $words,)*)* }
            }

            /// How much it matters.
            pub fn level(self) -> Level {
                match self { $($(Self::$kind => Level::$level,)*)* }
            }

            /// How often it may be written in a minute about the same subject: what comes and goes
            /// more often than what only repeats itself.
            pub(super) fn burst(self) -> usize {
                let is_change = match self {
                    Self::LeaderLost
                    | Self::MajorityLost
                    | Self::MemberRemoved
                    | Self::PeerUnreachable
                    | Self::DiskFull => true,
                    _ => self.level() == Level::Info,
                };
                if is_change { 3 } else { 1 }
            }

            /// Whether it comes before all others.
            pub(super) fn is_first(self) -> bool {
                self.group() == "Leader and majority"
            }

            fn group(self) -> &'static str {
                match self { $($(Self::$kind => $group,)*)* }
            }

            /// Whether an operator has just asked for what it tells, so that it is always written.
            pub(super) fn is_unlimited(self) -> bool {
                matches!(self.group(), "Starting and stopping" | "Signals and certificates")
            }
        }
    };
}

kinds! {
    "Starting and stopping" {
        Starting = Info "stead is starting",
        Configuration = Warn "configuration",
        ProcessLimits = Warn "process limits",
        DirectoryOpen = Warn "other users can enter the data directory",
        DirectoryForeign = Info "the data directory also contains other files",
        DirectoryDamaged = Warn "the data directory is damaged",
        DirectoryOpened = Info "data directory opened",
        LogCut = Warn "the end of the log was cut",
        SetAside = Warn "the old log and snapshots were moved",
        ForceFlag = Warn "remove -force or -force-rejoin from the start line",
        ListNotFollowed = Warn "the start line is not followed",
        Founding = Info "starting a new cluster",
        NewClusterForced = Warn "this machine is a new cluster of one",
        DiscoveryFirst = Info "first machine at the discovery service",
        MachinesFound = Info "machines found in the DNS",
        DiscoveryFailed = Warn "discovery failed",
        JoinFailed = Warn "cannot join the cluster yet",
        Joined = Info "joined the cluster",
        ClusterFull = Info "the cluster is full",
        ListeningClients = Info "listening for clients",
        ListeningPeers = Info "listening for peers and administration",
        Ready = Info "ready",
        Stopping = Info "stopping",
        Stopped = Info "stopped",
    }
    "Signals and certificates" {
        Hangup = Info "SIGHUP",
        AuditFailed = Error "the audit log cannot be written",
        AuditWorks = Info "the audit log works again",
        HangupFailed = Error "SIGHUP: the configuration cannot be read",
        CertificateMade = Info "made a certificate",
        CertificateLoaded = Info "reloaded the certificate",
    }
    "Certificates" {
        CertificateUnusable = Error "cannot reload the certificate",
        CertificateEnds = Warn "a certificate ends soon",
        CertificateEnded = Error "a certificate has ended",
        TlsRefused = Warn "refused a TLS connection of a machine",
        TlsFailed = Warn "cannot create a TLS session",
    }
    "Leader and majority" {
        LeaderSelf = Info "became leader",
        LeaderHandOver = Info "handing over leadership",
        LeaderLost = Warn "lost leadership",
        LeaderNew = Info "new leader",
        LeaderNone = Warn "no leader",
        MajorityLost = Error "majority lost",
        MajorityGone = Error "majority still lost",
        MajorityBack = Info "majority is back",
    }
    "Members" {
        MemberJoined = Info "member joined",
        MemberPromoted = Info "member promoted",
        MemberRemoved = Warn "member removed",
        MemberMoved = Info "member moved",
        MemberFound = Info "member found at another address",
        PeerUnreachable = Warn "member unreachable",
        PeerBack = Info "member reachable again",
        RemovalAsked = Info "asking whether this machine was removed",
        RemovalDenied = Warn "this machine remains a member",
        RemovalIgnored = Warn "ignored the claim that this machine was removed",
        RemovedSelf = Warn "this machine was removed",
    }
    "Machines that are refused" {
        CallerRefused = Warn "refused a peer connection",
        LinkRefused = Warn "no connection to a member",
        LinkDistrusted = Warn "no connection to a member over TLS",
        IdentityRejected = Error "the peer rejects the identity of this machine",
        SecondProcess = Error "refused a second process with the identity of this member",
        ForeignCluster = Warn "another cluster answers",
        FrameInvalid = Warn "invalid frame from a member",
    }
    "State and identity" {
        Diverged = Error "the state of a member differs",
        EntriesSkipped = Error "committed entries were skipped",
        DirectoryLiveCopy = Warn "the data directory is a copy of a running machine",
        DirectoryCopied = Warn "the data directory was copied or moved",
        PromiseLost = Error "this machine lost an entry that it had acknowledged",
        AllReplaced = Error "no known member answers",
    }
    "Disk and snapshots" {
        DiskFull = Error "the disk is full",
        DiskRoom = Info "the disk has room again",
        SegmentUnprepared = Warn "cannot preallocate a log segment",
        SegmentPrepared = Info "log segments are preallocated again",
        SyncSlow = Warn "slow sync",
        BackupSent = Info "a backup is being sent",
        BackupKept = Info "backup written",
        BackupFailed = Error "cannot write a backup",
        SnapshotWritten = Info "snapshot written",
        SnapshotFailed = Error "cannot write a snapshot",
        SnapshotSent = Info "snapshot sent",
        SnapshotUnsent = Warn "snapshot not sent",
        SnapshotInstalled = Info "installed the leader's snapshot",
    }
    "Time and load" {
        RoundSlow = Warn "slow round of the event loop",
        StoodStill = Warn "this process stood still",
        ClockJumped = Warn "the clock jumped",
        AcceptFailed = Warn "cannot accept connections",
        StoreFreed = Warn "freeing the replaced store on the event loop",
        MetricsFailed = Error "metrics cannot be printed",
        LeftOut = Warn "more lines were left out",
    }
    "Standbys and discovery" {
        StandingBy = Info "standing by",
        Proxying = Info "relaying requests as a proxy",
        StandbyLeader = Info "following a leader",
        StandbyLost = Warn "cannot reach any member of the cluster",
        StandbyRefused = Warn "not joining the cluster",
        ListUnsaved = Warn "the list of members could not be saved",
        Registered = Info "registered for discovery",
        RegistrationFailed = Warn "registering this machine for discovery failed",
    }
    "Consensus library" {
        RaftWarning = Warn "raft",
        RaftError = Error "raft error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_page_explains_each_message_in_its_group() {
        let page = include_str!("../../../../docs/messages.md");
        let mut group = "";
        let mut explained = Vec::new();
        for line in page.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                group = title;
            }
            let Some(row) = line.strip_prefix("| `") else { continue };
            let cells: Vec<&str> = row.split(" | ").collect();
            let [words, level, meaning, action] = cells.as_slice() else {
                panic!("four cells are wanted: {line}");
            };
            assert!(meaning.len() > 10 && action.len() > 5, "{line}");
            explained.push((group, words.trim_end_matches('`'), (*level).to_owned()));
        }
        let level = |kind: Notice| format!("{:?}", kind.level()).to_lowercase();
        let mut told: Vec<_> =
            Notice::ALL.iter().map(|(kind, group)| (*group, kind.words(), level(*kind))).collect();
        told.sort();
        explained.sort();
        assert_eq!(explained, told);
    }

    #[test]
    fn no_two_kinds_have_the_same_words() {
        let words: BTreeSet<&str> = Notice::ALL.iter().map(|(kind, _)| kind.words()).collect();
        assert_eq!(words.len(), Notice::ALL.len());
    }
}
