//! Batches, long lists, and failures.

use pontoon_kernel::address;
use pontoon_kernel::link::{create, created, get, list};
use pontoon_kernel::socket::{Protocol, Requests, Socket};
use pontoon_netlink::address::{Address, DumpAddresses};
use pontoon_netlink::link::{DumpLinks, NewLink, SetLink};
use pontoon_netlink::{Family, Prefix};

use crate::host::in_new_host;
use crate::{bridge, ethernet, route_socket};

#[test]
fn a_batch_goes_on_after_a_refusal_and_names_each() {
    in_new_host("socket::a_batch_goes_on_after_a_refusal_and_names_each", || {
        let mut socket = route_socket().in_namespace("web");
        ethernet(&mut socket, "a");
        let mut requests = Requests::new();
        requests.set_link(&SetLink { alias: Some("one"), ..SetLink::new("a") });
        requests.set_link(&SetLink::up("absent"));
        requests.set_link(&SetLink { mtu: Some(u32::MAX), ..SetLink::new("a") });
        requests.set_link(&SetLink { group: Some(4), ..SetLink::new("a") });
        let error = socket.run(&mut requests).unwrap_err();
        let lines: Vec<_> =
            error.refused.iter().map(|refused| (refused.index, refused.error.to_string())).collect();
        assert_eq!(lines[0], (1, "could not change link absent in web: No such device (ENODEV)".to_owned()));
        assert_eq!(lines[1].0, 2);
        assert!(lines[1].1.contains("(EINVAL)"), "{lines:?}");
        let link = get(&mut socket, "a").unwrap().unwrap();
        assert_eq!((link.alias.as_deref(), link.group), (Some("one"), 4));
    });
}

#[test]
fn the_kernels_own_words_are_kept() {
    in_new_host("socket::the_kernels_own_words_are_kept", || {
        let mut socket = route_socket();
        let link = ethernet(&mut socket, "a");
        let address = Address::new(link, Prefix::new("10.0.0.1".parse().unwrap(), 40));
        let error = address::add(&mut socket, "a", &address).unwrap_err();
        assert!(error.text().is_some_and(|text| text.to_lowercase().contains("prefix")), "{error}");
    });
}

#[test]
fn many_requests_and_long_lists() {
    in_new_host("socket::many_requests_and_long_lists", || {
        let mut socket = route_socket();
        let names: Vec<String> = (0..300).map(|number| format!("d{number}")).collect();
        let mut requests = Requests::new();
        for name in &names {
            requests.new_link(&NewLink { echo: true, ..bridge(name) });
        }
        let answers = socket.run(&mut requests).unwrap();
        assert_eq!(answers.len(), 300);
        let mut requests = Requests::new();
        for (number, answer) in answers.iter().enumerate() {
            let local = Prefix::new(format!("10.{}.{}.1", number / 250, number % 250).parse().unwrap(), 24);
            requests.add_address(&names[number], &Address::new(created(answer).unwrap(), local));
        }
        socket.run(&mut requests).unwrap();
        assert_eq!(list(&mut socket, &DumpLinks::default()).unwrap().len(), 301);
        assert_eq!(list(&mut socket, &DumpLinks { kind: Some("bridge"), master: None }).unwrap().len(), 300);
        assert_eq!(
            address::list(&mut socket, &DumpAddresses { family: Some(Family::V4), link: None })
                .unwrap()
                .len(),
            300
        );
    });
}

#[test]
fn a_socket_goes_on_after_answers_were_lost() {
    in_new_host("socket::a_socket_goes_on_after_answers_were_lost", || {
        let mut socket = route_socket();
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 2048).unwrap();
        let names: Vec<String> = (0..60).map(|number| format!("d{number}")).collect();
        let mut requests = Requests::new();
        for name in &names {
            requests.new_link(&NewLink { echo: true, ..bridge(name) });
        }
        let error = socket.run(&mut requests).unwrap_err();
        assert_eq!(error.refused.len(), 60, "nothing is known of any");
        assert!(error.to_string().contains("receive buffer ran over"), "{error}");
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1 << 20).unwrap();
        assert_eq!(get(&mut socket, "d0").unwrap().unwrap().name, "d0", "old answers are skipped");
        assert!(list(&mut socket, &DumpLinks::default()).unwrap().len() > 1);
    });
}

#[test]
fn a_list_that_changes_is_read_again() {
    in_new_host("socket::a_list_that_changes_is_read_again", || {
        let mut socket = route_socket();
        let names: Vec<String> = (0..200).map(|number| format!("d{number}")).collect();
        for name in &names {
            create(&mut socket, &bridge(name)).unwrap();
        }
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                // Fewer than a list is tried again: each new link spoils one reading at the most.
                let mut socket = route_socket();
                for round in 0..12 {
                    let name = format!("new{round}");
                    create(&mut socket, &bridge(&name)).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(3));
                }
            });
            while !writer.is_finished() {
                let links = list(&mut socket, &DumpLinks::default()).unwrap();
                let found = links.iter().filter(|link| link.name.starts_with('d')).count();
                assert_eq!(found, 200);
            }
            writer.join().unwrap();
        });
    });
}

#[test]
fn a_missing_privilege_says_what_to_do() {
    in_new_host("socket::a_missing_privilege_says_what_to_do", || {
        use pontoon_model::Diagnose;
        // Without any capability, as a plain user has it.
        rustix::thread::set_capabilities(
            None,
            rustix::thread::CapabilitySets {
                effective: rustix::thread::CapabilitySet::empty(),
                permitted: rustix::thread::CapabilitySet::empty(),
                inheritable: rustix::thread::CapabilitySet::empty(),
            },
        )
        .unwrap();
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let error = create(&mut socket, &bridge("a")).unwrap_err();
        assert!(error.is_denied());
        assert_eq!(error.to_string(), "could not create bridge a: Operation not permitted (EPERM)");
        assert!(error.hint().unwrap().contains("pontoon lab"));
        Socket::open(Protocol::Netfilter).unwrap();
    });
}
