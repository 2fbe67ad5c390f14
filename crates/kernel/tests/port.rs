//! Ports: whether they are free, and who has them.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};

use pontoon_kernel::netns::Netns;
use pontoon_kernel::port::{Holder, PortError, Prober, holders, local_port_range, probe};
use pontoon_kernel::sysctl::Sysctl;
use pontoon_model::Diagnose;
use pontoon_model::publish::Protocol;
use pontoon_netlink::socket_diag::State;
use pontoon_testkit::sandboxed;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept, bind, listen, socket_with};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Whether the port can be had; anything but that it is taken is a failure.
fn is_free(address: &str, protocol: Protocol, port: u16) -> bool {
    match probe(ip(address), protocol, port) {
        Ok(()) => true,
        Err(PortError::Taken { address: at, protocol: of, port: taken }) => {
            assert_eq!((at, of, taken), (Some(ip(address)), protocol, port));
            false
        }
        Err(error) => panic!("{address} {protocol} {port}: {error}"),
    }
}

/// A socket of TCP that is bound, after `prepare`, and stays open in programs that are started.
fn bound(address: &str, prepare: impl FnOnce(&OwnedFd)) -> OwnedFd {
    let address: SocketAddr = address.parse().unwrap();
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::empty(), None).unwrap();
    prepare(&socket);
    bind(&socket, &address).unwrap();
    socket
}

fn v6only(on: bool) -> impl FnOnce(&OwnedFd) {
    move |socket| set_ipv6_v6only(socket, on).unwrap()
}

fn reuse_address(socket: &OwnedFd) {
    set_socket_reuseaddr(socket, true).unwrap();
}

fn reuse_port(socket: &OwnedFd) {
    set_socket_reuseport(socket, true).unwrap();
}

/// Another process that has `socket`, and listens with it.
struct Service(Child);

impl Service {
    fn with(socket: OwnedFd) -> Self {
        listen(&socket, 8).unwrap();
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn tcp_holders(address: Option<&str>, port: u16) -> Vec<Holder> {
    holders(address.map(ip), Protocol::Tcp, port).unwrap()
}

/// A connection to a port that ends at that side first, so that its `TIME_WAIT` is there.
fn leave_time_wait(port: u16, prepare: impl FnOnce(&OwnedFd)) {
    let listener = bound(&format!("127.0.0.1:{port}"), prepare);
    listen(&listener, 8).unwrap();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    drop(accept(&listener).unwrap());
    drop(client);
    drop(listener);
}

fn drop_capabilities() {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
}

sandboxed! {
    fn a_listener_keeps_the_addresses_that_it_has(_host: Host) {
        let _one = TcpListener::bind("127.0.0.1:8080").unwrap();
        assert!(!is_free("127.0.0.1", Protocol::Tcp, 8080));
        assert!(!is_free("0.0.0.0", Protocol::Tcp, 8080));
        assert!(is_free("127.0.0.2", Protocol::Tcp, 8080));
        assert!(is_free("::", Protocol::Tcp, 8080));
        assert!(is_free("0.0.0.0", Protocol::Udp, 8080));
        assert!(is_free("0.0.0.0", Protocol::Tcp, 8081));
        let _all = TcpListener::bind("0.0.0.0:8082").unwrap();
        assert!(!is_free("127.0.0.2", Protocol::Tcp, 8082));
        let error = probe(ip("127.0.0.1"), Protocol::Tcp, 8080).unwrap_err();
        assert_eq!(error.to_string(), "tcp port 8080 is in use at 127.0.0.1");
        assert_eq!(error.code(), "port-taken");
    }

    fn a_port_that_is_only_bound_is_taken(_host: Host) {
        let socket = bound("127.0.0.1:8080", |_| {});
        assert!(!is_free("0.0.0.0", Protocol::Tcp, 8080));
        // Linux tells of such a socket since 6.8.
        let told = tcp_holders(None, 8080);
        assert!(told.is_empty() || told[0].pid == Some(std::process::id()), "{told:?}");
        drop(socket);
        assert!(is_free("0.0.0.0", Protocol::Tcp, 8080));
    }

    fn udp_is_taken_by_whoever_has_it(_host: Host) {
        let socket = UdpSocket::bind("127.0.0.1:5353").unwrap();
        assert!(!is_free("0.0.0.0", Protocol::Udp, 5353));
        assert!(is_free("127.0.0.2", Protocol::Udp, 5353));
        assert!(is_free("0.0.0.0", Protocol::Tcp, 5353));
        let told = holders(Some(ip("0.0.0.0")), Protocol::Udp, 5353).unwrap();
        assert_eq!((told.len(), told[0].pid, told[0].state), (1, Some(std::process::id()), State::Close));
        socket.connect("127.0.0.1:9").unwrap();
        assert!(!is_free("127.0.0.1", Protocol::Udp, 5353));
        assert_eq!(holders(None, Protocol::Udp, 5353).unwrap()[0].state, State::Established);
        assert_eq!(holders(Some(ip("::1")), Protocol::Udp, 5353).unwrap(), []);
    }

    fn ipv6_has_ipv4s_ports_only_where_it_wants_them(_host: Host) {
        let only = bound("[::]:8080", v6only(true));
        listen(&only, 8).unwrap();
        assert!(!is_free("::1", Protocol::Tcp, 8080));
        assert!(is_free("127.0.0.1", Protocol::Tcp, 8080));
        assert_eq!(tcp_holders(Some("127.0.0.1"), 8080), []);
        assert_eq!(tcp_holders(Some("::1"), 8080).len(), 1);
        let both = bound("[::]:8081", v6only(false));
        listen(&both, 8).unwrap();
        assert!(!is_free("::", Protocol::Tcp, 8081));
        assert!(!is_free("127.0.0.1", Protocol::Tcp, 8081));
        assert!(!is_free("0.0.0.0", Protocol::Tcp, 8081));
        assert_eq!(tcp_holders(Some("127.0.0.1"), 8081)[0].address, ip("::"));
        let mapped = bound("[::ffff:127.0.0.1]:8082", v6only(false));
        listen(&mapped, 8).unwrap();
        assert!(is_free("::", Protocol::Tcp, 8082));
        assert!(!is_free("0.0.0.0", Protocol::Tcp, 8082));
        assert_eq!(tcp_holders(Some("0.0.0.0"), 8082)[0].address, ip("127.0.0.1"));
    }

    fn no_address_is_all_of_them(_host: Host) {
        let _four = TcpListener::bind("127.0.0.2:8001").unwrap();
        let _six = TcpListener::bind("[::1]:8003").unwrap();
        let mut prober = Prober::new(None, Protocol::Tcp);
        assert_eq!(prober.taken(8000..=8005).unwrap(), [8001, 8003]);
        // Of many, the kernel is asked which are worth a try.
        assert_eq!(prober.taken(7000..=9000).unwrap(), [8001, 8003]);
        let mut elsewhere = Prober::new(Some(ip("127.0.0.9")), Protocol::Tcp);
        assert_eq!(elsewhere.taken(7000..=9000).unwrap(), elsewhere.taken(8000..=8005).unwrap());
        let none = Prober::new(Some(ip("192.0.2.77")), Protocol::Tcp).taken(7000..=9000);
        assert!(matches!(none, Err(PortError::NotOurs { .. })), "{none:?}");
        let error = prober.probe(8001).unwrap_err();
        assert_eq!(error.to_string(), "tcp port 8001 is in use");
        assert_eq!(prober.probe(8002), Ok(()));
        for port in 8000..=8005 {
            assert!(is_free("127.0.0.3", Protocol::Tcp, port), "the prober keeps {port}");
        }
    }

    fn a_connection_that_ended_does_not_count(_host: Host) {
        leave_time_wait(8080, reuse_address);
        assert!(is_free("0.0.0.0", Protocol::Tcp, 8080));
        // A service without SO_REUSEADDR could not start again either, and that is told.
        leave_time_wait(8081, |_| {});
        assert!(!is_free("0.0.0.0", Protocol::Tcp, 8081));
        let told = tcp_holders(None, 8081);
        assert_eq!((told.len(), told[0].pid, told[0].state), (1, None, State::TimeWait));
        assert_eq!(told[0].to_string(), "a connection that has just ended at 127.0.0.1");
    }

    fn an_address_of_another_host_is_told_apart(_host: Host) {
        for address in ["192.0.2.1", "2001:db8::1"] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let error = probe(ip(address), protocol, 8080).unwrap_err();
                assert_eq!(error, PortError::NotOurs { address: ip(address) });
                assert_eq!(error.to_string(), format!("{address} is not an address of this host"));
            }
        }
    }

    fn sctp_is_free_where_nobody_has_it(_host: Host) {
        assert!(is_free("0.0.0.0", Protocol::Sctp, 8080));
        assert!(is_free("::", Protocol::Sctp, 8080));
        assert!(Prober::new(None, Protocol::Sctp).taken(1..=100).unwrap().is_empty());
        assert_eq!(holders(None, Protocol::Sctp, 8080).unwrap(), []);
    }

    fn a_missing_privilege_is_named(_host: Host) {
        drop_capabilities();
        let error = probe(ip("127.0.0.1"), Protocol::Tcp, 80).unwrap_err();
        assert_eq!(error.to_string(), "no permission to take tcp port 80");
        assert!(error.hint().unwrap().contains("CAP_NET_BIND_SERVICE"));
        assert!(is_free("127.0.0.1", Protocol::Tcp, 1024));
    }

    fn the_holder_is_named(_host: Host) {
        let service = Service::with(bound("127.0.0.1:8080", |_| {}));
        let told = tcp_holders(Some("0.0.0.0"), 8080);
        let [holder] = &told[..] else { panic!("{told:?}") };
        assert_eq!((holder.pid, holder.name.as_deref()), (Some(service.0.id()), Some("sleep")));
        assert_eq!((holder.address, holder.uid, holder.state), (ip("127.0.0.1"), 0, State::Listen));
        assert_eq!(holder.to_string(), format!("sleep (pid {}) at 127.0.0.1", service.0.id()));
        assert_eq!(tcp_holders(Some("127.0.0.2"), 8080), []);
        assert_eq!(tcp_holders(None, 8081), []);
        // Its connections are left out.
        let _client = TcpStream::connect("127.0.0.1:8080").unwrap();
        assert_eq!(tcp_holders(None, 8080).len(), 1);
    }

    fn a_port_that_several_have_has_several_holders(_host: Host) {
        let services: Vec<Service> =
            (0..3).map(|_| Service::with(bound("0.0.0.0:8080", reuse_port))).collect();
        assert!(!is_free("127.0.0.1", Protocol::Tcp, 8080));
        let mut pids: Vec<u32> = services.iter().map(|service| service.0.id()).collect();
        pids.sort_unstable();
        let told = tcp_holders(Some("127.0.0.1"), 8080);
        assert_eq!(told.iter().filter_map(|holder| holder.pid).collect::<Vec<_>>(), pids);
        assert!(told.windows(2).all(|pair| pair[0].inode != pair[1].inode), "{told:?}");
    }

    fn a_holder_that_cannot_be_seen_is_told_by_its_user(_host: Host) {
        let _service = Service::with(bound("127.0.0.1:8080", |_| {}));
        // Without capabilities, the files of a process that has some may not be looked at.
        drop_capabilities();
        let told = tcp_holders(None, 8080);
        let [holder] = &told[..] else { panic!("{told:?}") };
        assert_eq!((holder.pid, &holder.name, holder.uid), (None, &None, 0));
        assert!(holder.inode != 0);
        assert_eq!(
            holder.to_string(),
            "a process of user 0 that cannot be seen from here at 127.0.0.1"
        );
    }

    fn an_outgoing_connection_is_told_where_nothing_else_has_the_port(_host: Host) {
        let _service = TcpListener::bind("127.0.0.1:8080").unwrap();
        let client = TcpStream::connect("127.0.0.1:8080").unwrap();
        let port = client.local_addr().unwrap().port();
        assert!(!is_free("0.0.0.0", Protocol::Tcp, port));
        let told = tcp_holders(None, port);
        assert_eq!((told.len(), told[0].pid), (1, Some(std::process::id())));
        assert_eq!(told[0].state, State::Established);
    }

    fn ports_are_those_of_the_namespace(_host: Host) {
        let _service = TcpListener::bind("0.0.0.0:8080").unwrap();
        let other = Netns::create().unwrap();
        let inside = || {
            let free = is_free("0.0.0.0", Protocol::Tcp, 8080);
            let key: Sysctl = "net.ipv4.ip_local_port_range".parse().unwrap();
            key.write("10000 20000").unwrap();
            (free, tcp_holders(None, 8080), local_port_range().unwrap())
        };
        assert_eq!(other.enter(inside).unwrap(), (true, Vec::new(), 10_000..=20_000));
        assert_eq!(local_port_range().unwrap(), 32_768..=60_999);
        assert!(!is_free("0.0.0.0", Protocol::Tcp, 8080));
    }
}
