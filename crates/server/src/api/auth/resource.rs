//! What is behind `/v2/auth/`.

/// A resource behind `/v2/auth/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    /// Whether users count.
    Enable,
    Users,
    User(&'a str),
    Roles,
    Role(&'a str),
    /// Who the sender of the request is.
    WhoAmI,
    /// Something below a user or a role.
    Invalid,
}

impl<'a> Resource<'a> {
    /// The resource of a path.
    pub(crate) fn named(path: &'a str) -> Option<Self> {
        if path == "enable" {
            return Some(Resource::Enable);
        }
        if path == "whoami" {
            return Some(Resource::WhoAmI);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let (kind, name) = path.split_once('/').unwrap_or((path, ""));
        match (kind, name) {
            ("users", "") => Some(Resource::Users),
            ("roles", "") => Some(Resource::Roles),
            ("users" | "roles", name) if name.contains('/') => Some(Resource::Invalid),
            ("users", name) => Some(Resource::User(name)),
            ("roles", name) => Some(Resource::Role(name)),
            _ => None,
        }
    }

    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Resource::Users | Resource::Roles | Resource::WhoAmI => "GET",
            Resource::Enable | Resource::User(_) | Resource::Role(_) => "GET,PUT,DELETE",
            Resource::Invalid => "HEAD,GET,PUT,POST,DELETE",
        }
    }

    /// Whether everybody may read it.
    pub(crate) fn is_public(self) -> bool {
        matches!(self, Resource::Enable | Resource::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_users_and_roles() {
        for (path, want) in [
            ("enable", Some(Resource::Enable)),
            ("users", Some(Resource::Users)),
            ("users/", Some(Resource::Users)),
            ("users/ann", Some(Resource::User("ann"))),
            ("users/ann/x", Some(Resource::Invalid)),
            ("roles/", Some(Resource::Roles)),
            ("roles/r", Some(Resource::Role("r"))),
            ("", None),
            ("enable/", None),
            ("whoami", Some(Resource::WhoAmI)),
            ("whoami/x", None),
            ("enable/x", None),
            ("others", None),
        ] {
            assert_eq!(Resource::named(path), want, "{path}");
        }
    }
}
