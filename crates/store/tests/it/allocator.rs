//! The allocator against a naive one that knows every address.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use pontoon_model::network::AddressPool;
use pontoon_model::subnet::{self, Family};
use pontoon_model::{Diagnose as _, lease};
use pontoon_store::{IpamError, LeaseError, Store, StoreError};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::fixture::{Place, endpoint_id, mac, network, network_id, pool};

#[derive(Debug, Clone)]
enum Action {
    Allocate { owner: u64 },
    Take { owner: u64, which: Index },
    Free { owner: u64 },
}

/// What the allocator should do, written as it is explained and not as it is fast.
#[derive(Debug, Clone, Default)]
struct Naive {
    held: BTreeMap<IpAddr, u64>,
    known: BTreeSet<IpAddr>,
    queue: VecDeque<IpAddr>,
}

impl Naive {
    fn allocate(&mut self, pool: &AddressPool, owner: u64) -> Option<IpAddr> {
        let (first, last) = pool.span();
        let address = (subnet::to_number(first)..=subnet::to_number(last))
            .map(|number| subnet::from_number(number, pool.subnet))
            .find(|address| !self.known.contains(address) && lease::may_give(pool, *address))
            .or_else(|| {
                let index = self.queue.iter().position(|address| lease::may_give(pool, *address))?;
                self.queue.remove(index)
            })?;
        self.hold(address, owner);
        Some(address)
    }

    fn take(&mut self, address: IpAddr, owner: u64) -> bool {
        if self.held.get(&address).is_some_and(|holder| *holder != owner) {
            return false;
        }
        self.hold(address, owner);
        true
    }

    fn hold(&mut self, address: IpAddr, owner: u64) {
        self.queue.retain(|waiting| *waiting != address);
        self.known.insert(address);
        self.held.insert(address, owner);
    }

    fn free(&mut self, owner: u64) {
        self.queue
            .extend(self.held.iter().filter(|(_, holder)| **holder == owner).map(|(address, _)| *address));
        self.held.retain(|_, holder| *holder != owner);
    }
}

fn pools() -> Vec<AddressPool> {
    vec![
        pool("10.0.0.0/30", None, "10.0.0.1", &[]),
        pool("10.0.0.0/31", None, "10.0.0.0", &[]),
        pool("10.0.0.0/29", None, "10.0.0.6", &["10.0.0.2", "10.0.0.3"]),
        pool("10.0.0.0/24", Some("10.0.0.128/30"), "10.0.0.1", &["10.0.0.129", "10.0.0.200"]),
        pool("10.0.0.0/8", None, "10.0.0.1", &["10.0.0.2"]),
        pool("fd00::/127", None, "fd00::", &[]),
        pool("fd00::/64", None, "fd00::1", &["fd00::5"]),
        pool("fd00::/64", Some("fd00::ffff:ffff:ffff:fff8/125"), "fd00::1", &[]),
    ]
}

/// Addresses that are worth asking for: the ends of the subnet and of the range.
fn askable(pool: &AddressPool) -> Vec<IpAddr> {
    let numbers = |(first, last): (IpAddr, IpAddr)| {
        let (first, last) = (subnet::to_number(first), subnet::to_number(last));
        (first..=last.min(first + 8)).chain(last.saturating_sub(4).max(first)..=last)
    };
    numbers(subnet::usable(pool.subnet))
        .chain(numbers(pool.span()))
        .map(|number| subnet::from_number(number, pool.subnet))
        .filter(|address| lease::check_request(pool, *address).is_ok())
        .collect()
}

fn action() -> impl Strategy<Value = (Action, bool)> {
    let action = prop_oneof![
        5 => (0..6_u64).prop_map(|owner| Action::Allocate { owner }),
        2 => (0..6_u64, any::<Index>()).prop_map(|(owner, which)| Action::Take { owner, which }),
        3 => (0..6_u64).prop_map(|owner| Action::Free { owner }),
    ];
    (action, prop::bool::weighted(0.1))
}

/// An answer that both allocators give alike; `Err` rolls back.
fn act(
    store: &mut Store,
    pool: &AddressPool,
    action: &Action,
    fails: bool,
) -> Result<Option<IpAddr>, StoreError> {
    let (id, mut answer) = (network_id(1), None);
    let outcome = store.transaction(|tx| {
        answer = match action {
            Action::Allocate { owner } => match tx.allocate(&id, pool, &endpoint_id(*owner)) {
                Ok(address) => Some(address),
                Err(IpamError::Exhausted { .. }) => None,
                Err(IpamError::Store(error)) => return Err(error),
            },
            Action::Take { owner, which } => {
                let address = *which.get(&askable(pool));
                match tx.lease_take(&id, address, &endpoint_id(*owner), mac(3)) {
                    Ok(_) => Some(address),
                    Err(LeaseError::Taken { .. }) => None,
                    Err(LeaseError::Store(error)) => return Err(error),
                }
            }
            Action::Free { owner } => {
                tx.lease_free_all(&endpoint_id(*owner))?;
                None
            }
        };
        if fails { Err(StoreError::ReadOnly { action: "fail on purpose" }) } else { Ok(()) }
    });
    match outcome {
        Ok(()) => Ok(answer),
        Err(StoreError::ReadOnly { .. }) if fails => Ok(answer),
        Err(error) => Err(error),
    }
}

fn act_naively(naive: &mut Naive, pool: &AddressPool, action: &Action) -> Option<IpAddr> {
    match action {
        Action::Allocate { owner } => naive.allocate(pool, *owner),
        Action::Take { owner, which } => {
            let address = *which.get(&askable(pool));
            naive.take(address, *owner).then_some(address)
        }
        Action::Free { owner } => {
            naive.free(*owner);
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_allocator_does_what_the_naive_one_does(
        pool in select(pools()),
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let place = Place::new();
        let mut store = Store::open(&place.dirs).unwrap();
        let mut naive = Naive::default();
        for (action, fails) in &actions {
            let mut after = naive.clone();
            let expected = act_naively(&mut after, &pool, action);
            let given = act(&mut store, &pool, action, *fails).unwrap();
            prop_assert_eq!(given, expected, "{:?} in {:?}", action, pool);
            if !fails {
                naive = after;
            }
            let used = store.read(|tx| tx.leases_used(&network_id(1), Family::of(pool.subnet))).unwrap();
            prop_assert_eq!(used, naive.held.len() as u64);
        }
        for (address, owner) in &naive.held {
            let holder = store.read(|tx| tx.lease_holder(&network_id(1), *address)).unwrap();
            prop_assert_eq!(holder, Some(endpoint_id(*owner)));
        }
    }
}

#[test]
fn a_full_pool_says_what_it_is_and_what_to_do() -> Result<(), IpamError> {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    store.transaction(|tx| tx.network_put(&network(1, "blue")))?;
    let small = pool("10.0.0.0/24", Some("10.0.0.0/30"), "10.0.0.1", &[]);
    let mut next = 0;
    let mut allocate = || {
        next += 1;
        store.transaction(|tx| tx.allocate(&network_id(1), &small, &endpoint_id(next)))
    };
    assert_eq!(allocate()?.to_string(), "10.0.0.2");
    assert_eq!(allocate()?.to_string(), "10.0.0.3");
    let error = allocate().unwrap_err();
    assert_eq!(error.code(), "pool-exhausted");
    assert_eq!(
        error.to_string(),
        "network `blue` has no free address left in range 10.0.0.0/30 of subnet 10.0.0.0/24: \
         2 of 3 usable addresses are taken, 1 reserved"
    );
    assert_eq!(
        error.hint().unwrap(),
        "disconnect a container from `blue`, or make the network again with a larger --ip-range"
    );
    Ok(())
}

#[test]
fn a_huge_pool_reuses_addresses_before_it_fills_the_memory() -> Result<(), IpamError> {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let huge = pool("fd00::/64", None, "fd00::1", &[]);
    let mut give = |rounds: u64| {
        store.transaction(|tx| {
            let mut last = None;
            for _ in 0..rounds {
                last = Some(tx.allocate(&network_id(1), &huge, &endpoint_id(1))?);
                tx.lease_free_all(&endpoint_id(1))?;
            }
            Ok::<_, IpamError>(last.unwrap().to_string())
        })
    };
    assert_eq!(give(65_536)?, "fd00::1:1");
    assert_eq!(give(1)?, "fd00::2", "the first again");
    Ok(())
}

#[test]
fn a_network_that_comes_back_starts_anew() -> Result<(), IpamError> {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let blue = pool("10.0.0.0/30", None, "10.0.0.1", &[]);
    store.transaction(|tx| {
        tx.allocate(&network_id(1), &blue, &endpoint_id(1))?;
        tx.network_delete(&network_id(1))?;
        assert_eq!(tx.leases_used(&network_id(1), Family::V4)?, 0);
        assert_eq!(tx.allocate(&network_id(1), &blue, &endpoint_id(2))?.to_string(), "10.0.0.2");
        Ok(())
    })
}

/// A network that moves to another subnet gives out what nobody has there, and when it comes back all that it had.
#[test]
fn pools_that_begin_anew_lose_no_address() -> Result<(), StoreError> {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let id = network_id(1);
    let (here, there) =
        (pool("10.9.0.0/29", None, "10.9.0.1", &[]), pool("10.1.0.0/29", None, "10.1.0.1", &[]));
    let at = |text: &str| text.parse::<IpAddr>().unwrap();
    let allocate = |store: &mut Store, pool: &AddressPool, owner: u64| {
        let mut given = None;
        store.transaction(|tx| {
            given = tx.allocate(&id, pool, &endpoint_id(owner)).ok();
            Ok::<_, StoreError>(())
        })?;
        Ok::<_, StoreError>(given)
    };
    store.transaction(|tx| tx.network_put(&network(1, "blue")))?;
    assert_eq!(allocate(&mut store, &here, 1)?, Some(at("10.9.0.2")));
    assert_eq!(allocate(&mut store, &here, 2)?, Some(at("10.9.0.3")));
    // The new address first, then the old one goes: what is not held is not missed.
    store.transaction(|tx| {
        tx.lease_take(&id, at("10.1.0.2"), &endpoint_id(1), mac(1)).unwrap();
        tx.lease_free(&id, at("10.9.0.2"), &endpoint_id(1))?;
        tx.lease_free(&id, at("10.9.0.2"), &endpoint_id(1))?;
        tx.lease_free(&id, at("10.9.0.3"), &endpoint_id(1))?;
        tx.lease_free_all(&endpoint_id(2))?;
        tx.pools_restart(&id)?;
        assert_eq!(tx.leases_used(&id, Family::V4)?, 1);
        assert_eq!(tx.lease_holder(&id, at("10.9.0.2"))?, None);
        Ok::<_, StoreError>(())
    })?;
    // Numbers below the cursor of before; then all are taken, and what is elsewhere is not given out.
    for (owner, expected) in [
        (2, Some("10.1.0.3")),
        (3, Some("10.1.0.4")),
        (4, Some("10.1.0.5")),
        (5, Some("10.1.0.6")),
        (6, None),
    ] {
        assert_eq!(allocate(&mut store, &there, owner)?, expected.map(at), "{owner}");
    }
    store.transaction(|tx| {
        (1..=5).try_for_each(|owner| tx.lease_free_all(&endpoint_id(owner)))?;
        tx.pools_restart(&id)
    })?;
    let mut back = BTreeSet::new();
    while let Some(address) = allocate(&mut store, &here, 9)? {
        back.insert(address);
    }
    assert_eq!(back, (2..=6).map(|last| at(&format!("10.9.0.{last}"))).collect());
    Ok(())
}
