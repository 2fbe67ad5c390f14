//! Hosts to send traffic through: a bridge with three containers, and somebody outside, behind a cable.
//!
//! Each is in a namespace of its own, so that it meets nobody else's rules. All have the same addresses.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pontoon_kernel::link;
use pontoon_kernel::nftables;
use pontoon_kernel::socket::{Protocol, Requests, Socket};
use pontoon_kernel::sysctl::Sysctl;
use pontoon_netlink::address::Address;
use pontoon_netlink::link::{LinkIndex, NewLink, Peer, SetLink};
use pontoon_netlink::route::{NextHop, Route};
use pontoon_netlink::{Family, Prefix};
use pontoon_nft::syntax::{
    self, Base, Chain, ChainKind, Hook, IpField, Key, Match, Meta, Nat, NatFlags, NatKind, NatTarget, Policy,
    PortSide, Priority, Rule, Statement, TableRef, Transport, Value,
};

use crate::attach::Attach as _;
use crate::error::BenchError;
use crate::floor::{BRIDGE, Floor, GATEWAY, PREFIX_LEN};
use crate::place::Place;
use crate::program;

/// The containers' addresses.
pub(crate) const CONTAINERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 208, 0, 2), Ipv4Addr::new(10, 208, 0, 3), Ipv4Addr::new(10, 208, 0, 4)];
/// The one whose ports are published.
const PUBLISHED: usize = 2;
/// The host's address on the cable.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const CABLE_LEN: u8 = 24;
/// The cable's end on the host, and the other.
const CABLE: [&str; 2] = ["cable", "up0"];

/// What stands between the host's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firewall {
    /// What Pontoon makes of `network connect --publish`.
    Pontoon,
    /// None: by hand, no rule and no table at all.
    Nothing,
    /// By hand, the fewest nftables rules that publish one port.
    Least,
    /// By hand, the chains that Docker lays with iptables.
    Iptables,
}

/// Ports of the host that lead to as many of the third container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// The first of the host's.
    pub(crate) host: u16,
    /// The first of the container's.
    pub(crate) container: u16,
    /// How many.
    pub(crate) count: u16,
}

/// A host, its containers, and somebody outside.
#[derive(Debug)]
pub(crate) struct Lan {
    /// The host.
    pub(crate) host: Place,
    /// Whoever is outside.
    pub(crate) outside: Place,
    /// The containers.
    pub(crate) containers: [Place; 3],
    /// What stands between them.
    pub(crate) firewall: Firewall,
}

impl Lan {
    /// Makes one. `name` has at most ten letters.
    pub(crate) fn lay(name: &str, firewall: Firewall, opening: Opening) -> Result<Self, BenchError> {
        let place = |part: &str| Place::new(format!("{name}-{part}"));
        let containers = [place("a")?, place("b")?, place("c")?];
        let lan = Self { host: place("h")?, outside: place("o")?, containers, firewall };
        lan.host.enter(|| lan.lay_cable())?;
        lan.switch("net/ipv4/ip_forward", true)?;
        match firewall {
            Firewall::Pontoon => lan.attach_by_pontoon(name, opening)?,
            Firewall::Nothing => {
                // Else the host says that there is a shorter way, and `lead_over_host` would lead nowhere.
                lan.switch("net/ipv4/conf/all/send_redirects", false)?;
                lan.switch("net/ipv4/conf/default/send_redirects", false)?;
                lan.attach_by_hand()?;
                lan.lead_over_host()?;
            }
            Firewall::Least => {
                lan.attach_by_hand()?;
                lan.host.enter(|| {
                    let mut socket = Socket::open(Protocol::Netfilter)?;
                    Ok(nftables::apply(&mut socket, &least(opening))?)
                })?;
            }
            Firewall::Iptables => {
                lan.attach_by_hand()?;
                lan.restore(&docker_chains(opening))?;
            }
        }
        Ok(lan)
    }

    /// Whether the host's bridge hands frames to iptables and the like, as it does once `br_netfilter` is there:
    /// `bridge-nf-call-iptables`. Says whether there is such a switch.
    pub(crate) fn call_iptables(&self, on: bool) -> Result<bool, BenchError> {
        let key: Sysctl = "net/bridge/bridge-nf-call-iptables".parse()?;
        self.host.enter(|| {
            let there = key.exists();
            if there {
                key.write(if on { "1" } else { "0" })?;
            }
            Ok(there)
        })
    }

    fn switch(&self, key: &str, on: bool) -> Result<(), BenchError> {
        let key: Sysctl = key.parse()?;
        self.host.enter(|| Ok(key.write(if on { "1" } else { "0" })?))
    }

    fn lay_cable(&self) -> Result<(), BenchError> {
        let [here, there] = CABLE;
        let mut socket = Socket::open(Protocol::Route)?;
        let peer = Peer { name: there, netns: Some(self.outside.netns().as_fd()), ..Peer::default() };
        let mut requests = Requests::new();
        requests.new_link(&NewLink { echo: true, ..NewLink::veth(here, peer) });
        let answers = socket.run(&mut requests)?;
        let made = answers.first().and_then(link::found).ok_or(BenchError::Silent("what it made"))?;
        let other = made.link.ok_or(BenchError::Silent("the index of the other end"))?;
        let mut requests = raised(here, made.index, HOST, CABLE_LEN);
        socket.run(&mut requests)?;
        let mut outside = self.outside.enter(|| Ok(Socket::open(Protocol::Route)?))?;
        let mut requests = raised(there, other, OUTSIDE, CABLE_LEN);
        let hop = NextHop { gateway: Some(HOST.into()), link: Some(other), ..NextHop::default() };
        requests.add_route(&Route::new(Prefix::all(Family::V4), hop));
        outside.run(&mut requests)?;
        Ok(())
    }

    fn attach_by_hand(&self) -> Result<(), BenchError> {
        // The first that it attaches gets the first of the addresses.
        let mut floor = self.host.enter(Floor::lay)?;
        self.containers.iter().try_for_each(|container| floor.attach(&container.name).map(drop))
    }

    /// The first and the third container reach each other by the host, as they do by a published port.
    fn lead_over_host(&self) -> Result<(), BenchError> {
        for (from, to) in [(0, PUBLISHED), (PUBLISHED, 0)] {
            let mut socket = self.containers[from].enter(|| Ok(Socket::open(Protocol::Route)?))?;
            let mut requests = Requests::new();
            let hop = NextHop { gateway: Some(GATEWAY.into()), ..NextHop::default() };
            requests.add_route(&Route::new(Prefix::new(CONTAINERS[to].into(), 32), hop));
            socket.run(&mut requests)?;
        }
        Ok(())
    }

    /// By the command, as a person would, with an instance of its own.
    fn attach_by_pontoon(&self, name: &str, opening: Opening) -> Result<(), BenchError> {
        let program = program::pontoon()?;
        let root = Path::new("/run").join(format!("lan-{name}"));
        let run = |words: &[&str]| {
            let mut command = Command::new(&program);
            command.arg("--root").arg(&root).args(words);
            self.host.enter(|| program::run(&mut command))
        };
        let subnet = format!("{GATEWAY}/{PREFIX_LEN}");
        run(&["network", "create", "--subnet", &subnet.replace(".0.1/", ".0.0/"), "lan"])?;
        let Opening { host, container, count } = opening;
        let (last, last_inside) = (host + (count - 1), container + (count - 1));
        let published = format!("{host}-{last}:{container}-{last_inside}");
        for (index, (place, address)) in self.containers.iter().zip(CONTAINERS).enumerate() {
            let (address, container) = (address.to_string(), format!("netns:{}", place.name));
            let mut words = vec!["network", "connect", "--ip", &address];
            if index == PUBLISHED {
                words.extend(["--publish", &published]);
            }
            run(&[&words[..], &["lan", &container]].concat())?;
        }
        Ok(())
    }

    fn restore(&self, rules: &str) -> Result<(), BenchError> {
        let program = iptables().ok_or_else(|| BenchError::NoProgram(IPTABLES.into()))?;
        let mut command = Command::new(program);
        command.arg("--noflush").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut process = self.host.enter(|| command.spawn().map_err(BenchError::io("start a command")))?;
        if let Some(mut input) = process.stdin.take() {
            input.write_all(rules.as_bytes()).map_err(BenchError::io("tell iptables its rules"))?;
        }
        let status = process.wait().map_err(BenchError::io("wait for a command"))?;
        if status.success() { Ok(()) } else { Err(program::failed(&command, status.to_string())) }
    }
}

/// The requests that give a link its address and take it up.
fn raised(name: &str, index: LinkIndex, address: Ipv4Addr, len: u8) -> Requests {
    let mut requests = Requests::new();
    requests.set_link(&SetLink::up("lo"));
    requests.add_address(name, &Address::new(index, Prefix::new(address.into(), len)));
    requests.set_link(&SetLink::up(name));
    requests
}

/// Translation of one port's destination, and of a container's source where it comes back to its own bridge.
fn least(opening: Opening) -> Vec<syntax::Command> {
    let table = TableRef::new(syntax::Family::Inet, "least");
    let base = |name: &str, hook, priority| Chain {
        name: name.to_owned(),
        base: Some(Base { kind: ChainKind::Nat, hook, priority, policy: Policy::Accept, device: None }),
        comment: None,
    };
    let port = Key::Port { transport: Transport::Tcp, side: PortSide::Destination };
    let to_container = Statement::Nat(Nat {
        kind: NatKind::Dnat,
        to: NatTarget::Constant {
            addresses: IpAddr::V4(CONTAINERS[PUBLISHED]).into(),
            ports: Some(opening.container.into()),
        },
        flags: NatFlags::default(),
    });
    let bridge = || Value::Ifname(BRIDGE.to_owned());
    let rules = [
        (
            base("prerouting", Hook::Prerouting, Priority::DSTNAT),
            Rule::new([
                Match::is(Key::Ip(IpField::Daddr), Value::Ipv4(HOST)),
                Match::is(port, Value::Port(opening.host)),
                to_container,
            ]),
        ),
        (
            base("postrouting", Hook::Postrouting, Priority::SRCNAT),
            Rule::new([
                Match::is(Key::Meta(Meta::Iifname), bridge()),
                Match::is(Key::Meta(Meta::Oifname), bridge()),
                Statement::Masquerade { flags: NatFlags::default(), ports: None },
            ]),
        ),
    ];
    let mut commands = vec![syntax::Command::CreateTable { table: table.clone(), comment: None }];
    for (chain, rule) in rules {
        let name = chain.name.clone();
        commands.push(syntax::Command::AddChain { table: table.clone(), chain });
        commands.push(syntax::Command::AddRule { table: table.clone(), chain: name, rule });
    }
    commands
}

/// Ports in one transaction of iptables: an unprivileged user's may not be longer than a socket's buffer.
const IN_ONE_COMMIT: usize = 100;

const IPTABLES: &str = "iptables-nft-restore";

/// The program that lays iptables' rules by nftables, if it is there.
pub(crate) fn iptables() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    // A user's path has no `sbin`.
    let folders = path.split(':').chain(["/usr/sbin", "/sbin"]);
    folders.map(|folder| Path::new(folder).join(IPTABLES)).find(|file| file.is_file())
}

/// What Docker lays for the third container and its ports: libnetwork's bridge driver, with one rule for each port in
/// `nat DOCKER`, in `filter DOCKER` and in `nat POSTROUTING`.
fn docker_chains(opening: Opening) -> String {
    let (container, Opening { host, container: inside, count }) = (CONTAINERS[PUBLISHED], opening);
    let mut text = format!(
        "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:DOCKER -\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
         -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n\
         -A POSTROUTING -s {GATEWAY}/{PREFIX_LEN} ! -o {BRIDGE} -j MASQUERADE\n\
         -A DOCKER -i {BRIDGE} -j RETURN\n\
         COMMIT\n\
         *filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n:DOCKER -\n:DOCKER-USER -\n\
         -A FORWARD -j DOCKER-USER\n\
         -A FORWARD -o {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FORWARD -o {BRIDGE} -j DOCKER\n\
         -A FORWARD -i {BRIDGE} ! -o {BRIDGE} -j ACCEPT\n\
         -A FORWARD -i {BRIDGE} -o {BRIDGE} -j ACCEPT\n\
         -A DOCKER-USER -j RETURN\n\
         COMMIT\n"
    );
    let steps: Vec<u16> = (0..count).collect();
    for some in steps.chunks(IN_ONE_COMMIT) {
        text.push_str("*nat\n");
        for step in some {
            let (host, inside) = (host + step, inside + step);
            text.push_str(&format!(
                "-A POSTROUTING -s {container}/32 -d {container}/32 -p tcp --dport {inside} -j MASQUERADE\n\
                 -A DOCKER ! -i {BRIDGE} -p tcp --dport {host} -j DNAT --to-destination {container}:{inside}\n"
            ));
        }
        text.push_str("COMMIT\n*filter\n");
        for step in some {
            let inside = inside + step;
            text.push_str(&format!(
                "-A DOCKER -d {container}/32 ! -i {BRIDGE} -o {BRIDGE} -p tcp --dport {inside} -j ACCEPT\n"
            ));
        }
        text.push_str("COMMIT\n");
    }
    text
}
