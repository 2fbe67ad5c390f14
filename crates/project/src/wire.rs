//! Cables, routes and impairments, done by the engine.

use pontoon_compose::converge::{
    FoundCable, Member, Wire, container_at, destination, is_laid, label, reference,
};
use pontoon_compose::project::{CableEnd, Place};
use pontoon_engine::cable::EndSpec;
use pontoon_engine::impair::InterfaceRef;
use pontoon_model::ContainerRef;
use pontoon_model::route::Destination;

use crate::carry::Carrier;
use crate::{ProjectError, Sign, found};

impl Carrier<'_> {
    /// Does one of them.
    pub(crate) fn wire(&mut self, wire: &Wire) -> Result<(), ProjectError> {
        match wire {
            Wire::Unlay { id, ends } => {
                let subject = format!("cable {ends}");
                self.site.with_engine(&subject, self.tell, |engine| engine.unlink_one(id))?;
                self.done(Sign::Removed, &subject, String::new(), &[]);
            }
            Wire::Lay { cable } => self.lay(*cable)?,
            Wire::RemoveRoute { member, route } => {
                let (subject, meant) = self.meant(*member);
                let to = Destination::Net(route.to);
                self.site.with_engine(&subject, self.tell, |engine| engine.route_remove(&meant, to))?;
                self.done(Sign::Changed, &subject, format!("no route {route} any more"), &[]);
            }
            Wire::AddRoute { member, route } => {
                let (subject, meant) = self.meant(*member);
                let (to, via, ifname) = (destination(route.to), route.via, route.interface.as_ref());
                let added = self
                    .site
                    .with_engine(&subject, self.tell, |engine| engine.route_add(&meant, to, via, ifname))?;
                self.done(Sign::Changed, &subject, format!("route {}", added.value.route), &[]);
            }
            Wire::Impair { member, network, impairment } => {
                let (subject, meant) = self.meant(*member);
                let network = Some(self.real_name(network));
                let at = InterfaceRef { place: Some(meant), ifname: None, network };
                self.site.with_engine(&subject, self.tell, |engine| engine.impair(&at, Some(*impairment)))?;
                self.done(Sign::Changed, &subject, format!("impaired by {impairment}"), &[]);
            }
            Wire::ImpairCable { cable, impairment } => {
                let Some(there) = self.laid(*cable)? else { return Ok(()) };
                let subject = format!("cable {}", self.ends(*cable));
                let at = InterfaceRef::of(ContainerRef::Ours(there.cable.id.to_string()));
                self.site.with_engine(&subject, self.tell, |engine| engine.impair(&at, Some(*impairment)))?;
                self.done(Sign::Changed, &subject, format!("impaired by {impairment}"), &[]);
            }
        }
        Ok(())
    }

    fn meant(&self, member: usize) -> (String, ContainerRef) {
        let Member { name, runtime, .. } = &self.members[member];
        (name.clone(), reference(runtime, name.clone()))
    }

    fn lay(&mut self, cable: usize) -> Result<(), ProjectError> {
        let wanted = &self.project.cables[cable];
        let subject = format!("cable {}", self.ends(cable));
        let [first, second] = [0, 1].map(|end| self.end(&wanted.ends[end]));
        let labels = [(label::PROJECT.to_owned(), self.project.name.clone())].into();
        let lay = |engine: &mut pontoon_engine::Engine| engine.link(&first, &second, wanted.mtu, labels);
        self.site.with_engine(&subject, self.tell, lay)?;
        self.done(Sign::Added, &subject, String::new(), &[]);
        Ok(())
    }

    fn end(&self, end: &CableEnd) -> EndSpec {
        let name = container_at(self.project, end);
        EndSpec {
            place: name.map(|name| match self.members.iter().find(|member| member.name == name) {
                Some(member) => reference(&member.runtime, name),
                None => ContainerRef::Ours(name),
            }),
            ifname: end.ifname.clone(),
            addresses: end.addresses.clone(),
            gateway: end.gateway,
        }
    }

    /// `web:eth1 db`
    fn ends(&self, cable: usize) -> String {
        let end = |end: &CableEnd| {
            let place = match &end.place {
                Place::Host => "host",
                Place::Service(name) => name.as_str(),
            };
            end.ifname.as_ref().map_or_else(|| place.to_owned(), |ifname| format!("{place}:{ifname}"))
        };
        let [first, second] = &self.project.cables[cable].ends;
        format!("{} {}", end(first), end(second))
    }

    /// The cable as it was laid.
    fn laid(&self, cable: usize) -> Result<Option<FoundCable>, ProjectError> {
        let reader = self.site.reader()?;
        let containers = found::containers(&reader, &self.project.name, self.members)?;
        let there = found::wires(&reader, &containers)?.cables;
        let wanted = &self.project.cables[cable];
        Ok(there.into_iter().find(|one| is_laid(self.project, wanted, one)))
    }
}
