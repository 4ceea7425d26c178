//! What goes over the wire, in words. The bytes are read here by hand, so that a change of their
//! format shows in the scripts.

/// Raft's own messages, by their number on the wire.
const RAFT: [&str; 12] = [
    "append",
    "append-reply",
    "vote?",
    "vote-reply",
    "heartbeat",
    "heartbeat-reply",
    "transfer-leader",
    "timeout-now",
    "read-index?",
    "read-index-reply",
    "pre-vote?",
    "pre-vote-reply",
];

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        head
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("four bytes"))
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight bytes"))
    }
}

/// The kind of a message, its first word in a transcript.
pub(crate) fn kind(bytes: &[u8]) -> &'static str {
    match bytes[1] {
        kind @ 0..12 => RAFT[usize::from(kind)],
        65 => "change",
        66 => "placed",
        67 => "refused",
        68 => "piece",
        69 => "piece-reply",
        70 => "beacon",
        71 => "forward",
        72 => "members",
        73 => "doubled",
        75 => "disk",
        76 => "announce",
        77 => "vitals",
        other => panic!("a message of kind {other}"),
    }
}

/// A message in words; `name` gives a member's name.
pub(crate) fn describe(bytes: &[u8], name: impl Fn(u64) -> String) -> String {
    let kind = kind(bytes);
    let mut rest = Reader(&bytes[2..]);
    let rest = &mut rest;
    let fields = match bytes[1] {
        0..12 => raft(kind, rest),
        65 => {
            let (term, _start, seq) = (rest.u64(), rest.u64(), rest.u64());
            format!("term={term} request={seq}")
        }
        66 => {
            let (_start, seq, term, index) = (rest.u64(), rest.u64(), rest.u64(), rest.u64());
            format!("request={seq} log={index}@{term}")
        }
        67 => {
            let (_start, seq, error) = (rest.u64(), rest.u64(), rest.u8());
            format!("request={seq} error={error}")
        }
        68 => {
            let (term, index, sender_term) = (rest.u64(), rest.u64(), rest.u64());
            let (offset, total) = (rest.u64(), rest.u64());
            format!("term={sender_term} snapshot={index}@{term} from={offset} of={total}")
        }
        69 => {
            let (index, offset) = (rest.u64(), rest.u64());
            format!("snapshot={index} have={offset}")
        }
        70 => {
            let index = rest.u64();
            format!("applied={index}")
        }
        71 => {
            let (term, _start, seq, floor) = (rest.u64(), rest.u64(), rest.u64(), rest.u64());
            format!("term={term} request={seq} floor={floor}")
        }
        72 => {
            let ids = rest.0.chunks(8).map(|id| u64::from_le_bytes(id.try_into().expect("eight")));
            ids.map(name).collect::<Vec<_>>().join(" ")
        }
        75 => if rest.u64() == 1 { "stuck" } else { "takes writes" }.to_owned(),
        _ => String::from_utf8_lossy(rest.0).into_owned(),
    };
    format!("{kind} {fields}").trim_end().to_owned()
}

fn raft(kind: &str, rest: &mut Reader<'_>) -> String {
    let (_to, _from, term) = (rest.u64(), rest.u64(), rest.u64());
    let (log_term, index, commit) = (rest.u64(), rest.u64(), rest.u64());
    let (_commit_term, _snapshot, hint, _priority) =
        (rest.u64(), rest.u64(), rest.u64(), rest.u64());
    let rejects = rest.u8() != 0;
    let context = rest.u32() as usize;
    rest.take(context);
    let count = rest.u32();
    let entries: Vec<String> = (0..count).map(|_| entry(rest)).collect();
    let mut text = format!("term={term}");
    if index > 0 || kind == "append" || kind.ends_with("vote?") {
        text += &format!(" log={index}");
        if log_term > 0 || kind == "append" {
            text += &format!("@{log_term}");
        }
    }
    if commit > 0 {
        text += &format!(" commit={commit}");
    }
    if rejects {
        text += " rejected";
        if kind == "append-reply" {
            text += &format!(" hint={hint}");
        }
    }
    if count > 0 && kind == "append" {
        text += &format!(" entries={}", entries.join(","));
    }
    text
}

/// An entry as index@term; those that change the configuration are marked.
fn entry(rest: &mut Reader<'_>) -> String {
    let (term, index, kind) = (rest.u64(), rest.u64(), rest.u8());
    let len = rest.u32() as usize;
    rest.take(len);
    let mark = if kind == 2 { "(configuration)" } else { "" };
    format!("{index}@{term}{mark}")
}
