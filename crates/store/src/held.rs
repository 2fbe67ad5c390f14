//! The published ports of a sandbox: all of them, or those that matter for a few.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use pontoon_model::SandboxId;
use pontoon_model::publish::{Protocol, Publication, merge};
use rusqlite::{OptionalExtension as _, Params, Row, params};

use crate::{StoreError, Tx};

/// A port of the host: its address, its protocol, its number.
type At = (Option<IpAddr>, Protocol, u16);

impl Tx<'_> {
    /// All published ports of a sandbox, in order.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn ports_of(&self, sandbox: &SandboxId) -> Result<Vec<Publication>, StoreError> {
        let query = "SELECT address, protocol, container, port FROM port
            WHERE holder = (SELECT number FROM sandbox WHERE id = ?1)";
        Ok(merge(self.held(query, [sandbox.as_str()], |_| true, usize::MAX)?))
    }

    /// A sandbox's ports among these of the host, wherever they are published, one by one. It costs what is found,
    /// however many others it has.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn ports_within(
        &self,
        sandbox: &SandboxId,
        protocol: Protocol,
        ports: std::ops::RangeInclusive<u16>,
    ) -> Result<Vec<Publication>, StoreError> {
        // By the port: a holder may have many (`+` keeps its index out of it).
        let query = "SELECT address, protocol, container, port FROM port WHERE protocol = ?1 AND port BETWEEN ?2 AND ?3
            AND +holder = (SELECT number FROM sandbox WHERE id = ?4)";
        let columns = params![protocol.number(), ports.start(), ports.end(), sandbox.as_str()];
        self.held(query, columns, |_| true, usize::MAX)
    }

    /// Of a sandbox's ports beside `some`, one by one and in order, as many as say whether there are others: one on each
    /// address, and on each address one for each port of the container that `some` lead to, too.
    ///
    /// It costs what `some` are, however many others there are.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn ports_beside(
        &self,
        sandbox: &SandboxId,
        some: &[Publication],
    ) -> Result<Vec<Publication>, StoreError> {
        let at = |one: &Publication| {
            let (address, protocol) = (one.address, one.protocol);
            one.pairs().map(move |(port, _)| (address, protocol, port)).collect::<Vec<At>>()
        };
        let left_out: BTreeSet<At> = some.iter().flat_map(at).collect();
        let beside = |one: &Publication| !left_out.contains(&(one.address, one.protocol, one.host));
        let inside: BTreeSet<(Protocol, u16, u16)> =
            some.iter().map(|one| (one.protocol, one.container, one.container + (one.count - 1))).collect();
        let Some(number) = self.number(sandbox)? else { return Ok(Vec::new()) };
        let any = "SELECT address, protocol, container, port FROM port WHERE holder = ?1 AND address = ?2";
        let leading = "SELECT address, protocol, container, port FROM port
            WHERE holder = ?1 AND address = ?2 AND protocol = ?3 AND container BETWEEN ?4 AND ?5
            ORDER BY container";
        let mut found = BTreeSet::new();
        let mut last = None;
        while let Some(address) = self.next_address(number, last.as_deref())? {
            found.extend(self.held(any, params![number, address], beside, 1)?);
            for (protocol, first, end) in &inside {
                let mut from = Some(*first);
                while let Some(first) = from.filter(|first| first <= end) {
                    let columns = params![number, address, protocol.number(), first, end];
                    let one = self.held(leading, columns, beside, 1)?;
                    from = one.first().and_then(|one| one.container.checked_add(1));
                    found.extend(one);
                }
            }
            last = Some(address);
        }
        Ok(found.into_iter().collect())
    }

    /// All published ports, by the ids of the sandboxes that have them.
    pub(crate) fn ports(&self) -> Result<HashMap<String, Vec<Publication>>, StoreError> {
        let query = "SELECT address, protocol, container, port, id FROM port JOIN sandbox ON number = holder";
        let failed = || StoreError::statement("read ports");
        let mut statement = self.connection().prepare_cached(query).map_err(failed())?;
        let rows = statement.query_map([], |row| Ok((row.get(4)?, publication(row)?))).map_err(failed())?;
        let mut all: HashMap<String, Vec<Publication>> = HashMap::new();
        for row in rows {
            let (holder, one) = row.map_err(failed())?;
            all.entry(holder).or_default().push(one);
        }
        Ok(all.into_iter().map(|(holder, ports)| (holder, merge(ports))).collect())
    }

    /// The first `most` of the ports that a query finds for which `is_meant` holds.
    fn held(
        &self,
        query: &str,
        params: impl Params,
        is_meant: impl Fn(&Publication) -> bool,
        most: usize,
    ) -> Result<Vec<Publication>, StoreError> {
        let failed = || StoreError::statement("read ports");
        let mut statement = self.connection().prepare_cached(query).map_err(failed())?;
        let rows = statement.query_map(params, publication).map_err(failed())?;
        let meant = rows.filter(|row| row.as_ref().map_or(true, &is_meant));
        meant.take(most).collect::<rusqlite::Result<_>>().map_err(failed())
    }

    /// The number of a sandbox's record, which its ports have.
    fn number(&self, sandbox: &SandboxId) -> Result<Option<i64>, StoreError> {
        let failed = || StoreError::statement("read containers");
        let query = "SELECT number FROM sandbox WHERE id = ?1";
        let mut statement = self.connection().prepare_cached(query).map_err(failed())?;
        statement.query_row([sandbox.as_str()], |row| row.get(0)).optional().map_err(failed())
    }

    /// The address behind `last` on which a sandbox has ports; the first one without.
    fn next_address(&self, number: i64, last: Option<&str>) -> Result<Option<String>, StoreError> {
        let failed = || StoreError::statement("read ports");
        let query = match last {
            None => "SELECT address FROM port WHERE holder = ?1 AND address >= ?2 ORDER BY address LIMIT 1",
            Some(_) => "SELECT address FROM port WHERE holder = ?1 AND address > ?2 ORDER BY address LIMIT 1",
        };
        let mut statement = self.connection().prepare_cached(query).map_err(failed())?;
        let columns = params![number, last.unwrap_or_default()];
        statement.query_row(columns, |row| row.get(0)).optional().map_err(failed())
    }
}

fn publication(row: &Row<'_>) -> rusqlite::Result<Publication> {
    let (address, number): (String, u8) = (row.get(0)?, row.get(1)?);
    let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.number() == number);
    let protocol = protocol.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, number.into()))?;
    Ok(Publication {
        address: address.parse().ok(),
        protocol,
        host: row.get(3)?,
        container: row.get(2)?,
        count: 1,
    })
}
