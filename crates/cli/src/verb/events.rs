//! `pontoon events`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use pontoon_engine::event::EventLog;
use pontoon_format::{Filters, Key, Kind, Shape, Subject, Template, parse_time};
use pontoon_kernel::line_log::{Follower, Piece, Start};
use pontoon_model::event::{Action, Kind as Subjects};
use pontoon_model::{Event, News};
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// Show what happens: networks, containers, connections, published ports, repairs
///
/// Without --since and --until, what happens from now on, until it is interrupted. With --since, first what happened
/// since then; with --until, what happened before, ending at that time. Times are RFC 3339, seconds since 1970, or
/// an age such as 10m.
///
/// Filters: type=network, container, endpoint, port, cable, host or daemon; event=create, destroy, connect, …;
/// network=NAME|ID, container=NAME|ID, label=KEY[=VALUE]. Fields of templates: .Time .TimeNano .Type .Action .Scope
/// .Actor.ID .Actor.Attributes, and .ID and .Status as shorter names. --format json prints a line of JSON for each, as
/// `docker events` does.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Show what happened since then
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// End at that time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show only what matches, such as `type=network`; may be repeated
    #[arg(long, short, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `json`, or a Go template for each event
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: String,
}

const KEYS: [Key; 5] = [
    Key::new("container", Kind::Exact, ""),
    Key::new("event", Kind::OneOf(&ACTIONS), ""),
    Key::new("label", Kind::Label, ""),
    Key::new("network", Kind::Exact, ""),
    Key::new("type", Kind::OneOf(&KINDS), ""),
];

const KINDS: [&str; Subjects::ALL.len()] = {
    let mut words = [""; Subjects::ALL.len()];
    let mut place = 0;
    while place < words.len() {
        words[place] = Subjects::ALL[place].word();
        place += 1;
    }
    words
};

/// With the word that Pontoon's command line has for `destroy`.
const ACTIONS: [&str; Action::ALL.len() + 1] = {
    let mut words = [REMOVE; Action::ALL.len() + 1];
    let mut place = 0;
    while place < Action::ALL.len() {
        words[place] = Action::ALL[place].word();
        place += 1;
    }
    words
};
const REMOVE: &str = "remove";

impl Events {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let now = SystemTime::now();
        let (since, until) =
            (time("since", self.since.as_deref(), now)?, time("until", self.until.as_deref(), now)?);
        let show =
            Show { format: Format::parse(&self.format)?, filters: Filters::parse(&KEYS, &self.filter, now)? };
        let start = if since.is_none() && until.is_none() { Start::Now } else { Start::Oldest };
        let log = EventLog::of(&global.instance()?);
        let mut follower = Follower::open(log.path(), start)?;
        loop {
            // Looked at before the log is: what was written until then is in it.
            let over = until.is_some_and(|until| SystemTime::now() >= until);
            follower.read(|piece| match event(piece) {
                Some(event) if is_within(&event, since, until) => show.event(&event),
                _ => Ok(()),
            })?;
            if over {
                return Ok(ExitCode::SUCCESS);
            }
            let left = until.map(|until| until.duration_since(SystemTime::now()).unwrap_or_default());
            follower.wait(left)?;
        }
    }
}

fn time(option: &str, text: Option<&str>, now: SystemTime) -> Result<Option<SystemTime>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || {
        Failure::usage(format!("`{text}` is not a time for --{option}")).with_hint(
            "write an age such as `10m`, a time such as `2026-01-31T12:00:00Z`, or seconds since 1970",
        )
    };
    parse_time(text, now).map(Some).ok_or_else(wrong)
}

/// The event that was read. What is no event is told of.
fn event(piece: Piece<'_>) -> Option<Event> {
    match piece {
        Piece::Line(line) => match Event::parse(line) {
            Ok(event) => Some(event),
            Err(_) => {
                let last = Event::parse_last(line);
                output::warning(match last {
                    Some(_) => "a part of an event is left out: whoever wrote it was cut short",
                    None => "a line is left out that is no event, or one that a later Pontoon wrote",
                });
                last
            }
        },
        Piece::Torn(length) => {
            output::warning(&format!("{length} bytes are left out that are no event"));
            None
        }
        Piece::Gap => {
            output::warning("events came faster than they were read: some may be missing here");
            None
        }
    }
}

fn is_within(event: &Event, since: Option<SystemTime>, until: Option<SystemTime>) -> bool {
    let time = moment_of(event);
    since.is_none_or(|since| time >= since) && until.is_none_or(|until| time <= until)
}

fn moment_of(event: &Event) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(event.time_nano.try_into().unwrap_or_default())
}

/// How events are printed.
enum Format {
    Line,
    Json,
    Rows(Template),
}

impl Format {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text.trim() {
            "" => Ok(Self::Line),
            // As Go prints Docker's own, with the names that the lines have.
            "json" | "{{json .}}" => Ok(Self::Json),
            text if text == "table" || text.starts_with("table ") => {
                Err(Failure::usage("events come one by one, and make no table")
                    .with_hint("leave out `table`: the template is for each event"))
            }
            text => {
                let template = Template::parse(text)?;
                // A field that no event has is refused before one happens.
                render(&template, &News::new(Subjects::Host, Action::Repair, "").at(0))?;
                Ok(Self::Rows(template))
            }
        }
    }
}

struct Show {
    format: Format,
    filters: Filters,
}

impl Show {
    fn event(&self, event: &Event) -> Result<(), Failure> {
        if !self.filters.matches(|key| subject(key.name, event)) {
            return Ok(());
        }
        match &self.format {
            Format::Line => output::print(&line(event)),
            Format::Json => output::print(&event.line()),
            Format::Rows(template) => output::print(&render(template, event)?),
        }
    }
}

/// An event as a template says. Which attributes one has is its own: those of others are `<no value>`, as with Docker.
fn render(template: &Template, event: &Event) -> Result<String, Failure> {
    let fields = json!({
        "Time": event.time,
        "TimeNano": event.time_nano,
        "Type": event.kind,
        "Action": event.action,
        "Status": event.action,
        "Scope": event.scope,
        "ID": event.actor.id,
        "Actor": { "ID": event.actor.id, "Attributes": event.actor.attributes },
    });
    let shape = Shape::strict().with_open(["Attributes"]);
    Ok(template.render_as(&fields, &shape)? + "\n")
}

fn subject<'e>(key: &str, event: &'e Event) -> Subject<'e> {
    let actor = |own: &[Subjects], others: &[&str]| {
        let own = if own.contains(&event.kind) {
            [Some(event.actor.id.as_str()), event.attribute("name")]
        } else {
            [None, None]
        };
        let others = others.iter().map(|key| event.attribute(key));
        let texts: Vec<&str> = own.into_iter().chain(others).flatten().collect();
        let short = texts.iter().filter_map(|text| short(text));
        Subject::Texts(texts.iter().copied().chain(short).map(Into::into).collect())
    };
    match key {
        "type" => Subject::text(event.kind.word()),
        "event" if event.action == Action::Destroy => {
            Subject::Texts(vec![Action::Destroy.word().into(), REMOVE.into()])
        }
        "event" => Subject::text(event.action.word()),
        "network" => actor(&[Subjects::Network], &["network"]),
        "container" => {
            actor(&[Subjects::Container, Subjects::Port], &["container", "containerName", "first", "second"])
        }
        "label" => {
            let attributes = &event.actor.attributes;
            Subject::labels(attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        }
        _ => Subject::Absent,
    }
}

/// `2026-01-31T12:00:00.000Z network connect blue container=web ip=172.18.0.2`, in columns.
fn line(event: &Event) -> String {
    let time = humantime::format_rfc3339_millis(moment_of(event));
    let name = event.attribute("name").unwrap_or(&event.actor.id);
    let mut line = format!("{time} {:<9} {:<10} {}", event.kind, event.action, shown(name));
    for (key, value) in told(&event.actor.attributes) {
        line.push_str(&format!(" {key}={}", shown(value)));
    }
    line.push('\n');
    line
}

/// The attributes that a person reads: no ids where there is a name, nothing that the line says already.
fn told(attributes: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    const LEFT_OUT: [&str; 10] = [
        "name",
        "type",
        "container",
        "endpoint",
        "interface",
        "mac",
        "first",
        "second",
        "firstInterface",
        "secondInterface",
    ];
    let left_out = |key: &str| {
        LEFT_OUT.contains(&key) && (key != "container" || attributes.contains_key("containerName"))
    };
    attributes
        .iter()
        .filter(move |(key, _)| !left_out(key))
        .map(|(key, value)| (if key == "containerName" { "container" } else { key.as_str() }, value.as_str()))
}

/// A text as it can stand in a line: ids short, and nothing that would break the line or move the cursor.
fn shown(text: &str) -> String {
    match text {
        text if text.is_empty() || text.contains([' ', '"']) || text.contains(char::is_control) => {
            format!("\"{}\"", text.escape_debug())
        }
        text => short(text).unwrap_or(text).to_owned(),
    }
}

/// An id as people are shown it; none if it is something else.
fn short(text: &str) -> Option<&str> {
    let id = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.then(|| &text[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "940b240aa5ac494c8ea56a2ec9562fad849aee325c564001568dda5d281fcf64";

    fn connect() -> Event {
        News::new(Subjects::Network, Action::Connect, ID)
            .with("name", "blue")
            .with("type", "bridge")
            .with("container", ID)
            .with("containerName", "web")
            .with("interface", "eth0")
            .with("ip", "172.18.0.2")
            .at(1_769_860_800_123_456_789)
    }

    fn matches(event: &Event, filters: &[&str]) -> bool {
        let given: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
        let filters = Filters::parse(&KEYS, &given, SystemTime::UNIX_EPOCH).unwrap();
        filters.matches(|key| subject(key.name, event))
    }

    #[test]
    fn a_line_is_for_people() {
        let expected = "2026-01-31T12:00:00.123Z network   connect    blue container=web ip=172.18.0.2\n";
        assert_eq!(line(&connect()), expected);
        assert!(expected.len() <= 100);
        let odd =
            News::new(Subjects::Container, Action::Die, ID).with("a label", "two\nlines\u{1b}[2J").at(0);
        let text = line(&odd);
        assert!(text.contains(r#""two\nlines\u{1b}[2J""#) && text.lines().count() == 1, "{text}");
        assert!(text.starts_with("1970-01-01T00:00:00.000Z container die        940b240aa5ac "), "{text}");
    }

    #[test]
    fn filters_are_dockers() {
        let event = connect();
        let all = ["type=network", "event=connect", "network=blue", "container=web", "label=name=blue"];
        assert!(matches(&event, &all) && matches(&event, &[]));
        assert!(matches(&event, &["container=db", "container=web"]), "values of one key are alternatives");
        for other in ["type=container", "event=disconnect", "network=web", "container=blue", "label=missing"]
        {
            assert!(!matches(&event, &[other]), "{other}");
        }
        assert!(matches(&event, &[&format!("network={ID}"), &format!("container={}", &ID[..12])]));
        let gone = News::new(Subjects::Network, Action::Destroy, ID).at(0);
        assert!(matches(&gone, &["event=destroy"]) && matches(&gone, &["event=remove"]));
    }

    #[test]
    fn templates_have_dockers_fields() {
        let render = |text: &str| match Format::parse(text).unwrap() {
            Format::Rows(template) => super::render(&template, &connect()).unwrap(),
            Format::Line | Format::Json => panic!("{text} is a template"),
        };
        assert_eq!(render("{{.Type}} {{.Status}} {{.Actor.Attributes.name}}"), "network connect blue\n");
        assert_eq!(render("{{.Time}} {{.ID}}"), format!("1769860800 {ID}\n"));
        assert_eq!(render("{{.Actor.Attributes.exitCode}}"), "<no value>\n");
        assert!(Format::parse("{{.Typ}}").is_err(), "before anything happens");
        assert!(matches!(Format::parse("{{json .}}"), Ok(Format::Json)));
        assert!(Format::parse("table {{.Type}}").is_err() && Format::parse("{{").is_err());
    }

    #[test]
    fn times_are_ages_or_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = |text: &str| time("since", Some(text), now).ok().flatten();
        assert_eq!(at("10m"), Some(now - Duration::from_secs(600)));
        assert_eq!(at("1970-01-01T00:00:01Z"), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)));
        assert_eq!(at("12.5"), Some(SystemTime::UNIX_EPOCH + Duration::from_millis(12_500)));
        assert_eq!(at("yesterday"), None);
    }
}
