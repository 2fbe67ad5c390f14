//! What is put in comes out, by every way to find it.

use pontoon_model::endpoint::Plug;
use pontoon_model::impairment::Loss;
use pontoon_model::op::{NetnsOp, Step};
use pontoon_model::route::StaticRoute;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::subnet::Family;
use pontoon_model::{Diagnose as _, Impairment, Network};
use pontoon_store::{JournalEntry, LeaseError, Recovery, Store, StoreError, Subject};

use crate::fixture::{Place, cable, endpoint, endpoint_id, mac, network, network_id, sandbox, sandbox_id};

type Outcome = Result<(), StoreError>;

fn names(networks: &[Network]) -> Vec<&str> {
    networks.iter().map(|network| network.name.as_str()).collect()
}

#[test]
fn networks_are_found_by_id_name_prefix_and_age() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    store.transaction::<_, StoreError>(|tx| {
        tx.network_put(&network(0xab, "blue"))?;
        tx.network_put(&network(0xac, "red"))
    })?;
    store.read(|tx| {
        assert_eq!(tx.network(&network_id(0xab))?, Some(network(0xab, "blue")));
        assert_eq!(tx.network(&network_id(1))?, None);
        assert_eq!(tx.network_by_name("red")?, Some(network(0xac, "red")));
        assert_eq!(tx.network_by_name("re")?, None);
        assert_eq!(names(&tx.networks()?), ["red", "blue"], "oldest first");
        assert_eq!(names(&tx.networks_by_id_prefix("a")?), ["blue", "red"]);
        assert_eq!(names(&tx.networks_by_id_prefix("aba")?), ["blue"]);
        assert_eq!(names(&tx.networks_by_id_prefix(network_id(0xab).as_str())?), ["blue"]);
        assert!(tx.networks_by_id_prefix("b")?.is_empty());
        assert!(tx.networks_by_id_prefix("%")?.is_empty());
        Ok(())
    })
}

#[test]
fn a_name_is_one_networks_alone() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    store.transaction(|tx| tx.network_put(&network(1, "blue")))?;
    let error = store.transaction(|tx| tx.network_put(&network(2, "blue"))).unwrap_err();
    assert_eq!(error.code(), "store-duplicate");
    assert!(error.to_string().ends_with("there is another with the same name"), "{error}");
    assert_eq!(Store::definitions(&place.dirs)?, [network(1, "blue")]);
    Ok(())
}

#[test]
fn a_network_stays_marked_as_being_removed_until_that_is_undone() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let id = network_id(1);
    store.transaction(|tx| {
        tx.network_put(&network(1, "blue"))?;
        assert!(!tx.network_is_removing(&id)?);
        tx.network_mark_removing(&id)?;
        tx.network_put(&network(1, "blue"))?;
        assert!(tx.network_is_removing(&id)?, "another put does not undo it");
        tx.network_clear_removing(&id)?;
        assert!(!tx.network_is_removing(&id)?);
        assert!(!tx.network_is_removing(&network_id(9))?);
        Ok(())
    })
}

#[test]
fn sandboxes_are_found_by_id_name_prefix_and_namespace() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let huge = NetnsId { dev: u64::MAX, ino: u64::MAX };
    store.transaction(|tx| {
        tx.sandbox_put(&sandbox(3, "guest", 100))?;
        tx.sandbox_put(&sandbox(2, "web", 100))?;
        let mut odd = sandbox(5, "odd", 0);
        odd.netns = huge;
        tx.sandbox_put(&odd)?;
        assert_eq!(tx.sandbox(&sandbox_id(2))?.unwrap().name.as_str(), "web");
        assert_eq!(tx.bare().sandbox_by_name("guest")?.unwrap().id, sandbox_id(3));
        let there = tx.bare().sandboxes_by_netns(NetnsId { dev: 4, ino: 100 })?;
        let names: Vec<&str> = there.iter().map(|sandbox| sandbox.name.as_str()).collect();
        assert_eq!(names, ["web", "guest"], "the oldest first");
        assert_eq!(tx.bare().sandboxes_by_netns(NetnsId { dev: 5, ino: 100 })?, []);
        assert_eq!(tx.bare().sandboxes_by_netns(huge)?, [odd]);
        assert_eq!(tx.sandboxes()?.len(), 3);
        assert_eq!(tx.bare().sandboxes_by_id_prefix("02")?.len(), 1);
        tx.sandbox_delete(&sandbox_id(2))?;
        tx.sandbox_delete(&sandbox_id(2))?;
        assert_eq!(tx.bare().sandbox_by_name("web")?, None);
        Ok(())
    })
}

#[test]
fn endpoints_are_found_by_network_and_sandbox() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    store.transaction(|tx| {
        for (number, network, sandbox) in [(1, 1, 1), (2, 1, 2), (3, 2, 1)] {
            tx.endpoint_put(&endpoint(number, network, sandbox))?;
        }
        assert_eq!(tx.endpoint(&endpoint_id(2))?, Some(endpoint(2, 1, 2)));
        assert_eq!(tx.endpoints_of_network(&network_id(1))?, [endpoint(1, 1, 1), endpoint(2, 1, 2)]);
        assert_eq!(tx.endpoints_of_sandbox(&sandbox_id(1))?, [endpoint(1, 1, 1), endpoint(3, 2, 1)]);
        assert_eq!(tx.endpoint_on(&network_id(2), &sandbox_id(1))?, Some(endpoint(3, 2, 1)));
        assert_eq!(tx.endpoint_on(&network_id(2), &sandbox_id(2))?, None);
        assert_eq!(tx.endpoint_count(&network_id(1))?, 2);
        let error = tx.endpoint_put(&endpoint(4, 1, 1)).unwrap_err();
        assert!(error.to_string().ends_with("with the same container and network"), "{error}");
        tx.endpoint_delete(&endpoint_id(1))?;
        assert_eq!(tx.endpoint_count(&network_id(1))?, 1);
        Ok(())
    })
}

#[test]
fn cables_are_found_by_either_end() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    store.transaction(|tx| {
        tx.cable_put(&cable(1, [Some(1), Some(2)]))?;
        tx.cable_put(&cable(2, [None, Some(1)]))?;
        assert_eq!(tx.cables_of_sandbox(&sandbox_id(1))?.len(), 2);
        assert_eq!(tx.cables_of_sandbox(&sandbox_id(2))?, [cable(1, [Some(1), Some(2)])]);
        tx.cable_delete(&endpoint_id(1))?;
        assert_eq!(tx.cables()?, [cable(2, [None, Some(1)])]);
        assert_eq!(tx.cable(&endpoint_id(1))?, None);
        Ok(())
    })
}

#[test]
fn the_journal_keeps_steps_in_the_order_of_their_numbers() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let pin = NetnsOp::Add { name: "web".into(), id: NetnsId { dev: 4, ino: 1 } };
    let entry = |what: &str| JournalEntry {
        what: what.into(),
        steps: vec![Step::new(pin.clone(), "web's namespace")],
        on_recovery: Recovery::Undo,
        subject: Subject::Sandbox(sandbox_id(1)),
        created: "2026-01-01T00:00:00Z".into(),
    };
    store.transaction(|tx| {
        assert_eq!(tx.journal_next()?, 1);
        tx.journal_put(7, &entry("second"))?;
        tx.journal_put(-3, &JournalEntry { subject: Subject::Prune, ..entry("first") })?;
        tx.journal_put(7, &entry("second, again"))?;
        assert_eq!(tx.journal_next()?, 8);
        let whats: Vec<_> = tx.journal()?.into_iter().map(|(id, entry)| (id, entry.what)).collect();
        assert_eq!(whats, [(-3, "first".to_owned()), (7, "second, again".to_owned())]);
        tx.journal_delete(-3)?;
        assert_eq!(tx.journal()?, [(7, entry("second, again"))]);
        Ok(())
    })
}

#[test]
fn the_first_value_of_a_setting_is_the_one_to_restore() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    store.transaction(|tx| {
        tx.sysctl_remember("net/ipv4/ip_forward", "0")?;
        tx.sysctl_remember("net/ipv4/ip_forward", "1")?;
        assert_eq!(tx.sysctls()?, [("net/ipv4/ip_forward".to_owned(), "0".to_owned())]);
        tx.sysctl_forget("net/ipv4/ip_forward")?;
        assert!(tx.sysctls()?.is_empty());
        assert_eq!(tx.meta_get("boot")?, None);
        tx.meta_set("boot", "a")?;
        tx.meta_set("boot", "b")?;
        assert_eq!(tx.meta_get("boot")?.as_deref(), Some("b"));
        Ok(())
    })
}

#[test]
fn a_taken_address_names_its_container() -> Result<(), LeaseError> {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let (blue, address) = (network_id(1), "10.0.0.9".parse().unwrap());
    store.transaction(|tx| {
        tx.sandbox_put(&sandbox(1, "web", 1))?;
        tx.endpoint_put(&endpoint(1, 1, 1))?;
        assert_eq!(tx.lease_take(&blue, address, &endpoint_id(1), mac(1))?, None);
        let error = tx.lease_take(&blue, address, &endpoint_id(2), mac(2)).unwrap_err();
        assert_eq!(error.to_string(), "address 10.0.0.9 is taken by container `web`");
        assert!(matches!(&error, LeaseError::Taken { holder, .. } if *holder == endpoint_id(1)));
        assert_eq!(error.hint().unwrap(), "ask for another address, or disconnect `web` first");
        assert_eq!(tx.lease_holder(&blue, address)?, Some(endpoint_id(1)));
        assert_eq!(tx.lease_holder(&network_id(2), address)?, None);
        assert_eq!(tx.leases_used(&blue, Family::V4)?, 1);
        tx.lease_free_all(&endpoint_id(1))?;
        assert_eq!(tx.leases_used(&blue, Family::V4)?, 0);
        assert_eq!(
            tx.lease_take(&blue, address, &endpoint_id(2), mac(2))?,
            Some(mac(1)),
            "its last holder's"
        );
        Ok(())
    })
}

#[test]
fn a_reader_cannot_write() -> Outcome {
    let place = Place::new();
    let store = Store::open(&place.dirs)?;
    let error = store.read(|tx| tx.meta_set("a", "b")).unwrap_err();
    assert_eq!(error.code(), "store-read-only");
    store.read(|tx| tx.meta_get("a").map(|value| assert_eq!(value, None)))
}

#[test]
fn impairments_and_routes_go_with_their_endpoint_or_cable() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let lossy = Impairment { loss: Some(Loss::ALL), ..Impairment::default() };
    let slow = Impairment { rate: Some(8_000), ..lossy };
    let (web, laid) = (endpoint(1, 1, 1), cable(7, [Some(1), None]));
    let route = |to: &str, via: &str| StaticRoute { to: to.parse().unwrap(), via: via.parse().unwrap() };
    let plug = Plug::endpoint(web.id.clone());
    let [first, second] = [0, 1].map(|end| Plug::cable(laid.id.clone(), end));
    store.transaction::<_, StoreError>(|tx| {
        tx.endpoint_put(&web)?;
        tx.cable_put(&laid)?;
        for (plug, impairment) in [(&plug, &slow), (&plug, &lossy), (&first, &slow), (&second, &lossy)] {
            tx.impairment_put(plug, impairment)?;
        }
        for (to, via) in [("10.1.0.0/16", "10.5.0.9"), ("10.1.0.0/16", "10.5.0.8"), ("fd01::/64", "fd05::9")]
        {
            tx.route_put(&plug, &route(to, via))?;
            tx.route_put(&second, &route(to, via))?;
        }
        let given = vec![route("10.1.0.0/16", "10.5.0.8"), route("fd01::/64", "fd05::9")];
        assert_eq!(tx.routes(&plug)?, given, "one for each destination");
        tx.route_delete(&second, &given[0])?;
        assert_eq!((tx.routes(&second)?, tx.routes(&first)?), (given[1..].to_vec(), vec![]));
        assert_eq!(tx.impairment(&plug)?, lossy);
        assert_eq!(tx.impairment(&first)?, slow);
        tx.impairment_put(&first, &Impairment::default())?;
        assert_eq!(tx.impairment(&first)?, Impairment::default());
        assert_eq!(tx.impairment(&second)?, lossy);
        tx.endpoint_delete(&web.id)?;
        tx.cable_delete(&laid.id)
    })?;
    store.read(|tx| {
        for plug in [&plug, &first, &second] {
            assert_eq!(tx.impairment(plug)?, Impairment::default());
            assert_eq!(tx.routes(plug)?, vec![]);
        }
        Ok(())
    })
}
