//! Takes changes of the store over into the running gateway.
//!
//! The store is looked at once a second, off the runtime's threads. When it cannot be read, the
//! groups stay as they were: nobody is locked out by a damaged file.

use std::{collections::HashMap, convert::Infallible, path::PathBuf, time::Duration};

use anyproxy_gateway::{Gateway, GroupConfig};
use tokio::time::{MissedTickBehavior, interval};

use super::group;
use crate::{
    failure::chain,
    groups::{GroupSettings, Shadowed, merge},
    store::{Follower, News, StoreError},
};

/// How often the store is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// The groups that a gateway serves, from the file and the store.
#[derive(Debug)]
pub(super) struct Feed {
    file: Vec<GroupSettings>,
    directory: Option<PathBuf>,
    serving: Vec<GroupConfig>,
    shadowed: Vec<Shadowed>,
    /// What was last logged about a store that cannot be read.
    trouble: Option<String>,
}

impl Feed {
    /// Joins the groups of the file with those of the store in `directory`.
    pub(super) fn new(
        file: Vec<GroupSettings>,
        stored: &[GroupSettings],
        directory: Option<PathBuf>,
    ) -> Self {
        let mut feed = Self { file, directory, serving: vec![], shadowed: vec![], trouble: None };
        feed.serving = feed.join(stored);
        feed
    }

    /// Where the store is, if there can be one.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        self.directory.clone()
    }

    /// The groups to serve now.
    pub(super) fn groups(&self) -> &[GroupConfig] {
        &self.serving
    }

    /// Takes the groups of the file and of the store as they were just read, and hands what differs to the
    /// gateway.
    pub(super) fn reload(
        &mut self,
        file: Vec<GroupSettings>,
        stored: &[GroupSettings],
        gateway: &Gateway,
    ) {
        self.file = file;
        let groups = self.join(stored);
        let changes = changes(&self.serving, &groups);
        self.serving = groups;
        self.serve(gateway, changes);
    }

    /// Hands each change of the store to the gateway, for ever. Cancel safe.
    pub(super) async fn follow(&mut self, gateway: &Gateway) -> Infallible {
        let Some(directory) = self.directory.clone() else { return std::future::pending().await };
        let mut follower = Follower::new(directory.clone());
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let looking = tokio::task::spawn_blocking(move || {
                let news = follower.look();
                (follower, news)
            });
            follower = match looking.await {
                Ok((follower, news)) => {
                    let changes = self.take(news);
                    self.serve(gateway, changes);
                    follower
                }
                // It panicked, which is logged; the next look starts afresh.
                Err(_) => Follower::new(directory.clone()),
            };
        }
    }

    fn serve(&self, gateway: &Gateway, changes: Vec<Change>) {
        if !changes.is_empty() {
            gateway.set_groups(&self.serving);
        }
        // Afterwards, so that what the log says is so.
        for change in changes {
            tracing::info!(group = %change.group, "group {}", change.what);
        }
    }

    /// Takes what a look at the store brought; returns what differs now.
    fn take(&mut self, news: Result<News, StoreError>) -> Vec<Change> {
        match news {
            Ok(News::None) => vec![],
            Ok(News::Gone) => {
                tracing::warn!(
                    "the store of groups is gone; the groups stay as they are until the gateway \
                     starts again"
                );
                vec![]
            }
            Ok(News::Groups(stored)) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the store of groups can be read again");
                }
                let groups = self.join(&stored);
                let changes = changes(&self.serving, &groups);
                self.serving = groups;
                changes
            }
            Err(error) => {
                let text = chain(&error);
                if self.trouble.as_ref() != Some(&text) {
                    let fix = error.fix().unwrap_or_default();
                    tracing::error!(error = %text, %fix,
                        "the store of groups cannot be read; the groups stay as they are");
                    self.trouble = Some(text);
                }
                vec![]
            }
        }
    }

    /// Joins the file's groups with the stored ones, and tells what newly has no effect.
    fn join(&mut self, stored: &[GroupSettings]) -> Vec<GroupConfig> {
        let merged = merge(&self.file, stored);
        for shadowed in merged.shadowed.iter().filter(|entry| !self.shadowed.contains(entry)) {
            tracing::warn!("{shadowed}");
        }
        self.shadowed = merged.shadowed;
        merged.groups.into_iter().map(group).collect()
    }
}

/// What became of a group.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    group: String,
    what: String,
}

/// What differs, without any credential.
fn changes(before: &[GroupConfig], after: &[GroupConfig]) -> Vec<Change> {
    let by_name = |groups: &'_ [GroupConfig]| -> HashMap<String, GroupConfig> {
        groups.iter().map(|group| (group.name.clone(), group.clone())).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let gone = before.iter().filter(|group| !new.contains_key(&group.name));
    let gone = gone.map(|group| Change { group: group.name.clone(), what: "removed".into() });
    let others = after.iter().filter_map(|group| {
        let what = match old.get(&group.name) {
            None => "added".to_owned(),
            Some(old) if old == group => return None,
            Some(old) => format!("changed: {}", difference(old, group).join(", ")),
        };
        Some(Change { group: group.name.clone(), what })
    });
    gone.chain(others).collect()
}

fn difference(old: &GroupConfig, new: &GroupConfig) -> Vec<&'static str> {
    [
        (old.tunnel != new.tunnel, "secret"),
        (old.users != new.users, "users"),
        (old.ports != new.ports, "ports"),
        (old.limits != new.limits, "limits"),
    ]
    .into_iter()
    .filter_map(|(differs, what)| differs.then_some(what))
    .collect()
}

#[cfg(test)]
mod tests {
    use anyproxy_wire::handshake::Secret;

    use super::*;
    use crate::groups::{Credential, GroupLimits, UserSettings};

    fn stored(name: &str, secret: &str) -> GroupSettings {
        GroupSettings {
            name: name.into(),
            tunnel: Credential::of(&Secret::new(secret)),
            client_ca: None,
            users: vec![],
            forwards: vec![],
            limits: GroupLimits::default(),
        }
    }

    fn feed(file: &[GroupSettings], groups: &[GroupSettings]) -> Feed {
        Feed::new(file.to_vec(), groups, None)
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let (a, b) = (stored("a", "1"), stored("b", "1"));
        let before = feed(&[], &[a.clone(), b.clone()]).serving;
        let mut other = stored("a", "2");
        other.limits.max_flows = Some(1);
        let password = Credential::of(&Secret::new("p"));
        other.users.push(UserSettings { name: "u".into(), password });
        other.forwards.push("8000".parse().unwrap());
        let after = feed(&[], &[other, stored("c", "1")]).serving;
        let told: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| format!("{} {}", change.group, change.what))
            .collect();
        assert_eq!(told, ["b removed", "a changed: secret, users, ports, limits", "c added"]);
        assert_eq!(changes(&before, &before), []);
    }

    #[test]
    fn a_store_that_cannot_be_read_changes_nothing() {
        let mut feed = feed(&[], &[stored("a", "1")]);
        let damaged = StoreError::Damaged { path: "groups.db".into(), what: "x".into() };
        assert_eq!(feed.take(Err(damaged)), []);
        assert_eq!(feed.take(Ok(News::Gone)), []);
        assert_eq!(feed.groups().len(), 1);
        assert!(feed.trouble.is_some());
        // Read again, and the same as before: the gateway is left alone.
        assert_eq!(feed.take(Ok(News::Groups(vec![stored("a", "1")]))), []);
        assert_eq!(feed.trouble, None);
    }

    #[test]
    fn a_stored_group_cannot_take_the_place_of_one_of_the_file() {
        let file = [stored("a", "file")];
        let mut feed = feed(&file, &[]);
        assert_eq!(feed.take(Ok(News::Groups(vec![stored("a", "stored")]))), []);
        assert_eq!(feed.shadowed, [Shadowed::Group("a".into())]);
        assert_eq!(feed.take(Ok(News::Groups(vec![stored("b", "1")]))).len(), 1);
        let groups = feed.groups();
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0], group(file[0].clone()));
    }
}
