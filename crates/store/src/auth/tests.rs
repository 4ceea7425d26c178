//! Users, roles and rights, command by command.

use super::*;
use crate::{
    Applied, Command, ErrorCode, GivenError, KeyPath, Limits, Stamp, Store, StoreBuilder,
    StoreError,
};
use std::collections::BTreeSet;

fn path(text: &str) -> KeyPath<'_> {
    KeyPath::parse(text).expect("clean")
}

fn list(items: &[&str]) -> Option<Vec<String>> {
    Some(items.iter().map(|item| (*item).to_owned()).collect())
}

fn rights(read: &[&str], write: &[&str]) -> Rights {
    Rights { read: list(read), write: list(write) }
}

fn put_user(name: &str, hash: &str) -> AuthChange {
    AuthChange::PutUser { name: name.into(), password_hash: Some(hash.into()), roles: None }
}

fn grant(name: &str, grant: &[&str], revoke: &[&str]) -> AuthChange {
    AuthChange::UpdateUser {
        name: name.into(),
        password_hash: None,
        grant: list(grant).unwrap_or_default(),
        revoke: list(revoke).unwrap_or_default(),
    }
}

struct World {
    store: Store,
}

impl World {
    fn new() -> Self {
        Self { store: Store::new(Limits::default()) }
    }

    fn give(&mut self, who: Principal, command: &Command<'_>) -> Result<Applied, StoreError> {
        let before = self.store.index().0;
        let outcome = self.store.apply_as(who.into(), command, Stamp::default(), &mut Vec::new());
        assert_eq!(self.store.index().0, before + u64::from(outcome.is_ok()));
        outcome
    }

    fn change_as(&mut self, who: Principal, change: AuthChange) -> Result<AuthDone, StoreError> {
        match self.give(who, &Command::Auth(Box::new(change)))? {
            Applied::Auth { done, .. } => Ok(done),
            other => panic!("{other:?}"),
        }
    }

    fn change(&mut self, change: AuthChange) -> AuthDone {
        let root = self.proven("root");
        self.change_as(root, change).expect("nothing is against it")
    }

    fn refused(&mut self, change: AuthChange) -> (ErrorCode, String) {
        let root = self.proven("root");
        let error = self.change_as(root, change).expect_err("something is against it");
        (error.code, error.cause)
    }

    fn roles_of(&mut self, change: AuthChange) -> Option<Vec<String>> {
        match self.change(change) {
            AuthDone::User { user, .. } => user.roles.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn proven(&self, name: &str) -> Principal {
        let user = self.store.auth().user(name);
        user.map_or(Principal::Guest, |user| Principal::User {
            id: user.id,
            password: Some(user.password_since),
        })
    }

    fn set(&mut self, who: Principal, key: &str) -> Result<(), ErrorCode> {
        let path = path(key);
        let set = Command::Set { path, value: "v", dir: false, ttl: None, refresh: false };
        self.give(who, &set).map(drop).map_err(|error| error.code)
    }

    /// Root, and `ann` with a role for `/a/*`; users count.
    fn enabled() -> Self {
        let mut world = Self::new();
        world.change(put_user("root", "h"));
        world.change(put_user("ann", "h"));
        let rights = rights(&["/a/*", "/b"], &["/a/*"]);
        world.change(AuthChange::CreateRole { name: "writer".into(), rights });
        world.change(grant("ann", &["writer"], &[]));
        world.change(AuthChange::Enable { opens_guest: false });
        world
    }
}

#[test]
fn users_change_as_etcd_changes_them() {
    let mut world = World::new();
    assert_eq!(world.roles_of(put_user("ann", "h")), None);
    let nothing = AuthChange::PutUser { name: "ann".into(), password_hash: None, roles: None };
    assert_eq!(world.roles_of(nothing.clone()), list(&[]), "an empty change makes a list");
    let (code, text) = world.refused(nothing);
    let same = "User not updated. Use grant/revoke/password to update the user.";
    assert_eq!((code, text.as_str()), (ErrorCode::AuthInvalid, same));
    assert_eq!(world.roles_of(grant("ann", &["z", "a"], &[])), list(&["a", "z"]));
    let (code, text) = world.refused(grant("ann", &["z"], &[]));
    assert_eq!((code, &*text), (ErrorCode::AuthConflict, "Granting duplicate role z for user ann"));
    let (_, text) = world.refused(grant("ann", &[], &["y"]));
    assert_eq!(text, "Revoking ungranted role y for user ann");
    assert_eq!(world.roles_of(grant("ann", &[], &["z"])), list(&["a"]));
    let (code, text) = world.refused(grant("bob", &["z"], &[]));
    assert_eq!((code, text.as_str()), (ErrorCode::AuthUnknown, "User bob does not exist."));
    let roles = list(&["a"]);
    let create =
        AuthChange::CreateUser { name: "ann".into(), password_hash: Some("h".into()), roles };
    assert_eq!(world.refused(create).1, "User ann already exists.");
    let bare = AuthChange::PutUser { name: "bob".into(), password_hash: None, roles: None };
    assert_eq!(world.refused(bare).1, "Cannot create user bob with an empty password");
    world.change(AuthChange::DeleteUser { name: "ann".into() });
    let (code, _) = world.refused(AuthChange::DeleteUser { name: "ann".into() });
    assert_eq!(code, ErrorCode::AuthUnknown);
}

#[test]
fn the_root_user_has_the_root_role() {
    let mut world = World::new();
    assert_eq!(world.roles_of(put_user("root", "h")), list(&["root"]));
    assert_eq!(world.roles_of(grant("root", &[], &["root"])), list(&[]));
    let root = world.store.auth().user("root").expect("it is there");
    assert!(root.is_root(), "whatever was revoked");
    world.change(AuthChange::Enable { opens_guest: false });
    let (code, _) = world.refused(AuthChange::DeleteUser { name: "root".into() });
    assert_eq!(code, ErrorCode::AuthForbidden);
    for change in [
        AuthChange::DeleteRole { name: "root".into() },
        AuthChange::CreateRole { name: "root".into(), rights: Rights::default() },
    ] {
        assert_eq!(world.refused(change).1, "Cannot modify role root: is root role.");
    }
}

#[test]
fn roles_change_as_etcd_changes_them() {
    let mut world = World::new();
    let create = |rights| AuthChange::CreateRole { name: "r".into(), rights };
    world.change(create(rights(&["/b", "/a"], &[])));
    assert_eq!(world.refused(create(Rights::default())).1, "Role r already exists.");
    let update = |grant, revoke| AuthChange::UpdateRole { name: "r".into(), grant, revoke };
    let none = Rights::default;
    let AuthDone::Role { rights: now, created, .. } =
        world.change(update(rights(&["/c*"], &["/w"]), rights(&["/b", "/none"], &[])))
    else {
        panic!("it is a role")
    };
    assert_eq!((&*now, created), (&rights(&["/a", "/c*"], &["/w"]), false));
    let (_, text) = world.refused(update(rights(&["/c*"], &[]), none()));
    assert_eq!(text, "Granting duplicate read permission /c*");
    let (_, text) = world.refused(update(none(), rights(&["/none"], &[])));
    assert_eq!(text, "Role not updated. Use grant/revoke to update the role.");
    world.change(AuthChange::DeleteRole { name: "r".into() });
    assert_eq!(world.refused(update(none(), none())).0, ErrorCode::AuthUnknown);
}

#[test]
fn patterns_cover_what_they_say() {
    let role = rights(&["/a*", "/b", ""], &["/w/*"]);
    let allows =
        |key, right, recursive| role.allow(Access { recursive, ..Access::new(path(key), right) });
    for (key, reads) in [("/a", true), ("/ab/c", true), ("/b", true), ("/b/c", false), ("/", false)]
    {
        assert_eq!(allows(key, Right::Read, false), reads, "{key}");
    }
    assert!(allows("/a", Right::Read, true));
    assert!(!allows("/b", Right::Read, true), "a single key is no prefix");
    assert!(allows("/w/x", Right::Write, true) && !allows("/w", Right::Write, false));
    let all = Access { recursive: true, ..Access::new(path("/"), Right::Write) };
    assert!(Rights::all().allow(all));
    let dir = Access::new(path("/w"), Right::Write);
    assert!(role.allow(Access { has_slash: true, ..dir }) && !role.allow(dir));
}

#[test]
fn who_has_all_below_a_directory_may_name_it_with_its_slash() {
    let world = World::enabled();
    let command = Command::Delete { path: path("/a"), dir: true, recursive: true };
    let ann = Author::from(world.proven("ann"));
    assert!(!world.store.may(ann, &command));
    assert!(world.store.may(Author { has_slash: true, ..ann }, &command));
    let guest = Author { has_slash: true, ..Author::default() };
    assert!(!world.store.may(guest, &command));
}

#[test]
fn a_write_is_judged_where_it_is_applied() {
    let mut world = World::enabled();
    let (root, ann) = (world.proven("root"), world.proven("ann"));
    assert_eq!(world.set(ann, "/a/x"), Ok(()));
    assert_eq!(world.set(ann, "/b"), Err(ErrorCode::Unauthorized));
    assert_eq!(world.set(Principal::Guest, "/a/x"), Err(ErrorCode::Unauthorized));
    assert_eq!(world.set(root, "/b"), Ok(()));
    world.change(put_user("ann", "another"));
    assert_eq!(world.set(ann, "/a/x"), Err(ErrorCode::Unauthorized), "her password was changed");
    let ann = world.proven("ann");
    world.change(AuthChange::DeleteUser { name: "ann".into() });
    world.change(AuthChange::CreateUser {
        name: "ann".into(),
        password_hash: Some("h".into()),
        roles: list(&["writer"]),
    });
    assert_eq!(world.set(ann, "/a/x"), Err(ErrorCode::Unauthorized), "that is another ann");
    let ann = world.proven("ann");
    assert_eq!(world.set(ann, "/a/x"), Ok(()));
    world.change(AuthChange::DeleteRole { name: "writer".into() });
    assert_eq!(world.set(ann, "/a/x"), Err(ErrorCode::Unauthorized));
    world.change(AuthChange::Disable);
    assert_eq!(world.set(Principal::Guest, "/a/x"), Ok(()));
}

#[test]
fn a_certificate_is_not_bound_to_a_password() {
    let mut world = World::enabled();
    let id = world.store.auth().user("ann").expect("she is there").id;
    let ann = Principal::User { id, password: None };
    world.change(put_user("ann", "another"));
    assert_eq!(world.set(ann, "/a/x"), Ok(()));
    world.change(AuthChange::DeleteUser { name: "ann".into() });
    assert_eq!(world.set(ann, "/a/x"), Err(ErrorCode::Unauthorized));
}

#[test]
fn only_root_changes_users_and_raises_the_index() {
    let mut world = World::enabled();
    let ann = world.proven("ann");
    for who in [ann, Principal::Guest] {
        let refused = world.change_as(who, AuthChange::Disable).expect_err("she is not root");
        assert_eq!(refused.code, ErrorCode::Unauthorized);
        let raise = Command::RaiseIndex { at_least: 100 };
        assert!(
            world.store.apply_as(who.into(), &raise, Stamp::default(), &mut Vec::new()).is_err()
        );
    }
    assert!(world.store.auth().is_enabled());
    // The server's own commands are nobody's.
    let expire = Command::Expire { limit: 1 };
    assert!(world.store.apply(&expire, Stamp::default(), &mut Vec::new()).is_ok());
}

#[test]
fn a_guest_has_what_its_role_has() {
    let mut world = World::new();
    world.change(put_user("root", "h"));
    world.change(AuthChange::Enable { opens_guest: true });
    assert_eq!(world.set(Principal::Guest, "/x"), Ok(()));
    let revoke = rights(&[], &["/*"]);
    world.change(AuthChange::UpdateRole { name: "guest".into(), grant: Rights::default(), revoke });
    assert_eq!(world.set(Principal::Guest, "/x"), Err(ErrorCode::Unauthorized));
}

#[test]
fn users_are_in_the_snapshot_and_a_store_without_them_has_no_section() {
    let written = |store: &Store| {
        let mut bytes = Vec::new();
        store.snapshot().write(&mut bytes).expect("memory takes it");
        bytes
    };
    let world = World::enabled();
    let bytes = written(&world.store);
    let loaded = Store::load(&mut &*bytes, Limits::default()).expect("it was just written");
    assert_eq!(loaded.auth(), world.store.auth());
    assert_eq!(written(&loaded), bytes);
    for len in 0..bytes.len() {
        assert!(Store::load(&mut &bytes[..len], Limits::default()).is_err(), "cut at {len}");
    }
    let without = written(&Store::new(Limits::default()));
    assert!(!without[1..].contains(&crate::snapshot::USERS), "{without:?}");
}

#[test]
fn changes_and_principals_come_back() {
    let name = || "n\u{e4}me".to_owned();
    let hash = || Some("h".to_owned());
    let (read, none) = (rights(&["/a*", ""], &[]), Rights::default());
    let changes = [
        AuthChange::Enable { opens_guest: true },
        AuthChange::Disable,
        AuthChange::CreateUser { name: name(), password_hash: None, roles: None },
        AuthChange::CreateUser { name: name(), password_hash: hash(), roles: list(&["a"]) },
        AuthChange::PutUser { name: name(), password_hash: hash(), roles: list(&[]) },
        AuthChange::DeleteUser { name: name() },
        grant("ann", &["a"], &["b", "c"]),
        AuthChange::CreateRole { name: name(), rights: read.clone() },
        AuthChange::UpdateRole { name: name(), grant: read, revoke: none },
        AuthChange::DeleteRole { name: name() },
    ];
    for change in changes {
        let command = Command::Auth(Box::new(change));
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        assert_eq!(Command::decode(&mut &*bytes), Ok(command));
        for len in 0..bytes.len() {
            assert!(Command::decode(&mut &bytes[..len]).is_err());
        }
    }
    let id = UserId(7);
    for who in [
        Principal::Guest,
        Principal::User { id, password: None },
        Principal::User { id, password: Some(StoreIndex(300)) },
    ] {
        let mut bytes = Vec::new();
        who.encode(&mut bytes);
        assert_eq!(Principal::decode(&mut &*bytes), Ok(who));
    }
}

#[test]
fn users_and_roles_are_bounded() {
    let mut world = World::new();
    let long = "x".repeat(AUTH_BYTES_MAX / 4);
    let create = |number: u32| AuthChange::CreateRole {
        name: format!("r{number}"),
        rights: rights(&[&long], &[]),
    };
    for number in 0..3 {
        world.change(create(number));
    }
    let (code, text) = world.refused(create(3));
    assert_eq!(code, ErrorCode::AuthInvalid);
    assert!(text.contains("more than"), "{text}");
    world.change(AuthChange::DeleteRole { name: "r0".into() });
    world.change(create(3));
}

#[test]
fn users_that_were_given_are_told_from_all_that_come_later() {
    let user = |name: &str| GivenUser {
        name: name.to_owned(),
        password_hash: format!("hash of {name}"),
        roles: list(&["a"]),
    };
    let make = |index: u64, is_enabled, users: &[&str], roles: &[&str]| {
        let mut builder = StoreBuilder::new(StoreIndex(index), Stamp::default(), Limits::default())
            .expect("the index is small");
        let users = users.iter().map(|name| user(name)).collect();
        let roles = roles.iter().map(|name| ((*name).to_owned(), rights(&["/a"], &["/a"])));
        builder.set_users(is_enabled, users, roles.collect())?;
        Ok::<_, GivenError>(World { store: builder.finish() })
    };
    let mut world = make(3, true, &["root", "ann"], &["a", GUEST]).expect("it is right");
    let stream = |store: &Store| {
        let mut bytes = Vec::new();
        store.snapshot().write(&mut bytes).expect("memory takes it");
        bytes
    };
    let bytes = stream(&world.store);
    let loaded = Store::load(&mut bytes.as_slice(), Limits::default()).expect("it loads");
    assert_eq!((loaded.auth(), stream(&loaded)), (world.store.auth(), bytes));
    let (ann, root) = (world.proven("ann"), world.proven("root"));
    world.change(put_user("bob", "hash"));
    let ids: BTreeSet<UserId> = world.store.auth().users().map(|user| user.id).collect();
    assert_eq!(ids.len(), 3);
    assert!(world.store.auth().proven(ann).is_some() && world.store.auth().is_root(root));
    assert!(!world.store.auth().is_root(ann));
    for (index, is_enabled, users, roles, why) in [
        (1, false, &["ann", "bob"][..], &[][..], "more users than indexes"),
        (9, false, &["ann", "ann"], &[], "comes twice"),
        (9, false, &[], &["a", "a"], "there already"),
        (9, false, &[], &["root"], "there already"),
        (9, true, &["ann"], &["a"], "without that user"),
    ] {
        let error = make(index, is_enabled, users, roles).err().expect(why).to_string();
        assert!(error.contains(why), "{error}");
    }
    let nothing = make(9, false, &[], &[]).expect("it is right");
    assert_eq!(nothing.store.auth(), &Auth::default());
    let mut builder = StoreBuilder::new(StoreIndex(9), Stamp::default(), Limits::default())
        .expect("the index is small");
    let long = "x".repeat(AUTH_BYTES_MAX);
    let error = builder.set_users(false, vec![user(&long)], Vec::new());
    assert!(error.is_err_and(|error| error.to_string().contains("too much room")));
}
