//! Joins the groups of the configuration file and of the store.

use std::{collections::HashSet, fmt};

use super::{GroupOutline, GroupSettings};

/// The names that the configuration file uses.
#[derive(Debug, Default)]
pub struct Names {
    groups: HashSet<String>,
    users: HashSet<String>,
}

impl Names {
    /// The names in `groups`.
    pub fn of(groups: impl IntoIterator<Item = GroupOutline>) -> Self {
        let mut names = Self::default();
        for group in groups {
            names.users.extend(group.users);
            names.groups.insert(group.name);
        }
        names
    }

    /// Whether a group has that name.
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        self.groups.contains(name)
    }

    /// Whether a user of any group has that name.
    #[must_use]
    pub fn has_user(&self, name: &str) -> bool {
        self.users.contains(name)
    }
}

/// Something of the store that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shadowed {
    /// The file has a group of that name.
    Group(String),
    /// The file has a user of that name.
    User {
        /// The user's name.
        user: String,
        /// The stored group.
        group: String,
    },
}

impl fmt::Display for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(
                f,
                "the stored group `{name}` is ignored, because the configuration file has one of \
                 that name; remove either"
            ),
            Self::User { user, group } => write!(
                f,
                "the user `{user}` of the stored group `{group}` is ignored, because the \
                 configuration file has one of that name; remove either"
            ),
        }
    }
}

/// The groups that a gateway serves.
#[derive(Debug)]
pub struct Merged {
    /// Those of the file, then those of the store.
    pub groups: Vec<GroupSettings>,
    /// What of the store is not among them.
    pub shadowed: Vec<Shadowed>,
}

/// Joins the groups of the file and of the store; the file wins.
#[must_use]
pub fn merge(file: &[GroupSettings], stored: &[GroupSettings]) -> Merged {
    let names = Names::of(file.iter().map(GroupSettings::outline));
    let mut merged = Merged { groups: file.to_vec(), shadowed: Vec::new() };
    for group in stored {
        if names.has_group(&group.name) {
            merged.shadowed.push(Shadowed::Group(group.name.clone()));
            continue;
        }
        let mut group = group.clone();
        group.users.retain(|user| {
            let shadowed = names.has_user(&user.name);
            if shadowed {
                let (user, group) = (user.name.clone(), group.name.clone());
                merged.shadowed.push(Shadowed::User { user, group });
            }
            !shadowed
        });
        merged.groups.push(group);
    }
    merged
}

#[cfg(test)]
mod tests {
    use anyproxy_wire::handshake::Secret;

    use super::*;
    use crate::groups::{Credential, GroupLimits, UserSettings};

    fn group(name: &str, secret: &str, users: &[&str]) -> GroupSettings {
        let credential = Credential::of(&Secret::new(secret));
        let user =
            |name: &&str| UserSettings { name: (*name).into(), password: credential.clone() };
        GroupSettings {
            name: name.into(),
            users: users.iter().map(user).collect(),
            tunnel: credential.clone(),
            client_ca: None,
            forwards: vec![],
            limits: GroupLimits::default(),
        }
    }

    #[test]
    fn the_file_wins_over_the_store_for_groups_and_for_users_of_any_group() {
        let file = [group("a", "file", &["a", "alice"]), group("b", "file", &[])];
        let stored = [group("a", "stored", &["x"]), group("c", "stored", &["alice", "b", "carol"])];
        let merged = merge(&file, &stored);
        let expected = [file[0].clone(), file[1].clone(), group("c", "stored", &["b", "carol"])];
        assert_eq!(merged.groups, expected);
        let user = Shadowed::User { user: "alice".into(), group: "c".into() };
        assert_eq!(merged.shadowed, [Shadowed::Group("a".into()), user]);
    }

    #[test]
    fn without_a_clash_everything_counts() {
        let (file, stored) = ([group("a", "1", &["a"])], [group("b", "2", &["b"])]);
        let merged = merge(&file, &stored);
        assert_eq!(merged.groups.len(), 2);
        assert_eq!(merged.shadowed, []);
    }
}
