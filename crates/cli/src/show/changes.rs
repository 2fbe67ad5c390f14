//! What `up` would do, as commands that a person could type, with reasons.

use pontoon_compose::converge::{
    Change, Difference, Member, Update, Wire, container_at, destination, label, reference,
};
use pontoon_compose::project::{CableEnd, Joined, Networking, Project, ProjectNetwork, Runtime};
use pontoon_model::sandbox::Process;
use pontoon_model::{ContainerRef, Impairment};
use pontoon_plan::command::quote;
use pontoon_project::Planned;
use serde::Serialize;

/// Commands and why they are given.
#[derive(Debug, Serialize)]
struct Shown {
    /// What it is about.
    subject: String,
    why: String,
    commands: Vec<String>,
}

impl Shown {
    fn new(subject: impl Into<String>, why: impl Into<String>, commands: Vec<String>) -> Self {
        Self { subject: subject.into(), why: why.into(), commands }
    }
}

/// Commands for a shell, each under its reason.
pub(crate) fn script(project: &Project, planned: &Planned) -> String {
    let mut text = String::from("# What would be done; nothing has been changed.\n");
    let shown = all(project, planned);
    if shown.iter().all(|one| one.commands.is_empty()) {
        text.push_str("# There is nothing to do.\n");
    }
    for Shown { subject, why, commands } in shown.iter().filter(|one| !one.commands.is_empty()) {
        text.push_str(&format!("\n# {subject}: {why}\n"));
        commands.iter().for_each(|command| text.push_str(&format!("{command}\n")));
    }
    text
}

/// The changes, each with its reason and commands.
pub(crate) fn json(project: &Project, planned: &Planned) -> String {
    let text = serde_json::to_string_pretty(&all(project, planned));
    text.expect("changes are made of text and numbers") + "\n"
}

/// When something is done: what is given free comes before what others may take of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Give,
    End,
    Networks,
    Containers,
    Wires,
    Rest,
}

/// In the order in which it is done.
fn all(project: &Project, planned: &Planned) -> Vec<Shown> {
    let changes = planned.changes.iter().flat_map(|change| shown(project, &planned.members, change));
    let wires = planned.wires.iter().map(|one| (Phase::Wires, wire(project, &planned.members, one)));
    let mut all: Vec<(Phase, Shown)> = changes.chain(wires).collect();
    all.sort_by_key(|(phase, _)| *phase);
    all.into_iter().map(|(_, shown)| shown).collect()
}

fn shown(project: &Project, members: &[Member], change: &Change) -> Vec<(Phase, Shown)> {
    let known = |key: &String| project.networks.get(key);
    let create = |key: &String| known(key).map(|network| network_create(&project.name, network));
    let name = |key: &String| known(key).map_or(key.as_str(), |network| network.name.as_str()).to_owned();
    match change {
        Change::CreateNetwork { key } => {
            let commands = create(key).into_iter().collect();
            vec![(Phase::Networks, Shown::new(name(key), "it is not there", commands))]
        }
        Change::RecreateNetwork { key, differences } => {
            let remove = format!("pontoon network rm {}", quote(&name(key)));
            let commands = std::iter::once(remove).chain(create(key)).collect();
            vec![(Phase::Networks, Shown::new(name(key), list(differences), commands))]
        }
        Change::RemoveNetwork { name } => {
            let remove = format!("pontoon network rm {}", quote(name));
            vec![(Phase::Rest, Shown::new(name, "the file has it no more", vec![remove]))]
        }
        Change::Create { member } => {
            let member = &members[*member];
            vec![(Phase::Containers, Shown::new(&member.name, "it is not there", run(project, member)))]
        }
        Change::Recreate { member, differences } => {
            let member = &members[*member];
            let why = if differences.is_empty() { "it is asked for".into() } else { list(differences) };
            let remove = vec![remove(&meant(member))];
            vec![
                (Phase::End, Shown::new(&member.name, why.clone(), remove)),
                (Phase::Containers, Shown::new(&member.name, why, run(project, member))),
            ]
        }
        Change::Update { member, differences, updates } => {
            let member = &members[*member];
            let part = |phase: Phase, gives: bool| {
                let of = updates.iter().filter(|update| update.gives() == gives);
                let commands = of.flat_map(|update| update_commands(project, member, update)).collect();
                (phase, Shown::new(&member.name, list(differences), commands))
            };
            vec![part(Phase::Give, true), part(Phase::Containers, false)]
        }
        Change::Keep { member } => {
            let member = &members[*member];
            vec![(Phase::Containers, Shown::new(&member.name, "it is as it should be", Vec::new()))]
        }
        Change::Remove { name, container } => {
            vec![(Phase::End, Shown::new(name, "it is not wanted any more", vec![remove(container)]))]
        }
    }
}

fn wire(project: &Project, members: &[Member], wire: &Wire) -> Shown {
    let command = |words: &[&str]| vec![join(words.iter().map(|word| (*word).to_owned()).collect())];
    let at = |member: &usize| (members[*member].name.clone(), meant(&members[*member]).to_string());
    match wire {
        Wire::Unlay { ends, .. } => {
            let places: Vec<&str> = ends.split(' ').filter_map(|end| end.split(':').next()).collect();
            let words = [&["pontoon", "unlink"][..], &places].concat();
            Shown::new(format!("cable {ends}"), "the file has it no more", command(&words))
        }
        Wire::Lay { cable } => {
            let cable = &project.cables[*cable];
            let ends = [0, 1].map(|end| cable_end(project, members, &cable.ends[end]));
            let mtu = cable.mtu.map(|mtu| mtu.to_string());
            let mut words = vec!["pontoon", "link"];
            words.extend(mtu.iter().flat_map(|mtu| ["--mtu", mtu.as_str()]));
            let label = format!("{}={}", label::PROJECT, project.name);
            words.extend(["--label", &label, &ends[0], &ends[1]]);
            Shown::new(format!("cable {} {}", ends[0], ends[1]), "it is not there", command(&words))
        }
        Wire::RemoveRoute { member, route } => {
            let ((name, meant), to) = (at(member), route.to.to_string());
            let words = ["pontoon", "network", "route", "rm", &meant, &to];
            Shown::new(name, format!("route {route} is in the file no more"), command(&words))
        }
        Wire::AddRoute { member, route } => {
            let ((name, meant), to, via) =
                (at(member), destination(route.to).to_string(), route.via.to_string());
            let mut words = vec!["pontoon", "network", "route", "add", &meant, &to, "via", &via];
            words.extend(route.interface.iter().flat_map(|ifname| ["dev", ifname.as_str()]));
            Shown::new(name, "the route is not there", command(&words))
        }
        Wire::Impair { member, network, impairment } => {
            let ((name, meant), network) = (at(member), real_name(project, network));
            let mut words = vec!["pontoon", "impair", &meant, "--network", network];
            let flags = impair_flags(impairment);
            words.extend(flags.iter().map(String::as_str));
            Shown::new(name, format!("impaired by {impairment}"), command(&words))
        }
        Wire::ImpairCable { cable, impairment } => {
            let cable = &project.cables[*cable];
            let flags = impair_flags(impairment);
            let impair = |end: &CableEnd| {
                let at = cable_end(project, members, end);
                let at = at.split('=').next().unwrap_or_default().to_owned();
                let words = [
                    &["pontoon", "impair", at.as_str()][..],
                    &flags.iter().map(String::as_str).collect::<Vec<_>>(),
                ];
                command(&words.concat())
            };
            let both = cable.ends.iter().flat_map(impair).collect();
            Shown::new("cable", format!("impaired by {impairment}"), both)
        }
    }
}

fn impair_flags(impairment: &Impairment) -> Vec<String> {
    if impairment.is_none() {
        return vec!["--clear".into()];
    }
    // `rate 10mbit delay 20ms`
    impairment
        .to_string()
        .split(' ')
        .enumerate()
        .map(|(place, word)| if place % 2 == 0 { format!("--{word}") } else { word.to_owned() })
        .collect()
}

/// `web:eth1=10.0.0.1/30`
fn cable_end(project: &Project, members: &[Member], end: &CableEnd) -> String {
    let place = match container_at(project, end) {
        None => "host".to_owned(),
        Some(name) => {
            let member = members.iter().find(|member| member.name == name);
            member.map_or(name, |member| meant(member).to_string())
        }
    };
    let ifname = end.ifname.as_ref().map_or_else(String::new, |ifname| format!(":{ifname}"));
    let addresses: Vec<String> = end.addresses.iter().map(ToString::to_string).collect();
    let sign = if addresses.is_empty() { "" } else { "=" };
    format!("{place}{ifname}{sign}{}", addresses.join(","))
}

fn meant(member: &Member) -> ContainerRef {
    reference(&member.runtime, member.name.clone())
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What takes a container away.
pub(crate) fn remove(container: &ContainerRef) -> String {
    match container {
        ContainerRef::Docker(name) => format!("docker rm -f {}", quote(name)),
        ContainerRef::Podman(name) => format!("podman rm -f {}", quote(name)),
        ContainerRef::Oci(name) => format!("pontoon oci-hook --poststop && crun delete -f {}", quote(name)),
        other => format!("pontoon rm -f {}", quote(&other.to_string())),
    }
}

fn join(words: Vec<String>) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn network_create(project: &str, wanted: &ProjectNetwork) -> String {
    let mut words: Vec<String> = ["pontoon", "network", "create"].map(str::to_owned).to_vec();
    let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    if let Some(driver) = &wanted.driver {
        flag("driver", driver.clone());
    }
    for pool in &wanted.pools {
        flag("subnet", pool.subnet.to_string());
        pool.range.iter().for_each(|range| flag("ip-range", range.to_string()));
        pool.gateway.iter().for_each(|gateway| flag("gateway", gateway.to_string()));
        pool.aux.iter().for_each(|(name, address)| flag("aux-address", format!("{name}={address}")));
    }
    wanted.options.iter().for_each(|(key, value)| flag("opt", format!("{key}={value}")));
    wanted.labels.iter().for_each(|(key, value)| flag("label", format!("{key}={value}")));
    flag("label", format!("{}={project}", label::PROJECT));
    flag("label", format!("{}={}", label::NETWORK, wanted.key));
    words.extend(wanted.ipv4.map(|on| format!("--ipv4={on}")));
    words.extend(wanted.ipv6.map(|on| format!("--ipv6={on}")));
    words.extend(wanted.internal.then(|| "--internal".to_owned()));
    words.extend(wanted.attachable.then(|| "--attachable".to_owned()));
    words.push(wanted.name.clone());
    join(words)
}

fn run(project: &Project, member: &Member) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let made = match &member.runtime {
        Runtime::Process { .. } => return vec![run_process(project, member)],
        Runtime::Docker { image } => vec![run_elsewhere("docker", image, member)],
        Runtime::Podman { image } => vec![run_elsewhere("podman", image, member)],
        Runtime::Oci { bundle, program } => {
            let (program, bundle) = (program.as_deref().unwrap_or("crun"), bundle.display().to_string());
            vec![join(words(&[program, "create", "--bundle", &bundle, &member.name]))]
        }
    };
    let mut all = made;
    let name = meant(member).to_string();
    if let Networking::Networks(joined) = &member.networking {
        all.extend(joined.iter().map(|one| join(connect(project, one, &name))));
    }
    if !member.ports.is_empty() {
        let ports: Vec<String> = member.ports.iter().map(ToString::to_string).collect();
        all.push(join([words(&["pontoon", "publish", &name]), ports].concat()));
    }
    if let Runtime::Oci { program, .. } = &member.runtime {
        all.push(join(words(&[program.as_deref().unwrap_or("crun"), "start", &member.name])));
    }
    all
}

/// Without a network: that comes from outside.
fn run_elsewhere(engine: &str, image: &str, member: &Member) -> String {
    let mut words: Vec<String> = [engine, "run", "-d", "--name", &member.name].map(str::to_owned).to_vec();
    let network = match &member.networking {
        Networking::Host => "host".to_owned(),
        Networking::Container(name) => format!("container:{}", bare(name)),
        _ => "none".to_owned(),
    };
    words.extend(["--network".into(), network]);
    for variable in &member.process.env {
        words.extend(["-e".into(), variable.clone()]);
    }
    if let Some([first, ..]) = member.entrypoint.as_deref() {
        words.extend(["--entrypoint".into(), first.clone()]);
    }
    words.push(image.to_owned());
    words.extend(member.entrypoint.iter().flat_map(|entrypoint| entrypoint.iter().skip(1).cloned()));
    words.extend(member.command.iter().flatten().cloned());
    join(words)
}

fn bare(name: &ContainerRef) -> String {
    let name = name.to_string();
    name.split_once(':').map_or(name.clone(), |(_, bare)| bare.to_owned())
}

fn run_process(project: &Project, member: &Member) -> String {
    let mut words: Vec<String> = ["pontoon", "run", "-d", "--name", &member.name].map(str::to_owned).to_vec();
    match &member.networking {
        Networking::None => words.extend(["--network".into(), "none".into()]),
        Networking::Host => words.extend(["--network".into(), "host".into()]),
        Networking::Service(name) => words.extend(["--network".into(), format!("container:{name}")]),
        Networking::Container(name) => words.extend(["--network".into(), format!("container:{name}")]),
        Networking::Networks(joined) => {
            for one in joined {
                words.extend(["--network".into(), attachment(project, one)]);
            }
        }
    }
    member.ports.iter().for_each(|port| words.extend(["-p".into(), port.to_string()]));
    process_flags(&member.process, &member.name, &mut words);
    for (key, value) in &member.labels {
        words.extend(["--label".into(), format!("{key}={value}")]);
    }
    words.push("--".into());
    words.extend(member.process.argv.iter().cloned());
    join(words)
}

fn process_flags(process: &Process, name: &str, words: &mut Vec<String>) {
    let mut flag = |flag: &str, value: String| words.extend([format!("--{flag}"), value]);
    process.rootfs.iter().for_each(|path| flag("rootfs", path.display().to_string()));
    process.workdir.iter().for_each(|path| flag("workdir", path.display().to_string()));
    if process.hostname != name {
        flag("hostname", process.hostname.clone());
    }
    process.env.iter().for_each(|one| flag("env", one.clone()));
    process.dns.iter().for_each(|one| flag("dns", one.to_string()));
    process.dns_search.iter().for_each(|one| flag("dns-search", one.clone()));
    process.dns_options.iter().for_each(|one| flag("dns-option", one.clone()));
    process.extra_hosts.iter().for_each(|(name, to)| flag("add-host", format!("{name}:{to}")));
    process.exposed.iter().for_each(|one| flag("expose", one.to_string()));
    process.sysctls.iter().for_each(|set| flag("sysctl", format!("{}={}", set.key, set.value)));
    if process.restart != pontoon_model::supervision::RestartPolicy::No {
        flag("restart", process.restart.to_string());
    }
    if let Some(check) = &process.health_check {
        flag("health-cmd", health_command(&check.test));
        let time = |duration| humantime::format_duration(duration).to_string().replace(' ', "");
        flag("health-interval", time(check.interval));
        flag("health-timeout", time(check.timeout));
        flag("health-retries", check.retries.to_string());
        flag("health-start-period", time(check.start_period));
        flag("health-start-interval", time(check.start_interval));
    }
    process.stop_signal.iter().for_each(|signal| flag("stop-signal", signal.to_string()));
    process.stop_grace.iter().for_each(|grace| flag("stop-timeout", grace.as_secs().to_string()));
}

/// A check's command, as `run --health-cmd` takes it.
fn health_command(test: &[String]) -> String {
    match test {
        [shell, option, line] if shell == "/bin/sh" && option == "-c" => line.clone(),
        words => serde_json::json!(words).to_string(),
    }
}

/// `NET:ip=…,alias=…`, as `run --network` takes it.
fn attachment(project: &Project, joined: &Joined) -> String {
    let mut pairs: Vec<String> = Vec::new();
    pairs.extend(joined.ipv4.map(|ip| format!("ip={ip}")));
    pairs.extend(joined.ipv6.map(|ip| format!("ip6={ip}")));
    pairs.extend(joined.link_local_ips.iter().map(|ip| format!("link-local-ip={ip}")));
    pairs.extend(joined.aliases.iter().map(|alias| format!("alias={alias}")));
    pairs.extend(joined.links.iter().map(|link| format!("link={link}")));
    pairs.extend(joined.mac.iter().map(|mac| format!("mac={mac}")));
    pairs.extend((joined.gw_priority != 0).then(|| format!("gw-priority={}", joined.gw_priority)));
    pairs.extend(joined.ifname.iter().map(|name| format!("ifname={name}")));
    pairs.extend(joined.options.iter().map(|(key, value)| format!("driver-opt={key}={value}")));
    format!("{}:{}", real_name(project, &joined.key), pairs.join(","))
}

fn real_name<'a>(project: &'a Project, key: &'a str) -> &'a str {
    project.networks.get(key).map_or(key, |network| network.name.as_str())
}

fn update_commands(project: &Project, member: &Member, update: &Update) -> Vec<String> {
    let name = &meant(member).to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match update {
        Update::Leave(network) => vec![join(words(&["pontoon", "network", "disconnect", network, name]))],
        Update::Join(joined) => vec![join(connect(project, joined, name))],
        Update::Unpublish(ports) => {
            let ports =
                ports.iter().map(|port| join(words(&["pontoon", "unpublish", name, &withdraw(port)])));
            ports.collect()
        }
        Update::Publish(ports) => {
            let mut all = words(&["pontoon", "publish", name]);
            all.extend(ports.iter().map(ToString::to_string));
            vec![join(all)]
        }
    }
}

fn withdraw(port: &pontoon_model::Publication) -> String {
    let address = match port.address {
        None => String::new(),
        Some(std::net::IpAddr::V6(address)) => format!("[{address}]:"),
        Some(address) => format!("{address}:"),
    };
    format!("{address}{}/{}", port.host, port.protocol)
}

fn connect(project: &Project, joined: &Joined, name: &str) -> Vec<String> {
    let mut words: Vec<String> = ["pontoon", "network", "connect"].map(str::to_owned).to_vec();
    let mut flag = |flag: &str, value: String| words.extend([format!("--{flag}"), value]);
    joined.ipv4.iter().for_each(|ip| flag("ip", ip.to_string()));
    joined.ipv6.iter().for_each(|ip| flag("ip6", ip.to_string()));
    joined.link_local_ips.iter().for_each(|ip| flag("link-local-ip", ip.to_string()));
    joined.aliases.iter().for_each(|alias| flag("alias", alias.clone()));
    joined.links.iter().for_each(|link| flag("link", link.to_string()));
    joined.mac.iter().for_each(|mac| flag("mac-address", mac.to_string()));
    if joined.gw_priority != 0 {
        flag("gw-priority", joined.gw_priority.to_string());
    }
    joined.ifname.iter().for_each(|ifname| flag("ifname", ifname.to_string()));
    joined.options.iter().for_each(|(key, value)| flag("driver-opt", format!("{key}={value}")));
    words.extend([real_name(project, &joined.key).to_owned(), name.to_owned()]);
    words
}
