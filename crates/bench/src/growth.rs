//! What makes the raw attach dearer the more ports a bridge has.

use std::time::Duration;

use pontoon_kernel::socket::Requests;
use pontoon_netlink::link::{BridgeOptions, PortOptions, SetLink};

use crate::error::BenchError;
use crate::floor::{self, BRIDGE, Floor, PARTS, Shape, bridge_options};
use crate::level::Site;
use crate::place::Place;
use crate::samples::Samples;
use crate::scale::ROW;

/// A switch, and what an attach costs with it.
#[derive(Debug)]
pub(crate) struct Switched {
    /// What was switched.
    pub(crate) what: &'static str,
    /// Without it, measured in turns with it.
    pub(crate) without: Samples,
    /// With it.
    pub(crate) with: Samples,
    /// With it, each part.
    pub(crate) parts: Vec<Samples>,
    /// With it, how many frames each other port is sent because of one attach, now and in the next second.
    pub(crate) frames: f64,
}

/// Settings that differ from what the engine does.
struct Variant {
    what: &'static str,
    bridge: BridgeOptions,
    /// Of every port.
    ports: PortOptions,
    shape: Shape,
}

impl Variant {
    fn new(what: &'static str) -> Self {
        Self { what, bridge: bridge_options(), ports: PortOptions::default(), shape: Shape::default() }
    }

    fn shaped(what: &'static str, shape: Shape) -> Self {
        Self { shape, ..Self::new(what) }
    }

    /// Every port, the new one included, has these options.
    fn ported(what: &'static str, ports: PortOptions) -> Self {
        Self { shape: Shape { port: ports.clone(), ..Shape::default() }, ports, ..Self::new(what) }
    }
}

fn variants() -> Vec<Variant> {
    let snooping = BridgeOptions { mcast_snooping: Some(true), ..bridge_options() };
    let flood_off = PortOptions {
        unicast_flood: Some(false),
        mcast_flood: Some(false),
        bcast_flood: Some(false),
        ..PortOptions::default()
    };
    let fixed = Shape { fixed_address: true, ..Shape::default() };
    let not_learning = PortOptions { learning: Some(false), ..PortOptions::default() };
    let suppressing = PortOptions { neigh_suppress: Some(true), ..PortOptions::default() };
    let eui64 = Shape { eui64: true, ..Shape::default() };
    let quiet_eui64 = Shape { port: flood_off.clone(), ..eui64.clone() };
    vec![
        Variant::new("nothing"),
        Variant { bridge: snooping.clone(), ..Variant::new("`mcast_snooping` on") },
        Variant::shaped("`addrgenmode eui64` at both ends (the kernel's default)", eui64.clone()),
        Variant { bridge: snooping, ..Variant::shaped("both of these", eui64) },
        Variant {
            ports: flood_off.clone(),
            ..Variant::shaped("`addrgenmode eui64`, but no port is flooded to", quiet_eui64)
        },
        Variant {
            ports: not_learning.clone(),
            ..Variant::shaped(
                "`learning` off on all ports, a static forwarding entry",
                Shape { port: not_learning, ..fixed },
            )
        },
        Variant::ported("`flood`, `mcast_flood`, `bcast_flood` off on all ports", flood_off),
        Variant::ported("`neigh_suppress` on all ports", suppressing),
        Variant::shaped(
            "`arp_notify` on the container's link",
            Shape { arp_notify: true, ..Shape::default() },
        ),
        Variant::shaped("no bridge: the host end alone", Shape { alone: true, ..Shape::default() }),
    ]
}

/// Rows, not single samples, take turns, since a switch is 1,000 changes.
const ROWS: usize = 3;
/// By then the kernel has sent what it sends of its own accord: its random delays are up to a second.
const AFTERMATH: Duration = Duration::from_millis(1500);

/// Measures each switch at the site's present count of ports.
pub(crate) fn measure(site: &mut Site) -> Result<Vec<Switched>, BenchError> {
    let names = site.filled_by_hand().iter().map(|place| floor::host_end(&place.name)).collect();
    let mut field = Field { floor: &mut site.floor, ports: names, places: Place::several("g", 0, ROW)? };
    variants().into_iter().map(|variant| field.compare(variant)).collect()
}

/// A bridge with many ports, and namespaces that come and go on it.
struct Field<'a> {
    floor: &'a mut Floor,
    ports: Vec<String>,
    places: Vec<Place>,
}

impl Field<'_> {
    fn compare(&mut self, variant: Variant) -> Result<Switched, BenchError> {
        let mut without = Vec::new();
        let mut with = Vec::new();
        let mut parts: [Vec<Duration>; PARTS.len()] = Default::default();
        let mut frames = 0;
        for _ in 0..ROWS {
            self.set(&bridge_options(), &usual_ports())?;
            without.extend(self.row(&Shape::default())?.iter().map(|times| times.iter().sum::<Duration>()));
            self.detach()?;
            self.set(&variant.bridge, &variant.ports)?;
            let before = self.frames()?;
            for times in self.row(&variant.shape)? {
                with.push(times.iter().sum());
                parts.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
            }
            std::thread::sleep(AFTERMATH);
            frames += self.frames()? - before;
            self.detach()?;
        }
        self.set(&bridge_options(), &usual_ports())?;
        Ok(Switched {
            what: variant.what,
            without: Samples::new(without),
            with: Samples::new(with),
            parts: parts.into_iter().map(Samples::new).collect(),
            frames: frames as f64 / (ROW * ROWS) as f64,
        })
    }

    fn row(&mut self, shape: &Shape) -> Result<Vec<floor::Parts>, BenchError> {
        self.places.iter().map(|place| self.floor.attach_as(&place.name, shape)).collect()
    }

    fn detach(&mut self) -> Result<(), BenchError> {
        for place in &self.places {
            self.floor.detach_raw(&place.name)?;
            place.reset()?;
        }
        Ok(())
    }

    /// How many frames the bridge has sent to the last of the ports that stay. To the first ones it sends last, and
    /// with 1,000 ports those frames find the processor's queue full (`net.core.netdev_max_backlog`).
    fn frames(&self) -> Result<u64, BenchError> {
        let Some(port) = self.ports.last() else { return Ok(0) };
        let path = format!("/sys/class/net/{port}/statistics/tx_packets");
        let text = std::fs::read_to_string(path).map_err(BenchError::io("read a port's counter"))?;
        text.trim().parse().map_err(|_| BenchError::Silent("how many frames a port was sent"))
    }

    fn set(&mut self, bridge: &BridgeOptions, ports: &PortOptions) -> Result<(), BenchError> {
        let mut requests = Requests::new();
        requests.set_link(&SetLink { bridge: bridge.clone(), ..SetLink::new(BRIDGE) });
        if *ports != PortOptions::default() {
            for name in &self.ports {
                requests.set_link(&SetLink { port: ports.clone(), ..SetLink::new(name.as_str()) });
            }
        }
        self.floor.socket().run(&mut requests)?;
        Ok(())
    }
}

fn usual_ports() -> PortOptions {
    PortOptions {
        learning: Some(true),
        unicast_flood: Some(true),
        mcast_flood: Some(true),
        bcast_flood: Some(true),
        neigh_suppress: Some(false),
        ..PortOptions::default()
    }
}
