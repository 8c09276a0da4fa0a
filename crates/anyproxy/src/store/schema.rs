//! The tables, and what tells whose file it is and of which version.

use rusqlite::{Connection, TransactionBehavior};

/// "APxy" in ASCII: an SQLite file of ours (<https://sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION: i64 = 0x4150_7879;

/// The version that this program reads and writes.
pub(super) const VERSION: i64 = 1;

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

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing has been written to it.
    Empty,
    /// Ours, and of this version.
    Ours,
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
        (APPLICATION, version) => Ok(Kind::Newer(version)),
        (0, 0) => {
            let tables = connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            Ok(if tables == 0 { Kind::Empty } else { Kind::Foreign })
        }
        _ => Ok(Kind::Foreign),
    }
}

/// Makes the tables, unless another process was faster.
pub(super) fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if kind(&transaction)? == Kind::Empty {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}
