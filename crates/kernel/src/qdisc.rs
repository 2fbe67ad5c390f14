//! Queueing disciplines: which one is at a link, put one there, take it away.

use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::qdisc::{DelQdisc, GetQdisc, Qdisc, ReplaceQdisc};

use crate::error::{KernelError, Operation, Verb};
use crate::socket::{Requests, Socket};

const KIND: &str = "queueing discipline";

impl Requests {
    /// Put a queueing discipline at the link called `link`, or change it.
    pub fn replace_qdisc(&mut self, link: &str, qdisc: &ReplaceQdisc) -> usize {
        let object = format!("{} of {link}", qdisc.discipline.kind());
        self.push(Operation::new(Verb::Replace, KIND), object, |batch| qdisc.encode(batch))
    }

    /// Take the queueing discipline at the link called `link` away.
    pub fn delete_qdisc(&mut self, link: &str, qdisc: &DelQdisc) -> usize {
        let object = format!("{:x}: of {link}", qdisc.handle.0);
        self.push(Operation::new(Verb::Delete, KIND), object, |batch| qdisc.encode(batch))
    }
}

/// The queueing discipline at the link called `link`; `None` where it has had none since it never was up.
///
/// # Errors
///
/// `ENODEV` where there is no such link.
pub fn at(socket: &mut Socket, link: &str, index: LinkIndex) -> Result<Option<Qdisc>, KernelError> {
    let question = GetQdisc { link: index };
    let read = Operation::new(Verb::Read, KIND);
    let asked = |requests: &mut Requests| requests.push(read, link, |batch| question.encode(batch));
    match socket.run_one(asked) {
        Ok(answer) => Ok(answer.messages.iter().find_map(|message| Qdisc::decode(&message.payload))),
        Err(error) if error.errno() == Some(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
