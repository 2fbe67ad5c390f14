//! Containers of Docker and Podman: those that are started anew are connected as they were, and those that are removed
//! lose their places.
//!
//! One thread. As long as such containers are connected it listens to what their engines tell. What nobody told shows by
//! the process in the record, which is gone: that is looked at whenever records have changed, when an engine can be
//! listened to again, and every few seconds where one cannot, as Podman without a socket.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pontoon_engine::container::running;
use pontoon_engine::{Engine, EngineError, Mode, Root};
use pontoon_model::SandboxId;
use pontoon_model::diagnose::with_causes;
use pontoon_model::sandbox::{ProcessId, Sandbox};
use pontoon_oci::{Client, Event, Events, Kind, Next, OciError, What};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use tracing::{debug, warn};

use crate::watch::Report;

/// The thread's name. Its transactions are told from others' by its beginning.
const NAME: &str = "pontoon-engines";
/// How often the records are looked at for changes.
const ROUND: Duration = Duration::from_secs(1);
/// How long an engine may take to answer: as long it takes at the most to end this.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long what is there already may take to be read.
const AT_ONCE: Duration = Duration::from_millis(1);
/// When an engine that cannot be listened to is asked again.
const AGAIN: Duration = Duration::from_secs(3);

/// The thread, until this is dropped.
#[derive(Debug)]
pub(crate) struct Engines {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Engines {
    /// Starts to look after the containers that are connected, and those that will be. `report` is called in its thread.
    ///
    /// # Errors
    ///
    /// If there is no thread or descriptor.
    pub(crate) fn start(root: Root, report: impl FnMut(Report) + Send + 'static) -> io::Result<Self> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let stopped = stop.try_clone()?;
        let run = move || {
            let mut listening = Listening {
                root,
                stopped,
                engine: None,
                version: None,
                containers: Vec::new(),
                looked: BTreeMap::new(),
                ears: BTreeMap::new(),
                report,
            };
            while listening.wait() {
                listening.round();
            }
        };
        let thread = thread::Builder::new().name(NAME.to_owned()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // It counts to 2⁶⁴: there is room for one more.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // If it has panicked, that was said.
            let _ = thread.join();
        }
    }
}

/// How an engine is listened to.
#[derive(Debug)]
enum Ear {
    Open(Events),
    /// It cannot be listened to, and is tried again then.
    Deaf(Instant),
}

struct Listening<F> {
    root: Root,
    stopped: OwnedFd,
    engine: Option<Engine>,
    /// The store's version when the records were read last.
    version: Option<i64>,
    containers: Vec<(Sandbox, Kind)>,
    /// Processes that were found gone, and whose containers were looked at for that.
    looked: BTreeMap<SandboxId, Option<ProcessId>>,
    ears: BTreeMap<Kind, Ear>,
    report: F,
}

impl<F: FnMut(Report)> Listening<F> {
    /// Waits until there is something to do; whether this is to go on.
    fn wait(&self) -> bool {
        let open = self.ears.values().filter_map(|ear| match ear {
            Ear::Open(events) => Some(events.as_fd()),
            Ear::Deaf(_) => None,
        });
        let mut fds: Vec<PollFd<'_>> = [self.stopped.as_fd()]
            .into_iter()
            .chain(open)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let limit = Timespec::try_from(ROUND).expect("a second");
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => fds[0].revents().is_empty(),
            Err(_) => false,
        }
    }

    fn round(&mut self) {
        let told = self.listen();
        if let Err(error) = self.read() {
            self.engine = None;
            return (self.report)(Report::Failed(error));
        }
        self.open_ears();
        let mut wanted = self.gone();
        // Of one that has ended nothing is to be done until it is started or removed.
        for Event { id, .. } in told.into_iter().filter(|event| event.what != What::Died) {
            let known = self.containers.iter().find(|(sandbox, _)| sandbox.id.as_str() == id);
            wanted.extend(known.map(|(sandbox, kind)| (sandbox.id.clone(), *kind)));
        }
        wanted.into_iter().for_each(|(id, kind)| self.look(&id, kind));
    }

    /// What came from the engines.
    fn listen(&mut self) -> Vec<Event> {
        let mut told = Vec::new();
        for (kind, ear) in &mut self.ears {
            let Ear::Open(events) = ear else { continue };
            let ended = loop {
                match events.next(Some(AT_ONCE)) {
                    Ok(Next::One(event)) => told.push(event),
                    Ok(Next::Nothing) => break false,
                    Ok(Next::End) => break true,
                    Err(error) => {
                        warn!("{}", with_causes(&error));
                        break true;
                    }
                }
            };
            if ended {
                debug!("{kind} tells nothing any more");
                *ear = Ear::Deaf(Instant::now());
            }
        }
        told
    }

    /// Reads the records again, if they have changed.
    fn read(&mut self) -> Result<(), EngineError> {
        let engine = match &mut self.engine {
            Some(engine) => engine,
            empty => empty.insert(Engine::open(self.root.clone(), Mode::Apply)?),
        };
        let version = engine.store().version()?;
        if self.version != Some(version) {
            self.containers = engine.containers_elsewhere()?;
            self.version = Some(version);
        }
        Ok(())
    }

    /// Listens to the engines whose containers are connected. What happened before nobody told.
    fn open_ears(&mut self) {
        let kinds: BTreeSet<Kind> = self.containers.iter().map(|(_, kind)| *kind).collect();
        self.ears.retain(|kind, _| kinds.contains(kind));
        let now = Instant::now();
        for kind in kinds {
            match self.ears.get(&kind) {
                Some(Ear::Open(_)) => continue,
                Some(Ear::Deaf(due)) if *due > now => continue,
                Some(Ear::Deaf(_)) | None => {}
            }
            let ear = match client(kind).and_then(|client| client.events()) {
                Ok(events) => Ear::Open(events),
                Err(error) => {
                    debug!("{}", with_causes(&error));
                    Ear::Deaf(now + AGAIN)
                }
            };
            self.ears.insert(kind, ear);
            for (sandbox, _) in self.containers.iter().filter(|(_, one)| *one == kind) {
                self.looked.remove(&sandbox.id);
            }
        }
    }

    /// Containers whose process is gone, and that were not looked at since.
    fn gone(&mut self) -> Vec<(SandboxId, Kind)> {
        let mut gone = Vec::new();
        for (sandbox, kind) in &self.containers {
            let process = sandbox.process_id;
            // What the kernel does not tell now, it tells the next time.
            let ended = matches!(running(sandbox), Ok(None));
            if ended && self.looked.insert(sandbox.id.clone(), process) != Some(process) {
                gone.push((sandbox.id.clone(), *kind));
            }
        }
        gone
    }

    /// Connects a container as it was, if it was started anew; forgets it, if it was removed.
    fn look(&mut self, id: &SandboxId, kind: Kind) {
        let Some(engine) = &mut self.engine else { return };
        let looked =
            client(kind).map_err(EngineError::from).and_then(|client| engine.rejoin_known(&client, id));
        engine.warnings.drain(..).for_each(|warning| warn!("{warning}"));
        // What it wrote itself is no change to it.
        self.version = None;
        match looked {
            Ok(None) => {}
            Ok(Some(rejoined)) => (self.report)(Report::Rejoined(rejoined)),
            Err(error) => {
                self.ears.insert(kind, Ear::Deaf(Instant::now() + AGAIN));
                match error {
                    EngineError::Elsewhere(error) => debug!("{}", with_causes(&error)),
                    error => (self.report)(Report::Failed(error)),
                }
            }
        }
    }
}

fn client(kind: Kind) -> Result<Client, OciError> {
    Client::open(kind).map(|client| client.within(PATIENCE))
}
