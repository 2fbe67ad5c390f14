//! Random bytes.

use rustix::rand::GetRandomFlags;

use crate::error::{KernelError, Operation, Verb};

/// `N` random bytes from the kernel: getrandom(2).
///
/// # Errors
///
/// `ENOSYS` where the system call is filtered.
pub fn bytes<const N: usize>() -> Result<[u8; N], KernelError> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        let read = rustix::io::retry_on_intr(|| {
            rustix::rand::getrandom(&mut bytes[filled..], GetRandomFlags::empty())
        });
        filled +=
            read.map_err(|errno| KernelError::new(Operation::new(Verb::Read, "random bytes"), "", errno))?;
    }
    Ok(bytes)
}
