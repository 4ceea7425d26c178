//! Every claim on every kept input, and on changes of them that are the same in each run.

use fuzzed::CHECKS;
use sim::rng::Rng;
use std::fs;
use std::path::Path;

/// How many changed inputs each claim gets.
const CHANGED: usize = 2000;

/// Longest input that is made.
const LEN_MAX: usize = 2000;

fn draw_byte(rng: &mut Rng) -> u8 {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'%', b'\n'];
    let any = u8::try_from(rng.below(256)).expect("below 256");
    if rng.below(3) == 0 { rng.pick(&TELLING) } else { any }
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.index(bytes.len() + 1);
    let end = (at + rng.index(9)).min(bytes.len());
    match rng.below(6) {
        0 => bytes[at..end].fill(draw_byte(rng)),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.insert(at, draw_byte(rng)),
        4 => drop(bytes.splice(at..end, other[rng.index(other.len())..].iter().copied())),
        _ => {
            let again = bytes[at..].to_vec();
            bytes.extend_from_slice(&again);
        }
    }
    bytes.truncate(LEN_MAX);
}

fn kept(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("it can be read")).collect()
}

fn run(name: &str, input: &[u8]) {
    let result = std::panic::catch_unwind(|| fuzzed::check(name, input));
    assert!(result.is_ok(), "{name} does not hold for {:?}", input.escape_ascii().to_string());
}

#[test]
fn all_claims_hold_for_kept_inputs_and_their_changes() {
    for (name, _) in CHECKS {
        let inputs = kept(name);
        assert!(!inputs.is_empty(), "{name} has no kept input");
        inputs.iter().for_each(|input| run(name, input));
        let mut rng = Rng::new(1);
        for _ in 0..CHANGED {
            let mut input = inputs[rng.index(inputs.len())].clone();
            for _ in 0..=rng.below(5) {
                let other = &inputs[rng.index(inputs.len())];
                change(&mut rng, &mut input, other);
            }
            run(name, &input);
        }
    }
}

#[test]
fn each_claim_has_a_fuzz_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("it is there");
    for (name, _) in CHECKS {
        let target = folder.join("fuzz_targets").join(format!("{name}.rs"));
        let text = fs::read_to_string(&target).unwrap_or_default();
        assert!(text.contains(&format!("fuzzed::check(\"{name}\"")), "{}", target.display());
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} in fuzz/Cargo.toml");
    }
}
