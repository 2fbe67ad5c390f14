//! nftables transactions against `nft`.

use pontoon_kernel::nftables::{
    apply, apply_at, can_filter_bridges, counter, generation, list_table, ruleset, table_exists,
};
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_nft::syntax::{
    Chain, Command, CounterValue, DataType, Element, Elements, Family, Set, TableRef, Value,
};

use crate::host::{in_new_host, tool};

fn lab() -> TableRef {
    TableRef::new(Family::Inet, "lab")
}

fn add_table() -> Command {
    Command::AddTable { table: lab(), comment: Some("made by a test".to_owned()) }
}

fn add_chain(name: &str) -> Command {
    let chain = Chain { name: name.to_owned(), base: None, comment: None };
    Command::AddChain { table: lab(), chain }
}

#[test]
fn a_transaction_takes_effect_or_names_what_was_refused() {
    in_new_host("nftables::a_transaction_takes_effect_or_names_what_was_refused", || {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        assert!(!table_exists(&mut socket, &lab()).unwrap());
        apply(&mut socket, &[add_table(), add_chain("one")]).unwrap();
        assert!(table_exists(&mut socket, &lab()).unwrap());
        assert!(tool("nft list ruleset").contains("chain one"));

        let missing = Command::DeleteChain { table: lab(), chain: "absent".to_owned() };
        let error = apply(&mut socket, &[add_chain("two"), missing, add_chain("three")]).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        let text = error.to_string();
        assert!(text.contains("`delete chain inet lab absent`") && text.contains("ENOENT"), "{text}");
        assert!(!tool("nft list ruleset").contains("two"), "nothing of it took effect");

        // The socket is ready for more after a refusal.
        apply(&mut socket, &[add_chain("four")]).unwrap();
        let seen = list_table(&mut socket, &lab()).unwrap().unwrap();
        assert_eq!(seen.comment.as_deref(), Some("made by a test"));
        assert!(seen.chain("one").is_some() && seen.chain("four").is_some() && seen.chain("two").is_none());
        assert_eq!(list_table(&mut socket, &TableRef::new(Family::Ip, "lab")).unwrap(), None);
    });
}

#[test]
fn a_large_transaction_and_a_list_of_it() {
    in_new_host("nftables::a_large_transaction_and_a_list_of_it", || {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let mut commands = vec![add_table()];
        commands.extend((0..4000).map(|number| add_chain(&format!("chain{number}"))));
        apply(&mut socket, &commands).unwrap();
        let all = ruleset(&mut socket, None).unwrap();
        assert_eq!(all.table(&lab()).unwrap().chains.len(), 4000);
    });
}

#[test]
fn an_old_generation_is_refused() {
    in_new_host("nftables::an_old_generation_is_refused", || {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let first = generation(&mut socket).unwrap();
        apply_at(&mut socket, &[add_table()], first).unwrap();
        assert_ne!(generation(&mut socket).unwrap(), first);
        let error = apply_at(&mut socket, &[add_chain("one")], first).unwrap_err();
        assert!(error.is_stale(), "{error}");
    });
}

#[test]
fn many_refusals_are_all_told() {
    in_new_host("nftables::many_refusals_are_all_told", || {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let commands: Vec<_> = (0..100).map(|number| add_chain(&format!("chain{number}"))).collect();
        let pontoon_kernel::nftables::ApplyError::Refused(refused) =
            apply(&mut socket, &commands).unwrap_err()
        else {
            panic!("the kernel refuses chains without a table");
        };
        let places: Vec<_> = refused.iter().map(|refused| refused.index).collect();
        assert_eq!(places, (0..100).map(Some).collect::<Vec<_>>());
    });
}

#[test]
fn more_refusals_than_the_socket_holds_are_refusals() {
    in_new_host("nftables::more_refusals_than_the_socket_holds_are_refusals", || {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
        let commands: Vec<_> = (0..500).map(|number| add_chain(&format!("chain{number}"))).collect();
        assert!(apply(&mut socket, &commands).unwrap_err().is_not_found());
        apply(&mut socket, &[add_table(), add_chain("one")]).unwrap();
        assert!(table_exists(&mut socket, &lab()).unwrap());
    });
}

#[test]
fn finding_out_whether_bridges_can_be_filtered_leaves_nothing() {
    in_new_host("nftables::finding_out_whether_bridges_can_be_filtered_leaves_nothing", || {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let table = TableRef::new(Family::Bridge, "lab");
        // The tests need such a kernel.
        assert!(can_filter_bridges(&mut socket, &table).unwrap());
        assert_eq!(tool("nft list ruleset"), "");
    });
}

#[test]
fn an_element_tells_what_it_has_counted() {
    in_new_host("nftables::an_element_tells_what_it_has_counted", || {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let port = |number| Element::new([Value::TCP, Value::Port(number)]);
        let key = [DataType::InetProto, DataType::InetService];
        let add = |set: &str, element: Element| Command::AddElements(Elements::new(lab(), set, [element]));
        let commands = [
            add_table(),
            Command::AddSet { table: lab(), set: Set::new("counted", key).counted() },
            Command::AddSet { table: lab(), set: Set::new("plain", key) },
            add("counted", port(80)),
            add("counted", port(81).counter(3, 180)),
            add("plain", port(80)),
        ];
        apply(&mut socket, &commands).unwrap();
        let mut counted = |set, number| counter(&mut socket, &lab(), set, &port(number)).unwrap();
        assert_eq!(counted("counted", 80), Some(CounterValue { packets: 0, bytes: 0 }));
        assert_eq!(counted("counted", 81), Some(CounterValue { packets: 3, bytes: 180 }));
        assert_eq!(counted("counted", 82), None, "there is no such element");
        assert_eq!(counted("plain", 80), None, "its elements have no counters");
        assert_eq!(counted("absent", 80), None, "there is no such set");
    });
}
