//! Clients that ask by TCP, well and badly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pontoon_testkit::{Host, sandboxed};

use crate::stand::{Stand, member, network, place};

const QUERY: &[u8] = b"\0\x1d\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01\0\0\0\0\0\0\0\0";

/// The question without padding: 21 bytes behind their length.
fn query(id: u8) -> Vec<u8> {
    let mut bytes = QUERY[..23].to_vec();
    bytes[1] = 21;
    bytes[3] = id;
    bytes
}

fn connect(host: &Host) -> TcpStream {
    let stream = host.netns("web").enter(|| TcpStream::connect("10.5.1.1:53")).unwrap().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn is_closed(mut stream: TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_))
}

sandboxed! {
    fn many_queries_go_by_one_connection(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        let mut stream = connect(&stand.host);
        // Byte by byte, and many at once.
        for byte in query(1) {
            stream.write_all(&[byte]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(answer(&mut stream)[1], 1);
        stream.write_all(&(0..100).flat_map(query).collect::<Vec<u8>>()).unwrap();
        for id in 0..100 {
            let bytes = answer(&mut stream);
            assert_eq!((bytes[1], &bytes[bytes.len() - 4..]), (id, &[10, 5, 1, 2][..]));
        }
        // No more than there may be of one client, and others are closed.
        let streams: Vec<TcpStream> = (0..15).map(|_| connect(&stand.host)).collect();
        assert!(is_closed(connect(&stand.host)));
        assert_eq!(stand.server.statistics().unwrap().streams, 16);
        drop(streams);
        stand.host.wait_until("they are gone", || stand.server.statistics().unwrap().streams == 1);
        // Who says nothing is not kept.
        assert!(is_closed(stream));
        // Who says too much is not either.
        let mut stream = connect(&stand.host);
        stream.write_all(&[0xff, 0xff, 0]).unwrap();
        assert!(is_closed(stream));
        // The rest of a network that is withdrawn.
        let stream = connect(&stand.host);
        stand.host.wait_until("it is there", || stand.server.statistics().unwrap().streams == 1);
        stand.server.withdraw(&network(1, "").id).unwrap();
        assert!(is_closed(stream));
    }
}
