//! Beside the firewalls of others: what they drop is named, let through, and dropped again as before.

mod docker;
mod names;

use pontoon_e2e::{Pontoon, becomes_as_before, eventually, state};
use pontoon_testkit::{Background, Host, Server, sandboxed};

/// What dockerd sets up for its default bridge, for one of iptables' programs.
const DOCKER: &str = "
    $IPT -P FORWARD DROP
    for chain in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-USER; do $IPT -N $chain; done
    $IPT -A FORWARD -j DOCKER-USER
    $IPT -A FORWARD -j DOCKER-ISOLATION-STAGE-1
    $IPT -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $IPT -A FORWARD -o docker0 -j DOCKER
    $IPT -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
    $IPT -A FORWARD -i docker0 -o docker0 -j ACCEPT
    $IPT -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
    $IPT -A DOCKER-ISOLATION-STAGE-1 -j RETURN
    $IPT -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
    $IPT -A DOCKER-ISOLATION-STAGE-2 -j RETURN
    $IPT -A DOCKER-USER -j RETURN
";

const OFFICE: &str = "
    nft add table inet office
    nft add chain inet office forward '{ type filter hook forward priority 0; policy drop; }'
    nft add rule inet office forward ct state established,related accept
";

const OUTSIDE: &str = "198.51.100.10:80";

fn docker(host: &Host, program: &str) {
    host.need(program);
    host.sh(&format!("IPT={program}\n{DOCKER}"));
}

/// An outside to be reached, and a web server there.
fn outside(host: &Host) -> Server {
    host.uplink();
    host.serve("outside", 80, "hello")
}

fn reaches(host: &Host, place: &str) -> bool {
    host.fetch(place, OUTSIDE).is_ok()
}

/// Runs a command that succeeds and warns, and returns what it said.
#[track_caller]
fn warned(pontoon: &Pontoon<'_>, words: &str) -> String {
    let output = pontoon.attempt(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "pontoon {words}: {said}");
    let about_others =
        |line: &&str| line.starts_with("warning: ") && !line.contains("taken Pontoon's firewall rules away");
    assert_eq!(said.lines().filter(about_others).count(), 1, "once for each command:\n{said}");
    said
}

/// A container that another firewall keeps in: what is said of it, and that it is let out and kept in again.
#[track_caller]
fn is_let_out_and_kept_in_again(host: &Host, owner: &str, code: &str) {
    let pontoon = Pontoon::on(host);
    let said = warned(&pontoon, "run -d --name web -- sleep 100");
    assert!(said.contains(owner) && said.contains("hint: `pontoon firewall integrate`"), "{said}");
    assert!(!reaches(host, "web"), "{owner} lets nothing out");
    let (exit, _) = pontoon.fail("firewall");
    assert_eq!(exit, 1);
    let found = pontoon.attempt("firewall check --format json");
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
    assert_eq!(found[0]["code"], code);
    assert!(!found[0]["fix"].as_array().expect("commands").is_empty());

    let before = state(host);
    pontoon.run("firewall integrate");
    assert!(reaches(host, "web"), "{owner} lets it out");
    assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
    pontoon.run("run --rm -- true");
    pontoon.run("firewall integrate");
    pontoon.run("firewall release");
    let mut changes = before.changes(&state(host));
    eventually("the cable of the container that ran goes", || {
        changes = before.changes(&state(host));
        !changes.contains("veth")
    });
    // firewalld makes its table anew whenever it reads its files, behind the others.
    let other_order = owner == "firewalld" && changes == "nft: the same lines in another order or number\n";
    assert!(changes.is_empty() || other_order, "{changes}");
    assert!(!reaches(host, "web"), "{owner} is as it was");
    pontoon.run("rm -f web");
}

/// Integrates as the plan says when it is typed, and takes that back; then as the verb does, and leaves that. Gives the plan.
#[track_caller]
fn integrated_as_shown(host: &Host, pontoon: &Pontoon<'_>) -> String {
    let before = state(host);
    let plan = pontoon.run("--dry-run firewall integrate");
    before.assert_unchanged(&state(host));
    host.sh(&plan);
    let by_hand = state(host);
    pontoon.run("firewall release");
    before.assert_unchanged(&state(host));
    pontoon.run("firewall integrate");
    by_hand.assert_unchanged(&state(host));
    plan
}

sandboxed! {
    fn docker_by_iptables_nft(host: Host) {
        let _server = outside(&host);
        docker(&host, "iptables-nft");
        is_let_out_and_kept_in_again(&host, "Docker", "firewall-forward");
        // iptables lists what is ours, and what it shows is what it takes.
        Pontoon::on(&host).run("firewall integrate");
        let rules = host.sh("iptables-nft -S DOCKER-USER");
        assert!(rules.contains("-A DOCKER-USER -i pt-+ -m comment --comment \"pontoon:integration\" -j ACCEPT"), "{rules}");
        assert!(rules.contains("-o pontoon0"), "{rules}");
        host.sh("iptables-nft-save > /run/rules && iptables-nft-restore < /run/rules");
        assert!(Pontoon::on(&host).run("firewall").starts_with("nothing is in the way"));
        Pontoon::on(&host).run("firewall release");
        assert_eq!(host.sh("iptables-nft -S DOCKER-USER"), "-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n");
    }

    fn a_table_of_an_administrator(host: Host) {
        let _server = outside(&host);
        host.sh(OFFICE);
        is_let_out_and_kept_in_again(&host, "somebody's nftables rules", "firewall-forward");
    }

    fn a_rule_for_one_port_is_not_in_the_way(host: Host) {
        host.uplink();
        host.sh("nft add table inet office");
        host.sh("nft add chain inet office forward '{ type filter hook forward priority 0; policy accept; }'");
        host.sh("nft add rule inet office forward tcp dport 25 drop");
        let pontoon = Pontoon::on(&host);
        pontoon.run("run --rm -- true");
        let told = pontoon.run("firewall");
        assert!(told.starts_with("nothing is in the way\nnote: ") && told.contains("tcp dport 25 drop"), "{told}");
    }

    fn the_plan_is_what_is_done(host: Host) {
        docker(&host, "iptables-nft");
        host.sh(OFFICE);
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "network create -o com.docker.network.bridge.name=lan0 blue");
        integrated_as_shown(&host, &pontoon);
        // A name of one's own is let through with its network.
        pontoon.run("network create -o com.docker.network.bridge.name=lan1 red");
        assert!(host.sh("nft list chain inet office forward").contains("\"lan1\""));
        host.sh(&pontoon.run("--dry-run firewall release"));
        assert!(!host.sh("nft list ruleset").contains("pontoon:integration"));
    }

    fn legacy_tables_are_told_of_and_left_alone(host: Host) {
        let _server = outside(&host);
        host.need("iptables-legacy");
        if !host.try_sh("iptables-legacy -L").status.success() {
            eprintln!("this kernel has no ip_tables: there is nothing that could be in the way");
            return;
        }
        docker(&host, "iptables-legacy");
        let pontoon = Pontoon::on(&host);
        let said = warned(&pontoon, "run -d --name web -- sleep 100");
        let command = "iptables-legacy -I DOCKER-USER -i pontoon0 -j ACCEPT";
        assert!(said.contains(command) && !said.contains("integrate"), "{said}");
        assert!(!reaches(&host, "web"));
        let rules = host.sh("iptables-legacy -S");
        let said = warned(&pontoon, "firewall integrate");
        assert!(said.contains(command), "{said}");
        assert_eq!(host.sh("iptables-legacy -S"), rules);
        let found = pontoon.attempt("firewall --format json");
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
        assert_eq!(found[0]["code"], "firewall-forward-legacy");
        for fix in found[0]["fix"].as_array().expect("commands") {
            host.sh(fix.as_str().expect("a command"));
        }
        assert!(reaches(&host, "web"));
        pontoon.run("run --rm -- true");
    }

    fn looking_makes_no_legacy_tables(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run --rm -- true");
        pontoon.run("firewall");
        let names = host.sh("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || true");
        assert_eq!(names, "");
    }

    fn ufw_itself(host: Host) {
        let _server = outside(&host);
        host.need("ufw");
        // All that it writes to.
        ["/etc/ufw", "/etc/default", "/lib/ufw"].iter().for_each(|folder| host.own(folder));
        host.sh("ufw --force enable");
        is_let_out_and_kept_in_again(&host, "ufw", "firewall-forward");
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "run -d --name web -- sleep 100");
        pontoon.run("firewall integrate");
        host.sh("ufw reload");
        assert!(reaches(&host, "web"), "a reload takes nothing of ours away");
        host.sh("ufw disable && ufw --force enable");
        assert!(reaches(&host, "web"), "nor does a restart");
        pontoon.run("firewall release");
        assert!(!reaches(&host, "web"));
        // What is printed for those who would rather do it by hand.
        let found = pontoon.attempt("firewall --format json");
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
        for fix in found[0]["fix"].as_array().expect("commands") {
            host.sh(fix.as_str().expect("a command"));
        }
        assert!(reaches(&host, "web"));
    }

    fn firewalld_itself(host: Host) {
        let _server = outside(&host);
        let _firewalld = Firewalld::start(&host);
        // In the zone of the bridges, packets would pass as from one interface of a zone to another.
        host.sh("firewall-cmd --permanent --zone=external --add-interface=eth0 && firewall-cmd --reload");
        is_let_out_and_kept_in_again(&host, "firewalld", "firewall-forward");
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "network create -o com.docker.network.bridge.gateway_mode_ipv4=routed --subnet 10.9.0.0/24 open");
        warned(&pontoon, "run -d --name web --network open -- sleep 100");
        host.sh("ip -n router route add 10.9.0.0/24 via 192.0.2.2");
        assert!(!host.pings("outside", &pontoon.address("open", "web")));
        pontoon.run("firewall integrate");
        let zones = host.sh("firewall-cmd --get-active-zones");
        assert!(zones.contains("pontoon") && zones.contains("pt-+"), "{zones}");
        host.sh("firewall-cmd --reload");
        assert!(reaches(&host, "web"), "a reload takes nothing of ours away");
        assert!(host.pings("outside", &pontoon.address("open", "web")), "what Pontoon lets in, firewalld lets in");
        host.sh("nft delete table inet pontoon");
        host.sh("firewall-cmd --complete-reload");
        pontoon.run("restore");
        assert!(reaches(&host, "web"));
        pontoon.run("rm -f web");
        pontoon.run("system prune -f");
        assert_eq!(host.sh("grep -rl pontoon /etc/firewalld || true"), "");
    }

    fn containers_of_one_network_whose_frames_are_filtered(host: Host) {
        docker(&host, "iptables-nft");
        host.sh("sysctl -w net.bridge.bridge-nf-call-iptables=1");
        let pontoon = Pontoon::on(&host);
        let said = warned(&pontoon, "run -d --name one -- sleep 100");
        assert!(said.contains("what containers of one network send each other"), "{said}");
        warned(&pontoon, "run -d --name two -- sleep 100");
        let two = pontoon.address("bridge", "two");
        assert!(!host.pings("one", &two));
        pontoon.run("firewall integrate");
        assert!(host.pings("one", &two));
        pontoon.run("firewall release");
        assert!(!host.pings("one", &two));
        host.sh("sysctl -w net.bridge.bridge-nf-call-iptables=0");
        assert!(host.pings("one", &two));
        let said = warned(&pontoon, "run -d --name three -- sleep 100");
        assert!(!said.contains("each other"), "a switch that has changed is noticed: {said}");
    }

    fn each_bridge_of_a_large_network_is_let_through(host: Host) {
        docker(&host, "iptables-nft");
        host.sh("sysctl -w net.bridge.bridge-nf-call-iptables=1");
        ["near", "far", "farther"].iter().for_each(|name| drop(host.sh(&format!("ip netns add {name}"))));
        let before = state(&host);
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "network create --subnet 10.8.0.0/16 large");
        pontoon.run("firewall integrate");
        pontoon.run("network connect --ip 10.8.0.9 large netns:near");
        // Bridges are laid for them, and let through without being asked.
        pontoon.run("network connect --ip 10.8.100.1 large netns:far");
        pontoon.run("network connect --ip 10.8.200.1 large netns:farther");
        assert!(host.pings("near", "10.8.100.1") && host.pings("far", "10.8.200.1"));
        let rules = host.sh("iptables-nft -S DOCKER-USER");
        assert_eq!(rules.lines().filter(|line| line.contains("x+ -m comment")).count(), 2, "{rules}");
        pontoon.run("firewall release");
        assert!(!host.pings("near", "10.8.100.1"));
        let (_, _) = pontoon.fail("firewall");
        let found = pontoon.attempt("firewall --format json");
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
        assert!(found[0]["bridges"].as_array().expect("a list").len() >= 3, "{found:#}");
        pontoon.run("firewall integrate");
        assert!(host.pings("near", "10.8.100.1"));
        ["near", "far", "farther"].iter().for_each(|name| {
            pontoon.run(&format!("network disconnect large netns:{name}"));
        });
        pontoon.run("network rm large");
        pontoon.run("system prune -f");
        becomes_as_before(&host, &before);
    }

    fn what_somebody_flushed_is_renewed(host: Host) {
        let _server = outside(&host);
        docker(&host, "iptables-nft");
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "run -d --name web -- sleep 100");
        pontoon.run("firewall integrate");
        for mend in ["restore", "network create blue"] {
            host.sh("nft flush ruleset");
            docker(&host, "iptables-nft");
            assert!(!reaches(&host, "web"));
            if mend == "restore" {
                let said = warned(&pontoon, "run --rm -- true");
                assert!(said.contains("`pontoon restore` renews"), "{said}");
            }
            pontoon.run(mend);
            assert!(reaches(&host, "web"), "{mend}");
        }
        // Also after a reboot, which takes all but the definitions.
        pontoon.run("rm -f web");
        host.sh("ip link delete pontoon0; nft flush ruleset; rm -rf /run/pontoon");
        docker(&host, "iptables-nft");
        pontoon.run("restore");
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
    }

    fn the_last_prune_takes_it_back(host: Host) {
        docker(&host, "iptables-nft");
        let before = state(&host);
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "network create blue");
        pontoon.run("firewall integrate");
        let gone = pontoon.run("system prune -f");
        assert!(gone.contains("rules in DOCKER-USER of table ip filter (Docker)"), "{gone}");
        before.assert_unchanged(&state(&host));
        warned(&pontoon, "network create blue");
    }

    fn networks_that_stay_inside_are_nobodys_business(host: Host) {
        host.sh("sysctl -w net.bridge.bridge-nf-call-iptables=0");
        docker(&host, "iptables-nft");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --internal blue");
        pontoon.run("run --rm --network blue -- true");
        pontoon.run("run --rm --network none -- true");
        pontoon.run("--dry-run network create red");
    }

    fn an_integration_cut_off_anywhere_is_all_or_nothing(host: Host) {
        docker(&host, "iptables-nft");
        host.sh(OFFICE);
        host.sh("nft add chain inet office input '{ type filter hook input priority 0; policy drop; }'");
        let pontoon = Pontoon::on(&host);
        warned(&pontoon, "network create blue");
        let before = state(&host);
        for verb in ["integrate", "release"] {
            let mut cut = 0;
            for at in 0..20 {
                let words = format!("firewall {verb}");
                let killed = pontoon.command(&words).env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
                if killed.status.success() {
                    break;
                }
                cut += 1;
                pontoon.attempt("ps");
                let rules = host.sh("nft list ruleset").matches("pontoon:integration").count();
                assert!([0, 14].contains(&rules), "{verb} killed at {at}: {rules} rules");
                pontoon.run(if verb == "integrate" { "firewall release" } else { "firewall integrate" });
            }
            assert!(cut > 2, "{verb} was cut off {cut} times");
            pontoon.run("firewall integrate");
        }
        pontoon.run("firewall release");
        before.assert_unchanged(&state(&host));
    }
}

/// firewalld with a message bus of its own.
struct Firewalld {
    _bus: Background,
    _daemon: Background,
}

impl Firewalld {
    fn start(host: &Host) -> Self {
        for tool in ["firewalld", "firewall-cmd", "dbus-daemon"] {
            host.need(tool);
        }
        // All that it writes to.
        host.own("/etc/firewalld");
        host.sh("mount -t tmpfs tmpfs /var/log");
        // The system's own configuration would have it change to another user.
        let policy =
            r#"<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>"#;
        let config = format!(
            "<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\">{policy}</policy></busconfig>"
        );
        host.sh(&format!(
            "mkdir -p /run/dbus /run/firewalld && cat > /run/dbus/test.conf <<'END'\n{config}\nEND"
        ));
        let bus = host.background("exec dbus-daemon --config-file=/run/dbus/test.conf --nofork --nopidfile");
        host.wait_until("the message bus listens", || {
            host.try_sh("test -S /run/dbus/system_bus_socket").status.success()
        });
        let daemon = host.background("exec firewalld --nofork --nopid --log-file /run/firewalld.log");
        host.wait_until("firewalld runs", || host.try_sh("firewall-cmd --state").status.success());
        Self { _bus: bus, _daemon: daemon }
    }
}
