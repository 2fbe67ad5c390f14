//! Locks are seen between processes, and go with them.

use pontoon_kernel::lock::{ByteLocks, FileLock};
use pontoon_testkit::sandboxed;

sandboxed! {
    fn a_byte_is_one_owners(_host: Host) {
        let path = std::path::Path::new("/run/owners");
        let (one, other) = (ByteLocks::open(path).unwrap(), ByteLocks::open(path).unwrap());
        assert!(one.try_lock(7).unwrap());
        assert!(!other.try_lock(7).unwrap());
        assert!(other.is_held(7).unwrap());
        assert!(other.try_lock(8).unwrap());
        one.release(7).unwrap();
        assert!(!other.is_held(7).unwrap());
        drop(other);
        assert!(!one.is_held(8).unwrap());
    }

    fn a_killed_owner_holds_nothing(host: Host) {
        host.need("flock");
        let path = std::path::Path::new("/run/lock/whole");
        let holder = host.background("exec flock /run/lock/whole sh -c 'echo held; exec sleep 1000'");
        holder.wait_for("held");
        assert!(FileLock::try_acquire(path).unwrap().is_none());
        drop(holder);
        drop(FileLock::acquire(path).unwrap());
        assert!(FileLock::try_acquire(path).unwrap().is_some());
    }
}
