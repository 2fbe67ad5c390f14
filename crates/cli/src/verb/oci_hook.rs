//! `pontoon oci-hook`

use std::io::Read as _;
use std::process::ExitCode;

use clap::Args;
use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::run::Networking;
use pontoon_engine::{Engine, Outcome};
use pontoon_model::ContainerRef;
use pontoon_model::publish::PublishSpec;
use pontoon_oci::hook::{LONGEST, State};
use pontoon_plan::Plan;

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::attachment::{Attachment, First, combine};
use crate::parse::hinted::hinted;
use crate::show::plan::PlanFlag;

/// Connect the container of an OCI runtime (runc, crun): a `createRuntime` hook
///
/// Reads the container's state on standard input, as runtimes pass it. Networks and ports are those of the arguments and
/// those of the annotations dev.pontoon.network and dev.pontoon.publish, which have the same words, separated by spaces.
/// A container that names none is left as it is. Afterwards it is oci:ID for all other verbs. When this fails, the
/// runtime does not start the container.
#[derive(Debug, Args)]
pub(crate) struct OciHook {
    /// Network to connect it to, as in `run`: NET, or NET:ip=…,alias=…; may be repeated
    #[arg(long, value_name = "NETWORK", value_parser = |text: &str| text.parse::<Attachment>())]
    network: Vec<Attachment>,
    /// Port to publish, as in `run`: [HOST_IP:][HOST_PORT:]PORT[/tcp|udp|sctp]; may be repeated
    #[arg(long, short, value_name = "PORT", value_parser = hinted::<PublishSpec>)]
    publish: Vec<PublishSpec>,
    /// Disconnect it instead: a `poststop` hook
    #[arg(long, conflicts_with_all = ["network", "publish"])]
    poststop: bool,
    #[command(flatten)]
    plan: PlanFlag,
}

const NETWORK: &str = "dev.pontoon.network";
const PUBLISH: &str = "dev.pontoon.publish";

impl OciHook {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let state = read_state()?;
        if self.poststop {
            let mut session = global.session()?;
            let left = session.leave_all(&ContainerRef::Oci(state.id))?;
            global.conclude(&session, format, &left, |()| Ok(()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let wanted = self.wanted(&state)?;
        if wanted.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if state.pid == 0 {
            let what = format!("container `{}` has no process ({})", state.id, state.status);
            return Err(
                Failure::new(what).with_hint("this is for `createRuntime`; `poststop` takes --poststop")
            );
        }
        let mut session = global.session()?;
        let reference = session.announce(&state.id, state.pid, state.annotations.clone().unwrap_or_default());
        let connected = connect(&mut session, &reference, &wanted)?;
        global.conclude(&session, format, &connected, |()| Ok(()))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The networks of arguments and annotations; ports come with the last of them, when all are known.
    fn wanted(self, state: &State) -> Result<Vec<(String, ConnectSpec)>, Failure> {
        let mut given = self.network;
        for word in state.words(NETWORK) {
            given.push(word.parse().map_err(|error| annotated(NETWORK, error))?);
        }
        let mut publish = self.publish;
        for word in state.words(PUBLISH) {
            publish.push(hinted(word).map_err(|error| annotated(PUBLISH, error))?);
        }
        let Networking::Networks(mut networks) = combine(given, First::default())? else {
            return Err(Failure::usage(
                "a hook connects to networks: `none`, `host` and `container:…` are the runtime's",
            ));
        };
        match networks.last_mut() {
            Some((_, last)) => last.publish = publish,
            None if publish.is_empty() => {}
            None => {
                let hint = format!("--network, or the annotation {NETWORK}");
                return Err(
                    Failure::usage("ports are published on a network, and none is named").with_hint(hint)
                );
            }
        }
        Ok(networks)
    }
}

fn annotated(annotation: &str, error: String) -> Failure {
    Failure::new(format!("annotation {annotation}: {error}"))
}

fn read_state() -> Result<State, Failure> {
    let mut json = Vec::new();
    // One byte more, to tell a state that is too long.
    let limit = u64::try_from(LONGEST).expect("a length fits") + 1;
    let read = std::io::stdin().lock().take(limit).read_to_end(&mut json);
    read.map_err(|error| Failure::io("could not read the container's state", &error))?;
    Ok(State::parse(&json)?)
}

/// Connects to all networks, or to none.
fn connect(
    engine: &mut Engine,
    reference: &ContainerRef,
    wanted: &[(String, ConnectSpec)],
) -> Result<Outcome<()>, Failure> {
    let mut plan = Plan::default();
    for (network, spec) in wanted {
        match engine.connect(network, reference, spec) {
            Ok(connected) => plan.append(connected.plan),
            Err(error) => {
                let mut failure = Failure::from(error);
                if let Err(left) = engine.leave_all(reference) {
                    failure = failure.and(left.into());
                }
                return Err(failure);
            }
        }
    }
    Ok(Outcome { value: (), plan })
}
