//! Running a container: a process with a namespace of its own, and a keeper that stays as long as it runs.
//!
//! In the foreground the command itself is the keeper; detached, a fork of it is. The keeper makes the network, starts
//! the process, waits for its end, and takes the network away. For a foreground container that last part is done
//! after the answer, by a fork: the kernel takes 22 ms to let go of a namespace's links, and nobody should wait.

use std::collections::BTreeMap;
use std::path::Path;

use pontoon_kernel::mount::Propagation;
use pontoon_kernel::netns::Netns as OpenNetns;
use pontoon_kernel::process::{Child, Files, Foreground, Process as Running, Spec, Stdio, spawn_noted};
use pontoon_model::network::Driver;
use pontoon_model::op::NetnsPlace;
use pontoon_model::publish::PublishSpec;
use pontoon_model::sandbox::{NetnsId, NetworkMode, Origin, Process, ProcessId, Sandbox, Status};
use pontoon_model::supervision::Health;
use pontoon_model::{EndpointId, SandboxId, SandboxName};
use pontoon_plan::{Plan, sandbox as naming};
use pontoon_store::{Recovery, Subject};

use crate::connect::{ConnectSpec, Connected, Joining, Ports};
use crate::furnish::{Around, MADE, NETNS_FILES, environment, files, hostname, netns_files, resolv_conf};
use crate::journal::{Owned, Prepared, random};
use crate::resolve::{self, Target};
use crate::teardown::finish_behind;
use crate::time::now;
use crate::{Engine, EngineError, Mode, Outcome, event, guard};

/// What `--network` was given.
#[derive(Debug, Clone)]
pub enum Networking {
    /// Networks by name, each with how to connect to it. None means the default network.
    Networks(Vec<(String, ConnectSpec)>),
    /// Loopback alone.
    None,
    /// The host's namespace.
    Host,
    /// Another container's namespace.
    Container(String),
}

impl Networking {
    fn word(&self) -> &'static str {
        match self {
            Self::Networks(_) => "NETWORK",
            Self::None => "none",
            Self::Host => "host",
            Self::Container(_) => "container:…",
        }
    }
}

/// What `run` was given.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// Its name; made up when not given.
    pub name: Option<String>,
    /// Its network.
    pub networking: Networking,
    /// What to run and how.
    pub process: Process,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the process gets a terminal of its own.
    pub tty: bool,
    /// Ports of the container to publish.
    pub publish: Vec<PublishSpec>,
}

/// A container that is set up and whose process is not started yet.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) sandbox: Sandbox,
    around: Around,
    pub(crate) netns: Option<OpenNetns>,
    pub(crate) plan: Plan,
    pub(crate) owned: Owned,
}

/// What a container's process is started in.
pub(crate) struct Inside<'a> {
    /// Its namespace, where that is its own.
    pub(crate) netns: Option<&'a OpenNetns>,
    pub(crate) around: &'a Around,
    pub(crate) tty: bool,
}

impl Engine {
    /// Works out what `run` would do.
    ///
    /// # Errors
    ///
    /// As [`run_foreground`].
    pub fn run_plan(&mut self, spec: &RunSpec) -> Result<Outcome<Sandbox>, EngineError> {
        let owned = Owned(0);
        let (prepared, _netns) = self.prepare_run(spec, owned)?;
        Ok(Outcome { value: prepared.value.0, plan: prepared.plan })
    }

    fn prepare_run(
        &mut self,
        spec: &RunSpec,
        owned: Owned,
    ) -> Result<(PreparedRun, Option<OpenNetns>), EngineError> {
        let id = SandboxId::from_bytes(random()?);
        let name = sandbox_name(spec, &id)?;
        self.check_publishable(spec)?;
        let (mode, mut networks, mut made) = self.networking(spec)?;
        if let (NetworkMode::Host | NetworkMode::Container(_), Some(set)) =
            (&mode, spec.process.sysctls.first())
        {
            return Err(EngineError::NotItsOwn(set.key.clone(), spec.networking.word()));
        }
        if made.is_empty() && !networks.is_empty() {
            made.append(self.mend_rules()?);
        }
        let host = self.port_host(spec.publish.iter().map(|spec| (spec.protocol, spec.address)))?;
        let free = self.config.published_ports.clone();
        let ports = Ports { publish: &spec.publish, free, host: &host };
        let (netns, netns_id) = match &mode {
            // What is only planned gets a name and no namespace.
            NetworkMode::Networks | NetworkMode::None if self.mode == Mode::DryRun => {
                (None, NetnsId { dev: 0, ino: 0 })
            }
            NetworkMode::Networks | NetworkMode::None => {
                let netns = OpenNetns::create()?;
                let id = netns.id();
                self.executor.adopt(netns.try_clone()?)?;
                (Some(netns), id)
            }
            // Looked up by namespace, these are not found: the namespace is somebody else's.
            NetworkMode::Host | NetworkMode::Container(_) => (None, NetnsId { dev: 0, ino: 0 }),
        };
        let own = matches!(mode, NetworkMode::Networks | NetworkMode::None);
        let pinned = own.then(|| self.free_netns_name(&name, &id));
        let sandbox = Sandbox {
            process: Process { hostname: hostname(spec, &name), ..spec.process.clone() },
            name,
            former_name: None,
            origin: Origin::Run,
            netns: netns_id,
            pinned,
            mode,
            status: Status::Created,
            process_id: None,
            keeper: Some(this_process()?),
            ports: Vec::new(),
            labels: spec.labels.clone(),
            created: now(),
            started: String::new(),
            finished: String::new(),
            health: spec.process.health_check.as_ref().map(|_| Health::Starting),
            restarts: 0,
            stopping: false,
            id,
        };
        let mut tries = 0;
        loop {
            match self.prepare_sandbox(&sandbox, &networks, &ports, owned) {
                Err(error) => {
                    self.make_way(error, &mut tries)?;
                    (_, networks, made) = self.networking(spec)?;
                }
                Ok(mut prepared) => {
                    if self.mode == Mode::DryRun {
                        prepared.plan.steps.splice(0..0, made.steps);
                    }
                    return Ok((prepared, netns));
                }
            }
        }
    }

    fn prepare_sandbox(
        &mut self,
        sandbox: &Sandbox,
        networks: &[Joining],
        ports: &Ports<'_>,
        owned: Owned,
    ) -> Result<PreparedRun, EngineError> {
        let instance = self.instance().clone();
        let prepare = |at: &mut crate::journal::Preparing<'_, '_>| {
            if at.tx.bare().sandbox_by_name(sandbox.name.as_str())?.is_some() {
                return Err(EngineError::ContainerExists(sandbox.name.to_string()));
            }
            at.tx.sandbox_put(sandbox)?;
            if !Path::new(NETNS_FILES).exists() {
                at.tx.meta_set(NETNS_FILES, MADE)?;
            }
            let mut target =
                Target { sandbox: sandbox.clone(), is_new: false, netns: resolve::netns(sandbox) };
            let (connected, attachments) =
                Self::prepare_attachments(&instance, at, &mut target, networks, ports)?;
            let sandbox = target.sandbox;
            let around = Around::of(&connected, guard::names_at_loopback(at.tx)?);
            let mut plan = Plan::default();
            if let Some(pinned) = &sandbox.pinned {
                let files = netns_files(pinned, &sandbox, &around);
                plan.append(naming::name(pinned, sandbox.netns, &files));
                if connected.is_empty() {
                    plan.append(naming::loopback(&target.netns, sandbox.name.as_str()));
                }
            }
            plan.append(attachments);
            plan.append(naming::settings(&target.netns, sandbox.name.as_str(), &sandbox.process.sysctls));
            let subject = Subject::Sandbox(sandbox.id.clone());
            let what = format!("run {}", sandbox.name);
            let value = (sandbox, connected, around);
            Ok(Prepared { value, plan, subject, recovery: Recovery::Undo, what })
        };
        if self.mode == Mode::DryRun {
            let outcome = self.change(prepare, |_, _| Ok(()))?;
            let subject = Subject::Sandbox(sandbox.id.clone());
            return Ok(Prepared {
                value: outcome.value,
                plan: outcome.plan,
                subject,
                recovery: Recovery::Undo,
                what: String::new(),
            });
        }
        self.prepare(owned, prepare)
    }

    /// Makes the container's network. The journal's entry stays until the process runs.
    pub(crate) fn set_up(&mut self, spec: &RunSpec) -> Result<Ready, EngineError> {
        let owned = self.own_entry()?;
        let (prepared, netns) = match self.prepare_run(spec, owned) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.owners.release(owned.0.unsigned_abs())?;
                return Err(error);
            }
        };
        let Prepared { value: (sandbox, connected, around), plan, subject, .. } = prepared;
        self.checkpoints.pass();
        if let Err(error) = self.executor.run(&plan.steps) {
            self.executor.release(sandbox.netns);
            self.take_back(owned, &plan, &subject)?;
            return Err(error.into());
        }
        self.heed_firewalls(connected.iter().map(|connected| &connected.network));
        // The process may look for others at once.
        let notices = self.notices(&subject);
        self.notify(notices, true);
        Ok(Ready { sandbox, around, netns, plan, owned })
    }

    /// Starts the process in what was set up, and notes that it runs. What fails is taken back.
    pub(crate) fn start(
        &mut self,
        ready: &mut Ready,
        spec: &RunSpec,
        stdio: Stdio<'_>,
    ) -> Result<Child, EngineError> {
        self.checkpoints.pass();
        let started = self.spawn(ready, spec, stdio).and_then(|child| {
            self.note_running(ready, &child)?;
            Ok(child)
        });
        if started.is_err() {
            self.abandon(ready)?;
        }
        started
    }

    /// Takes back what was set up for a container whose process does not run.
    pub(crate) fn abandon(&mut self, ready: &mut Ready) -> Result<(), EngineError> {
        self.executor.release(ready.sandbox.netns);
        ready.netns = None;
        // Nobody can ask for its output; if it stays on the disk, that harms nobody.
        let _ = std::fs::remove_dir_all(self.root.container(ready.sandbox.id.as_str()));
        self.take_back(ready.owned, &ready.plan, &Subject::Sandbox(ready.sandbox.id.clone()))
    }

    fn spawn(&mut self, ready: &mut Ready, spec: &RunSpec, stdio: Stdio<'_>) -> Result<Child, EngineError> {
        let netns = ready.netns.take();
        let inside = Inside { netns: netns.as_ref(), around: &ready.around, tty: spec.tty };
        let sandbox = ready.sandbox.clone();
        let spawned = self.spawn_in(&sandbox, &inside, stdio, |engine, pid| engine.note_process(ready, pid));
        ready.netns = netns;
        spawned
    }

    /// Starts a container's process in its namespace; `note` writes it down, or says that it is not to be.
    pub(crate) fn spawn_in(
        &mut self,
        sandbox: &Sandbox,
        inside: &Inside<'_>,
        stdio: Stdio<'_>,
        note: impl FnOnce(&mut Self, u32) -> bool,
    ) -> Result<Child, EngineError> {
        let shared = match &sandbox.mode {
            NetworkMode::Container(other) => Some(self.shared_namespace(other)?),
            _ => None,
        };
        let around = inside.around;
        let host = sandbox.mode == NetworkMode::Host;
        let (resolv_conf, no_server) = resolv_conf(sandbox, around);
        if no_server && !host && !around.addresses.is_empty() {
            self.warn(
                "no name server that a container can reach is known: names will not resolve (give --dns)",
            );
        }
        let detached = sandbox.process.detached;
        let process = Spec {
            environment: environment(&sandbox.process, inside.tty),
            directory: sandbox.process.workdir.clone(),
            netns: shared.as_ref().or(inside.netns),
            // The host's own, unless another was asked for.
            hostname: (!host || sandbox.process.hostname != sandbox.name.as_str())
                .then(|| sandbox.process.hostname.clone()),
            propagation: Propagation::default(),
            files: if host { Files::default() } else { files(sandbox, resolv_conf, around) },
            fresh_sysfs: !host,
            root: sandbox.process.rootfs.clone(),
            stdio,
            session: detached,
            ..Spec::new(sandbox.process.argv.iter())
        };
        let child = spawn_noted(&process, |pid| note(self, pid))?;
        self.warnings.extend(child.notes.iter().cloned());
        Ok(child)
    }

    fn shared_namespace(&mut self, other: &SandboxId) -> Result<OpenNetns, EngineError> {
        let sandbox = self.store.read(|tx| tx.bare().sandbox(other))?;
        let sandbox = sandbox.ok_or_else(|| EngineError::NotRunning(other.short().to_owned()))?;
        let opened = match resolve::place(&sandbox) {
            NetnsPlace::Named(name) => OpenNetns::open_name(&name)?,
            NetnsPlace::Path(path) => OpenNetns::open_path(Path::new(&path))?,
            NetnsPlace::Pid(pid) => OpenNetns::of_pid(pid)?,
        };
        // One that has joined another's namespace has none of its own on record.
        let joined = matches!(sandbox.mode, NetworkMode::Container(_));
        match joined || opened.id() == sandbox.netns {
            true => Ok(opened),
            false => Err(EngineError::NotRunning(sandbox.name.into())),
        }
    }

    /// Notes a process before it becomes the command, so that it can be ended if this command dies now. What cannot be
    /// noted is not started.
    fn note_process(&mut self, ready: &Ready, pid: u32) -> bool {
        let Ok(process) = Running::open(pid) else { return false };
        let process_id = Some(ProcessId { pid, started: process.start_time().unwrap_or(0) });
        let noted = Sandbox { process_id, ..ready.sandbox.clone() };
        let kept = self.store.transaction(|tx| tx.sandbox_put(&noted)).is_ok();
        self.checkpoints.pass();
        kept
    }

    fn note_running(&mut self, ready: &mut Ready, child: &Child) -> Result<(), EngineError> {
        let started = child.process().start_time().unwrap_or(0);
        ready.sandbox.process_id = Some(ProcessId { pid: child.pid(), started });
        ready.sandbox.status = Status::Running;
        ready.sandbox.started = now();
        let news = self.store.transaction(|tx| {
            tx.sandbox_put(&ready.sandbox)?;
            tx.journal_delete(ready.owned.0)?;
            event::of_change(tx, &Subject::Sandbox(ready.sandbox.id.clone()), Recovery::Undo)
        })?;
        self.tell(news);
        self.owners.release(ready.owned.0.unsigned_abs())?;
        // The process holds the namespace now; held here too, it would outlive the process.
        ready.netns = None;
        self.executor.release(ready.sandbox.netns);
        Ok(())
    }

    /// Refuses ports that cannot be published, before anything is changed.
    fn check_publishable(&self, spec: &RunSpec) -> Result<(), EngineError> {
        let wanted = match &spec.networking {
            _ if spec.publish.is_empty() => return Ok(()),
            Networking::Networks(wanted) => wanted,
            Networking::Host | Networking::Container(_) | Networking::None => {
                return Err(EngineError::NothingToPublish(spec.networking.word()));
            }
        };
        let mut networks = Vec::new();
        for (name, _) in wanted {
            // One that is not there is missed later, or made with no address of its own.
            networks.extend(self.store.read(|tx| resolve::network(tx, name)).ok());
        }
        self.check_ports(&spec.publish, &networks)
    }

    fn networking(&mut self, spec: &RunSpec) -> Result<(NetworkMode, Vec<Joining>, Plan), EngineError> {
        let wanted = match &spec.networking {
            Networking::None => return Ok((NetworkMode::None, Vec::new(), Plan::default())),
            Networking::Host => return Ok((NetworkMode::Host, Vec::new(), Plan::default())),
            Networking::Container(name) => {
                let sandbox = self.store.read(|tx| resolve::container(tx, name))?;
                return match (sandbox.status, &sandbox.mode) {
                    (Status::Running, NetworkMode::Host) => {
                        Ok((NetworkMode::Host, Vec::new(), Plan::default()))
                    }
                    (Status::Running, _) => {
                        Ok((NetworkMode::Container(sandbox.id), Vec::new(), Plan::default()))
                    }
                    _ => Err(EngineError::NotRunning(name.clone())),
                };
            }
            Networking::Networks(wanted) if wanted.is_empty() => {
                vec![(crate::network::DEFAULT.to_owned(), ConnectSpec::default())]
            }
            Networking::Networks(wanted) => wanted.clone(),
        };
        let (mut networks, mut made) = (Vec::new(), Plan::default());
        for (name, connect) in wanted {
            let Outcome { value: network, plan } = self.network_or_default(&name)?;
            made.append(plan);
            match network.driver {
                Driver::Bridge => {
                    let id = EndpointId::from_bytes(random()?);
                    networks.push(Joining { network, spec: connect, id });
                }
                Driver::Host | Driver::Null => {
                    return Err(EngineError::Builtin(name, "combined with others"));
                }
            }
        }
        Ok((NetworkMode::Networks, networks, made))
    }

    /// The container's own name in `/run/netns`, or a second one when somebody has that.
    fn free_netns_name(&self, name: &SandboxName, id: &SandboxId) -> String {
        let taken = Path::new("/run/netns").join(name.as_str()).symlink_metadata().is_ok();
        if taken { self.instance().second_netns_name(name.as_str(), id.as_str()) } else { name.to_string() }
    }
}

type PreparedRun = Prepared<(Sandbox, Vec<Connected>, Around)>;

/// Runs a container in the foreground and returns its exit code when it has ended. `warn` is told, before the process
/// starts or the error is returned, what went differently.
///
/// # Errors
///
/// If the container cannot be set up or its command cannot be started; everything is taken back then.
pub fn run_foreground(
    mut engine: Engine,
    spec: &RunSpec,
    warn: &mut dyn FnMut(&str),
) -> Result<i32, EngineError> {
    let pty = EngineError::open_terminal(spec.tty)?;
    let foreground = Foreground::prepare()?;
    let stdio = pty.as_ref().map_or(Stdio::Inherit, |pty| Stdio::Terminal(pty.user()));
    let started = engine.set_up(spec).and_then(|mut ready| {
        let child = engine.start(&mut ready, spec, stdio)?;
        Ok((ready.sandbox.id, child))
    });
    engine.warnings.drain(..).for_each(|warning| warn(&warning));
    let (id, child) = started?;
    let status = match pty {
        Some(pty) => foreground.wait_on_terminal(&child, pty)?,
        None => foreground.wait(&child)?,
    };
    let owned = engine.own_entry()?;
    if let Some(plan) = engine.note_ended(&id, status.code(), owned)? {
        finish_behind(engine, owned, &plan, &id)?;
    }
    Ok(status.code())
}

fn sandbox_name(spec: &RunSpec, id: &SandboxId) -> Result<SandboxName, EngineError> {
    match &spec.name {
        Some(name) => Ok(name.parse()?),
        None => Ok(format!("c{}", id.short()).parse()?),
    }
}

fn this_process() -> Result<ProcessId, EngineError> {
    let running = Running::open(std::process::id())?;
    Ok(ProcessId { pid: running.pid(), started: running.start_time().unwrap_or(0) })
}
