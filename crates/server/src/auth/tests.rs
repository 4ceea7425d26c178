//! Headers from their first coming to the change of a user.

use super::*;
use crate::net::Slab;
use base64::Engine;
use store::{AuthChange, Command, Limits, Stamp, Store};

fn header(text: &str) -> Vec<u8> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    format!("Basic {encoded}").into_bytes()
}

fn put_user(store: &mut Store, name: &str, password: &str) {
    let password_hash = Some(bcrypt::hash(password, 4).expect("a cost that is allowed"));
    let change = AuthChange::PutUser { name: name.to_owned(), password_hash, roles: None };
    let command = Command::Auth(Box::new(change));
    store.apply(&command, Stamp::default(), &mut Vec::new()).expect("nothing is against it");
}

/// Has the password of a header checked that is not known yet.
fn check(auth: &mut Authenticator, store: &Store, header: &[u8], key: Key) {
    let Identity::Unknown(unchecked) = auth.identify(store.auth(), header) else {
        panic!("it was not checked yet")
    };
    assert!(!format!("{unchecked:?}").contains("secret"), "passwords are not printed");
    assert_eq!(auth.check(store.auth(), unchecked, (key, None)), Ok(()));
}

/// Does the work that waits, and gives the connections that waited.
fn work(auth: &mut Authenticator) -> Vec<Key> {
    match do_work(auth.queue().next().expect("something waits")) {
        Job::Checked(done) => auth.checked(&done),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_is_checked_once_until_its_user_changes() {
    let mut store = Store::new(Limits::default());
    put_user(&mut store, "ann", "secret");
    let mut auth = Authenticator::new().expect("randomness");
    let mut keys = Slab::new();
    let (one, other) = (keys.insert(()), keys.insert(()));
    let right = header("ann:secret");
    for key in [one, other] {
        check(&mut auth, &store, &right, key);
    }
    assert_eq!(work(&mut auth), [one, other], "both wait for one check");
    let Identity::Proven(who) = auth.identify(store.auth(), &right) else { panic!("it is right") };
    assert_eq!(&*store.auth().proven(who).expect("she is there").name, "ann");
    put_user(&mut store, "ann", "another");
    check(&mut auth, &store, &right, one);
    assert_eq!(work(&mut auth), [one]);
    assert_eq!(auth.identify(store.auth(), &right), Identity::Wrong);
    put_user(&mut store, "ann", "secret");
    let again = auth.identify(store.auth(), &right);
    assert!(matches!(again, Identity::Unknown(_)), "it may be right again");
}

#[test]
fn wrong_ones_are_remembered_and_malformed_ones_cost_nothing() {
    let mut store = Store::new(Limits::default());
    put_user(&mut store, "ann", "secret");
    let mut auth = Authenticator::new().expect("randomness");
    let key = Slab::new().insert(());
    for wrong in [header("ann:guess"), header("bob:guess"), header("ann:")] {
        check(&mut auth, &store, &wrong, key);
        assert_eq!(work(&mut auth), [key]);
        assert_eq!(auth.identify(store.auth(), &wrong), Identity::Wrong);
    }
    for malformed in [b"Bearer x".to_vec(), b"Basic !".to_vec(), Vec::new(), header("ann")] {
        assert_eq!(auth.identify(store.auth(), &malformed), Identity::Wrong);
    }
}

#[test]
fn a_connection_that_is_gone_is_not_served_again() {
    let mut store = Store::new(Limits::default());
    put_user(&mut store, "ann", "secret");
    let mut auth = Authenticator::new().expect("randomness");
    let key = Slab::new().insert(());
    check(&mut auth, &store, &header("ann:secret"), key);
    auth.forget(key);
    assert_eq!(work(&mut auth), []);
}

/// It cannot come in by a request; a backup or another member may have it.
#[test]
fn a_hash_that_would_take_days_fits_nothing_and_holds_up_nobody() {
    let mut store = Store::new(Limits::default());
    let hash = bcrypt::hash("pw", 4).expect("a cost that is allowed");
    for (name, hash) in [("slow", hash.replace("$04$", "$31$")), ("none", "*".to_owned())] {
        let (name, password_hash) = (name.to_owned(), Some(hash));
        let change = AuthChange::PutUser { name, password_hash, roles: None };
        let command = Command::Auth(Box::new(change));
        store.apply(&command, Stamp::default(), &mut Vec::new()).expect("nothing is against it");
    }
    let mut auth = Authenticator::new().expect("randomness");
    let key = Slab::new().insert(());
    for header in [header("slow:pw"), header("none:pw"), header("none:")] {
        check(&mut auth, &store, &header, key);
        assert_eq!(work(&mut auth), [key]);
        assert_eq!(auth.identify(store.auth(), &header), Identity::Wrong);
    }
}

#[test]
fn nobodys_hash_is_one_and_as_slow_as_others() {
    assert_eq!(bcrypt::verify("", NOBODYS_HASH).ok(), Some(false));
    assert!(NOBODYS_HASH.starts_with("$2b$10$"), "the cost of new passwords");
}
