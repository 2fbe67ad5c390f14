//! What it costs to publish ports: along with an attach, and one more beside others.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pontoon_engine::Root;
use pontoon_model::publish::{HostPorts, Protocol, PublishSpec};

use crate::attach::{Attach as _, Cold, InProcess};
use crate::connections::FEW;
use crate::error::BenchError;
use crate::place::Place;
use crate::program;
use crate::rates::turns;
use crate::samples::Samples;
use crate::scale::Scale;

/// How many ports come with an attach.
pub(crate) const ALONG: u16 = 100;
/// The first of them.
const FIRST: u16 = 8000;

/// Ports that come with an attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    /// None.
    Nothing,
    /// As one range.
    Range,
    /// Each by itself, with a gap to the next.
    Scattered,
}

impl Along {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Range, Self::Scattered];

    /// What a reader calls it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Nothing => "no ports".into(),
            Self::Range => format!("{ALONG} ports as a range"),
            Self::Scattered => format!("{ALONG} ports one by one"),
        }
    }

    fn specs(self) -> Vec<PublishSpec> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Range => vec![range(FIRST, ALONG)],
            Self::Scattered => scattered(FIRST, ALONG),
        }
    }

    /// The same as words of the command.
    fn words(self) -> Vec<String> {
        let word = |spec: &PublishSpec| {
            let (first, last) = (spec.container, spec.container + (spec.count - 1));
            let text = match spec.host {
                HostPorts::Exactly(host) if spec.count == 1 => format!("{host}:{first}"),
                _ => format!("{first}-{last}:{first}-{last}"),
            };
            ["-p".to_owned(), text]
        };
        self.specs().iter().flat_map(word).collect()
    }
}

fn range(first: u16, count: u16) -> PublishSpec {
    PublishSpec {
        address: None,
        protocol: Protocol::Tcp,
        host: HostPorts::Exactly(first),
        container: first,
        count,
    }
}

/// Every other port, all to port 80: none of them can be put together with another.
fn scattered(first: u16, count: u16) -> Vec<PublishSpec> {
    let one = |step| PublishSpec { container: 80, ..range(first + 2 * step, 1) };
    (0..count).map(one).collect()
}

/// What an attach costs with some ports, and what its end costs.
#[derive(Debug)]
pub(crate) struct Attached {
    /// Which ports.
    pub(crate) along: Along,
    /// In process.
    pub(crate) engine: [Samples; 2],
    /// By the command.
    pub(crate) cold: [Samples; 2],
}

/// Measures attaches without ports and with them, in turns.
pub(crate) fn attach(scale: &Scale) -> Result<Vec<Attached>, BenchError> {
    const NETWORK: &str = "along";
    let mut engine = InProcess::create(NETWORK, &["10.203.0.0/16"])?;
    let mut cold = Cold::on(NETWORK)?;
    let place = Place::new("along")?;
    let specs = Along::ALL.map(|along| (along.specs(), along.words()));
    let mut times: [[Vec<Duration>; 4]; 3] = Default::default();
    for round in 0..scale.samples {
        for index in turns(round, specs.len()) {
            let ((specs, words), times) = (&specs[index], &mut times[index]);
            times[0].push(engine.connect_with(&place.name, specs)?.0);
            times[1].push(engine.detach(&place.name)?);
            place.reset()?;
            let mut command = cold.command("connect", &place.name);
            times[2].push(program::run(command.args(words))?);
            times[3].push(cold.detach(&place.name)?);
            place.reset()?;
        }
    }
    let samples = |times: [Vec<Duration>; 4]| times.map(Samples::new);
    let measured = Along::ALL.into_iter().zip(times).map(|(along, times)| {
        let [attach, detach, cold_attach, cold_detach] = samples(times);
        Attached { along, engine: [attach, detach], cold: [cold_attach, cold_detach] }
    });
    Ok(measured.collect())
}

/// Who else has published ports when one more is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// The same container, few.
    Few,
    /// The same container, as one range.
    Range,
    /// The same container, few; others, a hundred each.
    Others,
    /// The same container, each by itself.
    Scattered,
}

impl Crowd {
    /// All of them.
    const ALL: [Self; 4] = [Self::Few, Self::Range, Self::Others, Self::Scattered];

    /// What a reader calls it; `many` are many.
    pub(crate) fn beside(self, many: u16) -> String {
        match self {
            Self::Few => format!("beside {FEW} of the same container"),
            Self::Range => format!("beside a range of {many} of the same container"),
            Self::Others => format!("beside {many} of others"),
            Self::Scattered => format!("beside {many} single ones of the same container"),
        }
    }

    /// The name of its instance.
    fn name(self) -> &'static str {
        match self {
            Self::Few => "few",
            Self::Range => "range",
            Self::Others => "others",
            Self::Scattered => "scattered",
        }
    }
}

/// What one more published port costs.
#[derive(Debug)]
pub(crate) struct OneMore {
    /// Beside what.
    pub(crate) crowd: Crowd,
    /// How many are many.
    pub(crate) many: u16,
    /// In process: to publish it, to withdraw it.
    pub(crate) engine: [Samples; 2],
    /// By the command: to publish it.
    pub(crate) cold: Samples,
}

/// How long the kernel gets to let go of elements: a grace period of RCU, and more.
const LET_GO: Duration = Duration::from_millis(40);
/// Where many ports begin.
const MANY_FIRST: u16 = 10_000;
/// Where the few begin of a container beside which others have many.
const OWN_FIRST: u16 = 9_500;
/// The port that is one more, which none of the others touches.
const EXTRA: u16 = 9_000;

/// An instance with ports published.
struct Shop {
    crowd: Crowd,
    engine: InProcess,
    root: PathBuf,
    place: Place,
    /// Others' namespaces.
    _others: Vec<Place>,
}

impl Shop {
    fn open(crowd: Crowd, many: u16) -> Result<Self, BenchError> {
        let name = crowd.name();
        let root = Path::new("/run").join(format!("ports-{name}"));
        let subnet = format!("10.{}.0.0/16", 212 + crowd as u8);
        let mut engine = InProcess::create_of(Root::at(&root)?, name, &[&subnet])?;
        let place = Place::new(format!("shop-{name}"))?;
        engine.attach(&place.name)?;
        let mut others = Vec::new();
        match crowd {
            Crowd::Few => drop(engine.publish(&place.name, &[range(MANY_FIRST, FEW)])?),
            Crowd::Range => drop(engine.publish(&place.name, &[range(MANY_FIRST, many)])?),
            Crowd::Scattered => drop(engine.publish(&place.name, &scattered(MANY_FIRST, many))?),
            Crowd::Others => {
                // A container's first port costs more, whoever else has some: what lets it reach itself is switched on.
                engine.publish(&place.name, &[range(OWN_FIRST, FEW)])?;
                others = Place::several("other", 0, usize::from(many / ALONG))?;
                let starts = (MANY_FIRST..).step_by(2 * usize::from(ALONG));
                for (other, start) in others.iter().zip(starts) {
                    engine.connect_with(&other.name, &scattered(start, ALONG))?;
                }
            }
        }
        Ok(Self { crowd, engine, root, place, _others: others })
    }

    /// `pontoon publish` of one more.
    fn publish_cold(&self) -> Result<Duration, BenchError> {
        let mut command = Command::new(program::pontoon()?);
        command.arg("--root").arg(&self.root).arg("publish").arg(format!("netns:{}", self.place.name));
        program::run(command.arg(format!("{EXTRA}:80")))
    }
}

/// Measures one more port beside few and many others, in turns.
pub(crate) fn one_more(scale: &Scale) -> Result<Vec<OneMore>, BenchError> {
    let mut shops = Vec::new();
    for crowd in Crowd::ALL {
        shops.push(Shop::open(crowd, scale.many_ports)?);
    }
    let mut times: Vec<[Vec<Duration>; 3]> = shops.iter().map(|_| Default::default()).collect();
    let extra = [PublishSpec { container: 80, ..range(EXTRA, 1) }];
    for round in 0..scale.samples {
        for index in turns(round, shops.len()) {
            let (shop, times) = (&mut shops[index], &mut times[index]);
            // Alone: caches are cold, and the kernel has nothing left to do of the change before.
            std::thread::sleep(LET_GO);
            times[0].push(shop.engine.publish(&shop.place.name, &extra)?);
            times[1].push(shop.engine.unpublish(&shop.place.name, EXTRA)?);
            // Whoever closes a socket of nftables waits until the kernel has let go of what was withdrawn.
            std::thread::sleep(LET_GO);
            times[2].push(shop.publish_cold()?);
            shop.engine.unpublish(&shop.place.name, EXTRA)?;
        }
    }
    let measured = shops.iter().zip(times).map(|(shop, times)| {
        let [publish, withdraw, cold] = times.map(Samples::new);
        OneMore { crowd: shop.crowd, many: scale.many_ports, engine: [publish, withdraw], cold }
    });
    Ok(measured.collect())
}
