//! Ports and what is told of them, from flags.

use super::*;
use crate::source::Environment;

fn gathered(args: &[&str]) -> Values {
    let mut all: Vec<String> = vec!["-name=m0".into(), "-data-dir=d".into()];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    let read_file = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let environment = Environment { args: &all, env: &[], read_file: &read_file };
    Values::gather(&environment).map(|(values, _)| values).expect("sound")
}

const CERT: [&str; 2] = ["-cert-file=c", "-key-file=k"];

/// The ports, and what is noted about them.
fn ports(args: &[&str]) -> Result<(ClientPorts, String), String> {
    let mut values = gathered(args);
    let config = crate::resolve::config(&mut values).map_err(|usage| usage.0)?;
    let ports = ClientPorts {
        listeners: config.client_listeners,
        url: config.client_url,
        urls: config.client_urls,
    };
    Ok((ports, values.notes.join("\n")))
}

fn listened(ports: &ClientPorts) -> Vec<String> {
    let show = |one: &ClientListener| {
        let dialect = if one.dialect == Dialect::V2 { "v2" } else { "v04" };
        format!("{} {dialect}{}", one.bind, if one.is_tls { " tls" } else { "" })
    };
    ports.listeners.iter().map(show).collect()
}

fn check(args: &[&str], listens: &[&str], v04: &[&str], v2: &[&str]) -> String {
    let (ports, notes) = ports(args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
    assert_eq!(listened(&ports), listens, "{args:?}");
    assert_eq!((ports.urls.v04(), ports.urls.v2()), (&owned(v04)[..], &owned(v2)[..]), "{args:?}");
    notes
}

fn owned(urls: &[&str]) -> Vec<String> {
    urls.iter().map(|url| (*url).to_owned()).collect()
}

#[test]
fn each_dialect_has_the_addresses_of_its_ports() {
    check(&[], &["127.0.0.1:4001 v04"], &["http://127.0.0.1:4001"], &[]);
    check(&["-compat=v2"], &["127.0.0.1:4001 v2"], &[], &["http://127.0.0.1:4001"]);
    check(
        &["-v2-addr=127.0.0.1"],
        &["127.0.0.1:4001 v04", "127.0.0.1:2379 v2"],
        &["http://127.0.0.1:4001"],
        &["http://127.0.0.1:2379"],
    );
    let urls = "-listen-client-urls=http://127.0.0.1:2379,http://[::1]:4001";
    check(
        &[urls],
        &["127.0.0.1:2379 v2", "[::1]:4001 v2"],
        &[],
        &["http://127.0.0.1:2379", "http://[::1]:4001"],
    );
    check(
        &[urls, "-compat=v04", "-advertise-client-urls=http://b:1, http://a:1"],
        &["127.0.0.1:2379 v04", "[::1]:4001 v04"],
        &["http://a:1", "http://b:1"],
        &[],
    );
    check(
        &[urls, "-addr=10.0.0.1:4001", "-v2-addr=127.0.0.1:9"],
        &["127.0.0.1:2379 v2", "[::1]:4001 v2", "127.0.0.1:9 v2"],
        &[],
        &["http://10.0.0.1:4001", "http://127.0.0.1:9"],
    );
    check(
        &["-addr=127.0.0.1:1", "-v2-addr=127.0.0.1:2", "-advertise-client-urls=http://b:2"],
        &["127.0.0.1:1 v04", "127.0.0.1:2 v2"],
        &["http://127.0.0.1:1"],
        &["http://b:2"],
    );
    let (named, _) =
        ports(&["-advertise-client-urls=http://b:1,http://a:1", "-bind-addr=127.0.0.1"])
            .expect("sound");
    assert_eq!(named.url, "http://b:1", "the first one is for those that know one");
}

#[test]
fn all_interfaces_are_an_address_that_others_can_use() {
    let (ports_, notes) = ports(&["-addr=10.0.0.1:4001", "-v2-addr=0.0.0.0:5"]).expect("sound");
    assert_eq!(ports_.urls.v2(), ["http://10.0.0.1:5"], "the host of -addr");
    assert!(!notes.contains("-v2-addr"), "{notes}");
    let (ports_, notes) = ports(&["-v2-addr=[::]:5"]).expect("sound");
    let told = ports_.urls.v2().first().expect("one").clone();
    assert!(!told.contains("[::]") && told.ends_with(":5"), "{told}");
    assert!(notes.contains("-v2-addr [::]:5 means all interfaces"), "{notes}");
    let (ports_, notes) = ports(&["-listen-client-urls=http://0.0.0.0:5"]).expect("sound");
    assert!(!ports_.url.contains("0.0.0.0") && ports_.url.ends_with(":5"), "{}", ports_.url);
    assert!(notes.contains("-advertise-client-urls to addresses"), "{notes}");
    let (ports_, notes) = ports(&["-v2-addr=203.0.113.9:5"]).expect("sound");
    assert_eq!(listened(&ports_)[1], "0.0.0.0:5 v2", "an address of another machine");
    assert!(notes.contains("-v2-addr 203.0.113.9: it is not an address of this"), "{notes}");
}

#[test]
fn http_and_https_stand_side_by_side_only_with_a_word() {
    let both = "-listen-client-urls=https://127.0.0.1:1,http://127.0.0.1:2";
    let notes = check(
        &[both, CERT[0], CERT[1]],
        &["127.0.0.1:1 v2 tls", "127.0.0.1:2 v2"],
        &[],
        &["http://127.0.0.1:2", "https://127.0.0.1:1"],
    );
    assert!(notes.contains("http://127.0.0.1:2 without TLS"), "{notes}");
    let unix = "-listen-client-urls=https://127.0.0.1:1,unix:///run/s,unixs://name:1";
    let notes = check(
        &[unix, CERT[0], CERT[1]],
        &["127.0.0.1:1 v2 tls", "unix:///run/s v2", "unix://name:1 v2 tls"],
        &[],
        &["https://127.0.0.1:1"],
    );
    assert!(notes.contains("unix:///run/s without TLS"), "{notes}");
    check(
        &["-v2-addr=127.0.0.1:2", CERT[0], CERT[1]],
        &["127.0.0.1:4001 v04 tls", "127.0.0.1:2 v2 tls"],
        &["https://127.0.0.1:4001"],
        &["https://127.0.0.1:2"],
    );
}

#[test]
fn a_unix_socket_is_no_address_for_others() {
    let notes = check(
        &["-listen-client-urls=unix:///run/s"],
        &["unix:///run/s v2"],
        &[],
        &["http://127.0.0.1:4001"],
    );
    assert!(notes.contains("cannot reach a Unix socket"), "{notes}");
    let notes = check(
        &[
            "-listen-client-urls=unix:///run/s",
            "-advertise-client-urls=unix:///run/s,http://proxy:80",
        ],
        &["unix:///run/s v2"],
        &[],
        &["http://proxy:80"],
    );
    assert!(notes.contains("not told to others"), "{notes}");
}

#[test]
fn ports_that_cannot_be_are_refused() {
    let many = (1..=9).map(|at| format!("http://127.0.0.1:{at}")).collect::<Vec<_>>().join(",");
    let (listen, told) =
        (format!("-listen-client-urls={many}"), format!("-advertise-client-urls={many}"));
    for (args, want) in [
        (vec!["-listen-client-urls=https://127.0.0.1:1"], "https requires"),
        (vec!["-listen-client-urls=unixs://s"], "https requires"),
        (vec!["-listen-client-urls=http://127.0.0.1:1", CERT[0], CERT[1]], "expected https"),
        (vec!["-advertise-client-urls=https://a:1"], "https requires"),
        (vec!["-advertise-client-urls=http://a:1", CERT[0], CERT[1]], "expected https"),
        (vec!["-advertise-client-urls=http://a:0", "-bind-addr=127.0.0.1:1"], "port 0"),
        (vec!["-listen-client-urls=unix://"], "expected unix://PATH"),
        (vec!["-listen-client-urls=unix:///run/"], "expected unix://PATH"),
        (vec!["-listen-client-urls=ftp://a:1"], "expected a URL"),
        (vec!["-listen-client-urls=http://127.0.0.1"], "with a port"),
        (vec!["-listen-client-urls=http://stead.invalid:1"], "cannot resolve"),
        (vec!["-listen-peer-urls=unix:///run/s"], "expected a URL"),
        (vec!["-v2-addr=http://127.0.0.1:1"], "expected HOST"),
        (vec!["-v2-addr=127.0.0.1:0"], "port 0"),
        (vec!["-v2-addr=stead.invalid"], "cannot resolve"),
        (
            vec!["-listen-client-urls=https://127.0.0.1:1,http://127.0.0.1:1", CERT[0], CERT[1]],
            "with and without TLS",
        ),
        (vec![&listen], "at most 8"),
        (vec![&told, "-bind-addr=127.0.0.1:1"], "at most 8"),
    ] {
        let error = ports(&args).err().unwrap_or_else(|| panic!("{args:?}"));
        assert!(error.contains(want), "{args:?}: {error}");
    }
}

#[test]
fn a_name_is_listened_at_with_all_its_addresses() {
    let (ports, _) =
        ports(&["-listen-client-urls=http://localhost:5,http://127.0.0.1:5"]).expect("sound");
    let binds = listened(&ports);
    assert!(binds.contains(&"127.0.0.1:5 v2".to_owned()), "{binds:?}");
    assert!(binds.iter().all(|bind| bind.ends_with(":5 v2")), "{binds:?}");
    assert_eq!(ports.urls.v2(), ["http://127.0.0.1:5", "http://localhost:5"]);
}
