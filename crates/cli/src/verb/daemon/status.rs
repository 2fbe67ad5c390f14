//! `pontoon daemon status`

use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use pontoon_engine::Root;
use pontoon_engine::notice::{self, Request, ServedNetwork, Upstream};

use crate::failure::Failure;
use crate::output;

/// Show whether it runs, which networks' names it serves, and whom it asks for others
///
/// The exit code is 1 if no daemon runs. Networks that are not served come first, with the reason.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for a person
    Text,
    /// Everything that the daemon says
    Json,
}

impl Status {
    pub(super) fn run(self, root: &Root) -> Result<ExitCode, Failure> {
        let answer = match notice::ask(root, &Request::Status) {
            Err(error) if notice::is_nobody(&error) => {
                output::line("no daemon runs")?;
                return Ok(ExitCode::FAILURE);
            }
            answer => answer?,
        };
        let status = answer.status.unwrap_or_default();
        match self.format {
            Format::Text => output::print(&text(&status))?,
            Format::Json => output::json(&status)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(status: &notice::Status) -> String {
    let since = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(status.started));
    let time = humantime::format_duration(Duration::from_secs(status.uptime_seconds));
    let mut text =
        format!("pontoon {} runs as process {} since {since} ({time})\n", status.version, status.pid);
    text.push_str(match status.on_demand {
        true => "It was started on demand, and ends when no container needs it.\n",
        false => "It was started by hand or by a service manager, and stays.\n",
    });
    if !status.repairs {
        text.push_str("What somebody changes is reported, and not put back.\n");
    }
    let (containers, networks) =
        (counted(status.containers, "container"), counted(status.networks, "network"));
    let questions = counted(status.questions, "question");
    text.push_str(&format!("\nnames: {containers} on {networks}, {questions} so far\n"));
    let width = status.served.iter().map(|network| network.name.len()).max().unwrap_or_default();
    status.served.iter().for_each(|network| text.push_str(&of_network(network, width)));
    match status.networks.saturating_sub(status.served.len()) {
        0 => {}
        more => text.push_str(&format!("  and {more} more\n")),
    }
    text.push_str("\nother names: ");
    text.push_str(match status.upstreams.is_empty() {
        true => "the host's resolv.conf names no server to ask\n",
        false => "asked of\n",
    });
    status.upstreams.iter().for_each(|server| text.push_str(&of_server(server)));
    text
}

fn of_network(network: &ServedNetwork, width: usize) -> String {
    let ServedNetwork { name, bridge, containers, failure } = network;
    let containers = counted(containers, "container");
    let Some(failure) = failure else {
        return format!("  {name:width$}  served on {bridge}: {containers}\n");
    };
    let mut text = format!("  {name:width$}  NOT SERVED on {bridge}: {containers}\n");
    let (reason, hint) = failure.split_once('\n').unwrap_or((failure, ""));
    text.push_str(&format!("    {reason}\n"));
    if !hint.is_empty() {
        text.push_str(&format!("    hint: {hint}\n"));
    }
    text
}

fn of_server(server: &Upstream) -> String {
    let Upstream { server, works, round_trip_ms, answers, timeouts } = server;
    let state = match works {
        None => return format!("  {server}  not asked yet\n"),
        Some(true) => "works",
        Some(false) => "DOES NOT ANSWER",
    };
    let time = round_trip_ms.map(|time| format!(", {time:.1} ms")).unwrap_or_default();
    let answers = counted(answers, "answer");
    format!("  {server}  {state}{time}: {answers}, {timeouts} timed out\n")
}

/// `1 network`, `2 networks`.
fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let ending = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(name: &str, containers: usize, failure: Option<&str>) -> ServedNetwork {
        let bridge = format!("pt-{name}");
        ServedNetwork { name: name.into(), bridge, containers, failure: failure.map(str::to_owned) }
    }

    #[test]
    fn a_person_reads_what_is_served_and_what_is_not_and_why() {
        let status = notice::Status {
            pid: 7,
            version: "0.1.0".into(),
            started: 1_769_860_800,
            uptime_seconds: 185,
            on_demand: true,
            repairs: true,
            networks: 70,
            containers: 3,
            questions: 1,
            served: vec![
                network("green", 2, Some("port 53 of green is held by dnsmasq\nend it")),
                network("blue", 1, None),
            ],
            upstreams: vec![
                Upstream {
                    server: "192.0.2.1:53".into(),
                    works: Some(true),
                    round_trip_ms: Some(1.25),
                    answers: 12,
                    timeouts: 1,
                },
                Upstream { server: "192.0.2.2:53".into(), ..Upstream::default() },
            ],
        };
        assert_eq!(
            text(&status),
            "\
pontoon 0.1.0 runs as process 7 since 2026-01-31T12:00:00Z (3m 5s)
It was started on demand, and ends when no container needs it.

names: 3 containers on 70 networks, 1 question so far
  green  NOT SERVED on pt-green: 2 containers
    port 53 of green is held by dnsmasq
    hint: end it
  blue   served on pt-blue: 1 container
  and 68 more

other names: asked of
  192.0.2.1:53  works, 1.2 ms: 12 answers, 1 timed out
  192.0.2.2:53  not asked yet
"
        );
    }

    #[test]
    fn with_nothing_to_do_it_says_so() {
        let said = text(&notice::Status::default());
        assert!(said.contains("reported, and not put back"), "{said}");
        assert!(said.contains("names: 0 containers on 0 networks, 0 questions so far\n\nother names: the host's resolv.conf names no server to ask\n"), "{said}");
    }
}
