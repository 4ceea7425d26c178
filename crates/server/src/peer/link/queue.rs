//! The frames that wait to be sent to one other member.

use crate::peer::frame;
use std::io::{self, Write};

/// Bytes that may wait for a slow member.
const BYTES_MAX: usize = 96 << 20;

/// Memory that is kept for the next frames when a burst of them has left.
const BYTES_KEPT: usize = 256 << 10;

/// Frames, and how much of them is sent.
#[derive(Debug, Default)]
pub(super) struct FrameQueue {
    bytes: Vec<u8>,
    sent: usize,
}

impl FrameQueue {
    /// Puts a message behind those that wait. Says whether there was room for it.
    pub(super) fn push(&mut self, message: &[u8]) -> bool {
        let has_room =
            self.bytes.len() - self.sent < BYTES_MAX && message.len() <= frame::PAYLOAD_MAX;
        if has_room {
            frame::put(&mut self.bytes, message);
        }
        has_room
    }

    /// Sends as much as the other side takes. Says whether that was all.
    ///
    /// # Errors
    /// What the connection says, other than that it takes nothing now.
    pub(super) fn send_to(&mut self, out: &mut impl Write) -> io::Result<bool> {
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match out.write(rest) {
                Ok(0) => return Err(io::Error::other("the connection accepts no bytes")),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.forget_sent();
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        match out.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => {
                // A burst must not hold its memory for ever.
                self.bytes.shrink_to(BYTES_KEPT);
                Ok(true)
            }
        }
    }

    fn forget_sent(&mut self) {
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes at a time, and then nothing until it is asked again.
    struct Slow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let len = bytes.len().min(self.room);
            self.taken.extend_from_slice(&bytes[..len]);
            self.room -= len;
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn frames_leave_whole_and_in_order_however_slowly() {
        let mut queue = FrameQueue::default();
        let mut expected = Vec::new();
        let mut slow = Slow { taken: Vec::new(), room: 0 };
        for number in 1..50_u8 {
            let message = vec![number; usize::from(number) * 7];
            assert!(queue.push(&message));
            frame::put(&mut expected, &message);
            slow.room = 100;
            queue.send_to(&mut slow).expect("it is only slow");
        }
        slow.room = usize::MAX;
        assert!(queue.send_to(&mut slow).expect("it takes all"));
        assert_eq!(slow.taken, expected);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut queue = FrameQueue::default();
        let message = vec![0; 8 << 20];
        let count = (0..100).take_while(|_| queue.push(&message)).count();
        assert_eq!(count, 12, "96 MiB");
        assert!(!FrameQueue::default().push(&vec![0; frame::PAYLOAD_MAX + 1]));
    }
}
