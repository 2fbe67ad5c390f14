//! Figures of an instance's state.

use pontoon_daemon::health::Health;
use pontoon_daemon::metrics::{encode, state};
use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::network::NetworkSpec;
use pontoon_engine::{Engine, Mode, Root};
use pontoon_model::ContainerRef;
use pontoon_testkit::sandboxed;

sandboxed! {
    fn what_there_is_is_counted(host: Host) {
        let source = state(Root::host());
        let text = encode(&source().unwrap());
        assert!(text.contains("pontoon_networks 0\n") && text.contains("pontoon_journal_pending 0\n"), "{text}");
        assert!(!std::path::Path::new("/run/pontoon").exists(), "to be asked makes nothing");
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let mut engine = Engine::open(Root::host(), Mode::Apply).unwrap();
        let blue = NetworkSpec { name: "blue".into(), subnets: vec!["10.1.0.0/28".into()], ..NetworkSpec::default() };
        engine.network_create(&blue).unwrap();
        let theirs: ContainerRef = "netns:theirs".parse().unwrap();
        let publish = vec!["8080-8089:80-89".parse().unwrap()];
        engine.connect("blue", &theirs, &ConnectSpec { publish, ..ConnectSpec::default() }).unwrap();
        host.sh_in("theirs", "ping -q -c 2 -i 0.01 10.1.0.1");
        let text = encode(&source().unwrap());
        for line in [
            "pontoon_networks 1",
            "pontoon_endpoints{network=\"blue\"} 1",
            "pontoon_containers{status=\"running\"} 0",
            "pontoon_namespaces 1",
            "pontoon_published_ports 10",
            "pontoon_cables 0",
            "pontoon_pool_used{network=\"blue\",subnet=\"10.1.0.0/28\"} 1",
            "pontoon_pool_size{network=\"blue\",subnet=\"10.1.0.0/28\"} 13",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let health = Health::default().with_state(&Root::host()).response();
        assert!(health.status == 200 && health.body.contains("\"networks\":1"), "{health:?}");
        for way in ["from", "to"] {
            let name = format!("pontoon_network_{way}_containers_bytes_total{{network=\"blue\"}} ");
            let bytes = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{text}"));
            assert!(bytes.parse::<u64>().unwrap() >= 2 * 84, "{text}");
        }
        drop(engine);
        host.sh("echo damaged > /run/pontoon/runtime.db; rm -f /run/pontoon/runtime.db-*");
        let health = Health::default().with_state(&Root::host()).response();
        assert!(health.status == 503 && health.body.contains("the state cannot be read"), "{health:?}");
    }
}
