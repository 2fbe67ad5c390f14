//! Who is reached from an interface without a router between: over cables and bridges.

use std::collections::BTreeSet;

use pontoon_model::observed::snapshot::{Link, Snapshot};

/// An interface: the place of its namespace in the snapshot, and its number there.
pub(crate) type At = (usize, u32);

/// A part of the way between two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// Over a veth pair.
    Cable { from: At, to: At },
    /// Over a bridge, from one port to another; `None` is the bridge's own interface.
    Bridge { bridge: At, from: Option<u32>, to: Option<u32> },
}

/// An interface that is reached, and how.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    pub(crate) at: At,
    pub(crate) way: Vec<Crossing>,
}

/// All that is reached from an interface.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segment {
    pub(crate) stations: Vec<Station>,
    /// Where it leads out of what was read: hardware, tunnels, cables into namespaces that nobody could name.
    pub(crate) exits: Vec<Station>,
}

/// What is reached by what leaves `at`.
pub(crate) fn segment(snapshot: &Snapshot, at: At) -> Segment {
    let mut walk = Walk { snapshot, seen: BTreeSet::new(), found: Segment::default() };
    walk.leave(at, &[]);
    walk.found
}

/// An interface.
pub(crate) fn link(snapshot: &Snapshot, at: At) -> Option<&Link> {
    snapshot.namespaces.get(at.0)?.link(at.1)
}

/// The other end of a cable, if that was read.
pub(crate) fn peer(snapshot: &Snapshot, at: At) -> Option<At> {
    let peer = link(snapshot, at)?.peer?;
    let namespace = snapshot.by_id(peer.netns?)?;
    link(snapshot, (namespace, peer.index)).map(|_| (namespace, peer.index))
}

struct Walk<'a> {
    snapshot: &'a Snapshot,
    seen: BTreeSet<At>,
    found: Segment,
}

impl Walk<'_> {
    /// What leaves by an interface.
    fn leave(&mut self, at: At, way: &[Crossing]) {
        if !self.seen.insert(at) {
            return;
        }
        let Some(link) = link(self.snapshot, at) else { return };
        match link.kind.as_deref() {
            Some("bridge") => self.flood(at, None, way),
            Some("veth") => match peer(self.snapshot, at) {
                Some(to) => self.arrive(to, &with(way, Crossing::Cable { from: at, to })),
                None => self.found.exits.push(Station { at, way: way.to_vec() }),
            },
            _ => self.found.exits.push(Station { at, way: way.to_vec() }),
        }
    }

    /// What comes in by an interface.
    fn arrive(&mut self, at: At, way: &[Crossing]) {
        if !self.seen.insert(at) {
            return;
        }
        let bridge = link(self.snapshot, at).and_then(|link| link.master).map(|master| (at.0, master));
        match bridge {
            Some(bridge) => {
                let own = with(way, Crossing::Bridge { bridge, from: Some(at.1), to: None });
                self.found.stations.push(Station { at: bridge, way: own });
                self.flood(bridge, Some(at.1), way);
            }
            None => self.found.stations.push(Station { at, way: way.to_vec() }),
        }
    }

    /// What a bridge sends out by its ports, but for the one that it came in by.
    fn flood(&mut self, bridge: At, from: Option<u32>, way: &[Crossing]) {
        let namespace = &self.snapshot.namespaces[bridge.0];
        let ports = namespace.links.iter().filter(|link| link.master == Some(bridge.1));
        for port in ports.filter(|port| Some(port.index) != from) {
            let crossed = with(way, Crossing::Bridge { bridge, from, to: Some(port.index) });
            self.leave((bridge.0, port.index), &crossed);
        }
    }
}

fn with(way: &[Crossing], next: Crossing) -> Vec<Crossing> {
    way.iter().copied().chain([next]).collect()
}
