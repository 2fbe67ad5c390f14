//! What somebody changed of what is ours: found, and put back.
//!
//! To find is to read the records, to look at as much of the host as there is reason to, and to compare
//! ([`pontoon_plan::drift`]). It is done twice: first without keeping anybody waiting; and only if something seems
//! wrong, once more under the writers' lock, when nobody begins or ends anything, so that what is then found is so.
//! What is being made or taken away stands in the journal and is left alone.

mod observe;
mod records;

use std::collections::BTreeSet;
use std::time::Duration;

use pontoon_kernel::execute::Refusal;
use pontoon_kernel::link;
use pontoon_model::diagnose::with_causes;
use pontoon_model::event::{Action, Kind};
use pontoon_model::{EndpointId, NetworkId, NetworkName, News};
use pontoon_netlink::link::{DumpLinks, Link};
use pontoon_plan::Plan;
pub use pontoon_plan::drift::{Code, Drift, Hand};
use pontoon_plan::drift::{Desired, HostNow, Wanted, find};
use pontoon_store::{Recovery, Subject};

use crate::journal::Prepared;
use crate::network::remember_switches;
use crate::observe::{bridge_calls_ip6tables, switch};
use crate::rejoin::Rejoined;
use crate::{Engine, EngineError, Mode, Outcome};
use records::Records;

/// How much is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The tables, whole.
    pub rules: bool,
    /// The host's switches: forwarding, `accept_ra`.
    pub switches: bool,
    /// Links of the host.
    pub links: Links,
    /// The interfaces inside the containers whose links are looked at.
    pub inside: bool,
}

/// Which links are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Links {
    /// None.
    #[default]
    None,
    /// Those of these networks, endpoints and cables.
    Of(BTreeSet<Whose>),
    /// All.
    All,
}

/// Whose links.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A network's: its bridges, and the cables between them.
    Network(NetworkId),
    /// An endpoint's or a cable's: both ends.
    Endpoint(EndpointId),
}

impl Scope {
    /// Everything.
    pub fn everything() -> Self {
        Self { rules: true, switches: true, links: Links::All, inside: true }
    }

    /// The tables alone.
    pub fn rules() -> Self {
        Self { rules: true, ..Self::default() }
    }

    /// The switches alone.
    pub fn switches() -> Self {
        Self { switches: true, ..Self::default() }
    }

    /// The links of one network, endpoint or cable, with the ends inside.
    pub fn links_of(whose: Whose) -> Self {
        Self { links: Links::Of(BTreeSet::from([whose])), inside: true, ..Self::default() }
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rules |= other.rules;
        self.switches |= other.switches;
        self.inside |= other.inside;
        self.links = match (self.links, other.links) {
            (Links::All, _) | (_, Links::All) => Links::All,
            (Links::None, links) | (links, Links::None) => links,
            (Links::Of(mut some), Links::Of(others)) => {
                some.extend(others);
                Links::Of(some)
            }
        };
        self
    }

    /// Whether nothing is looked at.
    pub fn is_empty(&self) -> bool {
        !self.rules && !self.switches && self.links == Links::None
    }
}

/// Something that was not as we made it, and what became of it.
#[derive(Debug)]
pub struct Repair {
    /// What was found.
    pub drift: Drift,
    /// What was done about it.
    pub done: Done,
}

/// What was done about something that was not as we made it.
#[derive(Debug)]
pub enum Done {
    /// It is as it was made.
    Repaired,
    /// Nothing: its network is to stay as somebody changed it.
    Kept,
    /// Nothing, since nothing can be done without touching what is somebody else's.
    Left,
    /// Nothing: it was put back again and again, and somebody changed it each time. It is left alone for so long.
    Paused(Duration),
    /// It could not be put back, and all of the attempt was undone.
    Failed(EngineError),
}

/// What `restore` did.
#[derive(Debug, Default)]
pub struct Restored {
    /// Networks whose bridges were not there.
    pub networks: Vec<NetworkName>,
    /// Everything that was not as we made it.
    pub repairs: Vec<Repair>,
    /// Containers that their engines had started anew.
    pub rejoined: Vec<Rejoined>,
}

impl Engine {
    /// What is not as we made it. Changes nothing.
    ///
    /// # Errors
    ///
    /// If the state cannot be read or the kernel does not tell.
    pub fn drift(&mut self, scope: &Scope) -> Result<Vec<Drift>, EngineError> {
        match self.compare(scope) {
            Ok(found) if found.is_empty() => return Ok(found),
            // The ruleset changed all the time.
            Ok(_) | Err(EngineError::Refusal(Refusal::Kernel(_))) => {}
            Err(error) => return Err(error),
        }
        let guard = self.exclusive()?;
        let found = self.compare(scope);
        drop(guard);
        found
    }

    /// Puts back what is not as we made it, each thing for itself: what fails is undone and does not hinder the rest.
    /// `by` is who did it, where that is known.
    ///
    /// # Errors
    ///
    /// If the state cannot be read or written, or the kernel does not tell.
    pub fn repair(&mut self, scope: &Scope, by: Option<&Hand>) -> Result<Outcome<Vec<Repair>>, EngineError> {
        // Where somebody's hand was seen, something will be found.
        let unsure = self.mode == Mode::Apply && by.is_none();
        if unsure && self.compare(scope).is_ok_and(|found| found.is_empty()) {
            return Ok(Outcome { value: Vec::new(), plan: Plan::default() });
        }
        let guard = self.exclusive()?;
        let repaired = self.repair_alone(scope, by, Drift::is_repairable);
        drop(guard);
        repaired
    }

    /// Makes the bridges and rules of all defined networks that the kernel does not have, as after a reboot, puts back
    /// whatever else is not as we made it, and connects the containers as they were that their engines have started anew.
    ///
    /// # Errors
    ///
    /// If the state cannot be read or written, or the kernel does not tell; what was put back before stays.
    pub fn restore(&mut self) -> Result<Outcome<Restored>, EngineError> {
        let guard = self.exclusive()?;
        // A network that is to stay as it is has to be made all the same.
        let wanted =
            |drift: &Drift| drift.is_repairable() || drift.code == Code::BridgeGone && !drift.plan.is_empty();
        let repaired = self.repair_alone(&Scope::everything(), None, wanted).map(|repaired| {
            let value = self.restored(repaired.value);
            self.let_all_through(Outcome { value, plan: repaired.plan })
        });
        drop(guard);
        let mut restored = repaired?;
        restored.value.rejoined = self.rejoin_all()?;
        Ok(restored)
    }

    /// Puts back what is `wanted` of everything that is not as we made it.
    pub(crate) fn repair_those(
        &mut self,
        wanted: impl Fn(&Drift) -> bool,
    ) -> Result<Vec<Repair>, EngineError> {
        let guard = self.exclusive()?;
        let repaired = self.repair_alone(&Scope::everything(), None, &wanted);
        drop(guard);
        let mut all = repaired?.value;
        all.retain(|repair| wanted(&repair.drift));
        Ok(all)
    }

    fn restored(&mut self, repairs: Vec<Repair>) -> Restored {
        let mut networks: Vec<NetworkName> = Vec::new();
        for Repair { drift, done } in &repairs {
            match (done, &drift.network) {
                (Done::Repaired, Some(network))
                    if drift.code == Code::BridgeGone && !networks.contains(network) =>
                {
                    networks.push(network.clone());
                }
                (Done::Failed(error), _) => self.warn(not_repaired(drift, error)),
                (Done::Left, _) => self.warn(drift.found.clone()),
                _ => {}
            }
        }
        Restored { networks, repairs, rejoined: Vec::new() }
    }

    /// Brings the tables back that somebody took away.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn bring_back_rules(&mut self) -> Result<Plan, EngineError> {
        let guard = self.exclusive()?;
        let gone = |drift: &Drift| drift.code == Code::RulesGone;
        let repaired = self.repair_alone(&Scope::rules(), None, gone);
        drop(guard);
        let Outcome { value, plan } = repaired?;
        for Repair { done, .. } in value {
            match done {
                Done::Failed(error) => return Err(error),
                Done::Repaired if self.mode == Mode::Apply => {
                    self.warn("somebody had taken Pontoon's firewall rules away: they are there again");
                }
                _ => {}
            }
        }
        Ok(plan)
    }

    /// Puts back what is `wanted` of what is not as we made it. The caller holds the writers' lock.
    fn repair_alone(
        &mut self,
        scope: &Scope,
        by: Option<&Hand>,
        wanted: impl Fn(&Drift) -> bool,
    ) -> Result<Outcome<Vec<Repair>>, EngineError> {
        let mut all = Outcome { value: Vec::new(), plan: Plan::default() };
        for mut drift in self.compare(scope)? {
            drift.by = by.cloned();
            let done = match drift.kept {
                _ if wanted(&drift) => self.put_back(&drift, &mut all.plan),
                true => Done::Kept,
                false => Done::Left,
            };
            all.value.push(Repair { drift, done });
        }
        Ok(all)
    }

    fn put_back(&mut self, drift: &Drift, plan: &mut Plan) -> Done {
        let now = self.opened.elapsed();
        if let Some(until) = self.fights.paused(drift, now) {
            return Done::Paused(until.saturating_sub(now));
        }
        let done = self.change(
            |at| {
                remember_switches(at.tx, &drift.plan)?;
                let what = format!("put back what somebody changed: {}", drift.found);
                let plan = drift.plan.clone();
                Ok(Prepared { value: (), plan, subject: Subject::Prune, recovery: Recovery::Undo, what })
            },
            |_, ()| Ok(()),
        );
        // Held on to, a namespace would outlive its processes.
        drift.plan.namespaces().into_iter().for_each(|id| self.executor.release(id));
        match done {
            Ok(done) => {
                plan.append(done.plan);
                // Once more is once too often: it was put back, and the next time it is not.
                self.fights.note(drift, now);
                self.tell([news(Action::Repair, drift)]);
                Done::Repaired
            }
            Err(error) => Done::Failed(error),
        }
    }

    /// All links of the host.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn links(&mut self) -> Result<Vec<Link>, EngineError> {
        Ok(link::list(self.executor.host(), &DumpLinks::default())?)
    }

    /// Whether somebody was working at something when the host was last looked at: that was left alone, and is to be
    /// looked at again when he is done.
    pub fn met_others(&self) -> bool {
        self.met_others
    }

    /// When something that is left alone for a while is to be looked at again.
    pub fn next_look(&self) -> Option<Duration> {
        let now = self.opened.elapsed();
        self.fights.next(now).map(|until| until.saturating_sub(now))
    }

    /// Looks and compares.
    pub(crate) fn compare(&mut self, scope: &Scope) -> Result<Vec<Drift>, EngineError> {
        let records = self.store.read(|tx| Records::read(tx, scope))?;
        self.met_others = records.met_others;
        let now = self.host_now(&records)?;
        let (segments, endpoints) = (records.segments(), records.endpoints());
        let (published, cables) = (records.published(), records.cables());
        let instance = self.root.instance.clone();
        let more = records.more(&instance);
        let desired = Desired {
            instance: &instance,
            networks: &records.networks,
            segments: &segments,
            endpoints: &endpoints,
            published: &published,
            cables: &cables,
            more: &more,
            switched: &records.switched,
            busy: &records.busy,
        };
        let wanted = match *scope == Scope::rules() {
            true => Wanted::of_rules(&desired, now),
            false => Wanted::of(&desired, now),
        };
        let seen = self.see(scope, &records, &wanted)?;
        Ok(find(&wanted, &seen))
    }

    fn host_now(&mut self, records: &Records) -> Result<HostNow, EngineError> {
        let ipv6 = records.networks.iter().any(|network| network.v6.is_some());
        let off = ipv6 && !switch(pontoon_plan::network::IPV6_FORWARD);
        let ra_uplinks = if off { self.ra_uplinks()? } else { Vec::new() };
        Ok(HostNow { ra_uplinks, bridge_calls_ip6tables: bridge_calls_ip6tables() })
    }
}

/// What happened to something that was not as we made it.
pub fn news(action: Action, drift: &Drift) -> News {
    let subject = drift.network.as_ref().map(ToString::to_string);
    let kind = if subject.is_some() { Kind::Network } else { Kind::Host };
    let name = subject.unwrap_or_else(|| drift.object.clone());
    News::new(kind, action, &name)
        .with("name", &name)
        .with("code", drift.code.as_str())
        .with("what", &drift.found)
        .with_some("container", drift.container.as_ref())
        .with_some("by", drift.by.as_ref())
}

/// What is said of something that could not be put back.
pub fn not_repaired(drift: &Drift, error: &EngineError) -> String {
    format!("{}, and cannot be put back: {}", drift.found, with_causes(error))
}
