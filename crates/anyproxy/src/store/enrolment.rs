//! Tokens, and the clients that enrolled with them.
//!
//! Times are seconds since 1970, and come from the caller. A token is used in the transaction that
//! enrols its client, so it is used once, whatever processes there are.

use anyproxy_wire::handshake::{PublicKey, TokenId, Verifier};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Store, StoreError};

/// How long a token that is over is still told from one that never was, in seconds.
const REMEMBERED: i64 = 24 * 60 * 60;

/// A token, without its secret.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// Which one it is.
    pub id: TokenId,
    /// The group that it is for.
    pub group: String,
    /// What checks its secret.
    pub verifier: Verifier,
    /// When it was made.
    pub created: i64,
    /// From when on it is void.
    pub expires: i64,
    /// When it was used, and with which key.
    pub used: Option<(i64, PublicKey)>,
}

/// An enrolled client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClient {
    /// Its key.
    pub key: PublicKey,
    /// Its group.
    pub group: String,
    /// Its id, unique among those of the group that are not revoked.
    pub id: String,
    /// When it enrolled.
    pub created: i64,
    /// When it last logged in, to a minute or so.
    pub seen: Option<i64>,
    /// When a person took its place away.
    pub revoked: Option<i64>,
}

/// What became of a wish to enrol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolled {
    /// The key is enrolled, now or by the same token before.
    Yes,
    /// Another key was, with this token.
    Used,
    /// The token is over.
    Expired,
    /// There is no such token for the group any more.
    NoToken,
    /// The group has a client of that id with another key.
    NameTaken,
}

/// All that is needed to let clients in.
#[derive(Debug, Clone, Default)]
pub struct Roll {
    /// Tokens, also those that are used or over.
    pub tokens: Vec<StoredToken>,
    /// Clients, also revoked ones.
    pub clients: Vec<StoredClient>,
}

impl Store {
    /// Tokens and clients, by age.
    ///
    /// # Errors
    ///
    /// When the file is damaged or locked for too long.
    pub fn roll(&self) -> Result<Roll, StoreError> {
        if !self.reading(super::schema::has_roll)? {
            return Ok(Roll::default());
        }
        self.reading(roll)?.map_err(|what| self.content(what))
    }

    /// Adds a token, and forgets those that have long been over.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn add_token(&mut self, token: &StoredToken) -> Result<(), StoreError> {
        let forgotten = token.created.saturating_sub(REMEMBERED);
        self.changing(|connection| {
            connection.execute("DELETE FROM tokens WHERE expires < ?1", [forgotten])?;
            connection.execute(
                "INSERT INTO tokens (id, \"group\", verifier, created, expires) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    token.id,
                    token.group,
                    token.verifier.to_text(),
                    token.created,
                    token.expires
                ],
            )
        })?;
        Ok(())
    }

    /// Removes a token; whether there was one.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn remove_token(&mut self, id: &TokenId) -> Result<bool, StoreError> {
        let done = self.changing(|it| it.execute("DELETE FROM tokens WHERE id = ?1", [id]))?;
        Ok(done > 0)
    }

    /// Enrols `client` with a token, whose secret it has proven.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn enrol(
        &mut self,
        token: &TokenId,
        client: &StoredClient,
    ) -> Result<Enrolled, StoreError> {
        self.changing(|connection| enrol(connection, token, client))
    }

    /// Takes a client's place away; whether it had one.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn revoke(&mut self, key: &PublicKey, now: i64) -> Result<bool, StoreError> {
        let update = "UPDATE clients SET revoked = ?2 WHERE key = ?1 AND revoked IS NULL";
        Ok(self.changing(|it| it.execute(update, params![key, now]))? > 0)
    }

    /// Notes when clients were last seen.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn note_seen(&mut self, keys: &[PublicKey], now: i64) -> Result<(), StoreError> {
        let update = "UPDATE clients SET seen = ?2 WHERE key = ?1";
        self.changing(|connection| {
            keys.iter().try_for_each(|key| connection.execute(update, params![key, now]).map(drop))
        })
    }

    /// The address at which clients reach the gateway, as it last said.
    ///
    /// # Errors
    ///
    /// When the file is damaged or locked for too long.
    pub fn advertised(&self) -> Result<Option<String>, StoreError> {
        self.note("advertise")
    }

    /// Keeps the address at which clients reach the gateway.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn advertise(&mut self, address: &str) -> Result<(), StoreError> {
        self.keep_note("advertise", address)
    }

    /// Who vouches for the certificate that the gateway shows, as it last said.
    ///
    /// # Errors
    ///
    /// When the file is damaged or locked for too long.
    pub fn voucher(&self) -> Result<Option<String>, StoreError> {
        self.note("voucher")
    }

    /// Keeps who vouches for the certificate that the gateway shows.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn keep_voucher(&mut self, voucher: &str) -> Result<(), StoreError> {
        self.keep_note("voucher", voucher)
    }

    fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        if !self.reading(super::schema::has_roll)? {
            return Ok(None);
        }
        let query = "SELECT value FROM notes WHERE name = ?1";
        self.reading(|it| it.query_row(query, [name], |row| row.get(0)).optional())
    }

    fn keep_note(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let insert = "INSERT OR REPLACE INTO notes (name, value) VALUES (?1, ?2)";
        self.changing(|connection| connection.execute(insert, [name, value]))?;
        Ok(())
    }

    fn changing<T>(
        &mut self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.writing(|transaction, path| {
            change(transaction).map_err(|error| StoreError::of(path, error))
        })
    }
}

/// Tokens and clients of a group that is removed.
pub(super) fn remove_of(connection: &Connection, group: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM tokens WHERE \"group\" = ?1", [group])?;
    connection.execute("DELETE FROM clients WHERE \"group\" = ?1", [group])?;
    Ok(())
}

fn roll(connection: &Connection) -> rusqlite::Result<Result<Roll, String>> {
    let transaction = connection.unchecked_transaction()?;
    let columns = "id, \"group\", verifier, created, expires, used, used_by";
    let tokens = transaction
        .prepare(&format!("SELECT {columns} FROM tokens ORDER BY created, id"))?
        .query_map([], token)?
        .collect::<rusqlite::Result<Result<Vec<_>, String>>>()?;
    let clients = transaction
        .prepare(
            "SELECT key, \"group\", id, created, seen, revoked FROM clients ORDER BY created, key",
        )?
        .query_map([], client)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(tokens.map(|tokens| Roll { tokens, clients }))
}

fn token(row: &Row<'_>) -> rusqlite::Result<Result<StoredToken, String>> {
    let (id, group, verifier): (_, _, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (created, expires) = (row.get(3)?, row.get(4)?);
    let used = row.get::<_, Option<i64>>(5)?.zip(row.get::<_, Option<PublicKey>>(6)?);
    let verifier = Verifier::from_text(&verifier)
        .map_err(|error| format!("in a token of the group `{group}`: {error}"));
    Ok(verifier.map(|verifier| StoredToken { id, group, verifier, created, expires, used }))
}

fn client(row: &Row<'_>) -> rusqlite::Result<StoredClient> {
    Ok(StoredClient {
        key: row.get(0)?,
        group: row.get(1)?,
        id: row.get(2)?,
        created: row.get(3)?,
        seen: row.get(4)?,
        revoked: row.get(5)?,
    })
}

fn enrol(
    connection: &Connection,
    token: &TokenId,
    client: &StoredClient,
) -> rusqlite::Result<Enrolled> {
    let now = client.created;
    let known = connection
        .query_row(
            "SELECT expires, used_by FROM tokens WHERE id = ?1 AND \"group\" = ?2",
            params![token, client.group],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<PublicKey>>(1)?)),
        )
        .optional()?;
    let Some((expires, used_by)) = known else { return Ok(Enrolled::NoToken) };
    if let Some(key) = used_by {
        // The answer to the first time may have been lost.
        let query = "SELECT 1 FROM clients WHERE key = ?1 AND id = ?2 AND revoked IS NULL";
        let again =
            key == client.key && connection.prepare(query)?.exists(params![key, client.id])?;
        return Ok(if again { Enrolled::Yes } else { Enrolled::Used });
    }
    if expires <= now {
        return Ok(Enrolled::Expired);
    }
    let query = "SELECT 1 FROM clients WHERE key = ?1 OR \
                 (\"group\" = ?2 AND id = ?3 AND revoked IS NULL)";
    if connection.prepare(query)?.exists(params![client.key, client.group, client.id])? {
        return Ok(Enrolled::NameTaken);
    }
    connection.execute(
        "UPDATE tokens SET used = ?2, used_by = ?3 WHERE id = ?1",
        params![token, now, client.key],
    )?;
    connection.execute(
        "INSERT INTO clients (key, \"group\", id, created) VALUES (?1, ?2, ?3, ?4)",
        params![client.key, client.group, client.id, now],
    )?;
    Ok(Enrolled::Yes)
}

#[cfg(test)]
mod tests;
