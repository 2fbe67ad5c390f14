//! One send, and all the answers to it.

use std::os::fd::AsFd as _;

use pontoon_netlink::wire::{
    Ack, Batch, HEADER_LEN, Message, Messages, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE,
    NLMSG_ERROR, NLMSG_NOOP, align,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{Protocol, Socket, options};
use crate::error::Cause;

/// How many requests go into one send. All their answers wait in the socket together, and an unprivileged one holds
/// 416 KiB of them: 64 links sent back with all their attributes.
const CHUNK: usize = 64;

/// Do not wait, and tell the length of a datagram that does not fit.
const RECEIVE: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::TRUNC);

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// No answer, or none yet.
    Pending,
    /// Answered.
    Done(Ack),
    /// A dump during which something changed.
    Interrupted,
}

impl Socket {
    /// Sends `batch`, hands each message to `sink` with the index of its request, and says what became of each.
    pub(super) fn exchange(
        &mut self,
        batch: &mut Batch,
        sink: &mut dyn FnMut(usize, &Message<'_>),
    ) -> Result<Vec<Outcome>, Cause> {
        let mut outcomes = vec![Outcome::Pending; batch.len()];
        let first_seq = self.next_seq;
        batch.renumber(first_seq);
        self.next_seq = first_seq.wrapping_add(batch.len() as u32);
        let mut at = 0;
        let mut rest = batch.bytes();
        while !rest.is_empty() {
            let (chunk, answers, count) = self.next_chunk(rest);
            self.send(chunk)?;
            let mut receipt = Receipt {
                first_seq: first_seq.wrapping_add(at as u32),
                outcomes: &mut outcomes[at..at + count],
            };
            receipt.receive(self, answers, &mut |index, message| sink(at + index, message))?;
            at += count;
            rest = &rest[chunk.len()..];
        }
        Ok(outcomes)
    }

    /// As many messages from the start of `rest` as go into one send; how many of them will be answered; how many
    /// they are.
    fn next_chunk<'a>(&self, rest: &'a [u8]) -> (&'a [u8], usize, usize) {
        let limit = if self.is_transaction(rest) { usize::MAX } else { CHUNK };
        let (mut len, mut answers, mut count) = (0, 0, 0);
        for message in Messages::new(rest).take(limit) {
            len += align(HEADER_LEN + message.payload.len());
            answers +=
                usize::from(message.flags & NLM_F_ACK != 0 || message.flags & NLM_F_DUMP == NLM_F_DUMP);
            count += 1;
        }
        (&rest[..len], answers, count)
    }

    /// Whether the messages are a transaction of nftables, which the kernel takes only in one piece.
    fn is_transaction(&self, messages: &[u8]) -> bool {
        /// `NFNL_MSG_BATCH_BEGIN`, which is also `RTM_NEWLINK`.
        const BATCH_BEGIN: u16 = 16;
        let first = Messages::new(messages).next();
        self.protocol == Protocol::Netfilter && first.is_some_and(|message| message.kind == BATCH_BEGIN)
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Cause> {
        retry_on_intr(|| send(&self.fd, bytes, SendFlags::empty()))?;
        Ok(())
    }

    /// Receives the next datagram, of the returned length; `None` when nothing is left.
    ///
    /// The kernel answers before `send` returns, so nothing left means nothing to come.
    fn receive(&mut self) -> Result<Option<usize>, Cause> {
        let buffer = self.buffer.len();
        match retry_on_intr(|| recv(&self.fd, self.buffer.as_mut_slice(), RECEIVE)) {
            Ok((_, len)) if len > buffer => Err(Cause::TooLong { len, buffer }),
            Ok((len, _)) => Ok(Some(len)),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Throws away what waits in the socket: after an overrun the kernel delivers nothing until it is empty
    /// (`NETLINK_S_CONGESTED`).
    fn drain(&mut self) {
        while !matches!(recv(&self.fd, self.buffer.as_mut_slice(), RECEIVE), Err(Errno::AGAIN)) {}
    }

    /// The sequence number of the next message.
    pub(crate) fn next_seq(&self) -> u32 {
        self.next_seq
    }

    /// Sends an nftables transaction that is numbered from [`Socket::next_seq`] on, and returns every refusal.
    ///
    /// None means success, also for messages without `NLM_F_ACK`: all refusals wait in the socket when `send` returns.
    /// Where they are more than it holds, those that it holds are returned.
    pub(crate) fn transaction(&mut self, batch: &Batch) -> Result<Vec<Ack>, Cause> {
        self.next_seq = batch.first_seq().wrapping_add(batch.len() as u32);
        options::make_room(self.fd.as_fd(), batch.bytes().len())?;
        self.send(batch.bytes())?;
        let mut refused = Vec::new();
        let mut overrun = false;
        loop {
            let len = match self.receive() {
                Ok(Some(len)) => len,
                Ok(None) if overrun && refused.is_empty() => return Err(Cause::Overrun),
                Ok(None) => return Ok(refused),
                // Told before what is there is read.
                Err(Cause::Overrun) => {
                    overrun = true;
                    continue;
                }
                Err(cause) => return Err(cause),
            };
            let acks = Messages::new(&self.buffer[..len]).filter_map(|message| Ack::parse(&message));
            let ours = |ack: &Ack| (ack.seq.wrapping_sub(batch.first_seq()) as usize) < batch.len();
            refused.extend(acks.filter(|ack| ack.errno != 0 && ours(ack)));
        }
    }
}

/// The answers to one send, as they come.
struct Receipt<'a> {
    first_seq: u32,
    outcomes: &'a mut [Outcome],
}

impl Receipt<'_> {
    /// Receives until `answers` requests are answered, or nothing is left.
    fn receive(
        &mut self,
        socket: &mut Socket,
        mut answers: usize,
        sink: &mut dyn FnMut(usize, &Message<'_>),
    ) -> Result<(), Cause> {
        while answers > 0 {
            let len = match socket.receive() {
                Ok(Some(len)) => len,
                Ok(None) => return Ok(()),
                Err(cause) => {
                    socket.drain();
                    return Err(cause);
                }
            };
            for message in Messages::new(&socket.buffer[..len]) {
                answers = answers.saturating_sub(usize::from(self.take(&message, sink)?));
            }
        }
        Ok(())
    }

    /// Takes in one message and says whether it was its request's last.
    fn take(
        &mut self,
        message: &Message<'_>,
        sink: &mut dyn FnMut(usize, &Message<'_>),
    ) -> Result<bool, Cause> {
        let index = message.seq.wrapping_sub(self.first_seq) as usize;
        let Some(outcome) = self.outcomes.get_mut(index) else {
            // An answer to an earlier request whose exchange failed.
            return Ok(false);
        };
        if message.flags & NLM_F_DUMP_INTR != 0 && message.kind != NLMSG_ERROR {
            *outcome = Outcome::Interrupted;
        }
        match message.kind {
            NLMSG_NOOP => Ok(false),
            NLMSG_ERROR => {
                let ack = Ack::parse(message).ok_or(Cause::Malformed)?;
                let first = *outcome == Outcome::Pending;
                // A request that was refused stays so, though the transaction's end may be reported on it too.
                if !matches!(outcome, Outcome::Done(earlier) if earlier.errno != 0) {
                    *outcome = Outcome::Done(ack);
                }
                Ok(first)
            }
            NLMSG_DONE => {
                let errno = done_errno(message.payload);
                if errno == Errno::INTR.raw_os_error() {
                    *outcome = Outcome::Interrupted;
                } else if *outcome == Outcome::Pending {
                    *outcome = Outcome::Done(Ack { seq: message.seq, errno, text: None });
                }
                Ok(true)
            }
            _ => {
                sink(index, message);
                Ok(false)
            }
        }
    }
}

/// The positive errno with which a dump ended; 0 for success.
fn done_errno(payload: &[u8]) -> i32 {
    let raw =
        payload.get(..4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map_or(0, i32::from_ne_bytes);
    raw.checked_neg().filter(|errno| *errno > 0).unwrap_or(0)
}
