//! Which namespace a link's peer is in.

use std::os::fd::AsFd as _;

use pontoon_netlink::nsid::{GetNsid, RTM_NEWNSID};

use crate::error::{KernelError, Operation, Verb};
use crate::netns::Netns;
use crate::socket::Socket;

/// The number that the socket's namespace has for `other`: the one that
/// [`link_netnsid`](pontoon_netlink::link::Link::link_netnsid) tells. `None` where it has none, and no link of it a peer
/// there.
///
/// # Errors
///
/// `EACCES` without privilege over `other` in the kernels that ask for it.
pub fn number_of(socket: &mut Socket, other: &Netns) -> Result<Option<i32>, KernelError> {
    let answer = socket.run_one(|requests| {
        let object = other.id().to_string();
        requests.push(Operation::new(Verb::Read, "number of namespace"), object, |batch| {
            GetNsid(other.as_fd()).encode(batch);
        })
    })?;
    let told = answer.messages.iter().find(|message| message.kind == RTM_NEWNSID);
    Ok(told.and_then(|message| GetNsid::decode(&message.payload)))
}
