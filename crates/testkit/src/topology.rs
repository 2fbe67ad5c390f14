//! What is around the host: a router and a server outside.

use pontoon_kernel::sysctl::Sysctl;

use crate::Host;

/// Host, router and a server outside:
///
/// ```text
/// host eth0 192.0.2.2/24 ─────────── 192.0.2.1 router 198.51.100.1 ─────────── 198.51.100.10 outside
///           2001:db8:1::2/64   2001:db8:1::1          2001:db8:2::1   2001:db8:2::10
/// ```
///
/// The router has no route to anything behind the host, as on a real network. Link-local addresses are set by
/// hand, without duplicate address detection: a router asks for its neighbours from them, and cannot for two
/// seconds otherwise.
const LINKS: &str = "
    ip netns add router
    ip netns add outside
    ip link add eth0 type veth peer name host netns router
    ip -n router link add outside type veth peer name eth0 netns outside
    ip link set eth0 addrgenmode none
    ip -n router link set host addrgenmode none
    ip -n router link set outside addrgenmode none
    ip -n outside link set eth0 addrgenmode none
    ip address add fe80::2/64 dev eth0 nodad
    ip -n router address add fe80::1/64 dev host nodad
    ip -n router address add fe80::1/64 dev outside nodad
    ip -n outside address add fe80::10/64 dev eth0 nodad
    ip address add 192.0.2.2/24 dev eth0
    ip address add 2001:db8:1::2/64 dev eth0 nodad
    ip -n router address add 192.0.2.1/24 dev host
    ip -n router address add 2001:db8:1::1/64 dev host nodad
    ip -n router address add 198.51.100.1/24 dev outside
    ip -n router address add 2001:db8:2::1/64 dev outside nodad
    ip -n outside address add 198.51.100.10/24 dev eth0
    ip -n outside address add 2001:db8:2::10/64 dev eth0 nodad
    ip link set eth0 up
    ip -n router link set lo up
    ip -n router link set host up
    ip -n router link set outside up
    ip -n outside link set lo up
    ip -n outside link set eth0 up
    ip route add default via 192.0.2.1
    ip route add default via 2001:db8:1::1
    ip -n outside route add default via 198.51.100.1
    ip -n outside route add default via 2001:db8:2::1
";

impl Host {
    /// Gives the host an uplink `eth0`, a namespace `router` behind it and a namespace `outside` behind that.
    ///
    /// The host's addresses are 192.0.2.2/24 and 2001:db8:1::2/64, with a default route by the router's
    /// 192.0.2.1 and 2001:db8:1::1; outside is 198.51.100.10/24 and 2001:db8:2::10/64. Neither of them knows
    /// a way back to a network behind the host, so what leaves the host must be masqueraded to be answered.
    ///
    /// # Panics
    ///
    /// When `ip` is not installed, or the host has an `eth0` already.
    #[track_caller]
    pub fn uplink(&self) {
        self.need("ip");
        self.sh(LINKS);
        let forwarding = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];
        let router = self.netns("router");
        for key in forwarding {
            let key: Sysctl = key.parse().expect("a kernel parameter's name");
            router
                .enter(|| key.write("1"))
                .expect("the namespace can be entered")
                .unwrap_or_else(|error| panic!("{error}"));
        }
        // The first packet after a link comes up may be lost; a test should not pay for that.
        for address in ["198.51.100.10", "2001:db8:2::10"] {
            self.wait_until("the outside answers the host", || self.pings("host", address));
        }
    }
}
