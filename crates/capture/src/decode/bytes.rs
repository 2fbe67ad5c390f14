//! Bytes that may end too soon.

use std::net::{Ipv4Addr, Ipv6Addr};

use pontoon_netlink::link::HwAddr;

#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What comes from `at` on; nothing where that is behind the end.
    pub(super) fn after(self, at: usize) -> Self {
        Self(self.0.get(at..).unwrap_or_default())
    }

    /// The first `len`, or as many as there are.
    pub(super) fn first(self, len: usize) -> Self {
        Self(&self.0[..len.min(self.0.len())])
    }

    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn slice(self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.0.get(at..at.checked_add(len)?)
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.slice(at, N)?.try_into().ok()
    }

    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub(super) fn half(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn word(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub(super) fn mac(self, at: usize) -> Option<HwAddr> {
        self.array(at).map(HwAddr)
    }

    pub(super) fn ipv4(self, at: usize) -> Option<Ipv4Addr> {
        self.array::<4>(at).map(Ipv4Addr::from)
    }

    pub(super) fn ipv6(self, at: usize) -> Option<Ipv6Addr> {
        self.array::<16>(at).map(Ipv6Addr::from)
    }
}
