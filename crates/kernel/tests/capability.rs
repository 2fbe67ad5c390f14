//! Giving up privileges, as root of a user namespace.

use std::process::Command;

use pontoon_kernel::capability::{drop_all_but, effective};
use pontoon_testkit::sandboxed;
use rustix::thread::CapabilitySet;

fn sets_of_a_child() -> Vec<String> {
    let output = Command::new("cat").arg("/proc/self/status").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"];
    let lines = text.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

sandboxed! {
    fn only_what_is_kept_is_left_for_good(host: Host) {
        host.sh("ip link add before type bridge");
        let keep = CapabilitySet::NET_ADMIN | CapabilitySet::NET_BIND_SERVICE;
        drop_all_but(keep).unwrap();
        assert_eq!(effective(), keep);
        let bits = format!("{:016x}", keep.bits());
        let expected = [
            "CapInh: 0000000000000000".to_owned(), format!("CapPrm: {bits}"), format!("CapEff: {bits}"),
            format!("CapBnd: {bits}"), "CapAmb: 0000000000000000".to_owned(), "NoNewPrivs: 1".to_owned(),
        ];
        assert_eq!(sets_of_a_child(), expected, "what a program has that root executes");
        host.sh("ip link add after type bridge");
        assert!(!host.try_sh("mount -t tmpfs none /mnt").status.success(), "CAP_SYS_ADMIN is gone");
        assert!(!host.try_sh("chown 1:1 /run/testkit").status.success(), "CAP_CHOWN is gone");
        // Once more, and less: nothing comes back, and to lack CAP_SETPCAP does not hinder.
        drop_all_but(CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN).unwrap();
        assert_eq!(effective(), CapabilitySet::NET_ADMIN);
        drop_all_but(CapabilitySet::empty()).unwrap();
        assert_eq!(effective(), CapabilitySet::empty());
        assert!(!host.try_sh("ip link add last type bridge").status.success());
    }
}
