//! Published ports: whoever asks for a few is told the same as whoever reads all.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pontoon_model::Diagnose as _;
use pontoon_model::publish::{Protocol, Publication, merge};
use pontoon_store::{PortError, Store, StoreError};
use proptest::prelude::*;

use crate::fixture::{Place, sandbox, sandbox_id};

fn at(address: Option<[u8; 4]>, host: u16, container: u16, count: u16) -> Publication {
    Publication { address: address.map(IpAddr::from), protocol: Protocol::Tcp, host, container, count }
}

#[test]
fn ports_are_their_holders_until_he_gives_them_free_or_goes() -> Result<(), PortError> {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let (web, other) = (sandbox(1, "web", 1), sandbox(2, "other", 2));
    let (range, one) = (at(None, 8000, 80, 3), at(Some([127, 0, 0, 1]), 9000, 80, 1));
    store.transaction::<_, PortError>(|tx| {
        tx.sandbox_put(&web)?;
        tx.sandbox_put(&other)?;
        tx.ports_take(&range, &web.id)?;
        tx.ports_take(&one, &web.id)?;
        let taken = tx.ports_take(&at(None, 9000, 1, 1), &other.id).unwrap_err();
        assert_eq!(taken.to_string(), "host port 9000/tcp is published by container `web` already");
        tx.ports_free(&range, &other.id)?;
        assert_eq!(tx.ports_of(&web.id)?, [range, one], "they are not the other's");
        // The record goes without them, and they stay.
        tx.sandbox_put(&web)?;
        assert_eq!(tx.sandbox(&web.id)?.unwrap().ports, [range, one]);
        assert_eq!(tx.bare().sandbox(&web.id)?.unwrap().ports, []);
        let all: Vec<_> = tx.sandboxes()?.into_iter().map(|sandbox| sandbox.ports).collect();
        assert_eq!(all, [vec![range, one], vec![]]);
        tx.ports_free(&at(None, 8001, 81, 1), &web.id)?;
        assert_eq!(tx.ports_of(&web.id)?, [at(None, 8000, 80, 1), at(None, 8002, 82, 1), one]);
        assert_eq!(tx.ports_within(&web.id, Protocol::Tcp, 8001..=9000)?, [at(None, 8002, 82, 1), one]);
        assert!(tx.ports_within(&other.id, Protocol::Tcp, 8001..=9000)?.is_empty());
        tx.sandbox_delete(&web.id)?;
        tx.ports_take(&range, &other.id)?;
        assert!(tx.ports_of(&web.id)?.is_empty());
        Ok(())
    })
}

#[test]
fn nobody_without_a_record_takes_ports() {
    let place = Place::new();
    let mut store = Store::open(&place.dirs).unwrap();
    let taken = store.transaction(|tx| tx.ports_take(&at(None, 1, 1, 1), &sandbox_id(1)));
    assert_eq!(taken.unwrap_err().code(), "store-statement");
}

fn publications() -> impl Strategy<Value = Vec<Publication>> {
    let address =
        prop::sample::select(vec![None, Some(IpAddr::from([10, 0, 0, 1])), Some([10, 0, 0, 10].into())]);
    let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp]);
    let one = (address, protocol, 1..40_u16, 1..6_u16, 1..4_u16);
    let one = one.prop_map(|(address, protocol, host, container, count)| Publication {
        address,
        protocol,
        host,
        container,
        count,
    });
    prop::collection::vec(one, 0..12)
}

fn singles(one: &Publication) -> impl Iterator<Item = Publication> + use<> {
    let one = *one;
    one.pairs().map(move |(host, container)| Publication { host, container, count: 1, ..one })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One for each question that may be asked of the others, and only others.
    #[test]
    fn those_beside_some_speak_for_all_others(asked in publications(), chosen in any::<u64>()) {
        let place = Place::new();
        let mut store = Store::open(&place.dirs).unwrap();
        let web = sandbox(1, "web", 1);
        let (had, beside, some) = store.transaction::<_, StoreError>(|tx| {
            tx.sandbox_put(&web)?;
            let mut had = Vec::new();
            for one in &asked {
                if tx.ports_take(one, &web.id).is_ok() {
                    had.extend(singles(one));
                }
            }
            let bit = |index: usize| chosen >> (index % 64) & 1 == 1;
            let some = had.iter().enumerate().filter(|(index, _)| bit(*index)).map(|(_, one)| *one);
            let some = merge(some.collect());
            assert_eq!(tx.ports_of(&web.id)?, merge(had.clone()));
            Ok((had, tx.ports_beside(&web.id, &some)?, some))
        }).unwrap();
        let some: BTreeSet<Publication> = some.iter().flat_map(singles).collect();
        let others: BTreeSet<Publication> = had.into_iter().filter(|one| !some.contains(one)).collect();
        prop_assert!(beside.is_sorted());
        prop_assert!(beside.iter().all(|one| others.contains(one)));
        let addresses = |all: &[Publication]| all.iter().map(|one| one.address).collect::<BTreeSet<_>>();
        let all: Vec<Publication> = others.iter().copied().collect();
        prop_assert_eq!(addresses(&beside), addresses(&all));
        let asked: BTreeSet<_> = some.iter().map(|one| (one.protocol, one.container)).collect();
        let leading = |all: &[Publication]| {
            let places = all.iter().map(|one| (one.address, one.protocol, one.container));
            places.filter(|(_, protocol, port)| asked.contains(&(*protocol, *port))).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(leading(&beside), leading(&all));
        prop_assert!(beside.len() <= 3 * (1 + asked.len()));
    }
}
