//! What an attachment is prepared from: its addresses, names and ports are taken, and its plan is made.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use pontoon_model::endpoint::EndpointState;
use pontoon_model::lease::AddressError;
use pontoon_model::network::AddressPool;
use pontoon_model::option::EndpointOptions;
use pontoon_model::publish::{PublishSpec, merge};
use pontoon_model::sandbox::Status;
use pontoon_model::{ContainerRef, Endpoint, EndpointId, Mac, Network, Publication, Sandbox, lease};
use pontoon_plan::Plan;
use pontoon_plan::endpoint::{Attach, DefaultRoutes, IPV6_OFF};
use pontoon_store::{LeaseError, Tx};

use super::{Candidates, ConnectSpec, Connected, ForeignRoutes};
use crate::interface::Home;
use crate::journal::{Preparing, random};
use crate::publish::{self, PortHost};
use crate::resolve::Target;
use crate::time::now;
use crate::{EngineError, guard, segment};

/// Everything that an attachment is prepared from.
pub(super) struct Request<'a> {
    pub(super) instance: &'a pontoon_plan::Instance,
    pub(super) target: &'a Target,
    pub(super) spec: &'a ConnectSpec,
    /// Ports to publish with it.
    pub(super) publish: &'a [PublishSpec],
    pub(super) foreign: ForeignRoutes,
    pub(super) id: EndpointId,
    /// From where free ports of the host are taken.
    pub(super) free: Option<RangeInclusive<u16>>,
    /// What published ports depend on.
    pub(super) host: &'a PortHost,
}

/// The addresses of an endpoint, and whether neighbours may remember somebody else there.
struct Addresses {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    mac: Mac,
    announce: bool,
}

impl Request<'_> {
    pub(super) fn prepare(
        &self,
        at: &mut Preparing<'_, '_>,
        found: &Network,
    ) -> Result<(Connected, Plan), EngineError> {
        let network = usable(at, found)?;
        let sandbox = &self.target.sandbox;
        let options = EndpointOptions::parse(&self.spec.options)?;
        if at.tx.endpoint_on(&network.id, &sandbox.id)?.is_some() {
            return Err(EngineError::AlreadyConnected {
                container: sandbox.name.to_string(),
                network: network.name.into(),
            });
        }
        let mut known = Candidates::of(at.tx, sandbox)?;
        let first = known.standing.is_empty();
        let wanted = self.spec.ifname.clone().or_else(|| options.ifname.clone());
        let home = Home {
            sandbox: Some(&sandbox.id),
            name: sandbox.name.to_string(),
            netns: &self.target.netns,
            endpoints: known.standing.iter().map(|(endpoint, _)| endpoint).collect(),
            before: &[],
            // Nothing is in the namespace of a container that does not run yet but what the records say.
            imagined: sandbox.status == Status::Created,
        };
        let ifname = home.choose(at, wanted, &network.bridge.iface_prefix)?;
        let addresses = self.addresses(at.tx, &network)?;
        let leading = addresses.v4.map(IpAddr::V4).or(addresses.v6.map(IpAddr::V6));
        let number = leading.map_or(0, |address| network.segment_number(address));
        if !segment::is_laid(at.tx, &network, number)? && !at.rehearsing {
            return Err(EngineError::NeedsSegment(Box::new((network, number))));
        }
        let filtered = guard::decide(at, self.instance, sandbox, &network, &options)?;
        let endpoint = Endpoint {
            id: self.id.clone(),
            network: network.id.clone(),
            sandbox: sandbox.id.clone(),
            ifname,
            host_ifname: Endpoint::derived_host_ifname(&self.id),
            mac: addresses.mac,
            v4: addresses.v4,
            v6: addresses.v6,
            link_local: self.link_local(at.tx, &network)?,
            gw_priority: self.spec.gw_priority,
            aliases: self.aliases(),
            links: self.spec.links.clone(),
            guarded: filtered.guarded,
            sysctls: self.sysctls(options.sysctls, addresses.v6.is_some()),
            created: now(),
            state: EndpointState::Attached,
        };
        at.tx.endpoint_put(&endpoint)?;
        let before = known.elect();
        let former = known.clone();
        known.add(&endpoint, &network);
        let after = self.keep_foreign(at, known.elect(), &before);
        let (sandbox, published) = self.publish(at, &known)?;
        let attach = Attach {
            instance: self.instance,
            network: &network,
            endpoint: &endpoint,
            sandbox: sandbox.name.as_str(),
            netns: self.target.netns.clone(),
            first,
            routes: (before, after),
            announce: addresses.announce,
            names: filtered.names,
            published: (
                former.published(&self.target.sandbox.ports, self.host),
                known.published(&sandbox.ports, self.host),
            ),
        };
        let plan = pontoon_plan::endpoint::attach(&attach);
        Ok((Connected { network, sandbox, endpoint, published }, plan))
    }

    /// The interface's settings asked for; in a container of another engine also what IPv6 needs.
    fn sysctls(&self, mut asked: Vec<(String, String)>, v6: bool) -> Vec<(String, String)> {
        if v6 && self.target.sandbox.elsewhere().is_some() {
            asked.insert(0, (IPV6_OFF.to_owned(), "0".to_owned()));
        }
        asked
    }

    /// The names asked for; for a container of another engine also the one that it has there.
    fn aliases(&self) -> Vec<String> {
        let elsewhere = self.target.sandbox.elsewhere().and_then(ContainerRef::name_elsewhere);
        let own = elsewhere.map(str::to_owned).filter(|own| !self.spec.aliases.contains(own));
        own.into_iter().chain(self.spec.aliases.iter().cloned()).collect()
    }

    /// Takes the ports that are to be published; the container with them.
    fn publish(
        &self,
        at: &mut Preparing<'_, '_>,
        known: &Candidates,
    ) -> Result<(Sandbox, Vec<Publication>), EngineError> {
        let mut sandbox = self.target.sandbox.clone();
        if self.publish.is_empty() {
            return Ok((sandbox, Vec::new()));
        }
        let ports = publish::choose(at, &sandbox, self.publish, known, self.free.clone())?;
        sandbox.ports = merge([sandbox.ports, ports.clone()].concat());
        if known.published(&sandbox.ports, self.host).leads_nowhere() {
            at.warnings.push(publish::waiting(&sandbox));
        }
        Ok((sandbox, ports))
    }

    fn addresses(&self, tx: &Tx<'_>, network: &Network) -> Result<Addresses, EngineError> {
        let spec = self.spec;
        let missing =
            |family, address| EngineError::NoFamily { network: network.name.to_string(), family, address };
        if let (Some(ip), None) = (spec.ip, &network.v4) {
            return Err(missing("IPv4", ip.into()));
        }
        if let (Some(ip), None) = (spec.ip6, &network.v6) {
            return Err(missing("IPv6", ip.into()));
        }
        let v4 = network
            .v4
            .as_ref()
            .map(|pool| self.address(tx, network, pool, spec.ip.map(IpAddr::V4)))
            .transpose()?;
        let v6 = network
            .v6
            .as_ref()
            .map(|pool| self.address(tx, network, pool, spec.ip6.map(IpAddr::V6)))
            .transpose()?;
        let derived = v4.or(v6).map(|address| Mac::derived(&network.id, address));
        let mac = match spec.mac.or(derived) {
            Some(mac) => mac,
            None => Mac::local(random()?),
        };
        let mut announce = false;
        for address in v4.into_iter().chain(v6) {
            let last = tx.lease_take(&network.id, address, &self.id, mac)?;
            announce |= last.is_some_and(|last| last != mac);
        }
        Ok(Addresses { v4: v4.and_then(v4_of), v6: v6.and_then(v6_of), mac, announce })
    }

    /// The link-local addresses asked for, once it is known that nobody on the network has them.
    fn link_local(&self, tx: &Tx<'_>, network: &Network) -> Result<Vec<IpAddr>, EngineError> {
        let asked = &self.spec.link_local;
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        for address in asked {
            lease::check_link_local(*address)?;
            if let Some(pool) = network.pools().find(|pool| pool.subnet.contains(address)) {
                return Err(AddressError::OfSubnet { address: *address, subnet: pool.subnet }.into());
            }
        }
        for other in tx.endpoints_of_network(&network.id)? {
            if let Some(address) = other.link_local.iter().find(|address| asked.contains(address)) {
                let container = tx.sandbox(&other.sandbox)?.map(|sandbox| sandbox.name.to_string());
                return Err(LeaseError::Taken { address: *address, holder: other.id, container }.into());
            }
        }
        let unique: BTreeSet<IpAddr> = asked.iter().copied().collect();
        Ok(unique.into_iter().collect())
    }

    /// The address asked for, once it is known to be one that can be had, or the next one.
    fn address(
        &self,
        tx: &Tx<'_>,
        network: &Network,
        pool: &AddressPool,
        asked: Option<IpAddr>,
    ) -> Result<IpAddr, EngineError> {
        match asked {
            Some(address) => {
                lease::check_request(pool, address)?;
                Ok(address)
            }
            None => self.next_address(tx, network, pool),
        }
    }

    /// The next address that nobody has, nor is going to ask for.
    fn next_address(
        &self,
        tx: &Tx<'_>,
        network: &Network,
        pool: &AddressPool,
    ) -> Result<IpAddr, EngineError> {
        let mut passed = Vec::new();
        let address = loop {
            let next = tx.allocate(&network.id, pool, &self.id)?;
            if !self.spec.avoid.contains(&next) {
                break next;
            }
            passed.push(next);
        };
        passed.into_iter().try_for_each(|one| tx.lease_free(&network.id, one, &self.id))?;
        Ok(address)
    }

    /// A default route of somebody else's in somebody else's namespace stays.
    fn keep_foreign(
        &self,
        at: &mut Preparing<'_, '_>,
        mut after: DefaultRoutes,
        before: &DefaultRoutes,
    ) -> DefaultRoutes {
        for (foreign, family, after, before) in [
            (self.foreign.v4, "IPv4", &mut after.v4, &before.v4),
            (self.foreign.v6, "IPv6", &mut after.v6, &before.v6),
        ] {
            if foreign && after != before {
                after.clone_from(before);
                at.warnings.push(format!(
                    "{} has a default route of its own for {family}, which stays as it is",
                    self.target.sandbox.name
                ));
            }
        }
        after
    }
}

/// The network as it is now, if it can be connected to. On a dry run, one that would have been made is taken to be there.
fn usable(at: &Preparing<'_, '_>, found: &Network) -> Result<Network, EngineError> {
    let tx = at.tx;
    let network = match tx.network(&found.id)? {
        Some(network) => network,
        None if at.rehearsing => {
            tx.network_put(found)?;
            found.clone()
        }
        None => return Err(EngineError::NoNetwork { name: found.name.to_string(), near: Vec::new() }),
    };
    if tx.network_is_removing(&network.id)? {
        return Err(EngineError::Removing(network.name.into()));
    }
    Ok(network)
}

fn v4_of(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

fn v6_of(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(v6) => Some(v6),
        IpAddr::V4(_) => None,
    }
}
