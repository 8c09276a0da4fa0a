//! What is kept of all secrets at one moment. A change replaces the whole table.

use std::{collections::HashMap, sync::Arc};

use anyproxy_transport::ClientCa;

use super::memory;
use crate::config::{Credential, GroupConfig};

#[derive(Debug)]
pub(super) struct Table {
    /// What each group's clients prove.
    pub(super) groups: HashMap<Arc<str>, Credential>,
    /// Or whose certificates; for the groups that have a CA.
    pub(super) client_cas: HashMap<Arc<str>, ClientCa>,
    pub(super) users: HashMap<Arc<str>, Account>,
    /// The costliest Argon2id hash of all, if there is one. It stands in for who is unknown, so that
    /// somebody unknown takes no less time than anybody known. Where hashes differ in cost, a
    /// failure that is quicker than that still tells of somebody who has a cheaper one; hashes of one
    /// cost, as `hash-password` makes them, tell nothing.
    pub(super) slow: Option<String>,
    /// Accounts numbered so far.
    numbered: u64,
}

/// A proxy user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) group: Arc<str>,
    pub(super) password: Credential,
    /// Stays while the account does, with its group and password; never another one's.
    pub(super) number: u64,
}

impl Table {
    pub(super) fn new(configs: &[GroupConfig]) -> Self {
        Self::empty(0).replaced(configs)
    }

    fn empty(numbered: u64) -> Self {
        Self {
            groups: HashMap::new(),
            client_cas: HashMap::new(),
            users: HashMap::new(),
            slow: None,
            numbered,
        }
    }

    /// The table that takes this one's place.
    pub(super) fn replaced(&self, configs: &[GroupConfig]) -> Self {
        let mut table = Self::empty(self.numbered);
        for config in configs {
            let group: Arc<str> = Arc::from(config.name.as_str());
            for user in &config.users {
                table.keep_slow(&user.password);
                let before = self.users.get(user.name.as_str());
                let before = before
                    .filter(|account| account.group == group && account.password == user.password);
                let account = before.cloned().unwrap_or_else(|| {
                    table.numbered = table.numbered.saturating_add(1);
                    let (group, number) = (Arc::clone(&group), table.numbered);
                    Account { group, password: user.password.clone(), number }
                });
                table.users.insert(Arc::from(user.name.as_str()), account);
            }
            table.keep_slow(&config.tunnel);
            if let Some(ca) = &config.client_ca {
                table.client_cas.insert(Arc::clone(&group), ca.clone());
            }
            table.groups.insert(group, config.tunnel.clone());
        }
        table
    }

    fn keep_slow(&mut self, credential: &Credential) {
        let Credential::Argon2id(hash) = credential else { return };
        if self.slow.as_deref().is_none_or(|slow| memory::cost(slow) < memory::cost(hash)) {
            self.slow = Some(hash.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GroupLimits;

    #[test]
    fn the_costliest_hash_stands_in_for_who_is_unknown() {
        let hash =
            |cost: &str| format!("$argon2id$v=19${cost}$c29tZXNhbHRzb21l$4yTPBAtTnmvb4zNh2yQKQg");
        let dear = hash("m=128,t=3,p=1");
        for others in [
            vec![hash("m=64,t=3,p=1"), dear.clone(), hash("m=256,t=1,p=1")],
            vec![dear.clone(), hash("m=64,t=3,p=1")],
            vec![hash("m=64,t=3,p=1"), hash("m=999999,t=9,p=1"), dear.clone()],
        ] {
            let group = |hash: &String| GroupConfig {
                name: hash.clone(),
                tunnel: Credential::Argon2id(hash.clone()),
                client_ca: None,
                users: vec![],
                ports: vec![],
                limits: GroupLimits::default(),
            };
            let table = Table::new(&others.iter().map(group).collect::<Vec<_>>());
            assert_eq!(table.slow.as_ref(), Some(&dear));
        }
    }
}
