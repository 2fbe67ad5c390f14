//! What `pontoon graph` draws is what there is.

use pontoon_e2e::Pontoon;
use pontoon_testkit::sandboxed;

sandboxed! {
    fn the_graph_is_what_there_is(host: Host) {
        host.uplink();
        host.sh("ip netns add theirs");
        let pontoon = Pontoon::on(&host);
        assert_eq!(pontoon.run("graph"), "host  way out by eth0", "before anything has run");
        pontoon.run("network create --ipv6 --subnet 10.1.0.0/24 --subnet fd00:1::/64 blue");
        pontoon.run("network create --internal --subnet 10.2.0.0/24 cellar");
        pontoon.run("run -d --name web --network blue --network cellar -p 8080:80 -- sleep 100");
        pontoon.run("run -d --name monitor --network host -- sleep 100");
        pontoon.run("run -d --name debug --network container:web -- sleep 100");
        pontoon.run("network connect cellar netns:theirs");
        pontoon.run("link web:lan0=10.0.0.1/30 netns:theirs:lan0=10.0.0.2/30");
        pontoon.run("link web:lan1 host:lanweb=10.0.1.1/30");

        let graph = pontoon.json("graph --format json");
        assert_eq!(graph["Uplinks"], serde_json::json!(["eth0"]));
        let blue = &graph["Networks"][0];
        assert_eq!((&blue["Name"], &blue["Subnets"][0]["WayOut"]), (&"blue".into(), &"masquerade".into()));
        assert_eq!(blue["Subnets"][1]["Gateway"], "fd00:1::1");
        assert_eq!(graph["Networks"][1]["Subnets"][0]["WayOut"], "none");
        let container = |name: &str| {
            let all = graph["Containers"].as_array().unwrap();
            all.iter().find(|one| one["Name"] == name).unwrap_or_else(|| panic!("{name}: {graph:#}")).clone()
        };
        let web = container("web");
        assert_eq!(web["Interfaces"][0]["WayOut"], serde_json::json!(["ipv4", "ipv6"]));
        assert_eq!(web["Interfaces"][1]["WayOut"], serde_json::json!([]));
        // What is drawn is what is in the namespace.
        for interface in web["Interfaces"].as_array().unwrap() {
            let name = interface["Name"].as_str().unwrap();
            let inside = &host.json_in("web", &format!("ip -j address show dev {name}"))[0];
            assert_eq!(inside["address"], interface["MAC"], "{name}");
            for net in interface["Addresses"].as_array().unwrap() {
                let (address, len) = net.as_str().unwrap().split_once('/').unwrap();
                let infos = inside["addr_info"].as_array().unwrap();
                let len: u64 = len.parse().unwrap();
                let same = |info: &serde_json::Value| info["local"] == address && info["prefixlen"] == len;
                assert!(infos.iter().any(same), "{net}: {inside:#}");
            }
        }
        let route = &host.json_in("web", "ip -j route show default")[0];
        assert_eq!((&route["dev"], &route["gateway"]), (&web["Interfaces"][0]["Name"], &blue["Subnets"][0]["Gateway"]));
        assert_eq!(web["Ports"][0], serde_json::json!({
            "Address": "0.0.0.0", "Host": 8080, "Container": 80, "Count": 1, "Protocol": "tcp"
        }));
        assert_eq!(container("monitor")["Namespace"], "host");
        assert_eq!(container("debug")["Namespace"]["container"], "web");
        assert_eq!(container("netns-theirs")["Foreign"], "netns:theirs");
        assert_eq!(graph["Cables"].as_array().unwrap().len(), 2);

        let text = pontoon.run("graph");
        for part in ["blue", "[::]:8080 → 80/tcp", "in web's namespace", "web:lan0 10.0.0.1/30", "host:lanweb 10.0.1.1/30"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "colours are for terminals");
        for (format, begins) in [("svg", "<svg "), ("mermaid", "flowchart TB"), ("dot", "graph pontoon {")] {
            assert!(pontoon.run(&format!("graph --format {format}")).starts_with(begins), "{format}");
        }
        let part = pontoon.run("graph netns:theirs");
        assert!(part.contains("netns-theirs") && !part.contains("10.1.0.0/24"), "{part}");
        let part = pontoon.run("graph --network blue");
        assert!(part.contains("web") && !part.contains("10.2.0.0/24") && !part.contains("monitor"), "{part}");
    }

    fn what_is_not_there_is_not_drawn(host: Host) {
        let pontoon = Pontoon::on(&host);
        let (code, said) = pontoon.fail("graph --network blu web");
        assert_eq!(code, 1);
        assert!(said.contains("no network `blu`"), "{said}");
        let (_, said) = pontoon.fail("graph web wob");
        assert!(said.contains("`web`") && said.contains("`wob`"), "{said}");
    }
}
