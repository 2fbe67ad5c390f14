//! Several projects on a host.

use pontoon_e2e::{Pontoon, state};
use pontoon_testkit::sandboxed;

use crate::{fetch, file, pid, serves};

sandboxed! {
    fn one_file_makes_two_projects(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file("
services:
  web:
    command: SERVE 'I am of ${COMPOSE_PROJECT_NAME}.'
  client: { command: [sleep, '1000'], depends_on: [web] }
");
        pontoon.run("up -d -p a");
        pontoon.run("up -d -p b");
        ["a-web-1", "b-web-1"].iter().for_each(|name| serves(&host, name));
        for project in ["a", "b"] {
            assert_eq!(fetch(&pontoon, &format!("{project}-client-1"), "web"), format!("I am of {project}."));
            let listed = pontoon.run(&format!("compose -p {project} ps --format '{{{{.Names}}}}'"));
            assert_eq!(listed, format!("{project}-web-1\n{project}-client-1"));
        }
        let address = pontoon.address("b_default", "b-web-1");
        assert_eq!(fetch(&pontoon, "a-client-1", &address), "", "they do not meet");
        assert_eq!(fetch(&pontoon, "host", &address), "I am of b.");
        let running = pid(&pontoon, "b-web-1");
        assert_eq!(pontoon.run("down -p a").lines().count(), 3);
        assert_eq!(pid(&pontoon, "b-web-1"), running);
        assert_eq!(fetch(&pontoon, "b-client-1", "web"), "I am of b.");
        // Without a file, by its name.
        std::fs::remove_file("compose.yaml").unwrap();
        assert_eq!(pontoon.run("compose -p b ps -q").lines().count(), 2);
        pontoon.run("down -p b");
        leaves_nothing_of_them(&host, &pontoon, &before);
    }

    fn a_network_is_shared_with_another_project(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        let text = "
services: { web: { command: SERVE 'I am shared.', networks: [meet] } }
networks: { meet: { name: meeting } }
";
        file(text);
        pontoon.run("up -d -p one");
        file("
services: { client: { command: [sleep, '1000'], networks: [theirs, default] } }
networks: { theirs: { external: true, name: meeting } }
");
        pontoon.run("up -d -p two");
        serves(&host, "one-web-1");
        assert_eq!(fetch(&pontoon, "two-client-1", "web"), "I am shared.");
        // Whose network it is cannot take it away under the other.
        file(text);
        let said = crate::refused(&pontoon, "down -p one");
        assert!(said.contains("meeting") && said.contains("two-client-1"), "{said}");
        file(&text.replace("name: meeting", "name: meeting, internal: true"));
        let said = crate::refused(&pontoon, "up -d -p one");
        assert!(said.contains("others are on it: two-client-1"), "{said}");
        assert_eq!(pontoon.run("down -p two"), "- two-client-1\n- network two_default");
        pontoon.run("down -p one");
        leaves_nothing_of_them(&host, &pontoon, &before);
    }
}

#[track_caller]
fn leaves_nothing_of_them(
    host: &pontoon_testkit::Host,
    pontoon: &Pontoon<'_>,
    before: &pontoon_testkit::Snapshot,
) {
    pontoon.run("system prune --force");
    pontoon_e2e::becomes_as_before(host, before);
}
