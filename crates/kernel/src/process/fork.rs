//! fork(2) and what belongs right around it.
//!
//! The program has one thread when it forks, so the child may do what it likes, allocation included. In a
//! test binary, which has many, glibc keeps the allocator usable in the child; nothing between fork and exec
//! here takes another lock of the standard library.
#![expect(unsafe_code, reason = "fork, signal masks and dispositions, execve and close_range")]

use std::ffi::CString;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Forks; the child runs `body` and exits with what it returns, without the parent's destructors.
pub(crate) fn fork(body: impl FnOnce() -> i32) -> rustix::io::Result<Pid> {
    // SAFETY: see the module's text; the child leaves by `_exit` below and never returns to the caller.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => {
            let run = std::panic::AssertUnwindSafe(body);
            let code = std::panic::catch_unwind(run).unwrap_or(101);
            exit_now(code)
        }
        pid => Pid::from_raw(pid).ok_or(Errno::CHILD),
    }
}

/// Ends the process without running anything else of it.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// Closes the child's copy of a descriptor whose owner lives in the parent.
pub(crate) fn close_in_child(descriptor: std::os::fd::RawFd) {
    // SAFETY: in the child of a fork, nothing uses the parent's owner of the descriptor any more.
    unsafe { libc::close(descriptor) };
}

/// Makes `number` a copy of a descriptor that stays open across exec, whatever it was before.
///
/// For a child that is about to exec: whoever owned `number` must not use it any more.
pub(crate) fn install(descriptor: std::os::fd::BorrowedFd<'_>, number: i32) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: in the child of a fork that is about to exec, nothing uses an owner of the number any more.
    match unsafe { libc::dup2(descriptor.as_raw_fd(), number) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Makes new namespaces for the calling thread.
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: no caller passes CLONE_FILES, the only flag that could affect who owns a descriptor.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// While it lives, the calling thread's children are born in another pid namespace.
///
/// Its drop sets that back: pid_namespaces(7) allows to return to one's own.
#[derive(Debug)]
pub(crate) struct ChildPidNamespace {
    own: OwnedFd,
    _thread: PhantomData<*const ()>,
}

impl ChildPidNamespace {
    /// The next child is the first process of a new one.
    pub(crate) fn new() -> rustix::io::Result<ChildPidNamespace> {
        let guard = Self::remember()?;
        unshare(UnshareFlags::NEWPID)?;
        Ok(guard)
    }

    /// Children are born in the namespace behind `fd`.
    pub(crate) fn existing(fd: &OwnedFd) -> rustix::io::Result<ChildPidNamespace> {
        let guard = Self::remember()?;
        rustix::thread::move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
        Ok(guard)
    }

    fn remember() -> rustix::io::Result<ChildPidNamespace> {
        let own = rustix::fs::open("/proc/self/ns/pid", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(ChildPidNamespace { own, _thread: PhantomData })
    }
}

impl Drop for ChildPidNamespace {
    fn drop(&mut self) {
        let back = Some(LinkNameSpaceType::ProcessID);
        if let Err(errno) = rustix::thread::move_into_link_name_space(self.own.as_fd(), back) {
            // The next child would be put into a container that it has nothing to do with.
            eprintln!("error: could not return to the process's own pid namespace: {errno}");
            std::process::abort();
        }
    }
}

/// Gives every signal its default action and blocks none: execve(2) keeps ignored signals ignored, and the
/// Rust runtime ignores SIGPIPE.
pub(crate) fn reset_signals() {
    // The kernel's `struct sigaction`: handler, flags, restorer, mask; SIG_DFL is 0.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the action is as large as the kernel reads. Not by way of libc, which keeps two signals to
        // itself that a caller may have ignored all the same; SIGKILL and SIGSTOP give an error, no harm.
        let null = std::ptr::null_mut::<u64>();
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), null, size_of::<u64>()) };
    }
    unblock_signals();
}

/// Blocks no signal.
pub(crate) fn unblock_signals() {
    // SAFETY: an all-zero set is what sigemptyset makes; both pointers are good.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Marks every descriptor from `first` on to be closed by exec, also those that this process inherited.
pub(crate) fn close_on_exec_from(first: u32) {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: only sets a flag; ENOSYS before Linux 5.11 leaves what our own O_CLOEXEC already does.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
}

/// Closes every descriptor from `first` on: for a child that only waits and must hold nothing open.
///
/// No value that owns one of them may be used or dropped in this process afterwards.
pub(crate) fn close_from(first: u32) {
    // SAFETY: the caller leaves by `exit_now` without touching or dropping an owner of a closed descriptor.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Replaces the program; returns only with an error.
pub(crate) fn execve(program: &CString, arguments: &[CString], environment: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer and their strings outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    last_errno()
}

pub(crate) fn last_errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
