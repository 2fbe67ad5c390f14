//! The tables of iptables-legacy, which nf_tables knows nothing of: read only, and only where they are there.
//!
//! Source: `do_ipt_get_ctl()` in net/ipv4/netfilter/ip_tables.c, `do_ip6t_get_ctl()` in
//! net/ipv6/netfilter/ip6_tables.c, include/uapi/linux/netfilter_ipv4/ip_tables.h.

use std::ffi::{c_int, c_void};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::{Cause, KernelError, Operation, Verb};

/// The version of IP that a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// ip_tables
    V4,
    /// ip6_tables
    V6,
}

/// A table as the kernel hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The hooks at which it has a chain: `1 << NF_INET_…`.
    pub hooks: u32,
    /// Where each hook's chain begins.
    pub entry: [u32; 5],
    /// Where each hook's policy is.
    pub underflow: [u32; 5],
    /// The rules: `struct ipt_entry` or `struct ip6t_entry`, one after the other.
    pub entries: Vec<u8>,
}

/// What is said about a table: `struct ipt_getinfo`.
struct Info {
    hooks: u32,
    entry: [u32; 5],
    underflow: [u32; 5],
    size: u32,
}

/// Length of `struct ipt_getinfo`: a name and thirteen numbers.
const INFO_LEN: usize = 32 + 13 * 4;
/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES`; IPv6's have the same numbers.
const GET_INFO: c_int = 64;
const GET_ENTRIES: c_int = 65;
/// Length of `struct ipt_get_entries` without the entries, which are aligned to 8 bytes.
const ENTRIES_HEADER: usize = 40;
/// How often a table that grows while it is read is read again.
const ATTEMPTS: u32 = 16;

const OPERATION: Operation = Operation::new(Verb::Read, "iptables-legacy table");

/// The tables that there are. Asking for one that is not there would make it: this does not.
///
/// It is `/proc/net/ip_tables_names` or `…/ip6_tables_names` that tells, of the caller's network namespace.
pub fn tables(version: Version) -> Vec<String> {
    let path = match version {
        Version::V4 => "/proc/thread-self/net/ip_tables_names",
        Version::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    // Where there is no such file, the module is not loaded.
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Whether there is a `filter` table.
pub fn has_filter(version: Version) -> bool {
    tables(version).iter().any(|name| name == "filter")
}

/// The `filter` table, if it is there.
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN`; `Changing` where the table changed during each of 16 attempts.
pub fn filter(version: Version) -> Result<Option<Table>, KernelError> {
    table(version, "filter")
}

/// The table of a name (`nat`, `mangle`, `raw`, `security`), if it is there.
///
/// # Errors
///
/// Those of [`filter`].
pub fn table(version: Version, name: &str) -> Result<Option<Table>, KernelError> {
    if !tables(version).iter().any(|there| there == name) {
        return Ok(None);
    }
    let fail = |cause: Cause| KernelError::new(OPERATION, name, cause);
    let family = match version {
        Version::V4 => AddressFamily::INET,
        Version::V6 => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|errno| fail(errno.into()))?;
    for _ in 0..ATTEMPTS {
        let info = info(&socket, version, name).map_err(|errno| fail(errno.into()))?;
        match entries(&socket, version, name, info.size) {
            Ok(entries) => {
                let Info { hooks, entry, underflow, .. } = info;
                return Ok(Some(Table { hooks, entry, underflow, entries }));
            }
            // Its size is another by now.
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(fail(errno.into())),
        }
    }
    Err(fail(Cause::Changing { attempts: ATTEMPTS }))
}

fn info(socket: &OwnedFd, version: Version, name: &str) -> Result<Info, Errno> {
    let mut bytes = named(name, INFO_LEN);
    get(socket, version, GET_INFO, &mut bytes)?;
    let word = |index: usize| {
        let at = 32 + 4 * index;
        u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    let five = |from: usize| std::array::from_fn(|index| word(from + index));
    Ok(Info { hooks: word(0), entry: five(1), underflow: five(6), size: word(12) })
}

fn entries(socket: &OwnedFd, version: Version, name: &str, size: u32) -> Result<Vec<u8>, Errno> {
    let mut bytes = named(name, ENTRIES_HEADER + size as usize);
    bytes[32..36].copy_from_slice(&size.to_ne_bytes());
    get(socket, version, GET_ENTRIES, &mut bytes)?;
    Ok(bytes.split_off(ENTRIES_HEADER))
}

/// A request about a table: its name, then room for the answer.
fn named(name: &str, len: usize) -> Vec<u8> {
    /// `XT_TABLE_MAXNAMELEN`, with the zero.
    const MOST: usize = 31;
    let mut bytes = vec![0; len];
    let name = &name.as_bytes()[..name.len().min(MOST)];
    bytes[..name.len()].copy_from_slice(name);
    bytes
}

/// Asks the kernel, with the question in `bytes`, which the answer takes the place of.
#[expect(unsafe_code, reason = "getsockopt of ip_tables")]
fn get(socket: &OwnedFd, version: Version, option: c_int, bytes: &mut [u8]) -> Result<(), Errno> {
    let level = match version {
        Version::V4 => libc::IPPROTO_IP,
        Version::V6 => libc::IPPROTO_IPV6,
    };
    let mut len = bytes.len() as libc::socklen_t;
    // SAFETY: the descriptor is open while it is borrowed; the pointer and length are those of `bytes`, which is ours
    // alone and of which the kernel writes no more than `len`, and any bytes are valid in it.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, bytes.as_mut_ptr().cast::<c_void>(), &raw mut len)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}
