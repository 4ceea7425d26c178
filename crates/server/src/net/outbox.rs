//! What a connection has still to send.
//!
//! Small pieces are copied together, so that an answer is one write. Large bodies that many
//! watchers share are kept by reference. Nothing is allocated while there is nothing to send, so an
//! idle connection costs no buffer.

use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

/// Shared bytes up to this length are copied rather than referred to.
const COPY_BYTES_MAX: usize = 4096;

/// A buffer that grew beyond this is given back when it is empty.
const KEEP_BYTES_MAX: usize = 4096;

/// How many pieces go into one write.
const SLICES_MAX: usize = 16;

#[derive(Debug)]
enum Piece {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own(bytes) => bytes,
            Piece::Shared(bytes) => bytes,
        }
    }
}

/// Bytes on their way out, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// How much of the first piece has been sent.
    sent: usize,
    len: usize,
}

impl Outbox {
    /// How many bytes have still to be sent.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets `write` append to the bytes that go out last.
    pub(crate) fn append<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if !matches!(self.pieces.back(), Some(Piece::Own(_))) {
            self.pieces.push_back(Piece::Own(Vec::new()));
        }
        let Some(Piece::Own(buf)) = self.pieces.back_mut() else {
            unreachable!("an own piece was just made sure of")
        };
        let before = buf.len();
        let result = write(buf);
        self.len += buf.len() - before;
        result
    }

    /// Appends bytes that others send too.
    pub(crate) fn append_shared(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_BYTES_MAX {
            self.append(|buf| buf.extend_from_slice(bytes));
        } else {
            self.len += bytes.len();
            self.pieces.push_back(Piece::Shared(bytes.clone()));
        }
    }

    /// Writes until everything is sent, `socket` takes no more, or it took `share` bytes or more.
    /// Says whether it would take more.
    ///
    /// # Errors
    /// What `socket` gave, but for `WouldBlock` and `Interrupted`.
    pub(crate) fn send(&mut self, socket: &mut impl Write, share: usize) -> io::Result<bool> {
        let before = self.len;
        while self.len > 0 && before - self.len < share {
            match self.write_once(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes until everything is sent or `socket` takes no more. Says whether everything is sent.
    ///
    /// # Errors
    /// As [`Outbox::send`].
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        self.send(socket, usize::MAX)
    }

    fn write_once(&self, socket: &mut impl Write) -> io::Result<usize> {
        if let [Piece::Own(only)] = self.pieces.as_slices().0
            && self.pieces.len() == 1
        {
            return socket.write(only.get(self.sent..).unwrap_or_default());
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut skip = self.sent;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece.bytes().get(skip..).unwrap_or_default());
            skip = 0;
        }
        socket.write_vectored(&slices)
    }

    fn advance(&mut self, written: usize) {
        self.len -= written;
        self.sent += written;
        while let Some(first) = self.pieces.front_mut() {
            let len = first.bytes().len();
            if self.sent < len {
                return;
            }
            self.sent -= len;
            if self.pieces.len() == 1
                && let Some(Piece::Own(buf)) = self.pieces.front_mut()
                && buf.capacity() <= KEEP_BYTES_MAX
            {
                buf.clear();
                return;
            }
            self.pieces.pop_front();
        }
    }

    /// Gives all memory back: for a connection that will be silent for long.
    pub(crate) fn shrink(&mut self) {
        if self.len == 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most `step` bytes a call and blocks after `room` bytes.
    struct Narrow {
        got: Vec<u8>,
        step: usize,
        room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.step).min(self.room);
            if len == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= len;
            self.got.extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_arrive_in_order_however_they_are_cut() {
        let large = Bytes::from(vec![b'L'; COPY_BYTES_MAX + 1]);
        for step in [1, 3, 1000, 100_000] {
            let mut outbox = Outbox::default();
            let mut socket = Narrow { got: Vec::new(), step, room: 5 };
            let mut want = Vec::new();
            for round in 0..5_u8 {
                outbox.append(|buf| buf.extend_from_slice(&[round; 7]));
                want.extend_from_slice(&[round; 7]);
                outbox.append_shared(&large);
                want.extend_from_slice(&large);
                socket.room += 4000;
                outbox.flush(&mut socket).expect("blocks at most");
                assert_eq!(outbox.len(), want.len() - socket.got.len());
            }
            socket.room = usize::MAX;
            assert!(outbox.flush(&mut socket).expect("there is room"));
            assert_eq!(socket.got, want);
            assert!(outbox.is_empty());
        }
    }
}
