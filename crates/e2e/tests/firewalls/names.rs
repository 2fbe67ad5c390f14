//! Containers that ask the host for names where somebody shuts its doors.

use pontoon_e2e::{Pontoon, becomes_as_before, state};
use pontoon_testkit::{Host, sandboxed};

use crate::{Firewalld, integrated_as_shown, warned};

/// What an administrator allows: what was asked for, and what the host says to itself.
const OFFICE: &str = "
    nft add table inet office
    nft add chain inet office input '{ type filter hook input priority 0; policy drop; }'
    nft add rule inet office input ct state established,related accept
    nft add rule inet office input iif lo accept
    nft add rule inet office input meta l4proto ipv6-icmp accept
";

const GATEWAY: &str = "10.8.0.1";
const GATEWAY6: &str = "fd08::1";

/// Makes the network `blue` and the container `web` on it, each of which warns.
#[track_caller]
fn lay_blue(host: &Host) {
    let pontoon = Pontoon::on(host);
    warned(&pontoon, "network create --subnet 10.8.0.0/24 --ipv6 --subnet fd08::/64 blue");
    warned(&pontoon, "run -d --name web --network blue -- sleep 1000");
}

/// Whether a container is told its own address, by UDP and by TCP, by who answers at an address.
fn answered(host: &Host, container: &str, server: &str) -> (bool, bool) {
    host.need("dig");
    let told = |how: &str| {
        let words = format!("dig +short +tries=1 +timeout=1 {how} @{server} {container} A");
        let output = host.try_sh_in(container, &words);
        // What dig says of itself begins with semicolons.
        String::from_utf8_lossy(&output.stdout).starts_with("10.")
    };
    (told("+notcp"), told("+tcp"))
}

/// Names of `web` are kept from it, are let through, and are kept from it again, with the host as before.
#[track_caller]
fn are_kept_let_through_and_kept_again(host: &Host, owner: &str, v6: bool) {
    let pontoon = Pontoon::on(host);
    lay_blue(host);
    assert_eq!(answered(host, "web", GATEWAY), (false, false), "{owner} lets nobody ask");
    let found = pontoon.attempt("firewall --format json");
    assert!(!found.status.success());
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
    let names = |finding: &&serde_json::Value| finding["code"] == "firewall-names";
    let finding = found.as_array().expect("a list").iter().find(names).expect("names are kept");
    assert_eq!((&finding["severity"], &finding["hook"]), (&"blocks".into(), &"input".into()), "{finding:#}");
    let sentence = finding["sentence"].as_str().expect("text");
    assert!(sentence.starts_with(owner) && sentence.contains("queries for names on pt-"), "{sentence}");

    let before = state(host);
    pontoon.run("firewall integrate");
    let told = pontoon.run("firewall");
    assert!(told.starts_with("nothing is in the way"), "{told}");
    assert_eq!(answered(host, "web", GATEWAY), (true, true), "{owner} lets containers ask");
    if v6 {
        assert_eq!(answered(host, "web", GATEWAY6), (true, true), "{owner} lets containers ask over IPv6");
    }
    let integrated = state(host);
    pontoon.run("firewall integrate");
    integrated.assert_unchanged(&state(host));
    // The next network is let through as well.
    pontoon.run("network create --internal --subnet 10.7.0.0/24 red");
    pontoon.run("run -d --name db --network red -- sleep 1000");
    assert_eq!(answered(host, "db", "10.7.0.1"), (true, true));
    pontoon.run("rm -f db");
    pontoon.run("network rm red");

    pontoon.run("firewall release");
    // firewalld makes its table anew whenever it reads its files, behind the others.
    if owner != "firewalld" {
        becomes_as_before(host, &before);
    }
    assert_eq!(answered(host, "web", GATEWAY), (false, false), "{owner} is as it was");
    pontoon.run("rm -f web");
}

/// The commands that `firewall` prints for names.
fn by_hand(pontoon: &Pontoon<'_>) -> Vec<String> {
    let found = pontoon.attempt("firewall --format json");
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
    let names = |finding: &&serde_json::Value| {
        finding["code"].as_str().is_some_and(|code| code.starts_with("firewall-names"))
    };
    let findings = found.as_array().expect("a list").iter().filter(names);
    let fixes = findings.flat_map(|finding| finding["fix"].as_array().expect("commands"));
    fixes.map(|fix| fix.as_str().expect("a command").to_owned()).collect()
}

sandboxed! {
    fn the_resolvers_address_is_told_apart_from_the_loopback(host: Host) {
        host.need("iptables-nft");
        // As kubelet has it.
        host.sh("
            iptables-nft -N KUBE-FIREWALL
            iptables-nft -A INPUT -j KUBE-FIREWALL
            iptables-nft -A OUTPUT -j KUBE-FIREWALL
            iptables-nft -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack \\
                ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
        ");
        // As a guide to hardening has it.
        host.sh("
            nft add table ip office
            nft add chain ip office raw '{ type filter hook prerouting priority raw; }'
            nft add rule ip office raw 'iifname != lo ip daddr 127.0.0.0/8 drop'
        ");
        lay_blue(&host);
        let pontoon = Pontoon::on(&host);
        assert_eq!(answered(&host, "web", GATEWAY), (true, true));
        assert_eq!(answered(&host, "web", "127.0.0.11"), (false, false));
        let (_, _) = pontoon.fail("firewall");
        let told = String::from_utf8(pontoon.attempt("firewall").stdout).expect("text");
        for owner in ["Kubernetes drops", "somebody's nftables rules drop"] {
            assert!(told.contains(&format!("{owner} containers' queries for names at 127.0.0.11 on pt-")), "{told}");
        }
        let before = state(&host);
        pontoon.run("firewall integrate");
        assert_eq!(answered(&host, "web", "127.0.0.11"), (true, true));
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
        pontoon.run("firewall release");
        before.assert_unchanged(&state(&host));
        assert_eq!(answered(&host, "web", "127.0.0.11"), (false, false));
        by_hand(&pontoon).iter().for_each(|command| drop(host.sh(command)));
        assert_eq!(answered(&host, "web", "127.0.0.11"), (true, true));
    }

    fn a_table_of_an_administrator(host: Host) {
        host.sh(OFFICE);
        are_kept_let_through_and_kept_again(&host, "somebody's nftables rules", true);
        let pontoon = Pontoon::on(&host);
        let said = warned(&pontoon, "run -d --name web --network blue -- sleep 1000");
        assert!(said.contains("`pontoon firewall integrate` lets them through; by hand: nft insert rule"), "{said}");
        by_hand(&pontoon).iter().for_each(|command| drop(host.sh(command)));
        assert_eq!(answered(&host, "web", GATEWAY), (true, true));
        assert_eq!(answered(&host, "web", GATEWAY6), (true, true));
    }

    fn nothing_but_names_is_let_through(host: Host) {
        host.sh(OFFICE);
        lay_blue(&host);
        let _ssh = host.serve("host", 22, "secrets");
        Pontoon::on(&host).run("firewall integrate");
        assert!(host.fetch("web", &format!("{GATEWAY}:22")).is_err());
    }

    fn rules_of_iptables_nft(host: Host) {
        host.need("iptables-nft");
        host.sh("iptables-nft -A INPUT -i lo -j ACCEPT && iptables-nft -P INPUT DROP");
        are_kept_let_through_and_kept_again(&host, "somebody's iptables rules", false);
        let pontoon = Pontoon::on(&host);
        pontoon.run("firewall integrate");
        // iptables lists what is ours, and what it shows is what it takes.
        let rules = host.sh("iptables-nft -S INPUT");
        let remark = "-m comment --comment \"pontoon:integration\" -j ACCEPT";
        for protocol in ["udp", "tcp"] {
            let rule = format!("-A INPUT -i pt-+ -p {protocol} -m {protocol} --dport 53 {remark}");
            assert!(rules.contains(&rule), "{rules}");
        }
        host.sh("iptables-nft-save > /run/rules && iptables-nft-restore < /run/rules");
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
        pontoon.run("firewall integrate");
        assert_eq!(host.sh("iptables-nft -S INPUT"), rules);
        pontoon.run("firewall release");
        assert_eq!(host.sh("iptables-nft -S INPUT"), "-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n");
        warned(&pontoon, "run -d --name web --network blue -- sleep 1000");
        by_hand(&pontoon).iter().for_each(|command| drop(host.sh(command)));
        assert_eq!(answered(&host, "web", GATEWAY), (true, true));
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
    }

    fn rules_of_iptables_legacy_are_told_of_and_left_alone(host: Host) {
        host.need("iptables-legacy");
        if !host.try_sh("iptables-legacy -L").status.success() {
            eprintln!("this kernel has no ip_tables: there is nothing that could be in the way");
            return;
        }
        host.sh("iptables-legacy -A INPUT -i lo -j ACCEPT && iptables-legacy -P INPUT DROP");
        let pontoon = Pontoon::on(&host);
        lay_blue(&host);
        assert_eq!(answered(&host, "web", GATEWAY), (false, false));
        let rules = host.sh("iptables-legacy -S");
        let commands = by_hand(&pontoon);
        assert!(commands[0].starts_with("iptables-legacy -I INPUT -i pt-"), "{commands:?}");
        let said = warned(&pontoon, "firewall integrate");
        assert!(commands.iter().all(|command| said.contains(command)), "{said}");
        assert_eq!(host.sh("iptables-legacy -S"), rules);
        commands.iter().for_each(|command| drop(host.sh(command)));
        assert_eq!(answered(&host, "web", GATEWAY), (true, true));
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
    }

    fn ufw_itself(host: Host) {
        host.need("ufw");
        // All that it writes to.
        ["/etc/ufw", "/etc/default", "/lib/ufw"].iter().for_each(|folder| host.own(folder));
        host.sh("ufw --force enable");
        are_kept_let_through_and_kept_again(&host, "ufw", true);
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "run -d --name web --network blue -- sleep 1000");
        pontoon.run("firewall integrate");
        for again in ["ufw reload", "ufw disable && ufw --force enable"] {
            host.sh(again);
            assert_eq!(answered(&host, "web", GATEWAY), (true, true), "{again}");
            assert_eq!(answered(&host, "web", GATEWAY6), (true, true), "{again}");
        }
        pontoon.run("firewall release");
        let commands = by_hand(&pontoon);
        assert!(commands.iter().all(|command| command.ends_with(" to any port 53")), "{commands:?}");
        commands.iter().for_each(|command| drop(host.sh(command)));
        assert_eq!(answered(&host, "web", GATEWAY), (true, true));
        // What ufw makes of its own rule is understood.
        assert_eq!(by_hand(&pontoon), [""; 0]);
    }

    fn firewalld_itself(host: Host) {
        let _firewalld = Firewalld::start(&host);
        are_kept_let_through_and_kept_again(&host, "firewalld", true);
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "run -d --name web --network blue -- sleep 1000");
        pontoon.run("firewall integrate");
        host.sh("firewall-cmd --reload");
        assert_eq!(answered(&host, "web", GATEWAY), (true, true), "a reload takes nothing of ours away");
        pontoon.run("firewall release");
        assert_eq!(answered(&host, "web", GATEWAY), (false, false));
        // A service of its zone, by hand.
        host.sh("firewall-cmd --zone=public --add-service=dns");
        assert_eq!(answered(&host, "web", GATEWAY), (true, true));
        assert_eq!(by_hand(&pontoon), [""; 0]);
    }

    fn what_the_host_answers_is_let_out_too(host: Host) {
        host.sh("nft add table inet office");
        host.sh("nft add chain inet office output '{ type filter hook output priority 0; policy drop; }'");
        host.sh("nft add rule inet office output meta l4proto ipv6-icmp accept");
        lay_blue(&host);
        let pontoon = Pontoon::on(&host);
        assert_eq!(answered(&host, "web", GATEWAY), (false, false));
        let before = state(&host);
        pontoon.run("firewall integrate");
        assert_eq!(answered(&host, "web", GATEWAY), (true, true));
        assert_eq!(answered(&host, "web", GATEWAY6), (true, true));
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
        pontoon.run("firewall release");
        before.assert_unchanged(&state(&host));
        assert_eq!(answered(&host, "web", GATEWAY), (false, false));
    }

    fn only_networks_with_names_are_concerned(host: Host) {
        host.sh(OFFICE);
        let pontoon = Pontoon::on(&host);
        pontoon.run("run --rm -- true");
        let told = pontoon.run("firewall");
        assert!(told.starts_with("nothing is in the way\nnote: "), "{told}");
        // Also those whose containers reach nothing else.
        let said = warned(&pontoon, "network create --internal blue");
        assert!(said.contains("drop containers' queries for names on pt-"), "{said}");
        let said = warned(&pontoon, "run --rm --network blue -- true");
        assert!(said.contains("queries for names"), "{said}");
        pontoon.run("run --rm -- true");
        pontoon.run("network create --internal -o pontoon.dns=false red");
        pontoon.run("run --rm --network red -- true");
    }

    fn the_plan_is_what_is_done(host: Host) {
        host.sh(OFFICE);
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "network create -o com.docker.network.bridge.name=lan0 blue");
        let plan = integrated_as_shown(&host, &pontoon);
        assert!(plan.contains("let containers ask the host for names"), "{plan}");
        let chain = host.sh("nft list chain inet office input");
        assert!(chain.contains("iifname \"lan0\" udp dport 53 accept") && !chain.contains("pontoon0"), "{chain}");
        // A name of one's own is let through with its network.
        pontoon.run("network create -o com.docker.network.bridge.name=lan1 red");
        assert!(host.sh("nft list chain inet office input").contains("iifname \"lan1\" tcp dport 53 accept"));
        // Somebody flushed it.
        host.sh(&format!("nft delete table inet office\n{OFFICE}"));
        pontoon.run("restore");
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
    }
}
