//! What leaves an interface is made slower, later or less.

use pontoon_kernel::execute::{foreign, is_ours};
use pontoon_model::endpoint::Cable;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{IfName, Impairment};
use pontoon_plan::Plan;
use pontoon_plan::impair::{self, Impair};
use pontoon_store::{Recovery, Subject, Tx};

use crate::journal::{Prepared, Preparing};
use crate::plug::{self, Interface};
use crate::report::{Reader, ReportError};
use crate::{Engine, EngineError, Outcome};

pub use crate::plug::InterfaceRef;

/// An interface and what leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impaired {
    /// The container's name; none is the host.
    pub container: Option<String>,
    /// The interface.
    pub ifname: IfName,
    /// What it is impaired by.
    pub impairment: Impairment,
}

impl Impaired {
    fn of(interface: &Interface, impairment: Impairment) -> Self {
        let container = interface.sandbox.as_ref().map(|sandbox| sandbox.name.to_string());
        Self { container, ifname: interface.ifname.clone(), impairment }
    }
}

impl Engine {
    /// Impairs what leaves an interface, or both ends of a cable; what was set before is replaced, with no moment in
    /// which nothing is set. `None` takes all of it away.
    ///
    /// # Errors
    ///
    /// If there is no such interface, or several and none was named; if somebody else has a queueing discipline there;
    /// if the kernel lacks what it takes, or refuses, after undoing everything.
    pub fn impair(
        &mut self,
        target: &InterfaceRef,
        wanted: Option<Impairment>,
    ) -> Result<Outcome<Vec<Impaired>>, EngineError> {
        let now = wanted.unwrap_or_default();
        now.check()?;
        let interfaces = self.interfaces(target)?;
        let sandboxes = interfaces.iter().filter_map(|interface| interface.sandbox.as_ref());
        let namespaces: Vec<NetnsId> = sandboxes.map(|sandbox| sandbox.netns).collect();
        self.alone_with(&namespaces, |engine| engine.impair_all(&interfaces, now))
    }

    fn impair_all(
        &mut self,
        interfaces: &[Interface],
        now: Impairment,
    ) -> Result<Outcome<Vec<Impaired>>, EngineError> {
        let instance = self.instance().clone();
        self.change(
            |at| {
                let mut plan = Plan::default();
                for interface in interfaces {
                    check(at, interface, &now)?;
                    let before = at.tx.impairment(&interface.plug)?;
                    plan.append(impair::change(&Impair {
                        instance: &instance,
                        netns: &interface.netns(),
                        link: &interface.ifname,
                        mtu: interface.mtu,
                        whose: &interface.whose(),
                        before,
                        now,
                    }));
                }
                let subject = Subject::Interface(interfaces[0].plug.of.clone());
                let value = interfaces.iter().map(|interface| Impaired::of(interface, now)).collect();
                let what = format!("impair {} of {}", interfaces[0].ifname, interfaces[0].whose());
                Ok(Prepared { value, plan, subject, recovery: Recovery::Undo, what })
            },
            |tx, _| {
                for interface in interfaces {
                    interface.check(tx)?;
                    tx.impairment_put(&interface.plug, &now)?;
                }
                Ok(())
            },
        )
    }
}

/// Refuses what could not be done, before anything is: somebody else's queueing discipline at the link.
fn check(at: &mut Preparing<'_, '_>, interface: &Interface, now: &Impairment) -> Result<(), EngineError> {
    interface.check(at.tx)?;
    if now.rate.is_none() && now.delay.is_none() {
        return Ok(());
    }
    match at.executor.qdisc(&interface.netns(), &interface.ifname)? {
        Some(found) if !is_ours(&found) => Err(foreign(&interface.ifname, &found).into()),
        _ => Ok(()),
    }
}

/// The steps that take away what an endpoint's end that is deleted leaves in its namespace.
pub(crate) fn forget(
    tx: &Tx<'_>,
    instance: &pontoon_plan::Instance,
    interface: &Interface,
) -> Result<Plan, EngineError> {
    Ok(impair::forget(&Impair {
        instance,
        netns: &interface.netns(),
        link: &interface.ifname,
        mtu: interface.mtu,
        whose: &interface.whose(),
        before: tx.impairment(&interface.plug)?,
        now: Impairment::default(),
    }))
}

/// The same of both ends of a cable.
pub(crate) fn forget_cable(
    tx: &Tx<'_>,
    instance: &pontoon_plan::Instance,
    cable: &Cable,
) -> Result<Plan, EngineError> {
    let mut plan = Plan::default();
    for end in plug::of_cable(tx, cable)? {
        plan.append(forget(tx, instance, &end)?);
    }
    Ok(plan)
}

impl Reader {
    /// What the interfaces that are meant are impaired by: all of a container's where none is named, both of a cable's.
    ///
    /// # Errors
    ///
    /// If there is no such container or interface, or the state cannot be read.
    pub fn impairments(&self, target: &InterfaceRef) -> Result<Vec<Impaired>, ReportError> {
        self.read(|tx| {
            let interfaces = plug::recorded(tx, target)?;
            let read = |interface: &Interface| Ok(Impaired::of(interface, tx.impairment(&interface.plug)?));
            interfaces.iter().map(read).collect()
        })
    }
}
