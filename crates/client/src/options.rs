//! The flags that every command has.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Values and names.
    #[default]
    Simple,
    /// With indexes and TTL, in the manner of a letter's head.
    Extended,
    /// One JSON document; one per line where there are several.
    Json,
}

/// Where the cluster is, who asks, and how answers are printed.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Endpoints, with commas between them; tried in order
    ///
    /// http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH. Without the flag the first
    /// of STEAD_ENDPOINTS, ETCDCTL_ENDPOINTS and ETCDCTL_PEERS that is set; then 127.0.0.1:4001
    /// and 127.0.0.1:2379.
    #[arg(long, global = true, value_name = "URL,URL", alias = "endpoint", alias = "peers")]
    #[arg(help_heading = "Options of all commands")]
    pub(crate) endpoints: Option<String>,

    /// The user: NAME, or NAME:PASSWORD
    ///
    /// Without a password it is asked for on the terminal. Whoever lists the processes sees what
    /// is on the command line: prefer --user-file, or STEAD_USER (or ETCDCTL_USERNAME) in the
    /// environment.
    #[arg(long, short = 'u', global = true, value_name = "NAME[:PASSWORD]", alias = "username")]
    #[arg(help_heading = "Options of all commands", conflicts_with = "user_file")]
    pub(crate) user: Option<String>,

    /// A file whose first line is NAME:PASSWORD
    #[arg(long, global = true, value_name = "FILE", help_heading = "Options of all commands")]
    pub(crate) user_file: Option<PathBuf>,

    /// A file with the cluster's token, for changes of members and of the configuration
    #[arg(long, global = true, value_name = "FILE", help_heading = "Options of all commands")]
    pub(crate) token_file: Option<PathBuf>,

    /// Authorities of the servers' certificates (PEM); also ETCDCTL_CA_FILE
    #[arg(long = "cacert", global = true, value_name = "FILE", alias = "ca-file")]
    #[arg(help_heading = "Options of all commands")]
    pub(crate) ca_file: Option<PathBuf>,

    /// The certificate to show to servers (PEM); also ETCDCTL_CERT_FILE
    #[arg(long = "cert", global = true, value_name = "FILE", alias = "cert-file")]
    #[arg(help_heading = "Options of all commands")]
    pub(crate) cert_file: Option<PathBuf>,

    /// Its key (PEM); also ETCDCTL_KEY_FILE
    #[arg(long = "key", global = true, value_name = "FILE", alias = "key-file")]
    #[arg(help_heading = "Options of all commands")]
    pub(crate) key_file: Option<PathBuf>,

    /// How long a call may take, as in 500ms, 5s or 2m; 5s, and 60s for listings
    #[arg(long, global = true, value_name = "TIME", value_parser = time, alias = "total-timeout")]
    #[arg(help_heading = "Options of all commands")]
    pub(crate) timeout: Option<Duration>,

    /// How long connecting to an endpoint may take
    #[arg(long, global = true, value_name = "TIME", value_parser = time, default_value = "1s")]
    #[arg(help_heading = "Options of all commands")]
    pub(crate) dial_timeout: Duration,

    /// How answers are printed
    #[arg(long, short = 'o', global = true, value_name = "FORMAT", default_value = "simple")]
    #[arg(help_heading = "Options of all commands", value_enum)]
    pub(crate) output: Format,
}

/// Longest time that is taken for one.
const TIME_MAX: Duration = Duration::from_secs(366 * 86400);

/// Parses a time: a number of seconds, or a number with a unit.
///
/// # Errors
/// What is wanted.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wanted = || "a time is wanted, as in 500ms, 5s, 2m or 1h".to_owned();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wanted())?;
    let unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(wanted()),
    };
    match Duration::try_from_secs_f64(number * unit) {
        Ok(time) if !time.is_zero() && time <= TIME_MAX => Ok(time),
        _ => Err(wanted()),
    }
}

/// A TTL, in whole seconds: a number, or a time with a unit. 0 stands for none, as in etcdctl.
///
/// # Errors
/// What is wanted.
pub(crate) fn ttl(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let time = time(text)?;
    match time.subsec_nanos() {
        0 => Ok(time.as_secs()),
        _ => Err("a TTL is a whole number of seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(time("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "s", "-1s", "0", "1y", "nan", "inf", "1e30h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert_eq!((ttl("0"), ttl("90"), ttl("2m")), (Ok(0), Ok(90), Ok(120)));
        assert!(ttl("1.5s").is_err() && ttl("x").is_err() && ttl("-5").is_err());
    }
}
