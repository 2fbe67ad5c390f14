//! How things are mended: asked for, one after the other, taken back where it did not help.

use std::os::unix::fs::PermissionsExt as _;

use pontoon_e2e::state;
use pontoon_testkit::sandboxed;

use super::{doctor, out, shown, web_and_db};

sandboxed! {
    fn without_a_terminal_it_refuses(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("ip -n web route delete default");
        let before = state(&host);
        let (code, said) = pontoon.fail("doctor --fix");
        assert!(code == 1 && said.contains("hint: --yes goes on without asking"), "{said}");
        assert!(said.contains("ip -n web route replace default via 10.5.0.1 dev eth0"), "{said}");
        before.assert_unchanged(&state(&host));
    }

    fn a_dry_run_shows_the_commands(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("ip -n web route delete default");
        let before = state(&host);
        let output = pontoon.attempt("--dry-run doctor --fix --yes");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("ip -n web route replace default via 10.5.0.1 dev eth0"), "{said}");
        before.assert_unchanged(&state(&host));
    }

    fn to_look_changes_nothing(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("sysctl -w net.ipv4.ip_forward=0; nft flush chain inet pontoon postrouting; ip -n web route delete default");
        let before = state(&host);
        doctor(&pontoon, "");
        before.assert_unchanged(&state(&host));
    }

    fn what_does_not_help_is_taken_back(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'");
        let rules = || host.sh("nft list table inet theirs");
        let before = rules();
        // An nft that inserts behind what drops, as if somebody else were faster each time.
        let fake = "/run/testkit/fake";
        std::fs::create_dir_all(fake).unwrap();
        let script = "#!/bin/sh\nif [ \"$2\" = insert ]; then /usr/sbin/nft \"$@\"; c=$?; /usr/sbin/nft insert rule inet theirs forward drop; exit $c; fi\nexec /usr/sbin/nft \"$@\"\n";
        std::fs::write(format!("{fake}/nft"), script).unwrap();
        std::fs::set_permissions(format!("{fake}/nft"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = pontoon.command("doctor --fix=firewall-drop --yes");
        let output = command.env("PATH", format!("{fake}:/usr/sbin:/usr/bin:/sbin:/bin")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let after = rules();
        assert!(output.status.code() == Some(1) && said.contains("was taken back"), "{said}\n{after}");
        assert!(!after.contains("accept"), "{said}\n{before}\n{after}");
        assert!(!out(&host));
    }

    fn a_program_that_is_missing_is_named(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'");
        let empty = "/run/testkit/empty";
        host.sh(&format!("mkdir -p {empty}; ln -s /bin/sh {empty}/sh"));
        let mut command = pontoon.command("doctor --fix=firewall-drop --yes");
        let output = command.env("PATH", empty).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("needs a program that is not installed") && said.contains("nft"), "{said}");
        assert_eq!(output.status.code(), Some(1), "{}", shown(&pontoon));
    }

    fn a_code_that_is_none_is_refused(host: Host) {
        let pontoon = web_and_db(&host);
        let (code, said) = pontoon.fail("doctor --fix=no-rout");
        assert!(code == 2 && said.contains("did you mean `no-route`?"), "{said}");
    }
}
