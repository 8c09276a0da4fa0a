//! Groups as rows.
//!
//! What comes out of the file is checked like what a person typed: it may have been written by hand.
//! Reading gives two results in one: what SQLite says, and what the content says.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::{
    config::Problem,
    groups::{Credential, GroupLimits, GroupSettings, UserSettings},
    values::{Bound, ForwardRule, bandwidth, count_bound, group_name, user_name},
};

const COLUMNS: &str = "name, tunnel, forwards, max_sessions, max_connections, max_flows, bandwidth";

/// A group, or what is wrong with its row.
type Checked<T> = Result<T, String>;

struct RawGroup {
    name: String,
    tunnel: String,
    forwards: String,
    limits: [Option<i64>; 4],
}

impl RawGroup {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            tunnel: row.get(1)?,
            forwards: row.get(2)?,
            limits: [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?],
        })
    }
}

/// All groups, by name.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Checked<Vec<GroupSettings>>> {
    // One transaction, so that groups and users belong together.
    let transaction = connection.unchecked_transaction()?;
    let raw = transaction
        .prepare(&format!("SELECT {COLUMNS} FROM groups ORDER BY name"))?
        .query_map([], RawGroup::of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut groups = Vec::with_capacity(raw.len());
    for raw in raw {
        match with_users(&transaction, raw)? {
            Ok(group) => groups.push(group),
            Err(what) => return Ok(Err(what)),
        }
    }
    Ok(Ok(groups))
}

/// The group `name`.
pub(super) fn one(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Checked<Option<GroupSettings>>> {
    let query = format!("SELECT {COLUMNS} FROM groups WHERE name = ?1");
    let raw = connection.query_row(&query, [name], RawGroup::of).optional()?;
    match raw {
        Some(raw) => Ok(with_users(connection, raw)?.map(Some)),
        None => Ok(Ok(None)),
    }
}

fn with_users(connection: &Connection, raw: RawGroup) -> rusqlite::Result<Checked<GroupSettings>> {
    let users = connection
        .prepare("SELECT name, password FROM users WHERE \"group\" = ?1 ORDER BY name")?
        .query_map([&raw.name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
    let name = raw.name.clone();
    Ok(check(raw, users).map_err(|problem| format!("in the group `{name}`: {problem}")))
}

fn check(raw: RawGroup, users: Vec<(String, String)>) -> Result<GroupSettings, Problem> {
    let user = |(name, password): (String, String)| {
        Ok(UserSettings { name: user_name(&name)?, password: Credential::from_hash(&password)? })
    };
    let forwards = raw.forwards.split(',').filter(|rule| !rule.is_empty());
    // Read as on a command line: a limit that makes no sense must not become none at all.
    let count = |limit: Option<i64>| match limit {
        Some(limit) => count_bound(&limit.to_string()).map(|Bound(limit)| limit),
        None => Ok(None),
    };
    let [sessions, connections, flows, rate] = raw.limits;
    Ok(GroupSettings {
        name: group_name(&raw.name)?,
        tunnel: Credential::from_hash(&raw.tunnel)?,
        client_ca: None,
        users: users.into_iter().map(user).collect::<Result<_, Problem>>()?,
        forwards: forwards.map(str::parse).collect::<Result<_, Problem>>()?,
        limits: GroupLimits {
            max_sessions: count(sessions)?,
            max_connections: count(connections)?,
            max_flows: count(flows)?,
            bandwidth: rate.map(|bytes| bandwidth(&bytes.to_string())).transpose()?,
        },
    })
}

/// Whether there is a group `name`.
pub(super) fn exists(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM groups WHERE name = ?1")?.exists([name])
}

/// The group that has the user `name`.
pub(super) fn group_of(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let query = "SELECT \"group\" FROM users WHERE name = ?1";
    connection.query_row(query, [name], |row| row.get(0)).optional()
}

/// Removes a group with its users; returns how many there were.
pub(super) fn delete(connection: &Connection, name: &str) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM groups WHERE name = ?1", [name])
}

/// Adds a group with its users.
pub(super) fn insert(connection: &Connection, group: &GroupSettings) -> rusqlite::Result<()> {
    let forwards: Vec<_> = group.forwards.iter().map(ForwardRule::to_string).collect();
    let count = |limit: Option<usize>| limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let bandwidth = group.limits.bandwidth.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    connection.execute(
        &format!("INSERT INTO groups ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
        params![
            group.name,
            group.tunnel.to_text(),
            forwards.join(","),
            count(group.limits.max_sessions),
            count(group.limits.max_connections),
            count(group.limits.max_flows),
            bandwidth,
        ],
    )?;
    for user in &group.users {
        connection.execute(
            "INSERT INTO users (name, \"group\", password) VALUES (?1, ?2, ?3)",
            params![user.name, group.name, user.password.to_text()],
        )?;
    }
    Ok(())
}
