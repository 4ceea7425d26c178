//! The `Authorization` header of HTTP Basic authentication (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The name and the password in a header; nothing if it is of another kind, or malformed.
pub(super) fn parse(header: &[u8]) -> Option<(String, Vec<u8>)> {
    const SCHEME: &[u8] = b"basic ";
    let (scheme, encoded) = header.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let mut name = STANDARD.decode(encoded).ok()?;
    let colon = name.iter().position(|byte| *byte == b':')?;
    let password = name.split_off(colon + 1);
    name.pop();
    Some((String::from_utf8(name).ok()?, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_read() {
        let read = |text: &str| parse(format!("Basic {}", STANDARD.encode(text)).as_bytes());
        assert_eq!(read("ann:secret"), Some(("ann".into(), b"secret".to_vec())));
        assert_eq!(read("ann:a:b"), Some(("ann".into(), b"a:b".to_vec())));
        assert_eq!(read(":"), Some((String::new(), Vec::new())));
        assert_eq!(read("ann"), None);
        assert_eq!(parse(b"bAsIc YTpi"), Some(("a".into(), b"b".to_vec())));
        for header in ["", "Basic", "Basic ", "Basic !!", "Bearer YTpi", "Basic YTpi YTpi", "YTpi"]
        {
            assert_eq!(parse(header.as_bytes()), None, "{header}");
        }
        assert_eq!(
            parse(&[b"Basic ".as_slice(), STANDARD.encode([0xff, b':']).as_bytes()].concat()),
            None
        );
    }
}
