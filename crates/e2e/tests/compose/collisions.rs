//! A VPN over the addresses of a project, and the five ways out.

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};

use crate::{changed, edit, fetch, file, is_as_wanted, pids, refused, serves, up};

const SHOP: &str = "
services:
  web: { command: SERVE 'I am web.', ports: ['8080:80'] }
  client: { command: [sleep, '1000'] }
";

/// A tunnel that ends nowhere, with a route by it.
fn vpn(host: &Host, route: &str) {
    host.sh("ip link add tun0 type veth peer name far0 && ip link set tun0 up && ip link set far0 up");
    host.sh(&format!("ip route add {route} dev tun0"));
}

fn subnet(pontoon: &Pontoon<'_>) -> String {
    pontoon.run("network inspect --format '{{(index .IPAM.Config 0).Subnet}}' shop_default")
}

#[track_caller]
fn all_is_well(host: &Host, pontoon: &Pontoon<'_>) {
    serves(host, "shop-web-1");
    assert_eq!(fetch(pontoon, "shop-client-1", "web"), "I am web.");
    assert_eq!(fetch(pontoon, "host", "127.0.0.1:8080"), "I am web.");
    is_as_wanted(pontoon);
}

sandboxed! {
    fn another_free_subnet_is_taken_by_itself(host: Host) {
        let pontoon = Pontoon::on(&host);
        vpn(&host, "172.16.0.0/12");
        file(SHOP);
        up(&pontoon);
        assert_eq!(subnet(&pontoon), "192.168.0.0/20");
        all_is_well(&host, &pontoon);
        assert!(host.sh("ip route get 172.18.0.9").contains("tun0"));
    }

    fn a_subnet_is_fixed_in_the_file(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        let running = pids(&pontoon);
        vpn(&host, "172.17.0.0/17");
        let text = std::fs::read_to_string("compose.yaml").unwrap();
        file(&format!("{text}networks: {{ default: {{ ipam: {{ config: [ {{ subnet: 10.60.0.0/24 }} ] }} }} }}\n"));
        let told = changed(&up(&pontoon));
        assert_eq!(told[0], "~ network shop_default: 10.60.0.0/24, subnet 172.17.0.0/16 → 10.60.0.0/24");
        assert_eq!(pids(&pontoon), running);
        all_is_well(&host, &pontoon);
        // One that the VPN has is refused, and nothing changed.
        edit(&[("10.60.0.0/24", "172.17.5.0/24")]);
        let said = refused(&pontoon, "up -d");
        assert!(said.contains("172.17.5.0/24") && said.contains("tun0"), "{said}");
        edit(&[("172.17.5.0/24", "10.60.0.0/24")]);
        up(&pontoon);
        all_is_well(&host, &pontoon);
    }

    fn pools_are_in_the_configuration(host: Host) {
        let pontoon = Pontoon::on(&host);
        vpn(&host, "172.16.0.0/12");
        host.sh(r#"mkdir -p /etc/pontoon; echo 'default-address-pools = [{ base = "10.99.0.0/16", size = 24 }]' > /etc/pontoon/config.toml"#);
        file(SHOP);
        up(&pontoon);
        assert_eq!(subnet(&pontoon), "10.99.0.0/24");
        all_is_well(&host, &pontoon);
    }

    fn a_finer_route_leaves_it_where_it_is(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        serves(&host, "shop-web-1");
        let running = pids(&pontoon);
        let address = pontoon.address("shop_default", "shop-web-1");
        vpn(&host, "172.17.0.0/24");
        assert_eq!(fetch(&pontoon, "host", &address), "", "the VPN takes it");
        let listed = pontoon.attempt("network ls");
        let said = String::from_utf8_lossy(&listed.stderr);
        let (_, hint) = said.split_once("hint: ").expect("it has a hint");
        let finer: Vec<&str> = hint.split('`').filter(|part| part.starts_with("ip route")).collect();
        assert!(!finer.is_empty(), "{said}");
        finer.iter().for_each(|command| drop(host.sh(command)));
        assert_eq!(fetch(&pontoon, "host", &address), "I am web.");
        assert_eq!(fetch(&pontoon, "host", "127.0.0.1:8080"), "I am web.");
        assert_eq!(pids(&pontoon), running);
    }

    fn it_is_taken_away_and_comes_back_elsewhere(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        vpn(&host, "172.17.0.0/24");
        let down = pontoon.attempt("down");
        assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
        up(&pontoon);
        assert_eq!(subnet(&pontoon), "172.18.0.0/16");
        all_is_well(&host, &pontoon);
    }
}
