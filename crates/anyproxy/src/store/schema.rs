//! The tables, and what tells whose file it is and of which version.

use rusqlite::{Connection, TransactionBehavior};

/// "APxy" in ASCII: an SQLite file of ours (<https://sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION: i64 = 0x4150_7879;

/// The version that this program reads and writes.
pub(super) const VERSION: i64 = 2;

/// The version before tokens and clients.
const GROUPS_ONLY: i64 = 1;

/// Everything is checked before it gets here. `STRICT` and the checks keep what a person types into
/// another program from being another limit than it seems, or none.
const TABLES: &str = "
    CREATE TABLE groups (
        name TEXT NOT NULL PRIMARY KEY,
        tunnel TEXT NOT NULL,
        forwards TEXT NOT NULL,
        max_sessions INTEGER CHECK (max_sessions BETWEEN 1 AND 1000000),
        max_connections INTEGER CHECK (max_connections BETWEEN 1 AND 1000000),
        max_flows INTEGER CHECK (max_flows BETWEEN 1 AND 1000000),
        bandwidth INTEGER CHECK (bandwidth >= 1000)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE users (
        name TEXT NOT NULL PRIMARY KEY,
        \"group\" TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
        password TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX users_of_group ON users (\"group\");
";

/// Of a group that is in the configuration file there are tokens and clients too, so their groups are
/// not those of the table. `used_by` is a key.
const ROLL: &str = "
    CREATE TABLE tokens (
        id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 8),
        \"group\" TEXT NOT NULL,
        verifier TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        used INTEGER,
        used_by BLOB CHECK (length(used_by) = 32)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE clients (
        key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
        \"group\" TEXT NOT NULL,
        id TEXT NOT NULL,
        created INTEGER NOT NULL,
        seen INTEGER,
        revoked INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX names_of_clients ON clients (\"group\", id) WHERE revoked IS NULL;
    CREATE TABLE notes (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing has been written to it.
    Empty,
    /// Ours, and of this version.
    Ours,
    /// Ours, without tokens and clients.
    Older,
    /// Ours, of a version that this program does not know.
    Newer(i64),
    /// Somebody else's.
    Foreign,
}

/// Looks what the file is.
pub(super) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION, VERSION) => Ok(Kind::Ours),
        (APPLICATION, GROUPS_ONLY) => Ok(Kind::Older),
        (APPLICATION, version) => Ok(Kind::Newer(version)),
        (0, 0) => {
            let tables = connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            Ok(if tables == 0 { Kind::Empty } else { Kind::Foreign })
        }
        _ => Ok(Kind::Foreign),
    }
}

/// Whether there are tables of tokens and clients.
pub(super) fn has_roll(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(kind(connection)? == Kind::Ours)
}

/// Makes the tables that are not there, unless another process was faster.
pub(super) fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = kind(&transaction)?;
    if found == Kind::Empty {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    if matches!(found, Kind::Empty | Kind::Older) {
        transaction.execute_batch(ROLL)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}
