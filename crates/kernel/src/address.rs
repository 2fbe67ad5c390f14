//! Interface addresses: add, delete, list.

use pontoon_netlink::address::{Address, DumpAddresses};
use pontoon_netlink::wire::Batch;

use crate::error::{KernelError, Operation, Verb};
use crate::socket::{Requests, Socket};

impl Requests {
    /// Add an address. `link` is the link's name, for errors.
    pub fn add_address(&mut self, link: &str, address: &Address) -> usize {
        let operation = Operation::new(Verb::Create, "address");
        self.push(operation, describe(link, address), |batch| address.encode_add(batch))
    }

    /// Add an address, or change it where it is there.
    pub fn replace_address(&mut self, link: &str, address: &Address) -> usize {
        let operation = Operation::new(Verb::Replace, "address");
        self.push(operation, describe(link, address), |batch| address.encode_replace(batch))
    }

    /// Delete an address.
    pub fn delete_address(&mut self, link: &str, address: &Address) -> usize {
        let operation = Operation::new(Verb::Delete, "address");
        self.push(operation, describe(link, address), |batch| address.encode_delete(batch))
    }
}

fn describe(link: &str, address: &Address) -> String {
    format!("{} on {link}", address.local)
}

/// Adds an address to the link called `link`.
///
/// # Errors
///
/// `EEXIST` where the link has it, `ENODEV` where there is no such link, `EACCES` for IPv6 where it is switched off.
pub fn add(socket: &mut Socket, link: &str, address: &Address) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.add_address(link, address)).map(drop)
}

/// Deletes an address.
///
/// # Errors
///
/// `EADDRNOTAVAIL` where the link does not have it, `ENODEV` where there is no such link.
pub fn delete(socket: &mut Socket, link: &str, address: &Address) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.delete_address(link, address)).map(drop)
}

/// All addresses, or those of a family or link.
///
/// # Errors
///
/// `ENODEV` where the filter names a link that is not there, and those of [`Socket::dump`].
pub fn list(socket: &mut Socket, filter: &DumpAddresses) -> Result<Vec<Address>, KernelError> {
    let mut batch = Batch::default();
    filter.encode(&mut batch);
    socket.dump("addresses", &mut batch, |message| Address::decode(message.payload))
}
