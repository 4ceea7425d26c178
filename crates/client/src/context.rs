//! What every command works with.

use crate::client::Client;
use crate::failure::Failure;
use crate::options::{Format, Options};
use crate::term::Screen;

/// The cluster, and how answers are printed.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) format: Format,
    pub(crate) screen: Screen,
}

impl Context {
    /// # Errors
    /// [`Failure`] with the flag, variable or file that cannot be used.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let screen = Screen::of_stdout();
        Ok(Self { client: Client::new(options)?, format: options.output, screen })
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }
}
