//! Damages the log of a member that does not run.
//!
//! Only the frame of the records is known here (the log's own crate draws it): the number of a
//! record, its length, and that they follow one another.

use std::fs;
use std::path::{Path, PathBuf};

const HEADER: usize = 64;
const HEAD: usize = 40;

/// A record of a segment: where it begins, and the length of its payload.
type Place = (usize, usize);

/// Segments by name, which is in the order of their numbers.
fn segments(data: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", data.display());
    let mut found: Vec<PathBuf> = fs::read_dir(data)
        .map_err(failed)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("log-") && name.ends_with(".wal")
        })
        .collect();
    found.sort();
    Ok(found)
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// The records of a segment that begins with this number.
fn records(bytes: &[u8], first: u64) -> Vec<Place> {
    let mut places = Vec::new();
    let mut at = HEADER;
    for expected in first.. {
        let (Some(len), Some(seq)) = (number(bytes, at + 8, 4), number(bytes, at + 16, 8)) else {
            break;
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let end = at.saturating_add(HEAD).saturating_add(len).next_multiple_of(8);
        if seq != expected || end > bytes.len() {
            break;
        }
        places.push((at, len));
        at = end;
    }
    places
}

fn read(path: &Path) -> Result<(Vec<u8>, Vec<Place>), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let digits = name.trim_start_matches("log-").trim_end_matches(".wal");
    let first = u64::from_str_radix(digits, 16).map_err(|_| format!("{name} has no number"))?;
    let places = records(&bytes, first);
    Ok((bytes, places))
}

/// The newest segment that has records, with them.
fn newest(data: &Path) -> Result<(PathBuf, Vec<u8>, Vec<Place>), String> {
    for path in segments(data)?.into_iter().rev() {
        let (bytes, places) = read(&path)?;
        if !places.is_empty() {
            return Ok((path, bytes, places));
        }
    }
    Err("no segment has records".to_owned())
}

/// Behind the last record: the beginning of one more, as a power loss leaves it, or the end of the
/// file. Nothing that was ever synced is touched.
pub(crate) fn tear_tail(data: &Path, draw: u64) -> Result<(), String> {
    let (path, mut bytes, places) = newest(data)?;
    let (at, len) = places.last().copied().ok_or("no record")?;
    let end = (at + HEAD + len).next_multiple_of(8);
    if draw.is_multiple_of(3) {
        bytes.truncate(end);
    } else {
        // The head of the last record with the next number, and a payload that is not its own.
        let mut torn = bytes.get(at..end).unwrap_or_default().to_vec();
        let seq = number(&torn, 16, 8).unwrap_or(0) + 1;
        for (to, byte) in torn.iter_mut().skip(16).zip(seq.to_le_bytes()) {
            *to = byte;
        }
        torn.truncate(HEAD + usize::try_from(draw % 64).unwrap_or(0));
        let mut drawn = draw;
        for byte in torn.iter_mut().skip(HEAD) {
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = drawn.to_be_bytes()[0];
        }
        for (to, byte) in bytes.iter_mut().skip(end).zip(torn) {
            *to = byte;
        }
    }
    fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Flips one bit in a record that others follow; gives the name of the file.
pub(crate) fn flip_in_middle(data: &Path) -> Result<String, String> {
    let mut found = None;
    for path in segments(data)? {
        let (bytes, places) = read(&path)?;
        if places.len() >= 40 {
            found = Some((path, bytes, places));
        }
    }
    let (path, mut bytes, places) = found.ok_or("no segment has enough records")?;
    let before_last = places.len() - 20;
    let (at, _) = places
        .get(..before_last)
        .and_then(|some| some.iter().rev().find(|(_, len)| *len > 0).copied())
        .ok_or("no record has a payload")?;
    if let Some(byte) = bytes.get_mut(at + HEAD) {
        *byte ^= 1;
    }
    fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(lens: &[usize]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for (seq, len) in (7_u64..).zip(lens) {
            let mut record = vec![0; (HEAD + len).next_multiple_of(8)];
            record[8..12].copy_from_slice(&u32::try_from(*len).unwrap().to_le_bytes());
            record[16..24].copy_from_slice(&seq.to_le_bytes());
            record[HEAD..HEAD + len].fill(b'x');
            bytes.extend(record);
        }
        bytes.resize(bytes.len() + 512, 0);
        bytes
    }

    #[test]
    fn records_are_found_and_old_ones_behind_them_are_not() {
        let bytes = segment(&[3, 0, 17]);
        assert_eq!(records(&bytes, 7), [(64, 3), (112, 0), (152, 17)]);
        assert_eq!(records(&bytes, 8), [], "a recycled segment holds other numbers");
        assert_eq!(records(&bytes[..80], 7), [], "cut within the head");
        assert_eq!(records(&[], 7), []);
    }

    #[test]
    fn a_torn_tail_leaves_all_records_and_a_flip_changes_one() {
        let name = format!("stead-torture-damage-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("log-0000000000000007.wal");
        let lens = [9; 60];
        let whole = segment(&lens);
        for draw in 0..6 {
            fs::write(&path, &whole).unwrap();
            tear_tail(&dir, draw).unwrap();
            let torn = fs::read(&path).unwrap();
            let end = whole.len() - 512;
            assert_eq!(torn[..end], whole[..end]);
            assert_ne!(torn, whole, "{draw}");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(flip_in_middle(&dir).unwrap(), "log-0000000000000007.wal");
        let flipped = fs::read(&path).unwrap();
        let changed = flipped.iter().zip(&whole).filter(|(one, other)| one != other).count();
        assert_eq!(changed, 1);
        fs::remove_dir_all(&dir).unwrap();
    }
}
