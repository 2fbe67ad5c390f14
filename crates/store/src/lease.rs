//! Leases: who has which address.
//!
//! What it costs to give an address out does not depend on how many are taken. Each pool has a cursor, before which
//! every address has been used or looked at. Freed addresses queue up and are given out, oldest first, when the cursor
//! has reached the pool's end: so an address that neighbours may still remember is not at once somebody else's.

use std::net::IpAddr;

use pontoon_model::network::AddressPool;
use pontoon_model::subnet::{self, Family};
use pontoon_model::{Diagnose, EndpointId, Mac, NetworkId, lease};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};

use crate::{StoreError, Tx};

/// How many freed addresses may queue up before they are given out again although the pool is not at its end.
///
/// An IPv6 pool never comes to its end, and every address that was used takes up memory.
const LONGEST_QUEUE: i64 = 65_536;

/// Why an address cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody has it.
    #[error("address {address} is taken by {}", holder_name(container.as_deref(), holder))]
    Taken {
        /// The address.
        address: IpAddr,
        /// The endpoint that has it.
        holder: EndpointId,
        /// The name of that endpoint's container.
        container: Option<String>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn holder_name(container: Option<&str>, holder: &EndpointId) -> String {
    match container {
        Some(name) => format!("container `{name}`"),
        None => format!("endpoint {}", holder.short()),
    }
}

impl Diagnose for LeaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "address-taken",
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Taken { container, .. } => {
                let holder = container.as_deref().map_or_else(String::new, |name| format!(" `{name}`"));
                Some(format!("ask for another address, or disconnect{holder} first"))
            }
            Self::Store(error) => error.hint(),
        }
    }
}

/// Why no address can be given out.
#[derive(Debug, thiserror::Error)]
pub enum IpamError {
    /// All are taken.
    #[error(
        "network `{network}` has no free address left in {}: {} of {usable} usable addresses are taken, {} reserved",
        place(pool), lease::capacity(pool), usable - lease::capacity(pool)
    )]
    Exhausted {
        /// The network's name, or its id where it has no record.
        network: String,
        /// Its addresses of one family.
        pool: Box<AddressPool>,
        /// How many of them an interface can have.
        usable: u128,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn place(pool: &AddressPool) -> String {
    match pool.range {
        Some(range) => format!("range {range} of subnet {}", pool.subnet),
        None => format!("subnet {}", pool.subnet),
    }
}

impl Diagnose for IpamError {
    fn code(&self) -> &'static str {
        match self {
            Self::Exhausted { .. } => "pool-exhausted",
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Exhausted { network, pool, .. } => {
                let option = if pool.range.is_some() { "--ip-range" } else { "--subnet" };
                Some(format!(
                    "disconnect a container from `{network}`, or make the network again with a larger {option}"
                ))
            }
            Self::Store(error) => error.hint(),
        }
    }
}

/// What is kept of a pool.
struct Book {
    id: i64,
    /// The cursor.
    next: u128,
    /// How many freed addresses queue up.
    waiting: i64,
}

/// What is kept of an address that is or was in use.
struct Lease {
    holder: Option<EndpointId>,
    mac: Option<String>,
    waits: bool,
}

impl Tx<'_> {
    /// Takes `address` for `owner`, whose interface has `mac`. Says which MAC the address had last, if it was ever
    /// in use: neighbours may still believe it.
    ///
    /// An owner may take its address again, which sets the MAC: so after [`Tx::allocate`].
    ///
    /// # Errors
    ///
    /// [`LeaseError::Taken`] if another endpoint has it. Whether the address is a good one to ask for is not
    /// looked at: see [`lease::check_request`].
    pub fn lease_take(
        &self,
        network: &NetworkId,
        address: IpAddr,
        owner: &EndpointId,
        mac: Mac,
    ) -> Result<Option<Mac>, LeaseError> {
        let book = self.book(network, Family::of_address(address))?;
        let number = subnet::to_number(address);
        let found = self.lease(book.id, number)?;
        match found.as_ref().and_then(|lease| lease.holder.as_ref()) {
            Some(holder) if holder != owner => return Err(self.taken(address, holder)?),
            Some(_) => {}
            None => {
                let waited = found.as_ref().is_some_and(|lease| lease.waits);
                self.hold(book.id, number, owner)?;
                self.count(book.id, 1, if waited { -1 } else { 0 })?;
            }
        }
        let write = "UPDATE lease SET mac = ?3 WHERE pool = ?1 AND address = ?2";
        self.write("take an address", write, params![book.id, blob(number), mac.to_string()])?;
        Ok(found.and_then(|lease| lease.mac?.parse().ok()))
    }

    /// Gives `owner` an address of `pool`: one that was never used or, when there is none left, the one that has
    /// been free for longest.
    ///
    /// # Errors
    ///
    /// [`IpamError::Exhausted`] if all are taken.
    pub fn allocate(
        &self,
        network: &NetworkId,
        pool: &AddressPool,
        owner: &EndpointId,
    ) -> Result<IpAddr, IpamError> {
        let book = self.book(network, Family::of(pool.subnet))?;
        let address = match self.choose(&book, pool)? {
            Some(address) => address,
            None => {
                let network = self.network_label(network)?;
                let usable = usable_span(pool);
                return Err(IpamError::Exhausted { network, pool: Box::new(pool.clone()), usable });
            }
        };
        self.hold(book.id, subnet::to_number(address), owner)?;
        self.count(book.id, 1, 0)?;
        Ok(address)
    }

    /// Frees every address of `owner`. They keep their MAC, and queue up to be given out again.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn lease_free_all(&self, owner: &EndpointId) -> Result<(), StoreError> {
        for (pool, address) in self.held_by(owner)? {
            self.count(pool, -1, 1)?;
            let free = "UPDATE lease SET holder = NULL, freed = (SELECT clock FROM pool WHERE id = ?1)
                WHERE pool = ?1 AND address = ?2";
            self.write("free an address", free, params![pool, address])?;
        }
        Ok(())
    }

    /// Frees one address of `owner`; one that it does not have is not missed. It keeps its MAC and queues up.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn lease_free(
        &self,
        network: &NetworkId,
        address: IpAddr,
        owner: &EndpointId,
    ) -> Result<(), StoreError> {
        let book = self.book(network, Family::of_address(address))?;
        let free = "UPDATE lease SET holder = NULL, freed = (SELECT clock FROM pool WHERE id = ?1)
            WHERE pool = ?1 AND address = ?2 AND holder = ?3";
        let columns = params![book.id, blob(subnet::to_number(address)), owner.as_str()];
        if self.write("free an address", free, columns)? > 0 {
            self.count(book.id, -1, 1)?;
        }
        Ok(())
    }

    /// Begins a network's address pools anew, for another subnet: the next address to give out is the first that nobody
    /// has or had. Whatever is free queues up, so that a network that comes back to a subnet has all of it.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn pools_restart(&self, network: &NetworkId) -> Result<(), StoreError> {
        let queue = "UPDATE lease SET freed = (SELECT clock FROM pool WHERE id = lease.pool)
            WHERE holder IS NULL AND freed IS NULL AND pool IN (SELECT id FROM pool WHERE network = ?1)";
        self.write("queue free addresses up", queue, [network.as_str()])?;
        let begin = "UPDATE pool SET next = zeroblob(16), clock = clock + 1,
            waiting = (SELECT count(*) FROM lease WHERE pool = pool.id AND freed IS NOT NULL) WHERE network = ?1";
        self.write("begin address pools anew", begin, [network.as_str()])?;
        Ok(())
    }

    /// Who has `address`.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn lease_holder(
        &self,
        network: &NetworkId,
        address: IpAddr,
    ) -> Result<Option<EndpointId>, StoreError> {
        let query = "SELECT holder FROM lease JOIN pool ON pool.id = lease.pool
            WHERE network = ?1 AND family = ?2 AND address = ?3";
        let family = family_number(Family::of_address(address));
        let columns = params![network.as_str(), family, blob(subnet::to_number(address))];
        let holder = self
            .connection()
            .prepare_cached(query)
            .and_then(|mut statement| statement.query_row(columns, |row| endpoint_id(row, 0)).optional());
        holder.map(Option::flatten).map_err(reading())
    }

    /// How many addresses of a network are taken.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn leases_used(&self, network: &NetworkId, family: Family) -> Result<u64, StoreError> {
        let used: rusqlite::Result<Option<i64>> = self
            .connection()
            .prepare_cached("SELECT used FROM pool WHERE network = ?1 AND family = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row(params![network.as_str(), family_number(family)], |row| row.get(0))
                    .optional()
            });
        Ok(used.map_err(reading())?.unwrap_or_default().unsigned_abs())
    }

    /// Forgets everything about a network's addresses.
    pub(crate) fn pools_delete(&self, network: &NetworkId) -> Result<(), StoreError> {
        let leases = "DELETE FROM lease WHERE pool IN (SELECT id FROM pool WHERE network = ?1)";
        self.write("delete leases", leases, [network.as_str()])?;
        self.write("delete address pools", "DELETE FROM pool WHERE network = ?1", [network.as_str()])?;
        Ok(())
    }

    /// The book of a network's addresses of one family, begun if there is none.
    fn book(&self, network: &NetworkId, family: Family) -> Result<Book, StoreError> {
        let key = params![network.as_str(), family_number(family)];
        let query = "SELECT id, next, waiting FROM pool WHERE network = ?1 AND family = ?2";
        let found = self
            .connection()
            .prepare_cached(query)
            .and_then(|mut statement| statement.query_row(key, book_columns).optional())
            .map_err(reading())?;
        if let Some(book) = found {
            return Ok(book);
        }
        let begin = "INSERT INTO pool(network, family, next) VALUES(?1, ?2, zeroblob(16))";
        self.write("begin an address pool", begin, key)?;
        Ok(Book { id: self.connection().last_insert_rowid(), next: 0, waiting: 0 })
    }

    fn lease(&self, pool: i64, number: u128) -> Result<Option<Lease>, StoreError> {
        let query = "SELECT holder, mac, freed IS NOT NULL FROM lease WHERE pool = ?1 AND address = ?2";
        self.connection()
            .prepare_cached(query)
            .and_then(|mut statement| {
                let columns = |row: &Row<'_>| {
                    Ok(Lease { holder: endpoint_id(row, 0)?, mac: row.get(1)?, waits: row.get(2)? })
                };
                statement.query_row(params![pool, blob(number)], columns).optional()
            })
            .map_err(reading())
    }

    fn choose(&self, book: &Book, pool: &AddressPool) -> Result<Option<IpAddr>, StoreError> {
        if book.waiting >= LONGEST_QUEUE
            && let Some(address) = self.take_from_queue(book, pool)?
        {
            return Ok(Some(address));
        }
        match self.next_unused(book, pool)? {
            Some(address) => Ok(Some(address)),
            None => self.take_from_queue(book, pool),
        }
    }

    /// The next address behind the cursor that was never used, and the cursor behind it.
    fn next_unused(&self, book: &Book, pool: &AddressPool) -> Result<Option<IpAddr>, StoreError> {
        let end = subnet::to_number(pool.span().1).saturating_add(1);
        if book.next >= end {
            return Ok(None);
        }
        let query = "SELECT address FROM lease WHERE pool = ?1 AND address >= ?2 ORDER BY address";
        let mut statement = self.connection().prepare_cached(query).map_err(reading())?;
        let known =
            statement.query_map(params![book.id, blob(book.next)], |row| number(row, 0)).map_err(reading())?;
        let found = lease::next_unused(pool, book.next, known).map_err(reading())?;
        let next = found.map_or(end, |address| subnet::to_number(address).saturating_add(1));
        self.write(
            "move on in an address pool",
            "UPDATE pool SET next = ?2 WHERE id = ?1",
            params![book.id, blob(next)],
        )?;
        Ok(found)
    }

    /// Takes the address that has been free for longest out of the queue. Those that may only be had by asking for
    /// them leave the queue on the way, so that they are passed once.
    fn take_from_queue(&self, book: &Book, pool: &AddressPool) -> Result<Option<IpAddr>, StoreError> {
        let query = "SELECT address FROM lease WHERE pool = ?1 AND freed IS NOT NULL ORDER BY freed LIMIT 1";
        let leave = "UPDATE lease SET freed = NULL WHERE pool = ?1 AND address = ?2";
        loop {
            let oldest = self
                .connection()
                .prepare_cached(query)
                .and_then(|mut statement| statement.query_row([book.id], |row| number(row, 0)).optional())
                .map_err(reading())?;
            let Some(oldest) = oldest else { return Ok(None) };
            self.write("give out a freed address", leave, params![book.id, blob(oldest)])?;
            self.count(book.id, 0, -1)?;
            let address = subnet::from_number(oldest, pool.subnet);
            if lease::may_give(pool, address) {
                return Ok(Some(address));
            }
        }
    }

    fn hold(&self, pool: i64, number: u128, owner: &EndpointId) -> Result<(), StoreError> {
        let hold = "INSERT INTO lease(pool, address, holder) VALUES(?1, ?2, ?3)
            ON CONFLICT(pool, address) DO UPDATE SET holder = excluded.holder, freed = NULL";
        self.write("take an address", hold, params![pool, blob(number), owner.as_str()])?;
        Ok(())
    }

    /// Counts `used` more addresses in use and `waiting` more in the queue, and moves the pool's clock.
    fn count(&self, pool: i64, used: i64, waiting: i64) -> Result<(), StoreError> {
        let count =
            "UPDATE pool SET used = used + ?2, waiting = waiting + ?3, clock = clock + 1 WHERE id = ?1";
        self.write("count addresses", count, [pool, used, waiting])?;
        Ok(())
    }

    fn held_by(&self, owner: &EndpointId) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let query = "SELECT pool, address FROM lease WHERE holder = ?1 ORDER BY pool, address";
        let mut statement = self.connection().prepare_cached(query).map_err(reading())?;
        let rows =
            statement.query_map([owner.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).map_err(reading())?;
        rows.map(|row| row.map_err(reading())).collect()
    }

    fn taken(&self, address: IpAddr, holder: &EndpointId) -> Result<LeaseError, StoreError> {
        let sandbox = match self.endpoint(holder)? {
            Some(endpoint) => self.sandbox(&endpoint.sandbox)?,
            None => None,
        };
        let container = sandbox.map(|sandbox| sandbox.name.to_string());
        Ok(LeaseError::Taken { address, holder: holder.clone(), container })
    }

    fn network_label(&self, id: &NetworkId) -> Result<String, StoreError> {
        Ok(self.network(id)?.map_or_else(|| id.short().to_owned(), |network| network.name.to_string()))
    }
}

fn usable_span(pool: &AddressPool) -> u128 {
    let (first, last) = pool.span();
    if first > last {
        return 0;
    }
    (subnet::to_number(last) - subnet::to_number(first)).saturating_add(1)
}

fn reading() -> impl FnOnce(rusqlite::Error) -> StoreError {
    StoreError::statement("read leases")
}

/// As nftables and `ip -4` number them, for whoever reads the database.
fn family_number(family: Family) -> i64 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

fn blob(number: u128) -> [u8; 16] {
    number.to_be_bytes()
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u128> {
    row.get(column).map(u128::from_be_bytes)
}

fn endpoint_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<EndpointId>> {
    let text: Option<String> = row.get(column)?;
    let unreadable = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error));
    text.map(|text| text.parse().map_err(unreadable)).transpose()
}

fn book_columns(row: &Row<'_>) -> rusqlite::Result<Book> {
    Ok(Book { id: row.get(0)?, next: number(row, 1)?, waiting: row.get(2)? })
}
