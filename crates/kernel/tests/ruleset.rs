//! The reference's listings are what nft(8) lists of the kernel's table, and nft reads them.

use std::fs;

use pontoon_kernel::nftables;
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_plan::Instance;
use pontoon_plan::ruleset::{example, page, remove_table};
use pontoon_testkit::{Host, sandboxed};

fn listed(host: &Host) -> String {
    host.sh("nft list table inet pontoon")
}

sandboxed! {
    fn cases_are_listed_as_the_reference_has_them(host: Host) {
        host.need("nft");
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        for case in example::all() {
            nftables::apply(&mut socket, &case.commands()).unwrap();
            assert_same(&listed(&host), &case.table().to_string(), case.title);
            nftables::apply(&mut socket, &remove_table(&Instance::host())).unwrap();
        }
    }

    fn nft_reads_the_listing_with_its_reasons(host: Host) {
        host.need("nft");
        fs::write("/run/testkit/table.nft", page::annotated()).unwrap();
        host.sh("nft -f /run/testkit/table.nft");
        let is_reason = |line: &&str| line.trim_start().starts_with('#');
        let text: Vec<String> = page::annotated().lines().filter(|line| !is_reason(line)).map(str::to_owned).collect();
        assert_same(&listed(&host), &(text.join("\n") + "\n"), "the table");
    }
}

/// What nft lists must be what the reference has.
#[track_caller]
fn assert_same(nft: &str, reference: &str, what: &str) {
    let (nft, reference) = (without_implied(nft), without_implied(reference));
    let differs = nft.lines().zip(reference.lines()).find(|(left, right)| left != right);
    assert_eq!(differs, None, "{what}");
    assert_eq!(nft, reference, "{what}");
}

/// nft up to 1.0.6 does not list the family in front of a protocol that belongs to it. Elements of the kernel's have
/// counted nothing yet; those of the reference do not count.
fn without_implied(text: &str) -> String {
    let text = text.replace(" counter packets 0 bytes 0", "");
    let shorter = text.replace("meta nfproto ipv4 meta l4proto icmp ", "meta l4proto icmp ");
    shorter.replace("meta nfproto ipv6 meta l4proto ipv6-icmp ", "meta l4proto ipv6-icmp ")
}
