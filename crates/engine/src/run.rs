//! Running a container: a process with a namespace of its own, and a keeper that stays as long as it runs.
//!
//! In the foreground the command itself is the keeper; detached, a fork of it is. The keeper makes the network, starts
//! the process, waits for its end, and takes the network away. For a foreground container that last part is done
//! after the answer, by a fork: the kernel takes 22 ms to let go of a namespace's links, and nobody should wait.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pontoon_kernel::mount::Propagation;
use pontoon_kernel::netns::Netns as OpenNetns;
use pontoon_kernel::process::{
    Child, ExitStatus, FileSource, Files, Foreground, Process as Running, SpawnError, Spec, Stdio, spawn,
    stay_behind,
};
use pontoon_model::endpoint::EndpointState;
use pontoon_model::network::Driver;
use pontoon_model::op::{LinkOp, NetnsPlace};
use pontoon_model::sandbox::{NetnsId, NetworkMode, Origin, Process, ProcessId, Sandbox, Status};
use pontoon_model::{Diagnose, Endpoint, EndpointId, SandboxId, SandboxName, Step};
use pontoon_plan::resolver::{self, Asked};
use pontoon_plan::{Plan, sandbox as naming};
use pontoon_store::{JournalEntry, Recovery, Subject, Tx};

use crate::connect::{ConnectSpec, Connected, Joining};
use crate::journal::{Owned, Prepared, random};
use crate::observe::resolv_confs;
use crate::resolve::{self, Target};
use crate::time::now;
use crate::{Engine, EngineError, Mode, Outcome, Root};

/// The folder of files for `ip netns exec`, and the key under which it is noted that we made it.
pub(crate) const NETNS_FILES: &str = "/etc/netns";
/// The note.
pub(crate) const MADE: &str = "made";

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
}

/// A container that is set up and whose process is not started yet.
#[derive(Debug)]
struct Ready {
    sandbox: Sandbox,
    connected: Vec<Connected>,
    netns: Option<OpenNetns>,
    plan: Plan,
    owned: Owned,
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
        let (mode, networks, made) = self.networking(spec)?;
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
            origin: Origin::Run,
            netns: netns_id,
            pinned,
            mode,
            status: Status::Created,
            process_id: None,
            keeper: Some(this_process()?),
            labels: spec.labels.clone(),
            created: now(),
            started: String::new(),
            finished: String::new(),
            id,
        };
        loop {
            match self.prepare_sandbox(&sandbox, &networks, owned) {
                Err(EngineError::NeedsSegment(needed)) => self.lay_segment(&needed.0, needed.1)?,
                prepared => {
                    let mut prepared = prepared?;
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
        owned: Owned,
    ) -> Result<PreparedRun, EngineError> {
        let instance = self.instance().clone();
        let prepare = |at: &mut crate::journal::Preparing<'_, '_>| {
            if at.tx.sandbox_by_name(sandbox.name.as_str())?.is_some() {
                return Err(EngineError::ContainerExists(sandbox.name.to_string()));
            }
            at.tx.sandbox_put(sandbox)?;
            if !Path::new(NETNS_FILES).exists() {
                at.tx.meta_set(NETNS_FILES, MADE)?;
            }
            let target = Target { sandbox: sandbox.clone(), is_new: false, netns: resolve::netns(sandbox) };
            let (connected, attachments) = Self::prepare_attachments(&instance, at, &target, networks)?;
            let addresses: Vec<IpAddr> =
                connected.iter().flat_map(|one| one.endpoint.addresses().collect::<Vec<_>>()).collect();
            let mut plan = Plan::default();
            if let Some(pinned) = &sandbox.pinned {
                let files = netns_files(pinned, sandbox, &addresses);
                plan.append(naming::name(pinned, sandbox.netns, &files));
                if connected.is_empty() {
                    plan.append(naming::loopback(&target.netns, sandbox.name.as_str()));
                }
            }
            plan.append(attachments);
            let subject = Subject::Sandbox(sandbox.id.clone());
            let what = format!("run {}", sandbox.name);
            Ok(Prepared {
                value: (sandbox.clone(), connected),
                plan,
                subject,
                recovery: Recovery::Undo,
                what,
            })
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
    fn set_up(&mut self, spec: &RunSpec) -> Result<Ready, EngineError> {
        let owned = self.own_entry()?;
        let (prepared, netns) = match self.prepare_run(spec, owned) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.owners.release(owned.0.unsigned_abs())?;
                return Err(error);
            }
        };
        let Prepared { value: (sandbox, connected), plan, subject, .. } = prepared;
        self.checkpoints.pass();
        if let Err(error) = self.executor.run(&plan.steps) {
            self.executor.release(sandbox.netns);
            self.take_back(owned, &plan, &subject)?;
            return Err(error.into());
        }
        Ok(Ready { sandbox, connected, netns, plan, owned })
    }

    /// Starts the process in what was set up, and notes that it runs. What fails is taken back.
    fn start(&mut self, ready: &mut Ready, spec: &RunSpec, stdio: Stdio<'_>) -> Result<Child, EngineError> {
        self.checkpoints.pass();
        let started = self.spawn(ready, spec, stdio).and_then(|child| {
            self.note_running(ready, &child)?;
            Ok(child)
        });
        if started.is_err() {
            self.executor.release(ready.sandbox.netns);
            ready.netns = None;
            self.take_back(ready.owned, &ready.plan, &Subject::Sandbox(ready.sandbox.id.clone()))?;
        }
        started
    }

    fn spawn(&mut self, ready: &Ready, spec: &RunSpec, stdio: Stdio<'_>) -> Result<Child, EngineError> {
        let shared = match &ready.sandbox.mode {
            NetworkMode::Container(other) => Some(self.shared_namespace(other)?),
            _ => None,
        };
        let sandbox = &ready.sandbox;
        let addresses: Vec<IpAddr> =
            ready.connected.iter().flat_map(|one| one.endpoint.addresses().collect::<Vec<_>>()).collect();
        let host = sandbox.mode == NetworkMode::Host;
        let (resolv_conf, no_server) = resolv_conf(sandbox);
        if no_server && !host && !ready.connected.is_empty() {
            self.warn(
                "no name server that a container can reach is known: names will not resolve (give --dns)",
            );
        }
        let detached = sandbox.process.detached;
        let process = Spec {
            environment: environment(&sandbox.process, spec.tty),
            directory: sandbox.process.workdir.clone(),
            netns: shared.as_ref().or(ready.netns.as_ref()),
            hostname: (!host || spec.process.hostname != String::new())
                .then(|| sandbox.process.hostname.clone()),
            propagation: Propagation::default(),
            files: if host { Files::default() } else { files(sandbox, resolv_conf, &addresses) },
            fresh_sysfs: !host,
            root: sandbox.process.rootfs.clone(),
            stdio,
            session: detached,
            ..Spec::new(sandbox.process.argv.iter())
        };
        let child = spawn(&process)?;
        self.warnings.extend(child.notes.iter().cloned());
        Ok(child)
    }

    fn shared_namespace(&mut self, other: &SandboxId) -> Result<OpenNetns, EngineError> {
        let sandbox = self.store.read(|tx| tx.sandbox(other))?;
        let sandbox = sandbox.ok_or_else(|| EngineError::NotRunning(other.short().to_owned()))?;
        let opened = match resolve::place(&sandbox) {
            NetnsPlace::Named(name) => OpenNetns::open_name(&name)?,
            NetnsPlace::Path(path) => OpenNetns::open_path(Path::new(&path))?,
            NetnsPlace::Pid(pid) => OpenNetns::of_pid(pid)?,
        };
        match opened.id() == sandbox.netns {
            true => Ok(opened),
            false => Err(EngineError::NotRunning(sandbox.name.into())),
        }
    }

    fn note_running(&mut self, ready: &mut Ready, child: &Child) -> Result<(), EngineError> {
        let started = child.process().start_time().unwrap_or(0);
        ready.sandbox.process_id = Some(ProcessId { pid: child.pid(), started });
        ready.sandbox.status = Status::Running;
        ready.sandbox.started = now();
        self.store.transaction(|tx| {
            for connected in &ready.connected {
                let ready = Endpoint { state: EndpointState::Ready, ..connected.endpoint.clone() };
                tx.endpoint_put(&ready)?;
            }
            tx.sandbox_put(&ready.sandbox)?;
            tx.journal_delete(ready.owned.0)
        })?;
        self.owners.release(ready.owned.0.unsigned_abs())?;
        // The process holds the namespace now; held here too, it would outlive the process.
        ready.netns = None;
        self.executor.release(ready.sandbox.netns);
        Ok(())
    }

    /// Notes that a container has ended and writes down what is left to do, as a plan in the journal that `owned`
    /// stands for.
    fn note_ended(&mut self, id: &SandboxId, code: i32, owned: Owned) -> Result<Option<Plan>, EngineError> {
        let instance = self.instance().clone();
        let planned = self.store.transaction(|tx| -> Result<_, EngineError> {
            let Some(mut sandbox) = tx.sandbox(id)? else { return Ok(None) };
            if let Status::Exited(_) = sandbox.status {
                return Ok(None);
            }
            let plan = teardown(&instance, tx, &sandbox)?;
            sandbox.status = Status::Exited(code);
            sandbox.finished = now();
            let entry = JournalEntry {
                what: format!("clean up after {}", sandbox.name),
                steps: plan.steps.clone(),
                on_recovery: Recovery::Finish,
                subject: Subject::Sandbox(id.clone()),
                created: now(),
            };
            tx.journal_put(owned.0, &entry)?;
            let nothing_left =
                tx.endpoints_of_sandbox(id)?.is_empty() && tx.cables_of_sandbox(id)?.is_empty();
            if sandbox.process.auto_remove && nothing_left {
                tx.sandbox_delete(id)?
            } else {
                tx.sandbox_put(&free_name(sandbox)?)?
            }
            Ok(Some(plan))
        })?;
        if self.store.read(|tx| tx.sandbox(id))?.is_none_or(|sandbox| sandbox.process.auto_remove) {
            // Nobody can ask for its output any more; if it stays on the disk, that harms nobody.
            let _ = std::fs::remove_dir_all(self.root.container(id.as_str()));
        }
        Ok(planned)
    }

    /// The steps that would take a container's network away.
    ///
    /// # Errors
    ///
    /// If there is no such container.
    pub fn teardown_plan(&self, name: &str) -> Result<Plan, EngineError> {
        let sandbox = self.container(name)?;
        self.store.read(|tx| teardown(&self.root.instance, tx, &sandbox))
    }

    /// Takes a container's network away now. For a container that nobody looks after any more.
    pub(crate) fn end(&mut self, id: &SandboxId, code: i32) -> Result<(), EngineError> {
        let owned = self.own_entry()?;
        if let Some(plan) = self.note_ended(id, code, owned)? {
            self.finish(owned, &plan, id)?;
        }
        Ok(self.owners.release(owned.0.unsigned_abs())?)
    }

    fn finish(&mut self, owned: Owned, plan: &Plan, id: &SandboxId) -> Result<(), EngineError> {
        self.checkpoints.pass();
        if self.executor.run_all(&plan.steps).is_empty() {
            self.forget(owned.0, &Subject::Sandbox(id.clone()))?;
        }
        Ok(())
    }

    fn networking(&mut self, spec: &RunSpec) -> Result<(NetworkMode, Vec<Joining>, Plan), EngineError> {
        let wanted = match &spec.networking {
            Networking::None => return Ok((NetworkMode::None, Vec::new(), Plan::default())),
            Networking::Host => return Ok((NetworkMode::Host, Vec::new(), Plan::default())),
            Networking::Container(name) => {
                let sandbox = self.store.read(|tx| resolve::container(tx, name))?;
                let owner = match &sandbox.mode {
                    NetworkMode::Container(owner) => owner.clone(),
                    NetworkMode::Host => return Ok((NetworkMode::Host, Vec::new(), Plan::default())),
                    NetworkMode::Networks | NetworkMode::None => sandbox.id.clone(),
                };
                return match sandbox.status {
                    Status::Running => Ok((NetworkMode::Container(owner), Vec::new(), Plan::default())),
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

type PreparedRun = Prepared<(Sandbox, Vec<Connected>)>;

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

/// Finishes the teardown in a process that stays behind. The journal's entry is the two processes' together, since
/// the lock goes along with the fork.
fn finish_behind(engine: Engine, owned: Owned, plan: &Plan, id: &SandboxId) -> Result<(), EngineError> {
    let (root, mode) = (engine.root.clone(), engine.mode);
    let Engine { store, executor, owners, .. } = engine;
    // A database that is open must not be carried over a fork.
    drop((store, executor));
    stay_behind(|said| {
        said.send(b"");
        let done = Engine::open(root, mode).and_then(|mut engine| engine.finish(owned, plan, id));
        drop(owners);
        i32::from(done.is_err())
    })?;
    Ok(())
}

/// Runs a container and returns its id once its process runs.
///
/// # Errors
///
/// As [`run_foreground`].
pub fn run_detached(root: Root, spec: &RunSpec) -> Result<Started, EngineError> {
    let said = stay_behind(|said| keep(root, spec, said))?;
    let heard: Result<Result<Started, StartFailure>, _> = serde_json::from_slice(&said);
    match heard {
        Ok(Ok(started)) => Ok(started),
        Ok(Err(failure)) => Err(EngineError::Keeper(failure)),
        Err(_) => Err(EngineError::Keeper(StartFailure {
            message: "the process that looks after the container ended without a word".into(),
            code: "keeper-gone".into(),
            hint: None,
            exit_code: 125,
        })),
    }
}

/// A container that runs detached.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Started {
    /// Its id.
    pub id: SandboxId,
    /// What went differently.
    pub warnings: Vec<String>,
}

/// Why a detached container could not be started, as its keeper tells it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StartFailure {
    /// The error and its causes.
    pub message: String,
    /// Its code.
    pub code: String,
    /// Its hint.
    pub hint: Option<String>,
    /// The exit code that tells of it.
    pub exit_code: i32,
}

impl StartFailure {
    fn of(error: &EngineError) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { message, code: error.code().to_owned(), hint: error.hint(), exit_code: exit_code(error) }
    }
}

/// The exit code for an error, as Docker has them: 127 and 126 about the command, 125 about us.
pub fn exit_code(error: &EngineError) -> i32 {
    match error {
        EngineError::Spawn(SpawnError::CommandNotFound { .. }) => 127,
        EngineError::Spawn(SpawnError::CommandNotRunnable { .. }) => 126,
        EngineError::Keeper(failure) => failure.exit_code,
        _ => 125,
    }
}

/// What the keeper of a detached container does with its life.
fn keep(root: Root, spec: &RunSpec, said: pontoon_kernel::process::Message) -> i32 {
    let started = Engine::open(root, Mode::Apply).and_then(|mut engine| {
        let mut ready = engine.set_up(spec)?;
        let log = create_log(&engine.root, &ready.sandbox.id);
        let child = match log {
            Ok(log) => engine.start(&mut ready, spec, Stdio::Log(log))?,
            Err(error) => {
                engine.executor.release(ready.sandbox.netns);
                ready.netns = None;
                engine.take_back(ready.owned, &ready.plan, &Subject::Sandbox(ready.sandbox.id.clone()))?;
                return Err(error);
            }
        };
        Ok((engine, child, ready.sandbox.id))
    });
    let (mut engine, child, id) = match started {
        Ok(started) => started,
        Err(error) => {
            let failure: Result<Started, StartFailure> = Err(StartFailure::of(&error));
            said.send(&serde_json::to_vec(&failure).unwrap_or_default());
            return 1;
        }
    };
    let warnings = std::mem::take(&mut engine.warnings);
    let answer: Result<Started, StartFailure> = Ok(Started { id: id.clone(), warnings });
    said.send(&serde_json::to_vec(&answer).unwrap_or_default());
    let code = child.wait().map_or(125, ExitStatus::code);
    i32::from(engine.end(&id, code).is_err())
}

/// The steps that take a container's network away, from the records as they are.
fn teardown(instance: &pontoon_plan::Instance, tx: &Tx<'_>, sandbox: &Sandbox) -> Result<Plan, EngineError> {
    let mut plan = Plan::default();
    let mut vanishing = Vec::new();
    let mut addresses = Vec::new();
    for endpoint in tx.endpoints_of_sandbox(&sandbox.id)? {
        addresses.extend(endpoint.addresses());
        let Some(network) = tx.network(&endpoint.network)? else { continue };
        plan.append(pontoon_plan::endpoint::forget_neighbours(&network, &endpoint, sandbox.name.as_str()));
        let (name, mark) = (endpoint.host_ifname.clone(), instance.endpoint_mark(&endpoint));
        let why = format!("{}'s cable to {} goes with its namespace", sandbox.name, network.name);
        vanishing.push(Step::new(LinkOp::Vanish { name, mark }, why));
    }
    for cable in tx.cables_of_sandbox(&sandbox.id)? {
        let mut sandboxes = BTreeMap::new();
        for id in cable.ends.iter().filter_map(|end| end.sandbox.clone()) {
            sandboxes.extend(tx.sandbox(&id)?.map(|sandbox| (id, sandbox)));
        }
        plan.append(crate::cable::removal(instance, &cable, &sandboxes).0);
    }
    if let Some(pinned) = &sandbox.pinned {
        plan.append(naming::forget(pinned, sandbox.netns, &netns_files(pinned, sandbox, &addresses)));
    }
    plan.steps.extend(vanishing);
    Ok(plan)
}

/// A container whose record goes with it gives its name free at once, for the next of that name; its own record is
/// then found by its id alone until its addresses are free.
fn free_name(mut sandbox: Sandbox) -> Result<Sandbox, EngineError> {
    if sandbox.process.auto_remove {
        sandbox.name = format!("ended-{}", sandbox.id.short()).parse()?;
    }
    Ok(sandbox)
}

fn sandbox_name(spec: &RunSpec, id: &SandboxId) -> Result<SandboxName, EngineError> {
    match &spec.name {
        Some(name) => Ok(name.parse()?),
        None => Ok(format!("c{}", id.short()).parse()?),
    }
}

/// Docker's containers are called by their short id; ours by their name, which a person can read.
fn hostname(spec: &RunSpec, name: &SandboxName) -> String {
    if spec.process.hostname.is_empty() { name.to_string() } else { spec.process.hostname.clone() }
}

fn this_process() -> Result<ProcessId, EngineError> {
    let running = Running::open(std::process::id())?;
    Ok(ProcessId { pid: running.pid(), started: running.start_time().unwrap_or(0) })
}

/// The files that iproute2 mounts over those of `/etc` for `ip netns exec`. Source: ip-netns(8).
fn netns_files(pinned: &str, sandbox: &Sandbox, addresses: &[IpAddr]) -> naming::Files {
    let process = &sandbox.process;
    let hosts = resolver::hosts(
        &mark(sandbox),
        &process.hostname,
        sandbox.name.as_str(),
        addresses,
        &process.extra_hosts,
    );
    vec![
        (format!("/etc/netns/{pinned}/resolv.conf"), resolv_conf(sandbox).0),
        (format!("/etc/netns/{pinned}/hosts"), hosts),
    ]
}

fn mark(sandbox: &Sandbox) -> String {
    resolver::mark(sandbox.name.as_str(), sandbox.id.short())
}

fn resolv_conf(sandbox: &Sandbox) -> (String, bool) {
    let process = &sandbox.process;
    let (host, upstream) = resolv_confs();
    let asked =
        Asked { nameservers: &process.dns, search: &process.dns_search, options: &process.dns_options };
    resolver::resolv_conf(&mark(sandbox), &host, upstream.as_ref(), &asked)
}

fn files(sandbox: &Sandbox, resolv_conf: String, addresses: &[IpAddr]) -> Files {
    let process = &sandbox.process;
    let hosts = resolver::hosts(
        &mark(sandbox),
        &process.hostname,
        sandbox.name.as_str(),
        addresses,
        &process.extra_hosts,
    );
    Files {
        resolv_conf: Some(FileSource::Contents(resolv_conf.into_bytes())),
        hosts: Some(FileSource::Contents(hosts.into_bytes())),
        hostname: Some(FileSource::Contents(format!("{}\n", process.hostname).into_bytes())),
    }
}

/// The caller's environment with what was asked for; a variable without a value is the caller's.
fn environment(process: &Process, tty: bool) -> Vec<(OsString, OsString)> {
    let mut variables: BTreeMap<OsString, OsString> =
        std::env::vars_os().filter(|(name, _)| !is_ours(name)).collect();
    variables.insert("HOSTNAME".into(), process.hostname.clone().into());
    if tty {
        variables.entry("TERM".into()).or_insert_with(|| "xterm".into());
    }
    for given in &process.env {
        if let Some((name, value)) = given.split_once('=') {
            variables.insert(name.into(), value.into());
        }
    }
    variables.into_iter().collect()
}

fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("PONTOON_")
}

/// Makes the folder for a container's output, and names the file.
fn create_log(root: &Root, id: &SandboxId) -> Result<PathBuf, EngineError> {
    let folder = root.container(id.as_str());
    std::fs::create_dir_all(&folder).map_err(|source| EngineError::Write { path: folder.clone(), source })?;
    Ok(folder.join("output.log"))
}
