//! The parser of `pontoon-plan`.

use pontoon_plan::resolver::{Asked, ResolvConf, mark, resolv_conf as compose};

use crate::input::{assert_in_proportion, text};

/// [`ResolvConf::parse`].
pub fn resolv_conf(data: &[u8]) {
    let parsed = ResolvConf::parse(&text(data));
    assert_in_proportion(&parsed, data);
    let (printed, none) = compose(&mark("web", "0123456789ab"), &parsed, None, &Asked::default(), &[]);
    // A container cannot reach the host's loopback, and a single `.` means that there are no search domains.
    let mut expected = parsed.clone();
    expected.nameservers.retain(|server| !server.is_loopback());
    if expected.search == ["."] {
        expected.search.clear();
    }
    assert_eq!(ResolvConf::parse(&printed), expected, "{printed}");
    assert_eq!(none, expected.nameservers.is_empty());
}
