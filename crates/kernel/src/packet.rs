//! Sockets that see every packet of an interface: what comes in, and what goes out.
//!
//! A socket belongs to the namespace that the calling thread is in when it is made. It asks for nothing until it is
//! started, so that no packet gets in before its filter is there.
//!
//! Source: packet(7), socket(7), recvmmsg(2); net/packet/af_packet.c for what is not written there.
#![expect(
    unsafe_code,
    reason = "sockets of AF_PACKET, their options and control messages have no safe wrapper"
)]

use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use pontoon_capture::bpf::Insn;
use pontoon_model::Diagnose;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::datagram::last_errno;
use crate::socket::options::hold;

/// Room for packets that come while the program is busy.
const RECEIVE_BUFFER: usize = 16 << 20;
/// How many packets are taken by a call.
const PACKETS: usize = 32;
/// Room for control messages: one with the time, one with lengths and tag.
const CONTROL: usize = 16;
/// Room for a tag of IEEE 802.1Q before a packet's bytes.
const TAG: usize = 4;
/// `ARPHRD_LOOPBACK` of include/uapi/linux/if_arp.h.
const LOOPBACK: u16 = 772;

/// Why packets of an interface cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A privilege is missing.
    #[error("capturing needs CAP_NET_RAW, which you do not have here")]
    Denied,
    /// The interface is gone.
    #[error("interface `{interface}` is gone")]
    Gone {
        /// Its name.
        interface: String,
    },
    /// The kernel refused.
    #[error("could not {operation} for interface `{interface}`")]
    Call {
        /// What was tried, in the imperative.
        operation: &'static str,
        /// The interface's name.
        interface: String,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

impl Diagnose for PacketError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied => "capture-denied",
            Self::Gone { .. } => "capture-interface-gone",
            Self::Call { .. } => "capture-call",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied => Some("run it as root, or in `pontoon lab`".into()),
            Self::Call { errno: Errno::OPNOTSUPP | Errno::AFNOSUPPORT, .. } => {
                Some("the kernel needs CONFIG_PACKET: `modprobe af_packet`".into())
            }
            Self::Gone { .. } | Self::Call { .. } => None,
        }
    }
}

/// A socket for the packets of one interface.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    index: i32,
    name: String,
    hardware: u16,
}

impl PacketSocket {
    /// A socket for the interface with this index, called `name` in errors, in the calling thread's namespace. It gets
    /// nothing yet.
    ///
    /// # Errors
    ///
    /// [`PacketError::Denied`] without `CAP_NET_RAW` in the user namespace that owns the namespace;
    /// [`PacketError::Gone`].
    pub fn open(index: u32, name: &str) -> Result<Self, PacketError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None);
        let fd = fd.map_err(|errno| refused("open a packet socket", name, errno))?;
        let index = index.cast_signed();
        let mut socket = Self { fd, index, name: name.to_owned(), hardware: 0 };
        // Protocol 0 is none.
        socket.bind(0)?;
        socket.hardware = socket.address()?.sll_hatype;
        Ok(socket)
    }

    /// The type of the interface's hardware: `ARPHRD_…` of include/uapi/linux/if_arp.h.
    pub fn hardware(&self) -> u16 {
        self.hardware
    }

    /// Has the socket get what `filter` takes, from now on; with `promiscuous`, also what the interface would pass over.
    ///
    /// Loopback's packets are seen as they come in, and not as they go out as well.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a filter that the kernel does not take; [`PacketError::Gone`].
    pub fn start(&self, filter: &[Insn], promiscuous: bool) -> Result<(), PacketError> {
        let on: libc::c_int = 1;
        self.attach(filter)?;
        self.set(libc::SOL_PACKET, libc::PACKET_AUXDATA, &on, "ask for lengths and tags")?;
        self.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &on, "ask for times")?;
        if self.hardware == LOOPBACK {
            self.set(libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, "leave out what goes out")?;
        }
        if promiscuous {
            let request = libc::packet_mreq {
                mr_ifindex: self.index,
                mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request, "see what is for others")?;
        }
        // Where the buffer cannot be raised as far, what is there must do: what is lost is counted.
        let _ = hold(self.fd.as_fd(), RECEIVE_BUFFER);
        self.bind(libc::ETH_P_ALL as u16)
    }

    /// How many packets the filter has let through since this was last asked, and how many of these were lost for want of
    /// room.
    ///
    /// # Errors
    ///
    /// None that is known of.
    pub fn statistics(&self) -> Result<(u64, u64), PacketError> {
        let mut counted = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the descriptor is open; the pointer and length are those of `counted`, which the kernel fills in with two
        // numbers.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counted).cast(),
                &raw mut len,
            )
        };
        match result {
            0 => Ok((counted.tp_packets.into(), counted.tp_drops.into())),
            _ => Err(self.failed("read what was counted", last_errno())),
        }
    }

    /// Whether the interface is not there any more; one that is only down may come up again.
    ///
    /// # Errors
    ///
    /// None that is known of.
    pub fn is_gone(&self) -> Result<bool, PacketError> {
        // The kernel forgets which it was: `packet_notifier()`.
        Ok(self.address()?.sll_ifindex != self.index)
    }

    fn failed(&self, operation: &'static str, errno: Errno) -> PacketError {
        refused(operation, &self.name, errno)
    }

    fn bind(&self, protocol: u16) -> Result<(), PacketError> {
        let mut address = empty_address();
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = self.index;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the descriptor is open; the pointer and length are those of `address`, which the kernel only reads.
        let result = unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) };
        if result == 0 { Ok(()) } else { Err(self.failed("bind a packet socket", last_errno())) }
    }

    fn address(&self) -> Result<libc::sockaddr_ll, PacketError> {
        let mut address = empty_address();
        let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the descriptor is open; the pointer and length are those of `address`, any bytes of which are valid.
        let result =
            unsafe { libc::getsockname(self.fd.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
        if result == 0 { Ok(address) } else { Err(self.failed("look at a packet socket", last_errno())) }
    }

    fn attach(&self, filter: &[Insn]) -> Result<(), PacketError> {
        let mut program: Vec<libc::sock_filter> = filter
            .iter()
            .map(|insn| libc::sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k })
            .collect();
        let len = u16::try_from(program.len()).map_err(|_| self.failed("attach a filter", Errno::INVAL))?;
        // The kernel copies the program during the call, in which it stays where it is.
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program, "attach a filter")
    }

    fn set<T>(
        &self,
        level: libc::c_int,
        option: libc::c_int,
        value: &T,
        operation: &'static str,
    ) -> Result<(), PacketError> {
        // SAFETY: the descriptor is open; the pointer and length are those of `value`, which the kernel only reads during
        // the call, with what it points to.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(self.failed(operation, last_errno())) }
    }
}

/// `PACKET_IGNORE_OUTGOING` of include/uapi/linux/if_packet.h, from Linux 4.20.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

fn refused(operation: &'static str, interface: &str, errno: Errno) -> PacketError {
    let interface = interface.to_owned();
    match errno {
        Errno::PERM | Errno::ACCESS => PacketError::Denied,
        Errno::NODEV | Errno::NXIO => PacketError::Gone { interface },
        errno => PacketError::Call { operation, interface, errno },
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Which way a packet went, and for whom it is: `sll_pkttype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketType {
    /// For this interface.
    Host,
    /// For everybody.
    Broadcast,
    /// For a group.
    Multicast,
    /// For another station.
    OtherHost,
    /// Sent by this interface.
    Outgoing,
}

/// What is known of a packet besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When it was seen, in nanoseconds after 1970.
    pub time: u64,
    /// How many bytes it had.
    pub length: u32,
    /// Which way it went.
    pub kind: PacketType,
}

/// The packets that were taken last from a socket. Their memory stays where it is: the kernel is given pointers into it.
pub struct Packets {
    /// [`PACKETS`] places for packets, each of [`TAG`] bytes more than are taken of one.
    data: Box<[u8]>,
    size: usize,
    /// What they are, with the place of their bytes.
    seen: Vec<(Seen, std::ops::Range<usize>)>,
}

impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packets").field("size", &self.size).field("seen", &self.seen).finish()
    }
}

impl Packets {
    /// Room for packets of which `take` bytes are taken at the most.
    pub fn new(take: usize) -> Self {
        let size = take + TAG;
        // Zeroed memory that is not touched is not there.
        Self { data: vec![0; size * PACKETS].into_boxed_slice(), size, seen: Vec::with_capacity(PACKETS) }
    }

    /// Takes what is there, up to 32 packets: recvmmsg(2). What was taken before is gone then. Does not wait.
    ///
    /// # Errors
    ///
    /// `ENETDOWN` once when the interface goes down, or is gone; see [`PacketSocket::is_gone`].
    pub fn receive(&mut self, socket: &PacketSocket) -> Result<usize, PacketError> {
        self.seen.clear();
        let mut names = [empty_address(); PACKETS];
        let mut controls = [[0_u64; CONTROL]; PACKETS];
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; PACKETS];
        let mut messages: [libc::mmsghdr; PACKETS] = std::array::from_fn(|place| {
            let begin = place * self.size + TAG;
            let bytes = &mut self.data[begin..begin + self.size - TAG];
            vectors[place] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            header(&mut names[place], &mut vectors[place], &mut controls[place])
        });
        // SAFETY: each header points to a name, a vector and a buffer for control messages on this stack, with their
        // lengths, and each vector to its own part of `self.data`. All of it stays for the call, and nothing else is pointed
        // to it meanwhile. No timeout is given.
        let count = unsafe {
            libc::recvmmsg(
                socket.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                PACKETS as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            return match last_errno() {
                Errno::AGAIN | Errno::INTR => Ok(0),
                errno => Err(socket.failed("take packets", errno)),
            };
        }
        let ethernet =
            pontoon_capture::Link::of_hardware(socket.hardware) == Some(pontoon_capture::Link::Ethernet);
        for (place, message) in messages.iter().enumerate().take(count as usize) {
            // SAFETY: the kernel has filled in this header, and what it points to is where it was.
            let control = unsafe { control(&message.msg_hdr) };
            let taken = (message.msg_len as usize).min(self.size - TAG);
            let mut bytes = place * self.size + TAG..place * self.size + TAG + taken;
            let mut length = control.length.unwrap_or(message.msg_len);
            if let Some(tag) = control.tag.filter(|_| ethernet && taken >= 12) {
                self.data.copy_within(bytes.start..bytes.start + 12, bytes.start - TAG);
                self.data[bytes.start + 8..bytes.start + 12].copy_from_slice(&tag);
                bytes.start -= TAG;
                length += TAG as u32;
            }
            let kind = match names[place].sll_pkttype {
                libc::PACKET_BROADCAST => PacketType::Broadcast,
                libc::PACKET_MULTICAST => PacketType::Multicast,
                libc::PACKET_OTHERHOST => PacketType::OtherHost,
                libc::PACKET_OUTGOING => PacketType::Outgoing,
                _ => PacketType::Host,
            };
            self.seen.push((Seen { time: control.time, length, kind }, bytes));
        }
        Ok(count as usize)
    }

    /// The packets that were taken last, with their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Seen, &[u8])> {
        self.seen.iter().map(|(seen, bytes)| (*seen, &self.data[bytes.clone()]))
    }
}

/// What control messages say of a packet.
#[derive(Default)]
struct Control {
    time: u64,
    length: Option<u32>,
    /// A tag that was taken out of the packet, as it was in it.
    tag: Option<[u8; TAG]>,
}

/// Reads the control messages of a packet.
///
/// # Safety
///
/// The header is one that recvmmsg has filled in, and its buffer is still there.
unsafe fn control(header: &libc::msghdr) -> Control {
    let mut found = Control::default();
    // SAFETY: by the caller, the header describes a buffer that the kernel filled in.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: the macros give only messages that are within the buffer, which is aligned for them.
        let message = unsafe { &*next };
        // SAFETY: as above.
        let data = unsafe { libc::CMSG_DATA(next) };
        match (message.cmsg_level, message.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: a message of this type holds a timespec; it may be anywhere.
                let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                found.time =
                    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64);
            }
            (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                // SAFETY: a message of this type holds a tpacket_auxdata; it may be anywhere.
                let about = unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
                found.length = Some(about.tp_len);
                found.tag = tag(&about);
            }
            _ => {}
        }
        // SAFETY: `next` is a message of this header's.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    found
}

fn tag(about: &libc::tpacket_auxdata) -> Option<[u8; TAG]> {
    if about.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let protocol = match about.tp_status & libc::TP_STATUS_VLAN_TPID_VALID {
        0 => libc::ETH_P_8021Q as u16,
        _ => about.tp_vlan_tpid,
    };
    let ([a, b], [c, d]) = (protocol.to_be_bytes(), about.tp_vlan_tci.to_be_bytes());
    Some([a, b, c, d])
}

fn header(
    name: &mut libc::sockaddr_ll,
    vector: &mut libc::iovec,
    control: &mut [u64; CONTROL],
) -> libc::mmsghdr {
    // SAFETY: it is made of integers and pointers alone, for which zero is a value. (With musl it has private fields.)
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_name = (&raw mut *name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    header.msg_iov = vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<[u64; CONTROL]>() as _;
    libc::mmsghdr { msg_hdr: header, msg_len: 0 }
}

fn empty_address() -> libc::sockaddr_ll {
    // SAFETY: it is made of integers alone, for which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}
