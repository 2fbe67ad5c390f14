//! The watch over the host: what somebody changes of what is ours is noticed, and put back.
//!
//! One thread waits for what the kernel tells ([`pontoon_kernel::watch`]). Most of it is of our own commands' doing and
//! costs a look into what is remembered of links (`watch/memory.rs`); what may be somebody else's has the engine look at
//! as much as it may be about, and put back what is not as it was made. Nothing happens on a host at rest.
//!
//! Threads of ours that change rules must have names that begin with `pontoon`: that is how their transactions are told
//! from others'.

mod memory;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use pontoon_engine::drift::{Code, Done, Drift, Hand, Repair, Scope};
use pontoon_engine::rejoin::Rejoined;
use pontoon_engine::{Engine, EngineError, Mode, Root};
use pontoon_kernel::error::KernelError;
use pontoon_kernel::watch::{Event, Watch as Listener};
use pontoon_model::EndpointId;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use memory::Memory;

/// The thread's name. The kernel tells it to those who listen.
const NAME: &str = "pontoon-watch";
/// How long nothing must happen before it is looked at: one command is many messages.
const QUIET: Duration = Duration::from_millis(2);
/// How long at the most.
const ENOUGH: Duration = Duration::from_millis(20);
/// When to look again at what somebody was working at, or what could not be looked at.
const AGAIN: Duration = Duration::from_millis(500);
/// For how long something that was reported and is still so is not reported again.
const KNOWN: Duration = Duration::from_secs(60);

/// What the watch is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether what is found is put back; if not, it is reported only.
    pub repair: bool,
}

/// A route of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoute {
    /// Where to.
    pub destination: IpNet,
    /// In which routing table.
    pub table: u32,
    /// Out of which interface, if of one.
    pub dev: Option<String>,
    /// Who made it: `RTPROT_…` of rtnetlink(7).
    pub protocol: u8,
}

/// What the watch has to tell, and the thread that looks after containers of other engines.
#[derive(Debug)]
pub enum Report {
    /// It listens, and has looked at everything once.
    Ready,
    /// Something is not as we made it, and nothing is done about it.
    Drift(Drift),
    /// Something was not as we made it, what was done, and how long after the notice.
    Repair {
        /// What was found and done.
        repair: Repair,
        /// From the kernel's message to the end of the repair.
        took: Duration,
    },
    /// The end on the bridge of an endpoint's cable is gone, whoever did it: also when a container ends.
    LinkGone {
        /// Its name.
        name: String,
        /// Whose it was.
        endpoint: EndpointId,
    },
    /// There is a new route of somebody else's.
    RouteAppeared(NewRoute),
    /// A container that its engine had started anew was connected as it was.
    Rejoined(Rejoined),
    /// More happened than could be followed. Everything is looked at.
    Missed,
    /// The host could not be looked at. It is tried again.
    Failed(EngineError),
}

/// Why there is no watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel does not let us listen.
    #[error("could not listen to what happens on the host")]
    Listen(#[from] KernelError),
    /// There is no thread for it.
    #[error("could not start a thread for the watch")]
    Thread(#[source] io::Error),
}

/// A watch that runs, until this is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch the network namespace of the calling thread. From the return of this on nothing is missed.
    ///
    /// `report` is called in the watch's thread; while it runs, nothing is watched.
    ///
    /// # Errors
    ///
    /// Where the kernel does not let us listen, without `CAP_NET_ADMIN`, or there is no thread.
    pub fn start(
        root: Root,
        options: Options,
        report: impl FnMut(Report) + Send + 'static,
    ) -> Result<Self, WatchError> {
        let listener = Listener::open()?;
        let pair = || {
            let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            Ok::<_, Errno>((stop.try_clone().map_err(|_| Errno::MFILE)?, stop))
        };
        let (stopped, stop) = pair().map_err(|errno| WatchError::Thread(errno.into()))?;
        let run = move || {
            let memory = Memory::new(root.instance.clone());
            let mut watching = Watching {
                root,
                options,
                listener,
                stopped,
                engine: None,
                memory,
                again: None,
                paused: None,
                said: BTreeMap::new(),
                report,
            };
            watching.run();
        };
        let thread = thread::Builder::new().name(NAME.to_owned()).spawn(run).map_err(WatchError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it, and waits until it has ended: what it is putting back, it puts back.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It counts to 2⁶⁴: there is room for one more.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // If it has panicked, that was said.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is to be looked at, and why.
#[derive(Debug, Default)]
struct Notice {
    scope: Scope,
    by: Option<Hand>,
}

/// The thread's own.
struct Watching<F> {
    root: Root,
    options: Options,
    listener: Listener,
    stopped: OwnedFd,
    engine: Option<Engine>,
    memory: Memory,
    /// What is to be looked at once more, and when.
    again: Option<(Instant, Notice)>,
    /// When something that is left alone for a while is to be looked at.
    paused: Option<Instant>,
    /// What was reported and is still so, and when.
    said: BTreeMap<(Code, String), Instant>,
    report: F,
}

impl<F: FnMut(Report)> Watching<F> {
    fn run(&mut self) {
        self.remember();
        self.look(Notice { scope: Scope::everything(), by: None }, Instant::now());
        (self.report)(Report::Ready);
        loop {
            let now = Instant::now();
            let due = self.again.as_ref().map(|(due, _)| *due).into_iter().chain(self.paused).min();
            let Some(happened) = self.wait(due.map(|due| due.saturating_duration_since(now))) else { return };
            let noticed = Instant::now();
            if happened {
                let Some(notice) = self.read() else { return };
                self.look(notice, noticed);
            }
            if self.again.as_ref().is_some_and(|(due, _)| *due <= noticed) {
                let (_, notice) = self.again.take().unwrap_or((noticed, Notice::default()));
                self.look(notice, noticed);
            }
            if self.paused.is_some_and(|due| due <= noticed) {
                self.look(Notice { scope: Scope::everything(), by: None }, noticed);
            }
        }
    }

    /// Has something looked at once more in a while.
    fn look_again(&mut self, notice: Notice) {
        let due = Instant::now() + AGAIN;
        self.again = Some(match self.again.take() {
            None => (due, notice),
            Some((due, before)) => {
                (due, Notice { scope: before.scope.and(notice.scope), by: before.by.or(notice.by) })
            }
        });
    }

    /// Waits until something has happened; whether it has. `None` when it is to end.
    fn wait(&self, timeout: Option<Duration>) -> Option<bool> {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let mut fds = [
            PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.stopped.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) if !fds[1].revents().is_empty() => None,
            Ok(_) => Some(!fds[0].revents().is_empty()),
            Err(Errno::INTR) => Some(false),
            Err(_) => None,
        }
    }

    /// Reads until nothing more comes, and says what is to be looked at. `None` when it is to end.
    fn read(&mut self) -> Option<Notice> {
        let (start, mut notice) = (Instant::now(), Notice::default());
        loop {
            let events = match self.listener.read() {
                Ok(events) => events,
                Err(error) => {
                    (self.report)(Report::Failed(error.into()));
                    return None;
                }
            };
            events.into_iter().for_each(|event| self.take(event, &mut notice));
            if start.elapsed() > ENOUGH || !self.wait(Some(QUIET))? {
                return Some(notice);
            }
        }
    }

    fn take(&mut self, event: Event, notice: &mut Notice) {
        let scope = match event {
            Event::Missed => {
                (self.report)(Report::Missed);
                self.remember();
                Scope::everything()
            }
            Event::Rules { tables, by, .. } => {
                if by.name.starts_with("pontoon") || !self.memory.is_about_us(&tables) {
                    return;
                }
                notice.by = Some(Hand { name: by.name, pid: by.pid });
                Scope::rules()
            }
            event => {
                let memory::Heard { scope, gone, route } = self.memory.hear(event);
                if let Some((name, endpoint)) = gone {
                    (self.report)(Report::LinkGone { name, endpoint });
                }
                if let Some(route) = route {
                    (self.report)(Report::RouteAppeared(route));
                }
                scope
            }
        };
        notice.scope = std::mem::take(&mut notice.scope).and(scope);
    }

    /// Takes in all links as they are.
    fn remember(&mut self) {
        let links = self.engine().and_then(|engine| engine.links());
        match links {
            Ok(links) => self.memory.fill(links),
            Err(error) => (self.report)(Report::Failed(error)),
        }
    }

    /// The engine, opened anew where it has failed.
    fn engine(&mut self) -> Result<&mut Engine, EngineError> {
        Ok(match &mut self.engine {
            Some(engine) => engine,
            empty => empty.insert(Engine::open(self.root.clone(), Mode::Apply)?),
        })
    }

    /// Looks, and puts back what is not as it was made.
    fn look(&mut self, notice: Notice, noticed: Instant) {
        if notice.scope.is_empty() {
            return;
        }
        let repair = self.options.repair;
        let looked = self.engine().and_then(|engine| {
            let found = match repair {
                true => engine.repair(&notice.scope, notice.by.as_ref())?.value,
                false => {
                    let left = |mut drift: Drift| {
                        drift.by.clone_from(&notice.by);
                        Repair { drift, done: Done::Kept }
                    };
                    engine.drift(&notice.scope)?.into_iter().map(left).collect()
                }
            };
            // What could be warned of is reported.
            engine.warnings.clear();
            Ok((found, engine.met_others(), engine.next_look()))
        });
        match looked {
            Ok((found, met_others, next)) => {
                self.paused = next.map(|next| Instant::now() + next);
                found.into_iter().for_each(|repair| self.tell(repair, noticed));
                if met_others {
                    self.look_again(notice);
                }
            }
            Err(error) => {
                self.engine = None;
                (self.report)(Report::Failed(error));
                self.look_again(notice);
            }
        }
    }

    fn tell(&mut self, repair: Repair, noticed: Instant) {
        let key = (repair.drift.code, repair.drift.object.clone());
        let now = Instant::now();
        match repair.done {
            Done::Repaired => drop(self.said.remove(&key)),
            _ => {
                let before = self.said.get(&key);
                if before.is_some_and(|before| now.duration_since(*before) < KNOWN) {
                    return;
                }
                self.said.retain(|_, before| now.duration_since(*before) < KNOWN);
                self.said.insert(key, now);
            }
        }
        let report = match self.options.repair {
            true => Report::Repair { repair, took: noticed.elapsed() },
            false => Report::Drift(repair.drift),
        };
        (self.report)(report);
    }
}
