//! JSON documents that come one after the other, as a stream of events does.

use std::io::{self, Read};

/// Bytes of one document that are taken.
const DOCUMENT_MAX: usize = 128 << 20;

/// Bytes that are read at a time.
const PIECE: usize = 16 << 10;

/// Cuts a stream into its documents.
pub(crate) struct Documents<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What of the buffer was looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl<R: Read> Documents<R> {
    pub(crate) fn new(reader: R) -> Self {
        let (buffer, seen, depth) = (Vec::new(), 0, 0);
        Self { reader, buffer, seen, depth, in_string: false, is_escaped: false }
    }

    /// The next document; nothing at a clean end.
    ///
    /// # Errors
    /// What reading gave, or that a document is too long.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.find_end() {
                let rest = self.buffer.split_off(end);
                self.seen = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            if self.buffer.len() > DOCUMENT_MAX {
                return Err(io::Error::other("an event is too long"));
            }
            let len = self.buffer.len();
            self.buffer.resize(len + PIECE, 0);
            let read = self.reader.read(self.buffer.get_mut(len..).unwrap_or_default());
            self.buffer.truncate(len + read.as_ref().copied().unwrap_or(0));
            if read? == 0 {
                return Ok(None);
            }
        }
    }

    /// Where the document ends that the buffer begins with.
    fn find_end(&mut self) -> Option<usize> {
        while let Some(byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.seen);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[test]
fn documents_are_cut_wherever_the_pieces_end() {
    struct Drip(Vec<u8>);
    impl Read for Drip {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let Some(byte) = self.0.pop() else { return Ok(0) };
            buf[0] = byte;
            Ok(1)
        }
    }
    let text = "{\"a\":\"}\\\"{\"}\n {\"b\":[{}]}{";
    let mut documents = Documents::new(Drip(text.bytes().rev().collect()));
    let mut next = || {
        let found = documents.next().expect("it can be read")?;
        Some(String::from_utf8(found).expect("it is text").trim().to_owned())
    };
    assert_eq!(next().as_deref(), Some("{\"a\":\"}\\\"{\"}"));
    assert_eq!(next().as_deref(), Some("{\"b\":[{}]}"));
    assert_eq!(next(), None);
}
