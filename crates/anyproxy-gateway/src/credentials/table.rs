//! What is kept of all secrets at one moment. A change replaces the whole table.

use std::{collections::HashMap, sync::Arc};

use crate::config::{Credential, GroupConfig};

#[derive(Debug)]
pub(super) struct Table {
    /// What each group's clients prove.
    pub(super) groups: HashMap<Arc<str>, Credential>,
    pub(super) users: HashMap<Arc<str>, Account>,
    /// An Argon2id hash of some group, if there is one.
    pub(super) slow: Option<String>,
}

/// A proxy user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) group: Arc<str>,
    pub(super) password: Credential,
}

impl Table {
    pub(super) fn new(configs: &[GroupConfig]) -> Self {
        let mut table = Self { groups: HashMap::new(), users: HashMap::new(), slow: None };
        for config in configs {
            let group: Arc<str> = Arc::from(config.name.as_str());
            for user in &config.users {
                table.keep_slow(&user.password);
                let account =
                    Account { group: Arc::clone(&group), password: user.password.clone() };
                table.users.insert(Arc::from(user.name.as_str()), account);
            }
            table.keep_slow(&config.tunnel);
            table.groups.insert(group, config.tunnel.clone());
        }
        table
    }

    fn keep_slow(&mut self, credential: &Credential) {
        match credential {
            Credential::Argon2id(hash) if self.slow.is_none() => self.slow = Some(hash.clone()),
            Credential::Argon2id(_) | Credential::Verifier(_) => {}
        }
    }
}
