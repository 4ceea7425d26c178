//! Who asks: name and password, and the cluster's token.

use crate::failure::Failure;
use crate::options::Options;
use crate::prompt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file with a secret that are read.
const SECRET_FILE_MAX: u64 = 64 << 10;

/// The variables that name a user; the first that is set counts.
const VARIABLES: [&str; 2] = ["STEAD_USER", "ETCDCTL_USERNAME"];

/// The `Authorization` header, if a user was named.
///
/// # Errors
/// [`Failure`] with the file that cannot be used, or that there is no terminal to ask on.
pub(crate) fn authorization(options: &Options) -> Result<Option<String>, Failure> {
    let text = match (&options.user_file, &options.user) {
        (Some(file), _) => checked(credentials_in(file).map_err(Failure::Local)?)?,
        (None, Some(user)) => with_password(user, || prompt::password(user))?,
        (None, None) => {
            let set = VARIABLES
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
            let Some(user) = set else { return Ok(None) };
            with_password(&user, || prompt::password(&user))?
        }
    };
    Ok(Some(basic(&text)))
}

/// The `Authorization` header for a name and a password.
///
/// # Errors
/// [`Failure::Usage`] if they are none.
pub(crate) fn authorization_of(name: &str, password: &str) -> Result<String, Failure> {
    checked(format!("{name}:{password}")).map(|text| basic(&text))
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// The `Authorization` header for the first line of a file, which has to be `NAME:PASSWORD`.
///
/// # Errors
/// A sentence with the file that cannot be used.
pub fn authorization_in(file: &Path) -> Result<String, String> {
    credentials_in(file).map(|credentials| basic(&credentials))
}

fn credentials_in(file: &Path) -> Result<String, String> {
    let line = first_line(file)?;
    if line.split_once(':').is_none_or(|(name, _)| name.is_empty()) {
        return Err(format!("{}: the first line has to be NAME:PASSWORD", file.display()));
    }
    Ok(line)
}

/// `NAME:PASSWORD`, with the password of `ask` if there is none.
fn with_password(
    user: &str,
    ask: impl FnOnce() -> Result<String, Failure>,
) -> Result<String, Failure> {
    checked(match user.split_once(':') {
        Some(_) => user.to_owned(),
        None => format!("{user}:{}", ask()?),
    })
}

fn checked(text: String) -> Result<String, Failure> {
    match text.starts_with(':') || text.chars().any(char::is_control) {
        true => Err(Failure::Usage("a user is NAME or NAME:PASSWORD".to_owned())),
        false => Ok(text),
    }
}

/// The cluster's token, if a file has one.
///
/// # Errors
/// [`Failure::Local`] with the file that cannot be used.
pub(crate) fn token(options: &Options) -> Result<Option<String>, Failure> {
    let Some(file) = &options.token_file else { return Ok(None) };
    let token = first_line(file).map_err(Failure::Local)?;
    match token.is_empty() || token.chars().any(char::is_control) {
        true => Err(Failure::Local(format!("{} has no token", file.display()))),
        false => Ok(Some(token)),
    }
}

fn first_line(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    File::open(file)
        .and_then(|open| open.take(SECRET_FILE_MAX).read_to_string(&mut text))
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_asked_for_only_if_it_is_missing() {
        let none = || panic!("nobody is asked");
        assert_eq!(with_password("ann:se:cret", none).as_deref(), Ok("ann:se:cret"));
        assert_eq!(with_password("ann:", none).as_deref(), Ok("ann:"));
        assert_eq!(with_password("ann", || Ok("x".to_owned())).as_deref(), Ok("ann:x"));
        assert!(with_password(":x", none).is_err());
        assert!(with_password("ann", || Ok("a\nb".to_owned())).is_err());
    }
}
