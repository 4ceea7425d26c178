//! Proofs against vectors of another program, and what is none.

use super::*;

fn prover(word: &str) -> Prover {
    Prover::new(&Secret::new(word.to_owned())).expect("a word")
}

/// Computed by another program from the drawing at the head of `proof.rs`.
#[test]
fn proofs_are_what_the_format_says() {
    for (word, label, fields, want) in [
        (
            "secret".to_owned(),
            Label::Welcome,
            &[&b"q"[..], b"00000000000000000000000000000000", b"11111111111111111111111111111111"]
                [..],
            "6932e150bb276deeb9378cc12bb09bee85a08eb257316c540eb7e637a34c00a1",
        ),
        (
            "secret".to_owned(),
            Label::Call,
            &[&b"GET"[..], b"/v2/peer/members", b"", b"c", b"n"][..],
            "cf85d08c042a0abbde5be02095b5e77a68dcb795fd06faa090269ee71431e70e",
        ),
        (
            "k".repeat(100),
            Label::Answer,
            &[][..],
            "1b3d344bc3b69f1b8628a49ea2d97e0c758fe499455ef6ff06a45e91f7c1e404",
        ),
    ] {
        let prover = prover(&word);
        assert_eq!(prover.prove(label, fields), want, "{label:?}");
        assert!(prover.verify(label, fields, want.as_bytes()));
        assert!(prover.verify(label, fields, want.to_uppercase().as_bytes()));
    }
}

#[test]
fn a_proof_is_good_for_one_use_and_one_conversation() {
    let prover = prover("secret");
    let fields: [&[u8]; 2] = [b"ab", b"c"];
    let proof = prover.prove(Label::Welcome, &fields);
    let is_good =
        |label, fields: &[&[u8]], proof: &str| prover.verify(label, fields, proof.as_bytes());
    assert!(is_good(Label::Welcome, &fields, &proof));
    for label in [Label::Hello, Label::Verdict, Label::Call, Label::Answer] {
        assert!(!is_good(label, &fields, &proof), "{label:?}");
    }
    for other in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[]] {
        assert!(!is_good(Label::Welcome, other, &proof), "{other:?}");
    }
    let mut wrong = proof.clone().into_bytes();
    for at in 0..wrong.len() {
        wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
        assert!(!prover.verify(Label::Welcome, &fields, &wrong), "digit {at}");
        wrong[at] = proof.as_bytes()[at];
    }
    for bad in ["", "00", &proof[1..], &format!("{proof}0"), &"x".repeat(64), &"\u{e9}".repeat(32)]
    {
        assert!(!is_good(Label::Welcome, &fields, bad), "{bad:?}");
    }
    assert!(!super::tests::prover("secreT").verify(Label::Welcome, &fields, proof.as_bytes()));
    assert!(Prover::new(&Secret::new(String::new())).is_none(), "an empty word is none");
    assert!(!format!("{prover:?}").contains("secret"));
}

fn gate(word: &str) -> Gate {
    Gate::new(&Secret::new(word.to_owned())).expect("random numbers")
}

const ASKED: ProvenRequest<'_> =
    ProvenRequest { method: "POST", target: "/v2/peer/join?x=1", body: b"{}" };
const ANSWERED: ProvenReply<'_> = ProvenReply { status: 200, location: "", body: b"welcome" };

/// What a call's headers are.
fn headers<'a>(call: &'a Call<'_>, proof: &'a str) -> ProofHeaders<'a> {
    ProofHeaders {
        nonce: Some(call.nonce.as_bytes()),
        challenge: Some(call.challenge().as_bytes()),
        proof: Some(proof.as_bytes()),
    }
}

#[test]
fn a_call_and_its_answer_are_proven_both_ways() {
    let (gate, prover) = (gate("secret"), prover("secret"));
    let call = Call::new(&prover, gate.challenge(5).expect("one")).expect("sound");
    let proof = call.proof(ASKED);
    let proven = gate.check(headers(&call, &proof), ASKED, 6).expect("proven").expect("a secret");
    let answer = gate.sign(&proven, ANSWERED).expect("a secret");
    assert!(call.is_answer(ANSWERED, answer.as_bytes()));
    for other in [
        ProvenReply { status: 410, ..ANSWERED },
        ProvenReply { location: "http://elsewhere:1", ..ANSWERED },
        ProvenReply { body: b"go away", ..ANSWERED },
    ] {
        assert!(!call.is_answer(other, answer.as_bytes()), "{other:?}");
    }
    let again = Call::new(&prover, gate.challenge(5).expect("one")).expect("sound");
    assert!(!again.is_answer(ANSWERED, answer.as_bytes()), "an old answer is none");
    assert!(!call.is_answer(ANSWERED, proof.as_bytes()), "nor is the call itself");
}

#[test]
fn what_is_not_proven_is_not_taken() {
    let (gate, prover) = (gate("secret"), prover("secret"));
    let call = Call::new(&prover, gate.challenge(5).expect("one")).expect("sound");
    let proof = call.proof(ASKED);
    let good = headers(&call, &proof);
    let check = |headers, asked, now| gate.check(headers, asked, now).map(|_| ());
    assert_eq!(check(good, ASKED, 5), Ok(()));
    let missing = "the cluster requires proof of its secret (-peer-token)";
    for headers in [
        ProofHeaders::default(),
        ProofHeaders { proof: None, ..good },
        ProofHeaders { nonce: None, ..good },
        ProofHeaders { challenge: None, ..good },
    ] {
        assert_eq!(check(headers, ASKED, 5), Err(missing));
    }
    let old = "the challenge was not issued here, or has expired";
    assert_eq!(check(good, ASKED, 4), Err(old), "from the future");
    assert_eq!(check(good, ASKED, 5 + CHALLENGE_NS + 1), Err(old));
    assert_eq!(check(good, ASKED, 5 + CHALLENGE_NS), Ok(()));
    let elsewhere = super::tests::gate("secret");
    assert_eq!(elsewhere.check(good, ASKED, 5).map(|_| ()), Err(old), "another process gave it");
    let forged = "0".repeat(2 * CHALLENGE_LEN);
    let headers = ProofHeaders { challenge: Some(forged.as_bytes()), ..good };
    assert_eq!(check(headers, ASKED, 5), Err(old));
    assert_eq!(check(ProofHeaders { nonce: Some(b"short"), ..good }, ASKED, 5), Err(old));
    let wrong = "the secrets differ: the -peer-token here is a different one";
    for asked in [
        ProvenRequest { method: "PUT", ..ASKED },
        ProvenRequest { target: "/v2/peer/join", ..ASKED },
        ProvenRequest { body: b"{\"replace\":true}", ..ASKED },
    ] {
        assert_eq!(check(good, asked, 5), Err(wrong), "{asked:?}");
    }
    let other = super::tests::prover("other");
    let call = Call::new(&other, gate.challenge(5).expect("one")).expect("sound");
    assert_eq!(check(headers_of(&call, &call.proof(ASKED)), ASKED, 5), Err(wrong));
}

fn headers_of<'a>(call: &'a Call<'_>, proof: &'a str) -> ProofHeaders<'a> {
    headers(call, proof)
}

#[test]
fn without_a_secret_nothing_is_asked_for() {
    let open = gate("");
    assert_eq!(open.check(ProofHeaders::default(), ASKED, 5), Ok(None));
    assert!(open.prover().is_none());
}

#[test]
fn what_is_no_challenge_is_told_from_one() {
    let prover = prover("secret");
    for bad in [String::new(), "0".repeat(111), "x".repeat(112), "a\r\nX: y".to_owned()] {
        assert!(Call::new(&prover, bad).is_err());
    }
}
