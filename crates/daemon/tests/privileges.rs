//! What the daemon keeps of its privileges is enough for what it does.

use pontoon_daemon::privileges::{NEEDED, give_up};
use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::network::NetworkSpec;
use pontoon_engine::{Engine, Mode, Root};
use pontoon_kernel::capability::effective;
use pontoon_kernel::datagram::DeviceSocket;
use pontoon_model::ContainerRef;
use pontoon_testkit::sandboxed;

sandboxed! {
    fn what_is_kept_suffices(host: Host) {
        host.sh("ip netns add theirs; ip netns add gone; ip -n theirs link set lo up");
        // Another user's, in a namespace of its own.
        let other = host.background("exec setpriv --reuid 1 --regid 1 --clear-groups --bounding-set -all unshare --net --map-root-user sleep 100");
        let own = host.sh("readlink /proc/self/ns/net");
        host.wait_until("it has its namespace", || {
            let theirs = host.try_sh(&format!("readlink /proc/{}/ns/net", other.pid()));
            theirs.status.success() && theirs.stdout != own.as_bytes()
        });
        give_up().unwrap();
        assert_eq!(effective(), NEEDED);
        let mut engine = Engine::open(Root::host(), Mode::Apply).unwrap();
        let blue = NetworkSpec { name: "blue".into(), ipv6: Some(true), ..NetworkSpec::default() };
        let network = engine.network_create(&blue).unwrap().value;
        for container in ["netns:theirs".to_owned(), format!("pid:{}", other.pid())] {
            let container: ContainerRef = container.parse().unwrap();
            let publish = vec!["53:53/udp".parse().unwrap()];
            engine.connect("blue", &container, &ConnectSpec { publish, ..ConnectSpec::default() }).unwrap();
            engine.disconnect("blue", &container).unwrap();
        }
        host.sh(&format!("nft flush ruleset; ip link delete {}", network.bridge_name));
        assert_eq!(engine.restore().unwrap().value.networks.len(), 1, "a network that somebody took away is made again");
        let gateway = network.v4.as_ref().expect("it has IPv4").gateway;
        DeviceSocket::open(&network.bridge_name, gateway, 53).unwrap();
        // As it unpins the namespace of a container whose keeper was killed.
        host.sh("ip netns delete gone");
        engine.network_remove("blue").unwrap();
        engine.system_prune().unwrap();
    }
}
