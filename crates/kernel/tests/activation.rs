//! Descriptors that were passed, in a process that got some.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::process::Command;

use pontoon_kernel::activation::{ActivationError, Variables, take};
use rustix::io::{FdFlags, fcntl_getfd};

/// Tells the test binary, run again, that it has descriptors.
const INSIDE: &str = "PONTOON_ACTIVATION_INSIDE";

fn again(redirections: &str, count: usize, names: &str, expected: &str) {
    let script =
        format!("export LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names}; exec \"$@\" {redirections}");
    let binary = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(binary)
        .args(["--exact", "what_is_passed_is_taken_once", "--nocapture"])
        .env(INSIDE, expected)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

fn inside(expected: &str) {
    let found = match take(&Variables::of_this_process()) {
        Ok(passed) => {
            let tell = |one: &pontoon_kernel::activation::Passed| {
                assert!(fcntl_getfd(&one.fd).unwrap().contains(FdFlags::CLOEXEC));
                let leads_to = fs::read_link(format!("/proc/self/fd/{}", one.fd.as_raw_fd())).unwrap();
                format!("{}={}", one.name, leads_to.display())
            };
            let told = passed.iter().map(tell).collect::<Vec<_>>().join(" ");
            assert!(take(&Variables::of_this_process()).unwrap().is_empty(), "they are taken");
            told
        }
        Err(ActivationError::Descriptor { number, .. }) => format!("no {number}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn what_is_passed_is_taken_once() {
    if let Ok(expected) = std::env::var(INSIDE) {
        return inside(&expected);
    }
    again("3</dev/null 4</dev/zero", 2, "control:", "control=/dev/null unknown=/dev/zero");
    again("3</dev/null", 0, "", "");
    again("3<&-", 1, "control", "no 3");
    again("", 65, "control", "LISTEN_FDS=65 is not what systemd sets");
}
