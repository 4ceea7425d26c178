//! Asks the source what no watch tells: its index, and whether keys whose time is nearly over got
//! more of it. A refresh at the source wakes no watch.

use super::queue::{Queue, Told};
use super::trouble::Troubles;
use crate::import::live::reader::Reader;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often the index is asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keys that wait to be looked at.
const KEYS_MAX: usize = 256;

/// Who has a trouble that is the source's.
const SOURCE: &str = "source";

/// The thread's side.
#[derive(Debug)]
struct Keeper {
    reader: Reader,
    queue: Arc<Queue>,
    troubles: Arc<Troubles>,
    keys: Receiver<String>,
}

/// Starts the thread. It ends when the queue is closed. Keys are sent to it.
///
/// # Errors
/// What the system gave.
pub(super) fn start(
    reader: Reader,
    queue: Arc<Queue>,
    troubles: Arc<Troubles>,
) -> io::Result<SyncSender<String>> {
    let (sender, keys) = sync_channel(KEYS_MAX);
    let keeper = Keeper { reader, queue, troubles, keys };
    thread::Builder::new().name("stead-keeper".to_owned()).spawn(move || keeper.run())?;
    Ok(sender)
}

impl Keeper {
    fn run(mut self) {
        let mut asked = Instant::now();
        loop {
            let told = match self.keys.recv_timeout(INTERVAL.saturating_sub(asked.elapsed())) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    asked = Instant::now();
                    self.reader.index().map(Told::Index)
                }
                Ok(key) => self.look(key),
            };
            let is_wanted = match told {
                Ok(told) => {
                    self.troubles.settle(SOURCE);
                    self.queue.push(told, 0)
                }
                Err(why) => {
                    self.troubles.tell(SOURCE, &why);
                    !self.queue.is_closed()
                }
            };
            if !is_wanted {
                return;
            }
        }
    }

    fn look(&mut self, key: String) -> Result<Told, String> {
        let found = self.reader.look(&key)?;
        Ok(match found {
            Some(listing) => Told::Checked { key, found: Box::new(listing) },
            // The event comes by itself.
            None => Told::Index(0),
        })
    }
}
