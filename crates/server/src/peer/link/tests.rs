//! When a link dials again, and which name it verifies a certificate against.

use super::*;
use replica::{Identity, LogIndex, Term};
use std::time::Duration;

fn own() -> Own<'static> {
    let claim = PeerClaim {
        id: MemberId(1),
        identity: Identity::default(),
        term: Term(1),
        last_index: LogIndex(1),
        last_term: Term(1),
        is_doubtful: false,
    };
    Own { claim, prover: None }
}

#[test]
fn a_connection_that_is_not_made_soon_is_dialled_anew() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let mut poll = mio::Poll::new().unwrap();
    let at = "127.0.0.1:1".to_owned();
    let greeted = Greeted { cluster: ClusterId(1), to: MemberId(2), at };
    let mut link = Link::new(Token(1), to.to_string(), greeted);
    assert_eq!(link.connect(to, None, 0, poll.registry()), LinkChange::None);
    assert!(!link.is_due(CONNECTING_NS));
    assert!(link.is_due(CONNECTING_NS + 1), "the network says nothing");
    let mut events = mio::Events::with_capacity(4);
    poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
    assert_eq!(link.ready(1, own()), LinkChange::None);
    assert!(!link.is_due(CONNECTING_NS + 1), "it is the other side's turn now");
    assert!(link.is_due(GREETING_NS + 1));
}

#[test]
fn a_hint_is_dialled_in_turn_and_stays_where_it_was_right() {
    let greeted = Greeted { cluster: ClusterId(1), to: MemberId(2), at: "a:1".to_owned() };
    let mut link = Link::new(Token(1), "b:1".to_owned(), greeted);
    link.fail("nobody there", 0);
    assert_eq!(link.target(), "b:1", "there is no other");
    link.hint = Some("b:2".to_owned());
    let mut dialled = Vec::new();
    for _ in 0..4 {
        link.fail("nobody there", 0);
        dialled.push(link.target().to_owned());
    }
    assert_eq!(dialled, ["b:2", "b:1", "b:2", "b:1"]);
    link.fail("nobody there", 0);
    let link = link.settle("b:3");
    assert_eq!((link.address.as_str(), link.target()), ("b:1", "b:2"));
    let link = link.settle("b:2");
    assert_eq!((link.address.as_str(), link.hint), ("b:2", None));
}

#[test]
fn a_certificate_is_held_against_the_host_alone() {
    for (address, want) in
        [("h:1", "h"), ("10.0.0.1:7001", "10.0.0.1"), ("[::1]:7001", "::1"), ("h", "h")]
    {
        assert_eq!(host(address), want);
    }
}

/// What the dialled side says next, and what became of the link.
fn hear(socket: &mut std::net::TcpStream, text: &str, link: &mut Link, own: Own<'_>) -> LinkChange {
    socket.write_all(text.as_bytes()).unwrap();
    let limit = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let change = link.ready(1, own);
        if change != LinkChange::None || std::time::Instant::now() > limit {
            return change;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Any caller gets a welcome; only the verdict after the proof is about this member.
#[test]
fn a_welcome_is_no_admission_where_there_is_a_secret() {
    let prover = Prover::new(&crate::config::Secret::new("secret".to_owned())).unwrap();
    let own = Own { prover: Some(&prover), ..own() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let poll = mio::Poll::new().unwrap();
    for (is_proven, want) in [(true, LinkChange::Admitted), (false, LinkChange::Broken)] {
        let greeted = Greeted { cluster: ClusterId(1), to: MemberId(2), at: "a:1".to_owned() };
        let mut link = Link::new(Token(1), to.to_string(), greeted);
        link.connect(to, None, 0, poll.registry());
        let (mut socket, _) = listener.accept().unwrap();
        assert_eq!(link.ready(1, own), LinkChange::None);
        let LinkState::Greeting { said: Some(said), .. } = &link.state else {
            panic!("it said hello")
        };
        let said = said.clone();
        let nonce = draw_nonce().unwrap();
        let welcome = hello::welcome(Some((&nonce, &said.welcome(&prover, &nonce))));
        assert_eq!(hear(&mut socket, &welcome, &mut link, own), LinkChange::Opened);
        assert!(!link.is_due(1) && link.is_due(GREETING_NS + 2), "it waits for the verdict");
        let admission = hello::admission(&said, &prover);
        let verdict = if is_proven { admission } else { admission.replace("Proof: ", "Proof: 0") };
        assert_eq!(hear(&mut socket, &verdict, &mut link, own), want);
        assert_eq!(link.is_open(), is_proven);
        assert!(!link.is_due(2), "it is not dialled while it is open, nor at once after that");
    }
}
