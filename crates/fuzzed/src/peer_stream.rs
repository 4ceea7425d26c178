//! The peer port before and after the upgrade: the frames of a connection are the same however its
//! bytes are cut, and a hello or an answer is read as it was written.

use server::fuzzing::{frames, hello, peer_answer};

/// See the module. The first byte says which of the three it is, and how a stream is cut.
pub(crate) fn check(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    match first % 4 {
        0 => {
            let text = String::from_utf8_lossy(data);
            if let Some(query) = hello(&text) {
                assert_eq!(hello(&query).as_ref(), Some(&query));
            }
        }
        1 => {
            let whole = peer_answer(data);
            for len in 0..data.len() {
                let part = peer_answer(&data[..len]);
                assert!(
                    part == whole
                        || part.starts_with("Partial")
                        || part.starts_with("Refused")
                        || (part.starts_with("Welcome") && whole.starts_with("Invalid")),
                    "{part} of {whole}"
                );
            }
        }
        // As they came, and with their checksums put right, so that what follows is reached.
        kind => {
            let mut bytes = data.to_vec();
            if kind == 3 {
                mend(&mut bytes);
            }
            let step = usize::from(first >> 2) + 1;
            assert_eq!(frames([&bytes[..]]), frames(bytes.chunks(step)));
        }
    }
}

/// Puts right the checksum of each frame that is whole.
fn mend(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 8) {
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let end = at.saturating_add(8).saturating_add(len);
        let Some(payload) = bytes.get(at + 8..end) else { return };
        let sum = crc32c::crc32c(payload).to_le_bytes();
        bytes[at + 4..at + 8].copy_from_slice(&sum);
        at = end;
    }
}
