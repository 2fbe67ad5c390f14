//! The daemon's main thread, from its start to its end.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pontoon_dns::upstreams::Domain;
use pontoon_engine::drift::{Code, Done, Repair, not_repaired};
use pontoon_engine::event::EventLog;
use pontoon_engine::notice::{self, Answer, Request, Status, Upstream};
use pontoon_engine::rejoin::Rejoined;
use pontoon_engine::{Engine, Mode, Root, drift, root as engine};
use pontoon_kernel::control::{Conversation, Listener};
use pontoon_kernel::signal::Signals;
use pontoon_model::config::NamesConfig;
use pontoon_model::diagnose::with_causes;
use pontoon_model::event::Action;
use pontoon_model::op::{LinkOp, Op};
use pontoon_model::{EndpointId, IfName, News};
use pontoon_plan::drift::Drift;
use pontoon_store::Store;
use rustix::event::{PollFd, PollFlags, Timespec};
use tracing::{debug, error, info, warn};

use crate::desk::Desk;
use crate::engines::Engines;
use crate::figures::{self, Problems};
use crate::inbox::Inbox;
use crate::metrics::DriftCounters;
use crate::names::{self, Names};
use crate::notify::Notifier;
use crate::overlaps::Overlaps;
use crate::watch::{self, Report, Watch};
use crate::{DaemonError, Options, activation, dns, privileges};

/// How often the records are looked at for what nobody said.
const ROUND: Duration = Duration::from_secs(1);
/// Signals that end it, and one that has it read everything again. Source: signal(7).
const TERMINATE: [i32; 2] = [2, 15];
const HANGUP: i32 = 1;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Serves until it is told to end, by a signal or [`Request::Stop`], or nobody needs it any more.
///
/// # Errors
///
/// If another one runs, the state cannot be read, or a thread cannot be started. What is wrong with a single network is
/// told to whoever uses it, and tried again.
pub fn run(root: &Root, options: &Options) -> Result<(), DaemonError> {
    // First of all: it has a number that anything else would get.
    let passed = activation::control_socket()?;
    // Commands, which take over whatever nobody listens at, name nothing.
    let given_by_systemd = passed.is_some() && std::env::var_os("LISTEN_FDNAMES").is_some();
    let wait = |what| move |errno| DaemonError::Wait { what, errno };
    // Started from `/proc/self/exe`, it would be called that.
    rustix::thread::set_name(c"pontoon").map_err(wait("name the process"))?;
    let signals = Signals::block(TERMINATE.into_iter().chain([HANGUP])).map_err(wait("block signals"))?;
    let mut root = root.clone();
    root.daemon = engine::Daemon::Itself;
    let root = &root;
    // Before anything is opened: whether that is allowed, and what killed commands left.
    drop(Engine::open(root.clone(), Mode::Apply)?);
    let store = Store::open(&root.dirs)?;
    let mut desk = Desk::new(listener(root, passed)?);
    if let Some(group) = options.group {
        desk.share_with(group)?;
    }
    let ended = attend(root, options, store, &signals, &mut desk);
    // Whoever asked for the end sees that it has come.
    desk.close(given_by_systemd);
    ended
}

fn attend(
    root: &Root,
    options: &Options,
    store: Store,
    signals: &Signals,
    desk: &mut Desk,
) -> Result<(), DaemonError> {
    if let Err(error) = privileges::give_up() {
        // In a container, or another's user namespace, there may be less to give up than that takes.
        warn!("privileges that are not needed could not be given up: {error}");
    }
    let on_demand = options.idle.is_some();
    let server = Arc::new(dns::Server::start(asking(root.config()?.names))?);
    let inbox = Inbox::open().map_err(|errno| DaemonError::Wait { what: "open an eventfd", errno })?;
    let watch = Watch::start(root.clone(), watch::Options { repair: options.repair }, inbox.sender())?;
    let engines = options.repair.then(|| Engines::start(root.clone(), inbox.sender())).transpose();
    let engines = engines.map_err(DaemonError::Thread)?;
    let (counters, problems) = (Arc::new(DriftCounters::default()), Problems::default());
    let figures = options.metrics.as_ref().map(|address| {
        figures::serve(address, root, Arc::clone(&server), Arc::clone(&counters), Arc::clone(&problems))
    });
    let figures = figures.transpose()?;
    if options.idle.is_none() {
        restore(root)?;
    }
    let mut daemon = Daemon {
        names: Names::open(store, server)?,
        inbox,
        overlaps: Overlaps::new(root.clone()),
        events: EventLog::of(root),
        notifier: Notifier::of_this_process(),
        counters,
        problems,
        needed: Instant::now(),
        started: Instant::now(),
        began: notice::seconds(SystemTime::now()),
        repairs: options.repair,
        on_demand,
        stopping: false,
    };
    let (containers, networks) = daemon.names.count();
    info!("version {VERSION}: {containers} containers on {networks} networks have names");
    daemon.tell(News::daemon(Action::Start, std::process::id(), VERSION));
    let ended = daemon.serve(desk, signals, options);
    // It is about to be seen.
    let _ = daemon.notifier.stopping();
    daemon.tell(News::daemon(Action::Stop, std::process::id(), VERSION));
    drop(engines);
    watch.stop();
    drop(figures);
    info!("ended");
    ended
}

/// Makes what is defined and not there, as after a boot: beside the main thread, which those are waiting for who hold the
/// lock that this takes.
fn restore(root: &Root) -> Result<(), DaemonError> {
    let root = root.clone();
    let restore = move || {
        let restored = Engine::open(root, Mode::Apply).and_then(|mut engine| engine.restore());
        match restored {
            Ok(restored) => {
                restored.value.networks.iter().for_each(|network| info!("network {network} is there again"));
            }
            Err(error) => error!("networks could not be restored: {}", with_causes(&error)),
        }
    };
    let thread = std::thread::Builder::new().name("pontoon-restore".to_owned()).spawn(restore);
    thread.map(drop).map_err(DaemonError::Thread)
}

/// How names are asked for that are no container's.
fn asking(names: NamesConfig) -> dns::Options {
    let mut options = dns::Options::default();
    let domain = |(name, servers)| Domain { name, servers };
    options.domains = names.domains.into_iter().map(domain).collect();
    options.forward.mixed_case = names.mixed_case;
    options
}

/// The socket: one that was handed over, as systemd and commands do, or a new one.
fn listener(root: &Root, passed: Option<OwnedFd>) -> Result<Listener, DaemonError> {
    let path = notice::socket(root);
    if let Some(fd) = passed {
        return Ok(Listener::adopt(fd, &path)?);
    }
    if Conversation::connect(&path).is_ok() {
        return Err(DaemonError::Running);
    }
    Ok(Listener::bind(&path)?)
}

struct Daemon {
    names: Names,
    inbox: Inbox,
    overlaps: Overlaps,
    events: EventLog,
    notifier: Notifier,
    counters: Arc<DriftCounters>,
    problems: Problems,
    /// When somebody needed it last.
    needed: Instant,
    started: Instant,
    /// The same in seconds since 1970.
    began: u64,
    repairs: bool,
    on_demand: bool,
    stopping: bool,
}

impl Daemon {
    fn serve(&mut self, desk: &mut Desk, signals: &Signals, options: &Options) -> Result<(), DaemonError> {
        let mut looked = Instant::now();
        while !self.stopping {
            let round = ROUND.saturating_sub(looked.elapsed());
            self.wait(desk, signals, self.overlaps.due().map_or(round, |due| due.min(round)))?;
            while let Some(signal) =
                signals.next().map_err(|errno| DaemonError::Wait { what: "read a signal", errno })?
            {
                match signal.number {
                    HANGUP => self.names.refresh()?,
                    _ => self.stopping = true,
                }
            }
            self.inbox.take().into_iter().try_for_each(|report| self.heed(report))?;
            self.overlaps.look().into_iter().for_each(|news| self.tell(news));
            desk.attend(Instant::now(), |request| self.answer(request));
            if looked.elapsed() >= ROUND {
                looked = Instant::now();
                self.names.refresh()?;
                self.names.retry();
                *self.problems.lock().unwrap_or_else(PoisonError::into_inner) = self.names.failures();
            }
            if !self.names.is_idle() || !desk.is_quiet() {
                self.needed = Instant::now();
            }
            self.stopping |= options.idle.is_some_and(|idle| self.needed.elapsed() >= idle);
        }
        Ok(())
    }

    fn wait(&self, desk: &Desk, signals: &Signals, limit: Duration) -> Result<(), DaemonError> {
        let mut wanted: Vec<PollFd<'_>> = desk
            .descriptors()
            .chain([signals.as_fd(), self.inbox.as_fd()])
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let limit = Timespec::try_from(limit).expect("a second or less");
        let waited = rustix::io::retry_on_intr(|| rustix::event::poll(&mut wanted, Some(&limit)));
        waited.map(drop).map_err(|errno| DaemonError::Wait { what: "wait", errno })
    }

    fn answer(&mut self, request: Request) -> Answer {
        debug!("asked: {request:?}");
        match request {
            Request::Heed(notices) => {
                self.needed = Instant::now();
                let mut warnings = Vec::new();
                for notice in &notices {
                    match self.names.heed(notice) {
                        Ok(said) => warnings.extend(said),
                        Err(error) => warnings.push(format!("the daemon could not read the state: {error}")),
                    }
                }
                Answer { warnings, ..Answer::default() }
            }
            Request::Status => Answer { status: Some(self.status()), ..Answer::default() },
            Request::Stop => {
                self.stopping = true;
                Answer { resting: true, ..Answer::default() }
            }
            Request::Rest => {
                self.stopping |= self.on_demand && self.names.refresh().is_ok() && self.names.is_idle();
                Answer { resting: self.stopping, ..Answer::default() }
            }
        }
    }

    fn status(&self) -> Status {
        let ((containers, networks), statistics) = (self.names.count(), self.names.statistics());
        let upstream = |upstream: &dns::Upstream| Upstream {
            server: upstream.server.to_string(),
            works: upstream.state.map(|state| state.works),
            round_trip_ms: upstream
                .state
                .and_then(|state| state.round_trip)
                .map(|trip| trip.as_secs_f64() * 1e3),
            answers: upstream.state.map_or(0, |state| state.answers),
            timeouts: upstream.state.map_or(0, |state| state.timeouts),
        };
        let mut served = self.names.list();
        // An answer is a single message.
        served.truncate(Status::MOST_NETWORKS);
        Status {
            pid: std::process::id(),
            version: VERSION.to_owned(),
            started: self.began,
            uptime_seconds: self.started.elapsed().as_secs(),
            on_demand: self.on_demand,
            repairs: self.repairs,
            networks,
            containers,
            questions: statistics.queries,
            served,
            upstreams: statistics.upstreams.iter().map(upstream).collect(),
        }
    }

    /// Does what follows from what the watch has seen.
    fn heed(&mut self, report: Report) -> Result<(), DaemonError> {
        match report {
            Report::Ready => self.ready(),
            Report::Missed => {
                warn!("more happened on the host than could be followed: all is looked at again");
                self.overlaps.something_came();
            }
            Report::Failed(error) => error!("the host could not be looked at: {}", with_causes(&error)),
            Report::LinkGone { name, endpoint } => {
                debug!("link {name} of endpoint {} is gone", endpoint.short());
                self.gone(&name, &endpoint)?;
            }
            Report::Rejoined(Rejoined { container, links }) => {
                info!("{container} was started anew, and is connected as it was");
                links.iter().try_for_each(|link| self.names.link_came_back(link))?;
            }
            Report::RouteAppeared(route) => {
                debug!("a new route to {}", route.destination);
                self.overlaps.something_came();
            }
            Report::Drift(drift) => {
                warn!("{}{}", drift.found, by(&drift));
                self.counters.found();
                self.counters.kept();
                self.tell(drift::news(Action::Drift, &drift));
            }
            Report::Repair { repair, took } => self.repaired(&repair, took)?,
        }
        Ok(())
    }

    /// All is there that is to be there.
    fn ready(&self) {
        debug!("the host is watched");
        let (containers, _) = self.names.count();
        if let Err(error) = self.notifier.ready(&format!("{containers} containers have names")) {
            warn!("the service manager does not hear: {error}");
        }
    }

    fn repaired(&mut self, repair: &Repair, took: Duration) -> Result<(), DaemonError> {
        let Repair { drift, done } = repair;
        self.counters.found();
        match done {
            // The engine has told of it.
            Done::Repaired => {
                self.counters.repaired();
                info!("{}{}: put back after {took:.1?}", drift.found, by(drift));
                return self.came_back(drift);
            }
            Done::Failed(error) => {
                self.counters.failed();
                error!("{}", not_repaired(drift, error));
            }
            Done::Kept | Done::Left => {
                self.counters.kept();
                warn!("{}{}: left as it is", drift.found, by(drift));
            }
            Done::Paused(time) => {
                self.counters.kept();
                warn!("{}{}: put back too often, and left alone for {time:.0?}", drift.found, by(drift));
            }
        }
        self.tell(drift::news(Action::Drift, drift));
        Ok(())
    }

    /// Names that went with a link come back with it, and sockets with a bridge.
    fn came_back(&mut self, drift: &Drift) -> Result<(), DaemonError> {
        for op in drift.plan.ops() {
            match op {
                Op::Link(LinkOp::AddVeth { name, .. }) if names::exists(name) => {
                    self.names.link_came_back(name)?
                }
                Op::Link(LinkOp::AddBridge { name, .. }) if drift.code == Code::BridgeGone => {
                    self.names.bridge_appeared(name.as_str());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes note of a link's end, unless it is there again: a repair may be told of before the loss, if it was found in
    /// passing.
    fn gone(&mut self, name: &str, endpoint: &EndpointId) -> Result<(), DaemonError> {
        match name.parse::<IfName>() {
            Ok(name) if !names::exists(&name) => Ok(self.names.link_gone(name, endpoint)?),
            // One that is no interface's name is none of ours.
            _ => Ok(()),
        }
    }

    fn tell(&self, news: News) {
        if let Err(error) = self.events.tell([news]) {
            warn!("what happened could not be written down for `events`: {error}");
        }
    }
}

fn by(drift: &Drift) -> String {
    drift.by.as_ref().map_or_else(String::new, |hand| format!(", by {hand}"))
}
