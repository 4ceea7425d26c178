//! Certificates, the secret, and who is warned.

use super::*;
use crate::source::Environment;

fn values(args: &[&str]) -> Values {
    let all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let read_file = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let environment = Environment { args: &all, env: &[], read_file: &read_file };
    Values::gather(&environment).expect("known flags").0
}

fn at() -> Place<'static> {
    Place { data_dir: Path::new("d"), hosts: &[] }
}

const PAIR: [&str; 4] = ["-cert-file=c", "-key-file=k", "-peer-cert-file=pc", "-peer-key-file=pk"];

#[test]
fn half_of_a_configuration_is_refused() {
    for (args, want) in [
        (&["-cert-file=c"][..], "-cert-file requires -key-file as well"),
        (&["-key-file=k"], "-key-file requires -cert-file as well"),
        (&["-ca-file=a"], "-ca-file requires -cert-file and -key-file as well"),
        (&["-trusted-ca-file=a"], "-trusted-ca-file requires -cert-file and -key-file as well"),
        (&["-client-cert-auth"], "-client-cert-auth requires -trusted-ca-file as well"),
        (
            &["-cert-file=c", "-key-file=k", "-client-cert-auth"],
            "-client-cert-auth requires -trusted-ca-file as well",
        ),
        (&["-cert-file=c", "-key-file=k", "-ca-file=a", "-trusted-ca-file=b"], "give one of them"),
    ] {
        let error = client_files(&mut values(args), &at()).expect_err("a half").0;
        assert!(error.contains(want), "{args:?}: {error}");
        let peer: Vec<String> = args.iter().map(|arg| arg.replacen('-', "-peer-", 1)).collect();
        let peer: Vec<&str> = peer.iter().map(String::as_str).collect();
        assert!(peer_files(&mut values(&peer), &Secret::default(), &at()).is_err(), "{peer:?}");
        assert_eq!(client_files(&mut values(&peer), &at()), Ok(None), "{peer:?}");
    }
}

#[test]
fn who_is_asked_for_a_certificate() {
    for (args, want) in [
        (&[][..], (false, false)),
        (&["-ca-file=a", "-peer-ca-file=a"], (true, true)),
        (&["-ca-file=a", "-trusted-ca-file=a"], (true, false)),
        (&["-trusted-ca-file=a", "-peer-trusted-ca-file=a"], (false, false)),
        (&["-trusted-ca-file=a", "-client-cert-auth"], (true, false)),
        (&["-peer-trusted-ca-file=a", "-peer-client-cert-auth=true"], (false, true)),
        (&["-ca-file=a", "-client-cert-auth=false"], (false, false)),
    ] {
        let all: Vec<&str> = PAIR.iter().chain(args).copied().collect();
        let mut values = values(&all);
        let client = client_files(&mut values, &at()).expect("whole").expect("there");
        let peer =
            peer_files(&mut values, &Secret::default(), &at()).expect("whole").expect("there");
        assert_eq!((client.asks_callers, peer.asks_callers), want, "{args:?}");
    }
}

#[test]
fn urls_and_certificates_agree() {
    for (args, peer, want) in [
        (&["-initial-cluster=a=https://h:1,b=https://h:2"][..], true, ""),
        (&["-initial-cluster=a=https://h:1,b=http://h:2"], true, "b=http://h:2"),
        (&["-initial-cluster=a=https://h:1"], false, "-peer-cert-file"),
        (&["-listen-peer-urls=https://h:1"], false, "-peer-key-file"),
        (&["-initial-advertise-peer-urls=http://h:1"], true, "expected https"),
    ] {
        let result = check_urls(&values(args), peer).map_err(|usage| usage.0);
        match result {
            Ok(()) => assert_eq!(want, "", "{args:?}"),
            Err(error) => {
                assert!(!want.is_empty() && error.contains(want), "{args:?}: {error}")
            }
        }
    }
}

fn noted(values: &Values, words: &str) -> bool {
    values.notes.iter().any(|note| note.contains(words))
}

/// A file with the secret and a mode.
fn token_file(name: &str, text: &str, mode: u32) -> PathBuf {
    let path = std::env::temp_dir().join(format!("stead-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
    path
}

#[test]
fn the_secret_is_read_from_a_file() {
    for (text, mode, want) in [
        ("a long enough secret\n", 0o600, Ok(false)),
        ("a long enough secret\r\n", 0o400, Ok(false)),
        ("a long enough secret", 0o640, Ok(true)),
        ("a long enough secret\n", 0o604, Ok(true)),
        ("a long enough secret\n\n", 0o600, Err("must be one line")),
        (" a long enough secret\n", 0o600, Err("without blanks around it")),
        ("", 0o600, Err("it is empty")),
        ("\n", 0o600, Err("it is empty")),
        (&"a".repeat(5000), 0o600, Err("it is longer than 4096 bytes")),
    ] {
        let path = token_file("token", text, mode);
        let mut values = values(&[&format!("-peer-token-file={}", path.display())]);
        let found = token(&mut values);
        std::fs::remove_file(&path).expect("removed");
        match (found, want) {
            (Ok(secret), Ok(is_open)) => {
                assert_eq!(secret.expose(), "a long enough secret");
                assert_eq!(noted(&values, "other users can read"), is_open, "{mode:o}");
                assert!(!noted(&values, "shorter"));
            }
            (Err(error), Err(why)) => assert!(error.0.contains(why), "{text:?}: {error}"),
            (found, want) => panic!("{text:?}: {found:?} and not {want:?}"),
        }
    }
    let missing = token(&mut values(&["-peer-token-file=/no/such/file"])).expect_err("missing").0;
    assert!(missing.contains("cannot read /no/such/file"), "{missing}");
    let both = token(&mut values(&["-peer-token-file=a", "-peer-token=b"])).expect_err("both").0;
    assert!(both.contains("give one of them"), "{both}");
}

#[test]
fn a_secret_that_others_can_read_or_guess_is_noted() {
    let mut shown = values(&["-peer-token=a long enough secret"]);
    assert!(!token(&mut shown).expect("sound").is_none());
    assert!(noted(&shown, "the list of processes") && !noted(&shown, "shorter"));
    let mut short = values(&["-peer-token=secret"]);
    assert!(token(&mut short).is_ok() && noted(&short, "shorter than 16"));
    let mut none = values(&[]);
    assert!(token(&mut none).expect("sound").is_none() && none.notes.is_empty());
}

#[test]
fn a_peer_port_that_is_open_to_anybody_is_said_or_refused() {
    let files = |asks_callers| {
        let path = PathBuf::from;
        TlsFiles { cert: path("c"), key: path("k"), asks_callers, ..TlsFiles::default() }
    };
    let secret = Secret::new("a long enough secret".to_owned());
    let none = Secret::default();
    for (binds, tls, token, is_open) in [
        (&["127.0.0.1:7001"][..], None, &none, false),
        (&["[::1]:7001", "127.0.0.9:7001"], None, &none, false),
        (&["[::ffff:127.0.0.1]:7001"], None, &none, false),
        (&["10.0.0.1:7001"], None, &none, true),
        (&["0.0.0.0:7001"], None, &none, true),
        (&["127.0.0.1:7001", "[::]:7001"], None, &none, true),
        (&["10.0.0.1:7001"], Some(files(false)), &none, true),
        (&["10.0.0.1:7001"], Some(files(true)), &none, false),
        (&["10.0.0.1:7001"], None, &secret, false),
    ] {
        let binds: Vec<SocketAddr> =
            binds.iter().map(|bind| bind.parse().expect("an address")).collect();
        let mut open = values(&[]);
        let warnings = exposure(&mut open, &binds, tls.as_ref(), token).expect("not required");
        assert_eq!(!warnings.is_empty(), is_open, "{binds:?}");
        assert_eq!(open.notes, warnings);
        let mut strict = values(&["-require-secure"]);
        assert_eq!(exposure(&mut strict, &binds, tls.as_ref(), token).is_err(), is_open);
    }
}

#[test]
fn certificates_are_made_where_none_are_given() {
    let client = |args: &[&str]| client_files(&mut values(args), &at());
    let made = client(&["-auto-tls"]).expect("sound").expect("https");
    let file = PathBuf::from("d/auto-tls-client.pem");
    assert_eq!((&made.cert, &made.key, made.asks_callers), (&file, &file, false));
    assert!(made.trusts_anyone());
    let given = client(&["-auto-tls", "-cert-file=c", "-key-file=k"]).expect("sound");
    assert_eq!(given.expect("https").auto, None);
    assert!(client(&["-auto-tls", "-cert-file=c"]).is_err(), "half of a pair");
    assert!(client(&["-auto-tls", "-client-cert-auth"]).is_err(), "signed by whom?");
    let asking = ["-auto-tls", "-client-cert-auth", "-trusted-ca-file=a"];
    let asking = client(&asking).expect("sound").expect("https");
    assert!(asking.asks_callers && !asking.trusts_anyone());
    let peer = |args: &[&str]| peer_files(&mut values(args), &Secret::default(), &at());
    let made = peer(&["-peer-auto-tls"]).expect("sound").expect("https");
    assert!(made.cert.ends_with("auto-tls-peer.pem") && made.trusts_anyone());
    let error = peer(&["-peer-auto-tls", "-peer-ca-file=a"]).expect_err("it says nothing").0;
    assert!(error.contains("signed by no authority"), "{error}");
}

#[test]
fn suites_that_there_are_can_be_chosen() {
    let suites = |list: &str| suites(&values(&[&format!("-cipher-suites={list}")]));
    let name = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    assert_eq!(suites(""), Ok(None));
    let two = format!("{name},TLS_AES_128_GCM_SHA256");
    assert_eq!(suites(&two).expect("known").map(|all| all.len()), Some(2));
    let error = suites("TLS_RSA_WITH_RC4_128_SHA").expect_err("broken").0;
    assert!(error.contains("not supported") && error.contains(name), "{error}");
}
