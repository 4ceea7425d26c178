//! How machines of a cluster prove to one another that they know its secret, and never say it.
//!
//! A proof is HMAC-SHA256 with the secret as the key, over a label that says what it is for, and
//! fields with their lengths, among them a nonce that the other side drew. Within a connection it
//! is good for one use. A call may be repeated verbatim while its challenge is valid: handlers must
//! be idempotent.
//!
//! ```text
//! "stead-peer-2 " label 00 | length u64 le, bytes | length u64 le, bytes | ...
//! ```
//! Members that connect draw a nonce each and prove themselves within the connection (`peer`).
//! A call over HTTP (`join/caller.rs`) is asked for in two steps: `GET /v2/peer/challenge` gives
//! the nonce of the member that is called, and the call carries it, the caller's own nonce and a
//! proof over all that it asks for. The answer carries a proof over all that it says.

use crate::config::Secret;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::io;

/// Bytes of a nonce.
const NONCE_LEN: usize = 16;

/// Hexadecimal digits of a proof.
const PROOF_DIGITS: usize = 64;

/// How long a challenge may be used: 10 s, as long as a call may take and a little more.
const CHALLENGE_NS: u64 = 10_000_000_000;

/// Bytes of a challenge: its time, chance, and what says that it was given here.
const CHALLENGE_LEN: usize = 8 + NONCE_LEN + 32;

/// What a proof is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// The dialled side answers a hello: query, caller's nonce, own nonce.
    Welcome,
    /// The dialling side answers that: query, own nonce, the other's nonce.
    Hello,
    /// The dialled side admits or refuses: query, caller's nonce, status, body.
    Verdict,
    /// A call: method, target, body, challenge, own nonce.
    Call,
    /// The answer to a call: status, location, body, challenge, caller's nonce.
    Answer,
}

impl Label {
    fn text(self) -> &'static str {
        match self {
            Label::Welcome => "welcome",
            Label::Hello => "hello",
            Label::Verdict => "verdict",
            Label::Call => "call",
            Label::Answer => "answer",
        }
    }
}

/// Makes proofs and looks at those of others.
#[derive(Clone, Debug)]
pub(crate) struct Prover {
    key: hmac::Key,
}

impl Prover {
    /// Gives nothing where there is no secret: nothing is proven then, and nothing asked for.
    pub(crate) fn new(secret: &Secret) -> Option<Self> {
        let word = secret.expose();
        let key = || hmac::Key::new(hmac::HMAC_SHA256, word.as_bytes());
        (!word.is_empty()).then(|| Self { key: key() })
    }

    /// A proof, in hexadecimal digits.
    pub(crate) fn prove(&self, label: Label, fields: &[&[u8]]) -> String {
        hex(hmac::sign(&self.key, &message(label, fields)).as_ref())
    }

    /// Whether a proof is one, in a time that says nothing about where it is wrong.
    pub(crate) fn verify(&self, label: Label, fields: &[&[u8]], proof: &[u8]) -> bool {
        let tag = Some(proof).filter(|proof| proof.len() == PROOF_DIGITS).and_then(unhex);
        tag.is_some_and(|tag| hmac::verify(&self.key, &message(label, fields), &tag).is_ok())
    }
}

fn message(label: Label, fields: &[&[u8]]) -> Vec<u8> {
    let len: usize = fields.iter().map(|field| field.len() + 8).sum();
    let mut out = Vec::with_capacity(len + 32);
    out.extend_from_slice(b"stead-peer-2 ");
    out.extend_from_slice(label.text().as_bytes());
    out.push(0);
    for field in fields {
        out.extend_from_slice(&(field.len() as u64).to_le_bytes());
        out.extend_from_slice(field);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

fn draw<const LEN: usize>() -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    let failed = |_| io::Error::other("the system's random number generator failed");
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// An unpredictable random number, in hexadecimal digits.
///
/// # Errors
/// When the system has none.
pub(crate) fn draw_nonce() -> io::Result<String> {
    Ok(hex(&draw::<NONCE_LEN>()?))
}

/// Whether a string is a well-formed nonce of another machine.
pub(crate) fn is_nonce(text: &[u8]) -> bool {
    text.len() == 2 * NONCE_LEN && text.iter().all(u8::is_ascii_hexdigit)
}

/// The headers of a request that have to do with proofs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProofHeaders<'a> {
    /// `Stead-Nonce`: what the sender drew.
    pub(crate) nonce: Option<&'a [u8]>,
    /// `Stead-Challenge`: what it was given here.
    pub(crate) challenge: Option<&'a [u8]>,
    /// `Stead-Proof`.
    pub(crate) proof: Option<&'a [u8]>,
}

/// A call that was proven: what its answer is proven with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    challenge: Vec<u8>,
    nonce: Vec<u8>,
}

/// What is asked for in a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProvenRequest<'a> {
    pub(crate) method: &'a str,
    /// Path and query, as sent.
    pub(crate) target: &'a str,
    pub(crate) body: &'a [u8],
}

/// What is answered to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProvenReply<'a> {
    pub(crate) status: u16,
    /// Where the caller is sent on to; empty if nowhere.
    pub(crate) location: &'a str,
    pub(crate) body: &'a [u8],
}

/// The side of a member that is called. It keeps no state for the challenges that it issued: each
/// contains its time and is authenticated.
#[derive(Debug)]
pub(crate) struct Gate {
    prover: Option<Prover>,
    challenges: hmac::Key,
}

impl Gate {
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new(secret: &Secret) -> io::Result<Self> {
        let challenges = hmac::Key::new(hmac::HMAC_SHA256, &draw::<32>()?);
        Ok(Self { prover: Prover::new(secret), challenges })
    }

    /// What proofs are made with; nothing without a secret.
    pub(crate) fn prover(&self) -> Option<&Prover> {
        self.prover.as_ref()
    }

    /// A challenge for a caller; `now` is the monotonic clock.
    ///
    /// # Errors
    /// As [`Gate::new`].
    pub(crate) fn challenge(&self, now: u64) -> io::Result<String> {
        let mut bytes = now.to_be_bytes().to_vec();
        bytes.extend_from_slice(&draw::<NONCE_LEN>()?);
        let tag = hmac::sign(&self.challenges, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        Ok(hex(&bytes))
    }

    fn is_fresh(&self, challenge: &[u8], now: u64) -> bool {
        let bytes = unhex(challenge).filter(|bytes| bytes.len() == CHALLENGE_LEN);
        let Some((said, tag)) = bytes.as_ref().and_then(|all| all.split_at_checked(8 + NONCE_LEN))
        else {
            return false;
        };
        let given = said.first_chunk().map_or(0, |time| u64::from_be_bytes(*time));
        hmac::verify(&self.challenges, said, tag).is_ok()
            && given <= now
            && now - given <= CHALLENGE_NS
    }

    /// Verifies the proof of a call. Without a secret there is nothing to prove.
    ///
    /// # Errors
    /// Why it is not believed, in a sentence.
    pub(crate) fn check(
        &self,
        headers: ProofHeaders<'_>,
        asked: ProvenRequest<'_>,
        now: u64,
    ) -> Result<Option<Proven>, &'static str> {
        let Some(prover) = &self.prover else { return Ok(None) };
        let ProofHeaders { nonce: Some(nonce), challenge: Some(challenge), proof: Some(proof) } =
            headers
        else {
            return Err("the cluster requires proof of its secret (-peer-token)");
        };
        if !is_nonce(nonce) || !self.is_fresh(challenge, now) {
            return Err("the challenge was not issued here, or has expired");
        }
        let ProvenRequest { method, target, body } = asked;
        let fields = [method.as_bytes(), target.as_bytes(), body, challenge, nonce];
        if !prover.verify(Label::Call, &fields, proof) {
            return Err("the secrets differ: the -peer-token here is a different one");
        }
        Ok(Some(Proven { challenge: challenge.to_vec(), nonce: nonce.to_vec() }))
    }

    /// The proof of an answer to a proven call.
    pub(crate) fn sign(&self, proven: &Proven, answered: ProvenReply<'_>) -> Option<String> {
        let status = answered.status.to_string();
        let fields = answer_fields(&status, &answered, &proven.challenge, &proven.nonce);
        Some(self.prover.as_ref()?.prove(Label::Answer, &fields))
    }
}

fn answer_fields<'a>(
    status: &'a str,
    answered: &ProvenReply<'a>,
    challenge: &'a [u8],
    nonce: &'a [u8],
) -> [&'a [u8]; 5] {
    [status.as_bytes(), answered.location.as_bytes(), answered.body, challenge, nonce]
}

/// The side of a caller, for one call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    prover: &'a Prover,
    challenge: String,
    pub(crate) nonce: String,
}

impl<'a> Call<'a> {
    /// # Errors
    /// When the system has no random numbers, or the challenge cannot be one.
    pub(crate) fn new(prover: &'a Prover, challenge: String) -> io::Result<Self> {
        let is_hex = challenge.bytes().all(|byte| byte.is_ascii_hexdigit());
        if challenge.len() != 2 * CHALLENGE_LEN || !is_hex {
            return Err(io::Error::other("invalid challenge"));
        }
        Ok(Self { prover, challenge, nonce: draw_nonce()? })
    }

    pub(crate) fn challenge(&self) -> &str {
        &self.challenge
    }

    pub(crate) fn proof(&self, asked: ProvenRequest<'_>) -> String {
        let ProvenRequest { method, target, body } = asked;
        let (challenge, nonce) = (self.challenge.as_bytes(), self.nonce.as_bytes());
        let fields = [method.as_bytes(), target.as_bytes(), body, challenge, nonce];
        self.prover.prove(Label::Call, &fields)
    }

    /// Whether the answer is one of a machine that knows the secret, to this call.
    pub(crate) fn is_answer(&self, answered: ProvenReply<'_>, proof: &[u8]) -> bool {
        let status = answered.status.to_string();
        let (challenge, nonce) = (self.challenge.as_bytes(), self.nonce.as_bytes());
        let fields = answer_fields(&status, &answered, challenge, nonce);
        self.prover.verify(Label::Answer, &fields, proof)
    }
}

#[cfg(test)]
mod tests;
