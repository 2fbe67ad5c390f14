//! What leaves an interface is made slower, later or less.
//!
//! All of it is done at the interface itself, in its own namespace: a queueing discipline acts on what is sent by a
//! link, so the rate of what a container sends is limited at the container's end, not at the host's.
//!
//! Lost packets are dropped by nftables where they leave the interface (hook `egress` of family netdev, Linux 5.16 and
//! later) and not by netem, which few kernels have without its module. There the sender does not hear of it, as it does
//! not of a packet that is lost on the way, and everything that is sent is met, ARP too; a packet that is dropped in
//! `output` or `postrouting` would come back to the program as an error.

use pontoon_model::impairment::Loss;
use pontoon_model::op::{Bucket, ImpairOp, Netns, Shape, Wait};
use pontoon_model::{IfName, Impairment};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, Family, Hook, Policy, Rule, Statement, TableRef, Verdict,
};

use crate::{Instance, Plan};

/// An interface whose impairment is changed.
#[derive(Debug, Clone)]
pub struct Impair<'a> {
    /// Whose objects.
    pub instance: &'a Instance,
    /// Where the interface is.
    pub netns: &'a Netns,
    /// The interface.
    pub link: &'a IfName,
    /// Its MTU in bytes; 1500 where nothing is said.
    pub mtu: Option<u32>,
    /// Whose it is, for the reasons.
    pub whose: &'a str,
    /// What it is.
    pub before: Impairment,
    /// What it is to be.
    pub now: Impairment,
}

/// The steps that change an interface's impairment. What stays as it is is set once more: somebody may have taken it
/// away.
pub fn change(wanted: &Impair<'_>) -> Plan {
    let mut plan = Plan::default();
    let Impair { instance, netns, link, whose, before, now, .. } = wanted;
    let [from, to] = [before, now].map(|impairment| shape(impairment, wanted.mtu));
    if [from, to].iter().any(|shape| shape.root_handle().is_some()) {
        let (netns, name) = ((*netns).clone(), (*link).clone());
        let queued = Impairment { loss: None, ..*now };
        let why = match queued.is_none() {
            true => format!("{whose}: what leaves {link} is neither slowed down nor held up"),
            false => format!("{whose}: what leaves {link} gets {queued}"),
        };
        plan.push(ImpairOp::Shape { netns, link: name, now: to, before: from }, why);
    }
    if before.loss.is_some() || now.loss.is_some() {
        let why = match now.loss {
            Some(loss) => format!("{whose}: of what leaves {link}, {loss} is lost"),
            None => format!("{whose}: nothing that leaves {link} is lost"),
        };
        let [before, now] = [before.loss, now.loss].map(|loss| rules(instance, link, loss));
        plan.push(ImpairOp::Rules { netns: (*netns).clone(), link: (*link).clone(), now, before }, why);
    }
    plan
}

/// The steps that take away what does not go along with an interface that is deleted.
pub fn forget(wanted: &Impair<'_>) -> Plan {
    let (before, now) =
        (Impairment { loss: wanted.before.loss, ..Impairment::default() }, Impairment::default());
    change(&Impair { before, now, ..wanted.clone() })
}

/// Length of an Ethernet header in bytes.
const HEADER: u32 = 14;
/// What a link's MTU is that was made without one.
const MTU: u32 = 1500;
/// How many packets may wait at least, whatever the rate.
const PACKETS: u32 = 10;

fn shape(impairment: &Impairment, mtu: Option<u32>) -> Shape {
    let packet = mtu.unwrap_or(MTU).saturating_add(HEADER);
    Shape {
        bucket: impairment.rate.map(|rate| bucket(rate, packet)),
        wait: impairment.delay.map(|delay| {
            let jitter = impairment.jitter.unwrap_or_default();
            // As many as a fast sender has on its way meanwhile, 100,000 a second, and netem's own 1000 at least.
            let waiting = (delay + jitter).as_micros() / 10;
            Wait { delay, jitter, limit: u32::try_from(waiting).unwrap_or(u32::MAX).max(1000) }
        }),
    }
}

/// What is sent in 10 ms may go at once, and a packet at least: a longer one would never go. What is sent in 100 ms may
/// wait beside it, and [`PACKETS`] at least.
fn bucket(rate: u64, packet: u32) -> Bucket {
    let bytes_in = |milliseconds: u64| {
        let bytes = u128::from(rate) * u128::from(milliseconds) / 8000;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    };
    let burst = bytes_in(10).max(packet);
    let limit = bytes_in(100).max(packet.saturating_mul(PACKETS)).saturating_add(burst);
    Bucket { rate, burst, limit }
}

/// The chain of a table about one interface.
const CHAIN: &str = "leaving";

/// The table that drops what leaves an interface: one for each, so that they come and go by themselves.
pub fn table(instance: &Instance, link: &IfName) -> TableRef {
    // What nft's language has no name with is written as its number.
    let mut name = format!("{}-", instance.table().name);
    for byte in link.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("/{other:02x}")),
        }
    }
    TableRef::new(Family::Netdev, name)
}

/// One transaction, whatever is there: a packet meets the rule before it or the one after it.
fn rules(instance: &Instance, link: &IfName, loss: Option<Loss>) -> Vec<Command> {
    let table = table(instance, link);
    let Some(loss) = loss else { return vec![Command::DestroyTable { table }] };
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Egress,
        priority: 0,
        policy: Policy::Accept,
        device: Some(link.to_string()),
    };
    let chain = Chain { name: CHAIN.to_owned(), base: Some(base), comment: None };
    let chance = Statement::Chance { of: Loss::ALL.millionths(), below: loss.millionths() };
    let some = (loss != Loss::ALL).then_some(chance);
    let statements: Vec<Statement> = some.into_iter().chain([Verdict::Drop.into()]).collect();
    vec![
        Command::AddTable { table: table.clone(), comment: None },
        Command::AddChain { table: table.clone(), chain },
        Command::FlushChain { table: table.clone(), chain: CHAIN.to_owned() },
        Command::AddRule { table, chain: CHAIN.to_owned(), rule: Rule::new(statements) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_fits_into_every_bucket() {
        for (rate, mtu, burst, limit) in [
            (8_000, None, 1_514, 16_654),
            (10_000_000, None, 12_500, 137_500),
            (10_000_000, Some(65_000), 65_014, 715_154),
            (1_000_000_000_000, None, 1_250_000_000, u32::MAX),
        ] {
            let made = shape(&Impairment { rate: Some(rate), ..Impairment::default() }, mtu);
            assert_eq!(made.bucket, Some(Bucket { rate, burst, limit }), "{rate} {mtu:?}");
        }
    }

    #[test]
    fn a_table_has_a_name_that_nft_can_read() {
        let name = |link: &str| table(&Instance::host(), &link.parse().unwrap()).name;
        assert_eq!(name("eth0"), "pontoon-eth0");
        assert_eq!(name("eth0.7"), "pontoon-eth0.7");
        assert_eq!(name("a{b"), "pontoon-a/7bb");
    }
}
