//! Which files a project is read from, what it is called, and where its variables come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pontoon_compose::{Files, Project, Request, load};
use pontoon_model::Diagnose;

fn files<const N: usize>(files: [(&str, &str); N]) -> BTreeMap<PathBuf, String> {
    files.map(|(path, text)| (path.into(), text.into())).into()
}

fn request(working_directory: &str) -> Request {
    Request { working_directory: working_directory.into(), ..Request::default() }
}

/// A file with one service, whose command says where it is from.
fn saying(word: &str) -> String {
    format!("services: {{web: {{command: [{word}]}}}}")
}

fn said(project: &Project) -> Vec<String> {
    project.services[0].command.clone().unwrap_or_default()
}

fn read(request: &Request, files: &dyn Files) -> Project {
    load(request, files).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_default_names_are_looked_for_from_here_upwards() {
    for (present, counts) in [
        (vec!["compose.yaml", "compose.yml", "docker-compose.yml"], "compose.yaml"),
        (vec!["compose.yml", "docker-compose.yml"], "compose.yml"),
        (vec!["docker-compose.yml", "docker-compose.yaml"], "docker-compose.yml"),
        (vec!["docker-compose.yaml"], "docker-compose.yaml"),
    ] {
        let present: BTreeMap<PathBuf, String> =
            present.iter().map(|name| (Path::new("/src/app").join(name), saying(name))).collect();
        for start in ["/src/app", "/src/app/deep/below"] {
            let project = read(&request(start), &present);
            assert_eq!(said(&project), [counts]);
            assert_eq!((project.name.as_str(), project.directory.as_path()), ("app", Path::new("/src/app")));
        }
    }
    let errors = load(&request("/src/app"), &files([])).expect_err("there is nothing");
    assert_eq!((errors.0.len(), errors.0[0].code()), (1, "no-compose-file"));
}

#[test]
fn an_override_lies_over_the_default_file_alone() {
    let all = files([
        ("/p/compose.yaml", &saying("base")),
        ("/p/docker-compose.override.yml", "services: {web: {hostname: over}}"),
    ]);
    let project = read(&request("/p"), &all);
    assert_eq!(
        (said(&project), project.services[0].hostname.as_deref()),
        (vec!["base".into()], Some("over"))
    );
    let named = Request { files: vec!["compose.yaml".into()], ..request("/p") };
    assert_eq!(read(&named, &all).services[0].hostname, None);
}

#[test]
fn named_files_lie_over_one_another_and_the_first_says_where_paths_start() {
    let all = files([
        ("/p/a/one.yaml", "services: {web: {command: [x], env_file: vars}}"),
        ("/p/b/two.yaml", "services: {web: {command: [y]}}"),
        ("/p/a/vars", "FROM=a"),
        ("/p/vars", "FROM=p"),
    ]);
    let mut named = Request { files: vec!["a/one.yaml".into(), "b/two.yaml".into()], ..request("/p") };
    let project = read(&named, &all);
    assert_eq!((said(&project), project.name.as_str()), (vec!["y".into()], "a"));
    assert_eq!(project.services[0].environment["FROM"], "a");
    named.project_directory = Some(".".into());
    let project = read(&named, &all);
    assert_eq!((project.services[0].environment["FROM"].as_str(), project.name.as_str()), ("p", "p"));
}

#[test]
fn the_standard_input_is_a_file_of_the_working_directory() {
    let all = files([("-", "services: {web: {command: [x], env_file: vars}}"), ("/p/vars", "A=1")]);
    let project = read(&Request { files: vec!["-".into()], ..request("/p") }, &all);
    assert_eq!((project.name.as_str(), project.services[0].environment["A"].as_str()), ("p", "1"));
}

#[test]
fn variables_may_say_which_files() {
    let all = files([
        ("/p/.env", "COMPOSE_FILE=one.yaml:sub/two.yaml\nA=env\nB=env"),
        ("/p/one.yaml", "services: {web: {command: [\"$A\", \"$B\"]}}"),
        ("/p/sub/two.yaml", "services: {web: {hostname: two}}"),
    ]);
    let mut given = request("/p");
    given.environment.insert("B".into(), "shell".into());
    let project = read(&given, &all);
    assert_eq!(
        (said(&project), project.services[0].hostname.as_deref()),
        (vec!["env".into(), "shell".into()], Some("two"))
    );
    given.environment.insert("COMPOSE_FILE".into(), "one.yaml;sub/two.yaml".into());
    given.environment.insert("COMPOSE_PATH_SEPARATOR".into(), ";".into());
    assert_eq!(read(&given, &all).services[0].hostname.as_deref(), Some("two"));
}

#[test]
fn the_nearer_env_file_comes_first() {
    let all = files([
        ("/p/.env", "A=here\nCOMPOSE_FILE=sub/compose.yaml"),
        ("/p/sub/.env", "A=there\nB=there"),
        ("/p/sub/compose.yaml", "services: {web: {command: [\"$A\", \"$B\"]}}"),
        ("/p/other", "A=other\nB=$A"),
    ]);
    assert_eq!(said(&read(&request("/p"), &all)), ["here", "there"]);
    let named =
        Request { env_files: vec!["other".into()], files: vec!["sub/compose.yaml".into()], ..request("/p") };
    assert_eq!(said(&read(&named, &all)), ["other", "other"]);
    let missing = Request { env_files: vec!["none".into()], ..named };
    let errors = load(&missing, &all).expect_err("a named file has to be there");
    assert_eq!(errors.to_string(), "there is no file /p/none");
}

#[test]
fn a_project_has_the_first_name_that_is_said() {
    let all = files([
        ("/My App/compose.yaml", &saying("x")),
        ("/p/compose.yaml", &format!("name: ${{WORD:-file}}\n{}", saying("$COMPOSE_PROJECT_NAME"))),
    ]);
    assert_eq!(read(&request("/My App"), &all).name, "myapp");
    let mut given = request("/p");
    let project = read(&given, &all);
    assert_eq!((project.name.as_str(), said(&project)), ("file", vec!["file".into()]));
    given.environment.insert("COMPOSE_PROJECT_NAME".into(), "shell".into());
    assert_eq!(read(&given, &all).name, "shell");
    given.project_name = Some("flag".into());
    assert_eq!(read(&given, &all).name, "flag");
    given.project_name = Some("Flag!".into());
    let errors = load(&given, &all).expect_err("not a name");
    assert_eq!(
        (errors.0[0].code(), errors.0[0].hint().as_deref()),
        ("bad-project-name", Some("did you mean flag?"))
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    struct Broken;
    impl Files for Broken {
        fn read(&self, path: &Path) -> Result<Option<String>, String> {
            match path.ends_with("compose.yaml") {
                true => Err("Permission denied".into()),
                false => Ok(None),
            }
        }
    }
    let errors = load(&request("/p"), &Broken).expect_err("it cannot be read");
    assert_eq!(errors.to_string(), "/p/compose.yaml could not be read: Permission denied");
}

#[test]
fn errors_of_all_files_are_told_at_once() {
    let all = files([("/p/a.yaml", "a: [\n"), ("/p/b.yaml", "b: 1\nb: 2\n")]);
    let named = Request { files: vec!["a.yaml".into(), "b.yaml".into(), "c.yaml".into()], ..request("/p") };
    let errors = load(&named, &all).expect_err("nothing is right");
    let codes: Vec<&str> = errors.0.iter().map(Diagnose::code).collect();
    assert_eq!(codes, ["bad-yaml", "duplicate-key", "file-missing"]);
}

#[test]
fn profiles_come_from_everywhere() {
    let text = "services: {a: {command: [x], profiles: [one]}, b: {command: [x], profiles: [two, three]}, c: {command: [x], profiles: [four]}}";
    let all = files([("/p/compose.yaml", text)]);
    let active = |request: &Request| -> String {
        read(request, &all).services.iter().map(|service| service.name.as_str()).collect()
    };
    let mut given = request("/p");
    assert_eq!(active(&given), "");
    given.environment.insert("COMPOSE_PROFILES".into(), "one,three".into());
    assert_eq!(active(&given), "ab");
    given.services = vec!["c".into()];
    assert_eq!(active(&given), "abc");
    assert_eq!(active(&Request { profiles: vec!["*".into()], ..request("/p") }), "abc");
    let errors =
        load(&Request { services: vec!["d".into()], ..request("/p") }, &all).expect_err("no such service");
    assert_eq!(
        errors.to_string(),
        "there is no service `d` for the command line\nhint: declare it: `services: { d: … }`"
    );
}
