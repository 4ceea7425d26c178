//! `stead backup`: makes a backup of a running cluster, and looks at backups.

use super::content::{self, Difference};
use crate::args::{Args, Flags};
use crate::console::{FAILED, USAGE, print, say};
use crate::nodes::walk;
use crate::secure;
use crate::source::Usage;
use replica::BackupInfo;
use server::Access;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::Store;

pub(super) const HELP: &str = "\
stead backup: one consistent point of a running cluster in a file

Usage:
  stead backup [flags] FILE           make a backup
  stead backup inspect FILE [--json]  print what is in it; --json: a line for each node,
                                      which `stead import --from-snapshot` takes too
  stead backup verify FILE            check every byte of it
  stead backup diff FILE FILE         print which keys differ (exit code 1 if some do)

A backup holds every write that was acknowledged before it began. FILE gets its name when
it is complete, checked and synced. Any member will do as the endpoint.

Flags:
  --endpoint URL[,URL]   members to ask, one after the other until one answers
                         (STEAD_ENDPOINTS, or http://127.0.0.1:4001)
  --user-file FILE       NAME:PASSWORD where users count; it has to be root
  --token-file FILE      the cluster's secret, where it has one (-peer-token-file)
  --ca-file FILE         authorities of the server's certificate (PEM)
  --cert-file FILE       certificate to show to the server (PEM)
  --key-file FILE        its key (PEM)
  --force                replace FILE if it is there

Examples:
  stead backup today.stead
  stead backup inspect today.stead
  stead backup diff yesterday.stead today.stead
";

pub(super) const FLAGS: Flags = Flags {
    command: "backup",
    valued: &["endpoint", "user-file", "token-file", "ca-file", "cert-file", "key-file"],
    repeated: &[],
    plain: &["force", "json"],
    has_words: true,
};

/// Runs the command.
pub(super) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    let args = Args::parse(FLAGS, args)?;
    if args.help {
        return Ok(print(HELP));
    }
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["inspect", file] => inspect(Path::new(file), args.has("json")),
        ["verify", file] => verify(Path::new(file)),
        ["diff", first, second] => return Ok(diff(Path::new(first), Path::new(second))),
        ["inspect" | "verify" | "diff", ..] => {
            return Err(Usage("name the backup: run `stead backup --help`".to_owned()));
        }
        [file] => make(&args, Path::new(file)),
        _ => return Err(Usage("name one file: run `stead backup --help`".to_owned())),
    };
    Ok(outcome.unwrap_or_else(|error| {
        say(&format!("stead: {error}"));
        ExitCode::from(FAILED)
    }))
}

fn make(args: &Args, file: &Path) -> Result<ExitCode, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    if file.exists() && !args.has("force") {
        return Err(named(&"the file is there already; give another name, or --force"));
    }
    let token = args.value("token-file").map(secure::read_secret).transpose()?;
    let shown = match (args.value("cert-file"), args.value("key-file")) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((Path::new(cert), Path::new(key))),
        _ => return Err("--cert-file and --key-file belong together".to_owned()),
    };
    let user = args.value("user-file").map(|file| client::authorization_in(Path::new(file)));
    let user = user.transpose()?;
    let (token, authorization) = (token.as_deref(), user.as_deref());
    let ca = args.value("ca-file").map(Path::new);
    let access = Access { token, authorization, ca, shown };
    let endpoints = &args.endpoints();
    let partial = PathBuf::from(format!("{}.partial", file.display()));
    let result = fetch(endpoints, access, &partial).and_then(|()| {
        let (info, store) = server::read_backup(&partial).map_err(|error| error.to_string())?;
        fs::rename(&partial, file).map_err(|error| named(&error))?;
        sync_parent(file).map_err(|error| named(&error))?;
        Ok(summary(file, &info, &store))
    });
    if result.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(&partial);
    }
    result.map(|text| print(&text))
}

/// Tries one endpoint after the other.
fn fetch(endpoints: &str, access: Access<'_>, partial: &Path) -> Result<(), String> {
    let mut failures = Vec::new();
    for endpoint in endpoints.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        match fetch_from(endpoint, access, partial) {
            Ok(()) => return Ok(()),
            Err(error) => failures.push(error),
        }
    }
    match failures.is_empty() {
        true => Err("--endpoint names nobody".to_owned()),
        false => Err(failures.join("; ")),
    }
}

fn fetch_from(endpoint: &str, access: Access<'_>, partial: &Path) -> Result<(), String> {
    let named = |error: io::Error| format!("{}: {error}", partial.display());
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let opened = options.create_new(true).write(true).mode(0o600).open(partial).map_err(named)?;
    let mut out = BufWriter::new(opened);
    let url = format!("{}/v2/admin/backup", endpoint.trim_end_matches('/'));
    server::download(&url, access, &mut out)?;
    let written = out.into_inner().map_err(|error| named(error.into_error()))?;
    written.sync_all().map_err(named)
}

/// Makes the name of a file durable.
fn sync_parent(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn summary(file: &Path, info: &BackupInfo, store: &Store) -> String {
    let sums = content::sums(store);
    format!(
        "{}: index {}, {} keys in {} directories, {} bytes of values\n",
        file.display(),
        store.index().0,
        sums.keys,
        sums.directories,
        sums.value_bytes,
    ) + &format!("made by {} ({}) at {}\n", info.made_by, info.program, made_at(info))
}

fn made_at(info: &BackupInfo) -> String {
    server::rfc3339(info.made.wall)
}

fn read(file: &Path) -> Result<(BackupInfo, Store), String> {
    server::read_backup(file).map_err(|error| error.to_string())
}

fn verify(file: &Path) -> Result<ExitCode, String> {
    let (info, store) = read(file)?;
    Ok(print(&format!("the backup is complete and undamaged\n{}", summary(file, &info, &store))))
}

fn inspect(file: &Path, as_json: bool) -> Result<ExitCode, String> {
    let (info, store) = read(file)?;
    if as_json {
        return Ok(print_lines(&store));
    }
    let sums = content::sums(&store);
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{name:<16}{value}");
    };
    line("made at", &made_at(&info));
    line("made by", &format!("{} ({})", info.made_by, info.program));
    line("cluster", &format!("{:x}", info.cluster.0));
    line("index", &store.index().0);
    line("raft index", &format!("{} (term {})", info.log_index.0, info.term.0));
    line("keys", &sums.keys);
    line("directories", &sums.directories);
    line("value bytes", &sums.value_bytes);
    line("with a TTL", &sums.expiring);
    for member in info.members() {
        line("member", &format!("{} {} {}", member.name, member.client_url, member.peer_url));
    }
    Ok(print(&text))
}

fn print_lines(store: &Store) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut failed = false;
    walk(store, &mut |path, node| {
        let line = content::json_line(path, node);
        failed = failed || writeln!(out, "{line}").is_err();
    });
    if failed || out.flush().is_err() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
}

fn diff(first: &Path, second: &Path) -> ExitCode {
    let (one, other) = match (read(first), read(second)) {
        (Ok((_, one)), Ok((_, other))) => (one, other),
        (Err(error), _) | (_, Err(error)) => {
            say(&format!("stead: {error}"));
            return ExitCode::from(USAGE);
        }
    };
    let found = content::differences(&one, &other);
    let mut text = String::new();
    for difference in &found {
        let _ = match difference {
            Difference::Added(path) => writeln!(text, "+ {}", path.escape_debug()),
            Difference::Removed(path) => writeln!(text, "- {}", path.escape_debug()),
            Difference::Changed(path) => writeln!(text, "~ {}", path.escape_debug()),
        };
    }
    let printed = print(&text);
    if found.is_empty() { printed } else { ExitCode::from(FAILED) }
}
