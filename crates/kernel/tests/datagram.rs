//! Sockets for questions and answers, each on one device.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use pontoon_kernel::datagram::{
    Batch, DatagramError, DeviceSocket, accept, connect_datagram, connect_stream, index_of, listen,
};
use pontoon_model::{Diagnose, IfName};
use pontoon_testkit::{Host, sandboxed};
use rustix::io::Errno;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn device(name: &str) -> IfName {
    name.parse().unwrap()
}

/// Two namespaces with a cable to the host each: 10.1.0.0/24 to `one`, 10.2.0.0/24 to `two`.
fn cables(host: &Host) {
    host.need("ip");
    for (number, name) in [(1, "one"), (2, "two")] {
        host.sh(&format!(
            "ip netns add {name}
             ip link add {name} type veth peer name eth0 netns {name}
             ip address add 10.{number}.0.1/24 dev {name}
             ip address add fd00:{number}::1/64 dev {name} nodad
             ip link set {name} up
             ip -n {name} address add 10.{number}.0.2/24 dev eth0
             ip -n {name} address add fd00:{number}::2/64 dev eth0 nodad
             ip -n {name} link set lo up
             ip -n {name} link set eth0 up
             ip -n {name} route add default via 10.{number}.0.1"
        ));
        for gateway in [format!("10.{number}.0.1"), format!("fd00:{number}::1")] {
            host.wait_until("the first packet passes", || host.pings(name, &gateway));
        }
    }
}

fn client(host: &Host, place: &str, to: &str) -> UdpSocket {
    let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = host.netns(place).enter(|| UdpSocket::bind(any)).unwrap().unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Answers what is there with itself, and says who asked.
fn echo(batch: &mut Batch, socket: &DeviceSocket) -> Vec<SocketAddr> {
    let count = batch.receive(socket).unwrap().len();
    let mut peers = Vec::new();
    for index in 0..count {
        let (received, question, answer) = batch.exchange(index);
        if received.len == 0 {
            continue;
        }
        answer[..question.len()].copy_from_slice(question);
        peers.push(received.peer);
        batch.answer(received.peer, received.len);
    }
    assert_eq!(batch.send(socket), 0);
    peers
}

sandboxed! {
    fn many_are_answered_at_once(host: Host) {
        cables(&host);
        let mut batch = Batch::new(512);
        for (address, to) in [("10.1.0.1", "10.1.0.1:53"), ("fd00:1::1", "[fd00:1::1]:53")] {
            let socket = DeviceSocket::open(&device("one"), ip(address), 53).unwrap();
            assert_eq!(batch.receive(&socket).unwrap(), []);
            let client = client(&host, "one", to);
            for number in 0..100u8 {
                client.send(&[number; 30]).unwrap();
            }
            // A longer one is not cut, but passed over.
            client.send(&[0; 1501]).unwrap();
            let mut answered = 0;
            host.wait_until("all have come", || {
                answered += echo(&mut batch, &socket).len();
                answered >= 100
            });
            for number in 0..100u8 {
                let mut buffer = [0; 64];
                assert_eq!((client.recv(&mut buffer).unwrap(), buffer[29]), (30, number));
            }
            socket.send(client.local_addr().unwrap(), b"late").unwrap();
            assert_eq!(client.recv(&mut [0; 64]).unwrap(), 4);
        }
    }

    fn nothing_comes_by_another_device(host: Host) {
        cables(&host);
        host.sh("sysctl -qw net.ipv4.ip_forward=1");
        let one = DeviceSocket::open(&device("one"), ip("10.1.0.1"), 53).unwrap();
        let listener = listen(&device("one"), ip("10.1.0.1"), 53).unwrap();
        let mut batch = Batch::new(512);
        let other = client(&host, "two", "10.1.0.1:53");
        other.send(b"x").unwrap();
        assert!(other.recv(&mut [0; 8]).is_err(), "refused by the kernel");
        let connected = host.netns("two").enter(|| TcpStream::connect("10.1.0.1:53")).unwrap();
        assert!(connected.is_err());
        assert_eq!(echo(&mut batch, &one), []);
        let own = client(&host, "one", "10.1.0.1:53");
        own.send(b"x").unwrap();
        host.wait_until("it has come", || !echo(&mut batch, &one).is_empty());
        let connected = host.netns("one").enter(|| TcpStream::connect("10.1.0.1:53")).unwrap().unwrap();
        let (_, peer) = accept(listener.as_fd()).unwrap().unwrap();
        assert_eq!(peer, connected.local_addr().unwrap());
        assert!(accept(listener.as_fd()).unwrap().is_none());
    }

    fn the_same_address_is_had_on_each_device(host: Host) {
        cables(&host);
        let address = ip("127.0.0.11");
        let _one = DeviceSocket::open(&device("one"), address, 53).unwrap();
        let _two = DeviceSocket::open(&device("two"), address, 53).unwrap();
        let _listener = listen(&device("one"), address, 53).unwrap();
        let _other = listen(&device("two"), address, 53).unwrap();
        // One that is not there yet.
        let _early = listen(&device("two"), ip("10.99.0.1"), 53).unwrap();
        let _early = DeviceSocket::open(&device("two"), ip("fd00:99::1"), 53).unwrap();
        let error = listen(&device("one"), address, 53).unwrap_err();
        assert!(matches!(error, DatagramError::Taken { .. }), "{error}");
        assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
        let error = DeviceSocket::open(&device("three"), address, 53).unwrap_err();
        assert_eq!((error.code(), error.to_string()), ("no-device", "there is no device three".to_owned()));
    }

    fn a_device_that_is_made_anew_has_another_number(host: Host) {
        host.sh("ip link add br0 type bridge");
        let before = index_of(&device("br0")).unwrap();
        host.sh("ip link del br0; ip link add br0 type bridge");
        assert_ne!(index_of(&device("br0")).unwrap(), before);
    }

    fn whom_we_ask_alone_is_heard(_host: Host) {
        let server = UdpSocket::bind("127.0.0.1:53").unwrap();
        let liar = UdpSocket::bind("127.0.0.1:54").unwrap();
        let socket = connect_datagram(server.local_addr().unwrap()).unwrap();
        rustix::net::send(&socket, b"?", rustix::net::SendFlags::empty()).unwrap();
        let (_, peer) = server.recv_from(&mut [0; 8]).unwrap();
        liar.send_to(b"lie", peer).unwrap();
        server.send_to(b"truth", peer).unwrap();
        let mut buffer = [0; 8];
        let (len, _) = rustix::net::recv(&socket, &mut buffer, rustix::net::RecvFlags::empty()).unwrap();
        assert_eq!(&buffer[..len], b"truth");
        // A closed port is known at once.
        drop(server);
        rustix::net::send(&socket, b"?", rustix::net::SendFlags::empty()).unwrap();
        let refused = rustix::net::recv(&socket, &mut buffer, rustix::net::RecvFlags::empty());
        assert_eq!(refused.unwrap_err(), Errno::CONNREFUSED);
        let nowhere = connect_datagram("192.0.2.1:53".parse().unwrap());
        assert_eq!(nowhere.unwrap_err(), Errno::NETUNREACH);
        assert!(connect_stream("127.0.0.1:53".parse().unwrap()).is_ok_and(|fd| {
            rustix::net::sockopt::socket_error(&fd).unwrap() == Err(Errno::CONNREFUSED)
        }));
    }
}
