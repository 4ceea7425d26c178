//! JSON bodies of joins, administration, the members API and discovery: what is taken is within
//! bounds, and what is printed is read again as the same.

use server::fuzzing::{
    discovered, identity_card, join_request, machines_peer_url, merged_config, view,
};

/// See the module. The first byte says which body it is.
pub(crate) fn check(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    match kind % 6 {
        0 => again(body, join_request),
        1 => again(body, view),
        2 => again(body, merged_config),
        3 => {
            if let Some(url) = machines_peer_url(body) {
                assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
                assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
            }
        }
        4 => again(body, identity_card),
        _ => {
            for url in discovered(body).unwrap_or_default() {
                assert!(!url.is_empty() && url.trim() == url);
            }
        }
    }
}

fn again(body: &[u8], print: fn(&[u8]) -> Option<Vec<u8>>) {
    let Some(printed) = print(body) else { return };
    assert_eq!(print(&printed).as_deref(), Some(&printed[..]), "it changes on the way");
}
