//! A small host in a namespace of its own, with the containers that scenarios are about.

use pontoon_kernel::execute::Executor;
use pontoon_kernel::netns::Netns;
use pontoon_model::Step;
use pontoon_model::op::{LinkOp, Netns as Where, NetnsPlace, Op};
use pontoon_model::sandbox::NetnsId;
use pontoon_plan::Plan;
use pontoon_plan::command::script;
use pontoon_testkit::{Background, Host};

use crate::cases::Ground;
use crate::dump::Dump;

/// Name of the namespace that plays the host.
const HOST: &str = "hosting";
/// Containers of somebody else: one known by its name, one by a process, one by its path.
const OTHERS: [&str; 3] = ["lab", "process", "path"];
/// Containers that a plan may make.
const OURS: [&str; 2] = ["web", "db"];

/// Who carries plans out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The executor, requests of one namespace together.
    Executor,
    /// The executor, every step by itself.
    StepByStep,
    /// A shell, with the printed commands.
    Shell,
}

/// The host, as long as this is there.
pub(crate) struct Stand<'a> {
    host: &'a Host,
    home: Netns,
    way: Way,
    pub(crate) executor: Executor,
    pub(crate) ground: Ground,
    fresh: Vec<Netns>,
    _process: Background,
}

impl<'a> Stand<'a> {
    pub(crate) fn new(host: &'a Host, way: Way) -> Self {
        for tool in ["ip", "bridge", "tc", "nft", "sysctl", "nsenter"] {
            host.need(tool);
        }
        let home = Netns::create().unwrap();
        home.pin(HOST).unwrap();
        // No kernel here has dummy links; a bridge is an uplink just as well.
        host.sh_in(
            HOST,
            "ip link set lo up; ip link add eth0 address 02:00:00:00:00:09 type bridge
            ip link set eth0 addrgenmode none; ip link set eth0 up",
        );
        for other in OTHERS {
            host.sh(&format!("ip netns add {other}; ip -n {other} link set lo up"));
        }
        let process = host.background_in(OTHERS[1], "exec sleep 1000");
        let place = format!("pid:{}", process.pid());
        let inside = host.netns(OTHERS[1]).id();
        host.wait_until("the process is in its namespace", || host.netns(&place).id() == inside);
        let mut executor = home.enter(Executor::open).unwrap().unwrap();
        if way == Way::StepByStep {
            executor.before_each_step(Box::new(|_| {}));
        }
        let other = |name: &str, place| Where::Other { place, id: host.netns(name).id() };
        let ground = Ground {
            // The shell's are made by its own commands.
            fresh: [1, 2].map(|ino| NetnsId { dev: 0, ino }),
            named: other(OTHERS[0], NetnsPlace::Named(OTHERS[0].into())),
            pid: other(OTHERS[1], NetnsPlace::Pid(process.pid())),
            path: other(OTHERS[2], NetnsPlace::Path(format!("/run/netns/{}", OTHERS[2]))),
        };
        let mut stand = Self { host, home, way, executor, ground, fresh: Vec::new(), _process: process };
        if way != Way::Shell {
            stand.ground.fresh = [(); 2].map(|()| stand.new_netns());
        }
        stand
    }

    /// Carries a plan out.
    #[track_caller]
    pub(crate) fn run(&mut self, plan: &Plan) {
        match self.way {
            Way::Shell => {
                self.sh(&script(plan));
                plan.ops().for_each(|op| self.await_end(op));
            }
            Way::Executor | Way::StepByStep => {
                let done = self.inside(|executor| executor.run(&plan.steps));
                done.unwrap_or_else(|error| panic!("{error}: {}\n{}", error.source, script(plan)));
            }
        }
    }

    /// What goes with its namespace goes a little later, as a person who types the commands would see.
    fn await_end(&self, op: &Op) {
        let Op::Link(LinkOp::Vanish { name, .. }) = op else { return };
        let shown = || self.host.try_sh_in(HOST, &format!("ip link show dev {name}")).status.success();
        self.host.wait_until("the link has gone with its namespace", || !shown());
    }

    /// Carries out what takes away; nothing may resist.
    #[track_caller]
    pub(crate) fn take_away(&mut self, steps: &[Step]) {
        let failed = self.inside(|executor| executor.run_all(steps));
        assert!(failed.is_empty(), "{failed:#?}");
    }

    /// Runs `body` with the executor, in the namespace that plays the host.
    pub(crate) fn inside<R>(&mut self, body: impl FnOnce(&mut Executor) -> R) -> R {
        self.home.enter(|| body(&mut self.executor)).unwrap()
    }

    /// Runs a shell command on the host.
    #[track_caller]
    pub(crate) fn sh(&self, command: &str) -> String {
        self.host.sh_in(HOST, command)
    }

    /// Lets the executor hold namespaces again that it let go of, as the process that starts a container does.
    pub(crate) fn keep_fresh(&mut self) {
        for netns in &self.fresh {
            self.executor.adopt(netns.try_clone().unwrap()).unwrap();
        }
    }

    /// Another namespace without a name.
    pub(crate) fn new_netns(&mut self) -> NetnsId {
        self.fresh.push(Netns::create().unwrap());
        self.keep_fresh();
        self.fresh.last().unwrap().id()
    }

    /// Everything that the kernel knows about the host and the containers, but for those of somebody else that nothing
    /// is connected to.
    #[track_caller]
    pub(crate) fn dump(&self) -> Dump {
        let pinned = pontoon_kernel::netns::pinned_names().unwrap();
        let others = OTHERS.into_iter().filter(|name| pinned.iter().any(|pinned| pinned == name));
        let others = others.filter(|name| self.has_links(name));
        let ours = OURS.into_iter().filter(|name| pinned.iter().any(|pinned| pinned == name));
        Dump::of(self.host, [HOST].into_iter().chain(others).chain(ours))
    }

    /// Whether a namespace has links beside its loopback.
    fn has_links(&self, name: &str) -> bool {
        let links = || std::fs::read_dir("/proc/sys/net/ipv4/conf").unwrap().count();
        // `all`, `default` and `lo` are there always.
        self.host.netns(name).enter(links).unwrap() > 3
    }
}

impl Drop for Stand<'_> {
    fn drop(&mut self) {
        for name in pontoon_kernel::netns::pinned_names().unwrap_or_default() {
            let _ = self.host.try_sh(&format!("ip netns delete {name}; rm -rf /etc/netns/{name}"));
        }
    }
}
