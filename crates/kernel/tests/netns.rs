//! Network namespaces: identity, entering, names.

use std::fs;
use std::path::Path;

use pontoon_kernel::announce;
use pontoon_kernel::netns::{self, Netns, NetnsError, Unpinned};
use pontoon_kernel::sysctl::Sysctl;
use pontoon_model::Diagnose;
use pontoon_testkit::sandboxed;

sandboxed! {
    fn a_new_namespace_is_another_and_the_thread_stays(_host: Host) {
        let home = Netns::current().unwrap();
        let new = Netns::create().unwrap();
        assert_ne!(home.id(), new.id());
        assert_eq!(Netns::current().unwrap().id(), home.id());
        assert!(home.is_current().unwrap());
        assert!(!new.is_current().unwrap());
        assert_eq!(new.enter(|| Netns::current().unwrap().id()).unwrap(), new.id());
        assert_eq!(new.try_clone().unwrap().id(), new.id());
        assert_eq!(new.owner().unwrap(), 0);
        assert_eq!(Netns::of_pid(std::process::id()).unwrap().id(), home.id());
    }

    fn a_panic_inside_comes_back_first(_host: Host) {
        let home = Netns::current().unwrap().id();
        let new = Netns::create().unwrap();
        let panic = std::panic::catch_unwind(|| new.enter(|| panic!("inside")));
        assert!(panic.is_err());
        assert_eq!(Netns::current().unwrap().id(), home);
    }

    fn sysctls_are_those_of_the_namespace(_host: Host) {
        let key: Sysctl = "net.ipv4.ip_forward".parse().unwrap();
        let new = Netns::create().unwrap();
        key.write("0").unwrap();
        new.enter(|| key.write("1")).unwrap().unwrap();
        assert_eq!(key.read().unwrap(), "0");
        assert_eq!(new.enter(|| key.read()).unwrap().unwrap(), "1");
        assert_eq!(key.write("many").unwrap_err().code(), "sysctl-bad-value");
    }

    fn a_name_is_one_that_iproute2_knows(host: Host) {
        host.need("ip");
        let new = Netns::create().unwrap();
        new.pin("web").unwrap();
        assert_eq!(Netns::open_name("web").unwrap().id(), new.id());
        assert_eq!(netns::pinned_names().unwrap(), ["web"]);
        assert!(host.sh("ip netns list").starts_with("web"));
        host.sh("ip -n web link set lo up; ip netns add db");
        assert!(Netns::open_name("db").is_ok());
        assert!(matches!(new.pin("web"), Err(NetnsError::NameTaken { .. })));
        assert_eq!(netns::unpin("web", new.id()).unwrap(), Unpinned::Removed);
        assert_eq!(netns::unpin("web", new.id()).unwrap(), Unpinned::Absent);
        assert_eq!(netns::pinned_names().unwrap(), ["db"]);
        host.sh("ip netns del db");
    }

    fn many_pins_leave_one_mount_of_the_directory(host: Host) {
        let new = Netns::create().unwrap();
        for name in ["a", "b", "c"] {
            new.pin(name).unwrap();
        }
        assert_eq!(host.sh("grep -c ' /run/netns ' /proc/self/mountinfo").trim(), "1");
        assert!(host.sh("grep ' /run/netns ' /proc/self/mountinfo").contains("shared:"));
    }

    fn only_the_expected_namespace_loses_its_name(_host: Host) {
        let (one, other) = (Netns::create().unwrap(), Netns::create().unwrap());
        one.pin("web").unwrap();
        assert!(matches!(netns::unpin("web", other.id()), Err(NetnsError::Foreign { .. })));
        assert_eq!(Netns::open_name("web").unwrap().id(), one.id());
        fs::write("/run/netns/notes", "mine").unwrap();
        assert!(matches!(netns::unpin("notes", one.id()), Err(NetnsError::Foreign { .. })));
        assert_eq!(fs::read_to_string("/run/netns/notes").unwrap(), "mine");
        // What a pin that was killed between its two steps leaves.
        fs::write("/run/netns/half", "").unwrap();
        assert_eq!(netns::unpin("half", one.id()).unwrap(), Unpinned::Removed);
        assert!(!Path::new("/run/netns/half").exists());
    }

    fn a_pinned_namespace_outlives_its_descriptor(_host: Host) {
        let new = Netns::create().unwrap();
        let id = new.id();
        new.pin("web").unwrap();
        drop(new);
        assert_eq!(Netns::open_name("web").unwrap().id(), id);
    }

    fn what_is_no_network_namespace_is_refused(_host: Host) {
        let plain = Netns::open_path(Path::new("/etc/passwd")).unwrap_err();
        assert_eq!(plain.to_string(), "`/etc/passwd` is an ordinary file, not a network namespace");
        let uts = Netns::open_path(Path::new("/proc/self/ns/uts")).unwrap_err();
        assert_eq!(uts.code(), "netns-not-a-netns");
        assert!(matches!(Netns::open_name("nothing"), Err(NetnsError::Missing { .. })));
        for name in ["", ".", "..", "a/b", "a\0b"] {
            assert!(matches!(Netns::open_name(name), Err(NetnsError::BadName { .. })), "{name:?}");
        }
        assert!(matches!(Netns::of_pid(4_000_000), Err(NetnsError::NoProcess { pid: 4_000_000 })));
    }

    fn an_announcement_corrects_a_neighbour(host: Host) {
        host.need("ip");
        host.sh("
            ip netns add a; ip link add va type veth peer name e netns a
            ip addr add 2001:db8::1/64 dev va nodad; ip link set va up
            ip -n a addr add 2001:db8::2/64 dev e nodad; ip -n a link set e up
        ");
        host.wait_until("they see each other", || host.pings("host", "2001:db8::2"));
        host.sh("ip neigh replace 2001:db8::2 lladdr 02:00:00:00:00:99 nud stale dev va");
        let index = host.json_in("a", "ip -j link show e")[0]["ifindex"].as_u64().unwrap() as u32;
        let mac = [2, 0, 0, 0, 0, 7];
        announce::neighbour_advertisement(&host.netns("a"), index, "2001:db8::2".parse().unwrap(), mac).unwrap();
        host.wait_until("the neighbour is updated", || {
            host.sh("ip neigh show 2001:db8::2").contains("02:00:00:00:00:07")
        });
        let missing = announce::neighbour_advertisement(&host.netns("a"), index, "2001:db8::9".parse().unwrap(), mac);
        assert_eq!(missing.unwrap_err().to_string(), format!("could not announce 2001:db8::9 on link {index}"));
    }
}
