//! Neighbours and bridge forwarding entries: add, delete, ask, list.

use std::net::IpAddr;

use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::neighbour::{DumpFdb, DumpNeighbours, FdbEntry, GetFdb, Neighbour};
use pontoon_netlink::wire::Batch;

use crate::error::{KernelError, Operation, Verb};
use crate::socket::{Requests, Socket};

const NEIGHBOUR: &str = "neighbour";
const FORWARDING: &str = "forwarding entry";

impl Requests {
    /// Add a neighbour, or change it where it is there. `link` is the link's name, for errors.
    pub fn replace_neighbour(&mut self, link: &str, neighbour: &Neighbour) -> usize {
        let object = format!("{} on {link}", neighbour.address);
        self.push(Operation::new(Verb::Replace, NEIGHBOUR), object, |batch| neighbour.encode_replace(batch))
    }

    /// Add a neighbour.
    pub fn add_neighbour(&mut self, link: &str, neighbour: &Neighbour) -> usize {
        let object = format!("{} on {link}", neighbour.address);
        self.push(Operation::new(Verb::Create, NEIGHBOUR), object, |batch| neighbour.encode_add(batch))
    }

    /// Delete a neighbour.
    pub fn delete_neighbour(&mut self, link: &str, neighbour: &Neighbour) -> usize {
        let object = format!("{} on {link}", neighbour.address);
        self.push(Operation::new(Verb::Delete, NEIGHBOUR), object, |batch| neighbour.encode_delete(batch))
    }

    /// Add a forwarding entry, or change it where it is there. `port` is the link's name, for errors.
    pub fn replace_fdb(&mut self, port: &str, entry: &FdbEntry) -> usize {
        let object = format!("{} behind {port}", entry.mac);
        self.push(Operation::new(Verb::Replace, FORWARDING), object, |batch| entry.encode_replace(batch))
    }

    /// Add a forwarding entry.
    pub fn add_fdb(&mut self, port: &str, entry: &FdbEntry) -> usize {
        let object = format!("{} behind {port}", entry.mac);
        self.push(Operation::new(Verb::Create, FORWARDING), object, |batch| entry.encode_add(batch))
    }

    /// Delete a forwarding entry.
    pub fn delete_fdb(&mut self, port: &str, entry: &FdbEntry) -> usize {
        let object = format!("{} behind {port}", entry.mac);
        self.push(Operation::new(Verb::Delete, FORWARDING), object, |batch| entry.encode_delete(batch))
    }
}

/// Adds a neighbour to the link called `link`, or changes it.
///
/// # Errors
///
/// `ENODEV` where there is no such link, `ENETDOWN` where it is down.
pub fn replace(socket: &mut Socket, link: &str, neighbour: &Neighbour) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.replace_neighbour(link, neighbour)).map(drop)
}

/// Deletes a neighbour.
///
/// # Errors
///
/// `ENOENT` where there is none.
pub fn delete(socket: &mut Socket, link: &str, neighbour: &Neighbour) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.delete_neighbour(link, neighbour)).map(drop)
}

/// The entry of `address` on a link; `None` where there is none.
///
/// # Errors
///
/// Those of [`Socket::request`].
pub fn get(socket: &mut Socket, link: LinkIndex, address: IpAddr) -> Result<Option<Neighbour>, KernelError> {
    let answer = socket.run_one(|requests| {
        let operation = Operation::new(Verb::Read, NEIGHBOUR);
        requests.push(operation, format!("{address} on #{link}"), |batch| {
            Neighbour::encode_get(link, address, batch)
        })
    });
    match answer {
        Ok(answer) => Ok(answer.messages.iter().find_map(|message| Neighbour::decode(&message.payload))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// All neighbours, or those of a family or link.
///
/// # Errors
///
/// Those of [`Socket::dump`].
pub fn list(socket: &mut Socket, filter: &DumpNeighbours) -> Result<Vec<Neighbour>, KernelError> {
    let mut batch = Batch::default();
    filter.encode(&mut batch);
    socket.dump("neighbours", &mut batch, |message| Neighbour::decode(message.payload))
}

/// Adds a forwarding entry behind the link called `port`, or changes it.
///
/// # Errors
///
/// `EOPNOTSUPP` where the link is not a port.
pub fn replace_fdb(socket: &mut Socket, port: &str, entry: &FdbEntry) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.replace_fdb(port, entry)).map(drop)
}

/// Deletes a forwarding entry.
///
/// # Errors
///
/// `ENOENT` where there is none.
pub fn delete_fdb(socket: &mut Socket, port: &str, entry: &FdbEntry) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.delete_fdb(port, entry)).map(drop)
}

/// The forwarding entry of an address on a bridge; `None` where there is none.
///
/// # Errors
///
/// Those of [`Socket::request`].
pub fn get_fdb(socket: &mut Socket, question: &GetFdb) -> Result<Option<FdbEntry>, KernelError> {
    let answer = socket.run_one(|requests| {
        let object = format!("{} on bridge #{}", question.mac, question.bridge);
        requests.push(Operation::new(Verb::Read, FORWARDING), object, |batch| question.encode(batch))
    });
    match answer {
        Ok(answer) => Ok(answer.messages.iter().find_map(|message| FdbEntry::decode(&message.payload))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// All forwarding entries, or those of a bridge or port.
///
/// # Errors
///
/// Those of [`Socket::dump`].
pub fn list_fdb(socket: &mut Socket, filter: &DumpFdb) -> Result<Vec<FdbEntry>, KernelError> {
    let mut batch = Batch::default();
    filter.encode(&mut batch);
    socket.dump("forwarding entries", &mut batch, |message| FdbEntry::decode(message.payload))
}
