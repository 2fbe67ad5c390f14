//! The picture of a host in a file, and what is printed.

use pontoon_e2e::Pontoon;
use pontoon_testkit::sandboxed;

use super::{explained, shown};

sandboxed! {
    fn a_picture_says_the_same_where_nothing_of_the_host_is_left(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("sysctl -w net.ipv4.ip_forward=0");
        let here = explained(&pontoon, "--save /tmp/host.json web 198.51.100.10");
        assert_eq!(here.1, 1);
        pontoon.run("rm -f web db");
        host.sh("nft flush ruleset; chmod 644 /tmp/host.json");
        // Nobody in particular, without a privilege.
        let there = pontoon.attempt("explain --format json --from /tmp/host.json web 198.51.100.10");
        let said: serde_json::Value = serde_json::from_slice(&there.stdout).unwrap();
        assert_eq!((said, there.status.code().unwrap()), here);
        // Other questions too.
        assert_eq!(explained(&pontoon, "--from /tmp/host.json web db").1, 0);
        let nobody = pontoon.attempt("explain --from /tmp/host.json web nobody");
        assert!(nobody.status.code() == Some(2) && String::from_utf8_lossy(&nobody.stderr).contains("hint: "));
        host.sh("echo '{}' > /tmp/other.json");
        let other = pontoon.attempt("explain --from /tmp/other.json web db");
        assert!(other.status.code() == Some(2) && String::from_utf8_lossy(&other.stderr).contains("hint: "));
    }

    fn a_ladder_has_the_verdict_first_the_fix_last_and_100_columns(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        for words in ["web 198.51.100.10", "outside web:80", "web 10.5.0.1:8080", "host 127.0.0.1:8080"] {
            let text = shown(&pontoon, words);
            assert!(text.starts_with("reachable: "), "{text}");
        }
        host.sh("nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'");
        let output = pontoon.attempt("explain web 198.51.100.10");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("not reachable: web (10.5.0.2) → 198.51.100.10 (198.51.100.10), ping\n"), "{text}");
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("    nft insert rule inet theirs forward "), "{text}");
        let wide = |line: &&str| line.chars().count() > 100 && !line.trim_start().starts_with('$') && !line.contains("nft insert");
        assert_eq!(text.lines().find(wide), None, "{text}");
        assert!(!text.contains('\u{1b}'), "colours are for terminals");
    }

    fn a_route_is_taught(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let text = pontoon.run("route outside --in web");
        assert!(text.contains("default via 10.5.0.1 dev eth0 ← taken"), "{text}");
        let text = pontoon.run("route web");
        assert!(text.contains("10.5.0.0/24 dev blue0 ← taken") && text.contains("(/0 is shorter than /24)"), "{text}");
        host.sh("ip route delete default");
        let output = pontoon.attempt("route 203.0.113.9");
        assert_eq!(output.status.code(), Some(1));
        let lesson = pontoon.json("route --format json web");
        assert_eq!(lesson["found"], true, "{lesson}");
    }
}
