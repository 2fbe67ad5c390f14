//! Projects of compose files: brought up, changed while they run, tested, taken down.

mod collisions;
mod converging;
mod elsewhere;
mod killed;
mod labs;
mod life;
mod refused;
mod services;
mod side_by_side;
mod stream;

use std::net::TcpStream;
use std::path::Path;

use pontoon_e2e::{Pontoon, becomes_as_before, program};
use pontoon_testkit::{Host, Snapshot};

/// Writes the file of a project `shop`, in whose directory this process is from then on. `SERVE` stands for a web server
/// of one page, `FETCH` for its client.
#[track_caller]
fn file(text: &str) {
    let folder = Path::new("/run/shop");
    std::fs::create_dir_all(folder).expect("/run is the sandbox's own");
    std::env::set_current_dir(folder).expect("it is there");
    let program = program();
    let program = program.display();
    let text = text.replace("SERVE", &format!("{program} lab-serve"));
    let text = text.replace("FETCH", &format!("{program} lab-fetch"));
    std::fs::write("compose.yaml", text).expect("/run is the sandbox's own");
}

/// Brings the project up; what it printed.
#[track_caller]
fn up(pontoon: &Pontoon<'_>) -> String {
    pontoon.run("up -d")
}

/// Changes the project's file, and brings it up: what was reported but for what is as it was.
#[track_caller]
fn change(pontoon: &Pontoon<'_>, pairs: &[(&str, &str)]) -> Vec<String> {
    edit(pairs);
    changed(&up(pontoon))
}

/// Changes the project's file.
#[track_caller]
fn edit(pairs: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string("compose.yaml").expect("it was written");
    for (from, to) in pairs {
        assert!(text.contains(from), "`{from}` is in the file:\n{text}");
        text = text.replace(from, to);
    }
    file(&text);
}

/// Takes the project down, and with it what stays for the next network: nothing is left.
#[track_caller]
fn leaves_nothing(host: &Host, pontoon: &Pontoon<'_>, before: &Snapshot) {
    pontoon.run("down");
    pontoon.run("system prune --force");
    becomes_as_before(host, before);
    assert!(!host.try_sh("ls /var/lib/pontoon/containers/*").status.success(), "no output is kept");
}

/// Runs commands that were shown, in a shell.
#[track_caller]
fn by_hand(host: &Host, script: &str) {
    host.sh(&format!("mkdir -p /run/bin && ln -sf {} /run/bin/pontoon", program().display()));
    std::fs::write("/run/script", script).expect("/run is the sandbox's own");
    host.sh("PATH=/run/bin:$PATH sh -e /run/script");
}

/// The lines of what was changed.
fn changed(told: &str) -> Vec<String> {
    told.lines().filter(|line| !line.starts_with('=')).map(str::to_owned).collect()
}

/// Nothing is left to do, and a plan says so.
#[track_caller]
fn is_as_wanted(pontoon: &Pontoon<'_>) {
    let before = pids(pontoon);
    assert_eq!(changed(&up(pontoon)), Vec::<String>::new());
    let planned = pontoon.run("up --dry-run");
    assert!(planned.contains("There is nothing to do"), "{planned}");
    assert_eq!(pids(pontoon), before, "nothing was started anew");
}

/// The names of the project's containers that run, with their processes.
#[track_caller]
fn pids(pontoon: &Pontoon<'_>) -> Vec<(String, String)> {
    let names = pontoon.run("compose ps --format '{{.Names}}'");
    names.lines().map(|name| (name.to_owned(), pid(pontoon, name))).collect()
}

/// The process of a container.
#[track_caller]
fn pid(pontoon: &Pontoon<'_>, name: &str) -> String {
    pontoon.run(&format!("inspect --format '{{{{.State.Pid}}}}' {name}"))
}

/// What a server answers to a container or the host: its page's first line, nothing where it is not reached.
#[track_caller]
fn fetch(pontoon: &Pontoon<'_>, from: &str, address: &str) -> String {
    let client = format!("lab-fetch http://{address}/");
    let output = match from {
        "host" => pontoon.attempt(&client),
        name => pontoon.attempt(&format!("exec {name} -- {} {client}", program().display())),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Waits until a container's web server listens.
#[track_caller]
fn serves(host: &Host, name: &str) {
    let listens =
        || host.netns(name).enter(|| TcpStream::connect("127.0.0.1:80").is_ok()).expect("it can be entered");
    host.wait_until(&format!("{name} listens"), listens);
}

/// What was said of a command that is refused; it has a hint.
#[track_caller]
fn refused(pontoon: &Pontoon<'_>, words: &str) -> String {
    let said = pontoon.fail(words).1;
    assert!(said.contains("\nhint: "), "{words}: {said}");
    said
}
