//! Cables, bridges, neighbours: what is between two that need no router.

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};

use super::{PORT, Way, explained, out, run_all, shown, within};

/// Db to web, with what is to be done to web's port.
#[track_caller]
fn port(host: &Host, inject: &str, code: &str) {
    let pontoon = Pontoon::with_web_and_db(host);
    let passes = || host.pings("db", "10.5.0.2");
    let way = Way { host, pontoon: &pontoon, words: "db web", passes: &passes };
    way.mends(&format!("{PORT} {inject}"), &[code]);
}

sandboxed! {
    fn a_cable_that_is_off_the_bridge_goes_back_on_it(host: Host) {
        port(&host, "ip link set $port nomaster", "port-without-bridge");
    }

    fn a_cable_that_is_off_the_bridge_is_found_on_the_way_out_too(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("web", "198.51.100.10");
        let way = Way { host: &host, pontoon: &pontoon, words: "web 198.51.100.10", passes: &passes };
        way.mends(&format!("{PORT} ip link set $port nomaster"), &["port-without-bridge"]);
    }

    fn an_interface_that_is_down_is_set_up(host: Host) {
        within("ip -n web link set eth0 down", &["link-down"])(host);
    }

    fn the_routes_that_went_with_an_interface_come_back_with_it(host: Host) {
        out("ip -n web link set eth0 down", &["link-down", "no-route"])(host);
    }

    fn a_port_that_is_down_is_set_up(host: Host) {
        port(&host, "ip link set $port down", "link-down");
    }

    fn a_bridge_that_is_down_is_set_up(host: Host) {
        within("ip link set blue0 down", &["link-down"])(host);
    }

    fn an_interface_that_somebody_moved_away_comes_back(host: Host) {
        within("ip -n web link set eth0 netns db name eth9", &["interface-gone"])(host);
    }

    fn an_interface_that_somebody_deleted_comes_back(host: Host) {
        within("ip -n web link delete eth0", &["interface-gone"])(host);
    }

    fn an_address_that_is_gone_comes_back(host: Host) {
        within("ip -n web address flush dev eth0", &["address-missing"])(host);
    }

    fn a_port_that_listens_is_made_to_forward(host: Host) {
        port(&host, "ip link set blue0 type bridge stp_state 1; ip link set $port down; ip link set $port up", "port-state");
    }

    fn a_port_that_is_disabled_is_made_to_forward(host: Host) {
        port(&host, "bridge link set dev $port state 0", "port-state");
    }

    fn of_two_isolated_ports_one_is_let_talk(host: Host) {
        within(
            "for port in $(ip -o link show master blue0 | grep -o 'veth[0-9a-f]*' | sort -u); do
                bridge link set dev $port isolated on; done",
            &["ports-isolated"],
        )(host);
    }

    fn a_container_that_calls_its_own_published_port_needs_hairpin(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("sysctl -w net.bridge.bridge-nf-call-iptables=1");
        let _server = host.serve("web", 80, "web");
        let passes = || host.fetch("web", "10.5.0.1:8080").is_ok();
        let way = Way { host: &host, pontoon: &pontoon, words: "web 10.5.0.1:8080", passes: &passes };
        way.mends(&format!("{PORT} bridge link set dev $port hairpin off"), &["hairpin-off"]);
    }

    fn a_wrong_neighbour_that_stays_is_deleted(host: Host) {
        within(
            "ip -n db neighbour replace 10.5.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
            &["neighbour-wrong"],
        )(host);
    }

    fn a_wrong_entry_of_the_bridge_is_deleted(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("db", "10.5.0.2");
        let way = Way { host: &host, pontoon: &pontoon, words: "db web", passes: &passes };
        let wrong = "other=$(ip -o link show master blue0 | grep 'link-netns db' | grep -o 'veth[0-9a-f]*' | head -1);
            mac=$(ip -n web -o link show eth0 | grep -o 'ether [0-9a-f:]*' | cut -d' ' -f2);
            bridge fdb replace $mac dev $other master static";
        way.mends(wrong, &["fdb-wrong"]);
    }

    fn two_with_one_ethernet_address_do_not_hear_each_other(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        // The guard of the ports would be in the way as well.
        host.sh("nft flush chain bridge pontoon prerouting");
        let passes = || host.pings("db", "10.5.0.2");
        let way = Way { host: &host, pontoon: &pontoon, words: "db web", passes: &passes };
        let same = "mac=$(ip -n web -o link show eth0 | grep -o 'ether [0-9a-f:]*' | cut -d' ' -f2);
            ip -n db link set eth0 address $mac; ip -n web neighbour flush all; ip -n db neighbour flush all";
        way.mends(same, &["mac-twice"]);
    }

    fn of_two_with_one_address_it_is_not_known_who_answers(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("ip -n db address add 10.5.0.2/24 dev eth0");
        let (found, code) = explained(&pontoon, "host web");
        assert_eq!((code, super::codes(&found)), (2, vec!["address-twice"]), "{}", shown(&pontoon, "host web"));
        let fix = found["findings"][0]["fix"][0].as_str().unwrap().to_owned();
        run_all(&host, &[fix]);
        super::is_reachable(&pontoon, "host web");
        assert!(host.pings("host", "10.5.0.2"));
        assert_eq!(host.sh("ip -n db -br address show eth0").matches("10.5.0.").count(), 1);
    }
}
