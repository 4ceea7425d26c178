//! The upgrade, as it is written, read and proven.

use super::*;
use crate::config::Secret;

fn hello() -> Hello {
    let identity = Identity { incarnation: u64::MAX, start: 2, nonce: 0xfe, earlier: [7; 15] };
    let claim = PeerClaim {
        id: MemberId(1),
        identity,
        term: Term(9),
        last_index: LogIndex(7),
        last_term: Term(8),
        is_doubtful: true,
    };
    Hello { cluster: ClusterId(0xab), to: MemberId(u64::MAX), at: "[::1]:7001".into(), claim }
}

#[test]
fn a_hello_round_trips() {
    let hello = hello();
    let request = String::from_utf8(request("h:1", &hello.query(), Some("5eed"))).expect("text");
    assert!(request.contains("\r\nStead-Nonce: 5eed\r\n"));
    let query = request.split(['?', ' ']).nth(2).expect("there is one");
    assert_eq!(Hello::parse(query), Ok(hello.clone()));
    let plain = super::request("h:1", &hello.query(), None);
    assert!(!String::from_utf8(plain).expect("text").contains("Nonce"));
}

#[test]
fn what_is_missing_or_malformed_is_refused() {
    let good = hello().query();
    for (from, to, status) in [
        ("version=2&", "", 400),
        ("version=2", "version=x", 400),
        ("version=2", "version=1", 426),
        ("version=2", "version=3", 426),
        ("cluster=ab", "cluster=0", 400),
        ("from=1", "from=+1", 400),
        ("from=1", "from=", 400),
        ("from=1", "from=10000000000000000", 400),
        ("at=[::1]:7001", "at=h", 400),
        ("at=[::1]:7001", "at=h:0", 400),
        ("at=[::1]:7001", "at=h/x:1", 400),
        ("&start=2", "", 400),
        ("nonce=fe", "nonce=-1", 400),
        ("&earlier=", "&older=", 400),
        ("&earlier=", "&earlier=7.", 400),
        ("term=9", "term=g", 400),
        ("lastterm=8", "lastterm=", 400),
        ("doubtful=1", "doubtful=2", 400),
        ("&doubtful=1", "", 400),
    ] {
        let query = good.replacen(from, to, 1);
        assert_ne!(query, good, "{from}");
        assert_eq!(Hello::parse(&query).map_err(|(status, _)| status), Err(status), "{query}");
    }
    let long = good.replace("[::1]", &"h".repeat(ADDRESS_MAX));
    assert_eq!(Hello::parse(&long).map_err(|(status, _)| status), Err(400));
}

fn refused(status: u16, body: &[u8], proof: &str) -> HelloAnswer {
    HelloAnswer::Refused(HelloRefusal { status, body: body.to_vec(), proof: proof.to_owned() })
}

#[test]
fn answers_are_told_apart() {
    let read = |bytes: &[u8]| read_answer(bytes, false);
    let plain = welcome(None);
    assert_eq!(read(plain.as_bytes()), HelloAnswer::Welcome(String::new(), String::new()));
    let proven = welcome(Some(("n", "p")));
    assert_eq!(read(proven.as_bytes()), HelloAnswer::Welcome("n".to_owned(), "p".to_owned()));
    for len in 0..proven.len() {
        assert_eq!(read(&proven.as_bytes()[..len]), HelloAnswer::Partial, "{len}");
        assert_eq!(read_answer(&proven.as_bytes()[..len], true), HelloAnswer::Invalid, "{len}");
    }
    assert_eq!(read(format!("{proven}x").as_bytes()), HelloAnswer::Invalid);
    let gone = b"HTTP/1.1 410 Gone\r\nContent-Length: 4\r\nStead-Proof: p\r\n\r\nno\r\n";
    assert_eq!(read(gone), refused(410, b"no\r\n", "p"));
    let cut = &gone[..gone.len() - 1];
    assert_eq!(read(cut), HelloAnswer::Partial, "the proof is over the whole body");
    assert_eq!(read_answer(cut, true), refused(410, b"no\r", "p"));
    assert_eq!(read(b"HTTP/1.1 403 No\r\n\r\nabc"), refused(403, b"abc", ""));
    assert_eq!(read(b"\0\0\0\0"), HelloAnswer::Invalid);
    assert_eq!(read(&[b'x'; ANSWER_MAX]), HelloAnswer::Invalid);
}

#[test]
fn what_others_say_is_one_line_of_a_log() {
    let refusal =
        |body: &[u8]| HelloRefusal { status: 403, body: body.to_vec(), proof: String::new() };
    let sentence = |body: &[u8]| refusal(body).sentence();
    assert_eq!(
        sentence(b"{\"message\":\"no\\nWARN \\u001b[31mforged\"}\n"),
        "no\\nWARN \\u{1b}[31mforged"
    );
    assert_eq!(sentence(b"plain \xff text\r\n"), "plain \u{fffd} text");
}

#[test]
fn both_sides_and_refusals_are_proven() {
    let prover = |word: &str| Prover::new(&Secret::new(word.to_owned())).expect("a word");
    let (good, other) = (prover("secret"), prover("other"));
    let said = Exchange { query: hello().query(), nonce: "0".repeat(32) };
    let nonce = "1".repeat(32);
    let welcome = said.welcome(&good, &nonce);
    assert!(said.is_welcome(&good, &nonce, &welcome));
    assert!(!said.is_welcome(&other, &nonce, &welcome));
    assert!(!said.is_welcome(&good, &"2".repeat(32), &welcome));
    assert!(!said.is_welcome(&good, "", &said.welcome(&good, "")), "no nonce, no proof");
    let answer = said.hello(&good, &nonce);
    assert!(said.is_hello(&good, &nonce, answer.as_bytes()));
    assert!(!said.is_hello(&good, &nonce, welcome.as_bytes()), "it cannot be sent back");
    assert!(!said.is_welcome(&good, &nonce, &answer));
    for elsewhere in [
        Exchange { query: said.query.replace("from=1&", "from=2&"), ..said.clone() },
        Exchange { query: said.query.replace("start=2&", "start=3&"), ..said.clone() },
        Exchange { nonce: "3".repeat(32), ..said.clone() },
    ] {
        assert!(!elsewhere.is_welcome(&good, &nonce, &welcome), "{elsewhere:?}");
        assert!(!elsewhere.is_hello(&good, &nonce, answer.as_bytes()), "{elsewhere:?}");
    }
    let proof = said.verdict(&good, 410, b"gone");
    let gone = (410, &b"gone"[..]);
    assert!(said.is_verdict(&good, gone, &proof));
    assert!(!said.is_verdict(&other, gone, &proof));
    for changed in [(403, &b"gone"[..]), (410, b"gone!"), (200, b"")] {
        assert!(!said.is_verdict(&good, changed, &proof), "{changed:?}");
    }
    assert!(!said.is_verdict(&good, gone, ""));
}

#[test]
fn an_admission_is_read_with_its_proof() {
    let prover = Prover::new(&Secret::new("secret".to_owned())).expect("a word");
    let said = Exchange { query: hello().query(), nonce: "0".repeat(32) };
    let admission = admission(&said, &prover);
    let HelloAnswer::Admitted(proof) = read_answer(admission.as_bytes(), false) else {
        panic!("{admission}");
    };
    assert!(said.is_verdict(&prover, (200, b""), &proof));
    assert_eq!(read_answer(&admission.as_bytes()[..30], false), HelloAnswer::Partial);
    assert_eq!(
        read_answer(format!("{admission}x").as_bytes(), true),
        HelloAnswer::Refused(HelloRefusal { status: 200, body: b"x".to_vec(), proof })
    );
}
