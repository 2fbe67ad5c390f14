//! The tables.
//!
//! A record is its JSON, next to the columns by which it is found. Formats are counted in SQLite's `user_version`.

/// The format of `definitions.db`.
pub(crate) const DEFINITIONS_FORMAT: i64 = 1;

/// The format of `runtime.db`: since 2, a row of `port` says where it leads; since 3, there are impairments and routes.
pub(crate) const RUNTIME_FORMAT: i64 = 3;

/// `definitions.db`.
pub(crate) const DEFINITIONS: &str = "
CREATE TABLE network(
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    json    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What `definitions.db` gets with its first note.
pub(crate) const NOTES: &str =
    "CREATE TABLE IF NOT EXISTS note(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/// `runtime.db`.
///
/// In `pool` and `lease` an address is a 128-bit number, most significant byte first, so that its order is that of
/// the addresses. A lease is held (`holder`), free and in the queue for reuse (`freed`, a count of the pool's
/// `clock`), or neither when the pool never gives that address out unasked; `mac` is its last holder's.
///
/// A `port` of the host is published on `address`, or on all of them if that is empty, and leads to the port `container`
/// of the sandbox whose `number` is its `holder`. A sandbox's ports are these rows alone: one more, or one less, is
/// one row, however many it has.
///
/// An `impairment` is that of an interface: an endpoint's (`of`, and 0 as its `end`), or one end of a cable (0 or 1). It
/// goes with the endpoint or cable, and is not part of its record: an attachment without one does not read or write it. So
/// is a `route` that an interface was given.
///
/// Ids are random. Records are therefore rows in the order in which they came, which are written to one page, with small
/// indexes beside them: a tree of records by id has every page written now and then, and with it twice as much of the
/// log for each attachment.
pub(crate) const RUNTIME: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sysctl(key TEXT PRIMARY KEY, previous TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE journal(id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE network(
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    created  TEXT NOT NULL,
    removing INTEGER NOT NULL DEFAULT 0,
    json     TEXT NOT NULL
) STRICT;
CREATE TABLE sandbox(
    number    INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    name      TEXT NOT NULL UNIQUE,
    netns_dev INTEGER NOT NULL,
    netns_ino INTEGER NOT NULL,
    created   TEXT NOT NULL,
    json      TEXT NOT NULL
) STRICT;
CREATE INDEX sandbox_netns ON sandbox(netns_ino, netns_dev);
CREATE TABLE endpoint(
    id      TEXT PRIMARY KEY,
    network TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    json    TEXT NOT NULL,
    UNIQUE(sandbox, network)
) STRICT;
CREATE INDEX endpoint_network ON endpoint(network);
CREATE TABLE cable(id TEXT PRIMARY KEY, a TEXT, b TEXT, json TEXT NOT NULL) STRICT;
CREATE INDEX cable_a ON cable(a);
CREATE INDEX cable_b ON cable(b);
CREATE TABLE impairment(of TEXT, end INTEGER, json TEXT NOT NULL, PRIMARY KEY(of, end)) STRICT, WITHOUT ROWID;
CREATE TABLE route(
    of          TEXT,
    end         INTEGER,
    destination TEXT,
    json        TEXT NOT NULL,
    PRIMARY KEY(of, end, destination)
) STRICT, WITHOUT ROWID;
CREATE TABLE port(
    protocol  INTEGER NOT NULL,
    port      INTEGER NOT NULL,
    address   TEXT NOT NULL,
    container INTEGER NOT NULL,
    holder    INTEGER NOT NULL,
    PRIMARY KEY(protocol, port, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX port_holder ON port(holder, address, protocol, container);
CREATE TABLE pool(
    id      INTEGER PRIMARY KEY,
    network TEXT NOT NULL,
    family  INTEGER NOT NULL,
    next    BLOB NOT NULL,
    clock   INTEGER NOT NULL DEFAULT 0,
    used    INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    UNIQUE(network, family)
) STRICT;
CREATE TABLE lease(
    pool    INTEGER NOT NULL,
    address BLOB NOT NULL,
    holder  TEXT,
    mac     TEXT,
    freed   INTEGER,
    PRIMARY KEY(pool, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_holder ON lease(holder) WHERE holder IS NOT NULL;
CREATE INDEX lease_freed ON lease(pool, freed) WHERE freed IS NOT NULL;
";
