//! What a server answered.

use serde::Deserialize;
use std::fmt;
use std::io::{self, Read};
use ureq::Body;
use ureq::http::Response;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: String,
    /// The index of the store, which is that of the change for a write; 0 if it was not given.
    pub(super) index: u64,
    /// The id of the cluster, where it tells one.
    pub(super) cluster: String,
    pub(super) body: Vec<u8>,
}

/// Why the body of an answer was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It has more bytes than that.
    TooLong(u64),
    Broken(io::Error),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(max) => {
                write!(f, "the answer has more than {max} bytes, which is not taken")
            }
            Self::Broken(error) => error.fmt(f),
        }
    }
}

/// The body of an error of the API.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ApiError {
    error_code: u64,
    message: String,
    cause: String,
}

impl Answer {
    /// The head of an answer, without its body.
    pub(super) fn begun<T>(response: &Response<T>) -> Self {
        let header = |name: &str| response.headers().get(name).and_then(|text| text.to_str().ok());
        Self {
            status: response.status().as_u16(),
            location: header("location").unwrap_or_default().to_owned(),
            index: header("x-etcd-index").and_then(|text| text.parse().ok()).unwrap_or_default(),
            cluster: header("x-etcd-cluster-id").unwrap_or_default().to_owned(),
            body: Vec::new(),
        }
    }

    /// All of an answer, up to so many bytes of its body.
    ///
    /// # Errors
    /// [`Unread`].
    pub(super) fn read(response: Response<Body>, bytes_max: u64) -> Result<Self, Unread> {
        let mut answer = Self::begun(&response);
        // One byte more shows that there is more.
        let mut body = response.into_body().into_reader().take(bytes_max + 1);
        body.read_to_end(&mut answer.body).map_err(Unread::Broken)?;
        match answer.body.len() as u64 > bytes_max {
            true => Err(Unread::TooLong(bytes_max)),
            false => Ok(answer),
        }
    }

    /// The number of the API's error; 0 if there is none.
    pub(super) fn error_code(&self) -> u64 {
        self.error().error_code
    }

    fn error(&self) -> ApiError {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What went wrong, in a few words.
    pub(super) fn explain(&self) -> String {
        let error = self.error();
        match error.error_code {
            0 => format!("status {}", self.status),
            code => format!("error {code}: {} ({})", error.message, error.cause),
        }
    }

    /// What the error of the API is about.
    pub(super) fn cause(&self) -> String {
        self.error().cause
    }
}
