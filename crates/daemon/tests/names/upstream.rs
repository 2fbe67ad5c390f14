//! A server outside that answers as it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::stand::ip;

/// How it behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    /// As it should.
    Honest,
    /// Several wrong answers first: wrong number, wrong question, too long, from another port.
    Lying,
    /// Cut by UDP, whole by TCP.
    Long,
    /// It takes questions and says nothing.
    Silent,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) queries: Arc<AtomicU32>,
}

impl Upstream {
    /// Answers on 127.0.0.LAST:53 of the calling thread's namespace: 198.51.100.LAST for every A, with a TTL of 60.
    pub(crate) fn start(last: u8, manner: Manner) -> Self {
        let address = SocketAddr::new(ip(&format!("127.0.0.{last}")), 53);
        let queries = Arc::new(AtomicU32::new(0));
        let socket = UdpSocket::bind(address).unwrap();
        let count = Arc::clone(&queries);
        std::thread::spawn(move || datagrams(&socket, last, manner, &count));
        if manner == Manner::Long {
            let listener = TcpListener::bind(address).unwrap();
            std::thread::spawn(move || streams(&listener, last));
        }
        Self { address, queries }
    }

    pub(crate) fn asked(&self) -> u32 {
        self.queries.load(Ordering::SeqCst)
    }
}

fn datagrams(socket: &UdpSocket, last: u8, manner: Manner, count: &AtomicU32) {
    let mut buffer = [0; 4096];
    loop {
        let (len, peer) = socket.recv_from(&mut buffer).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        let query = &buffer[..len];
        let honest = answer(query, last, 1);
        match manner {
            Manner::Silent => continue,
            Manner::Honest => {}
            Manner::Long => {
                let mut cut = answer(query, last, 0);
                cut[2] |= 0x02;
                socket.send_to(&cut, peer).unwrap();
                continue;
            }
            Manner::Lying => {
                let lie = answer(query, 66, 1);
                let with = |at: usize, byte: u8| {
                    let mut lie = lie.clone();
                    lie[at] ^= byte;
                    lie
                };
                let mut long = lie.clone();
                long.resize(3000, 0);
                for lie in [with(0, 0xff), with(13, 1), with(2, 0x80), long, lie[..20].to_vec()] {
                    socket.send_to(&lie, peer).unwrap();
                }
                let elsewhere = UdpSocket::bind((socket.local_addr().unwrap().ip(), 0)).unwrap();
                elsewhere.send_to(&lie, peer).unwrap();
            }
        }
        socket.send_to(&honest, peer).unwrap();
    }
}

fn streams(listener: &TcpListener, last: u8) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut query).unwrap();
        let answer = answer(&query, last, 200);
        stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
        stream.write_all(&answer).unwrap();
    }
}

/// An answer with `records` A records; an empty one to other questions, with an SOA record.
fn answer(query: &[u8], last: u8, records: u16) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    end += 5;
    let is_a = query[end - 4..end - 2] == [0, 1];
    let exists = !query[12..end].windows(5).any(|label| label == b"\x04gone");
    let mut message = query[..end].to_vec();
    message[2] = 0x81;
    message[3] = if exists { 0x80 } else { 0x83 };
    message[6..12].fill(0);
    if is_a && exists {
        message[6..8].copy_from_slice(&records.to_be_bytes());
        for record in 0..records {
            message.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x33");
            message.extend([100 + (record >> 8) as u8, last.wrapping_add(record as u8)]);
        }
    } else {
        message[9] = 1;
        message
            .extend(b"\0\0\x06\0\x01\0\0\0\x1e\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x0a");
    }
    message
}
