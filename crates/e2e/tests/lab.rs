//! The throw-away host that `pontoon lab` makes.

use pontoon_e2e::Pontoon;
use pontoon_testkit::sandboxed;

sandboxed! {
    fn the_tour_shows_everything_and_leaves_nothing(host: Host) {
        let before = host.snapshot();
        let pontoon = Pontoon::on(&host);
        let said = pontoon.run("lab");
        for part in ["network create", "run -d", "ip link add", "masquerade", "192.0.2.2"] {
            assert!(said.contains(part), "no `{part}` in:\n{said}");
        }
        before.assert_unchanged(&host.snapshot());
    }

    fn a_lab_passes_the_exit_code_on_and_is_root(host: Host) {
        let pontoon = Pontoon::on(&host);
        assert_eq!(pontoon.run("lab -- id -u"), "0");
        assert_eq!(pontoon.fail("lab -- sh -c 'exit 9'").0, 9);
        let said = pontoon.run("lab -- sh -c 'pontoon network create blue >/dev/null && pontoon run --rm --network blue -- ping -c 1 -W 1 -q 198.51.100.1 && pontoon network ls'");
        assert!(said.contains("1 received") && said.contains("blue"), "{said}");
        assert!(!pontoon.run("network ls").contains("blue"), "the lab's networks are the lab's");
    }
}
