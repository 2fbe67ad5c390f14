//! The client, against listeners that answer as engines do, or do not.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use pontoon_model::Diagnose as _;
use pontoon_oci::{Client, CreateSpec, Event, ExecSpec, Kind, Next, OciError, What};

/// A listener that gives these answers, one to each request, and keeps the requests.
struct Engine {
    path: PathBuf,
    thread: thread::JoinHandle<Vec<String>>,
}

impl Engine {
    fn start(name: &str, answers: &[(u16, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("pontoon-oci-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let answers: Vec<(u16, String)> =
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let thread = thread::spawn(move || {
            let mut requests = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 65536];
                let length = stream.read(&mut buffer).unwrap();
                requests.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                // In pieces, as it may come.
                for piece in format!("HTTP/1.0 {status} X\r\nA: b\r\n\r\n{body}").as_bytes().chunks(7) {
                    stream.write_all(piece).unwrap();
                }
            }
            requests
        });
        Self { path, thread }
    }

    fn client(&self) -> Client {
        Client::at(Kind::Docker, &self.path).within(Duration::from_secs(5))
    }

    fn requests(self) -> Vec<String> {
        std::fs::remove_file(&self.path).unwrap();
        self.thread.join().unwrap()
    }
}

fn container(running: bool) -> String {
    let id = "ab".repeat(32);
    let pid = if running { 77 } else { 0 };
    format!(
        r#"{{"Id":"{id}","Name":"/web","State":{{"Running":{running},"Pid":{pid}}},"Config":{{"Tty":false}}}}"#
    )
}

#[test]
fn a_container_that_runs_is_told_from_one_that_does_not() {
    let engine = Engine::start("running", &[(200, &container(true)), (200, &container(false))]);
    let client = engine.client();
    assert_eq!(client.running("web").unwrap().1, 77);
    let refused = client.running("web").unwrap_err();
    assert_eq!(refused.hint().unwrap(), "`docker start web`");
    assert!(engine.requests()[0].starts_with("GET /containers/web/json HTTP/1.0\r\n"));
}

#[test]
fn of_a_missing_container_those_are_named_that_are_called_alike() {
    let list = r#"[{"Id":"a","Names":["/db/alias","/web1"]},{"Id":"b","Names":["/other"]}]"#;
    let engine = Engine::start("near", &[(404, r#"{"message":"No such container: web"}"#), (200, list)]);
    let refused = engine.client().inspect("web").unwrap_err();
    assert!(refused.is_no_container());
    assert_eq!(refused.hint().unwrap(), "did you mean web1?");
    engine.requests();
}

#[test]
fn a_missing_image_says_how_to_get_it_and_other_refusals_are_passed_on() {
    let refusals = [(404, r#"{"message":"No such image: x"}"#), (409, r#"{"message":"the name is taken"}"#)];
    let engine = Engine::start("image", &refusals);
    let (client, spec) = (engine.client(), CreateSpec { image: "x".into(), ..CreateSpec::default() });
    assert_eq!(client.create(Some("web"), &spec).unwrap_err().hint().unwrap(), "`docker pull x`");
    assert_eq!(
        client.create(Some("web"), &spec).unwrap_err().to_string(),
        "Docker refuses: the name is taken"
    );
    assert!(engine.requests()[0].starts_with("POST /containers/create?name=web HTTP/1.0\r\n"));
}

#[test]
fn what_is_so_already_is_no_failure() {
    let engine = Engine::start("already", &[(304, ""), (204, "")]);
    engine.client().start("web").unwrap();
    engine.client().stop("web", Some(Duration::from_secs(3))).unwrap();
    assert!(engine.requests()[1].starts_with("POST /containers/web/stop?t=3 "));
}

#[test]
fn commands_are_run_and_their_exit_code_told() {
    let output = "\u{1}\0\0\0\0\0\0\u{3}yes";
    let answers = [(201, r#"{"Id":"e1"}"#), (200, output), (200, r#"{"ExitCode":3}"#)];
    let engine = Engine::start("exec", &answers);
    let spec = ExecSpec { argv: vec!["true".into()], ..ExecSpec::default() };
    let done = engine.client().exec("web", &spec, Duration::from_secs(5)).unwrap();
    assert_eq!((done.code, done.output[0].bytes.as_slice()), (3, &b"yes"[..]));
    assert!(engine.requests()[1].starts_with("POST /exec/e1/start "));
}

#[test]
fn events_come_one_by_one_until_the_end() {
    let line = |action: &str| format!(r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"a"}}}}"#);
    let engine = Engine::start("events", &[(200, &format!("{}\n{}\n", line("start"), line("die")))]);
    let mut events = engine.client().events().unwrap();
    let one = |what| Next::One(Event { id: "a".into(), what });
    assert_eq!(events.next(Some(Duration::from_secs(5))).unwrap(), one(What::Started));
    assert_eq!(events.next(None).unwrap(), one(What::Died));
    assert_eq!(events.next(None).unwrap(), Next::End);
    engine.requests();
}

#[test]
fn an_engine_that_hangs_hangs_nobody() {
    let path = std::env::temp_dir().join(format!("pontoon-oci-silent-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    // It never accepts: one waits for an answer, and once the queue is full, to be connected.
    let _listener = UnixListener::bind(&path).unwrap();
    let client = Client::at(Kind::Docker, &path).within(Duration::from_millis(1));
    for number in 0..200 {
        let start = Instant::now();
        let refused = client.inspect("web").unwrap_err();
        assert!(matches!(refused, OciError::Silent { .. }), "{number}: {refused}");
        assert!(start.elapsed() < Duration::from_secs(2), "{number}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn where_nobody_listens_is_told() {
    let path = std::env::temp_dir().join(format!("pontoon-oci-nobody-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let client = Client::at(Kind::Podman, &path);
    let missing = client.inspect("web").unwrap_err();
    assert_eq!(missing.code(), "engine-not-found");
    assert!(missing.to_string().contains(path.to_str().unwrap()), "{missing}");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(client.inspect("web").unwrap_err().code(), "engine-not-found", "its listener is gone");
    std::fs::remove_file(&path).unwrap();
}
