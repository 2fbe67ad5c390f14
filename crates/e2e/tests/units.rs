//! The systemd units that ship with Pontoon are ones that systemd understands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pontoon_e2e::program;

/// Copies of the units that start the program under test instead of an installed one.
fn copies(name: &str) -> Vec<PathBuf> {
    let folder = std::env::temp_dir().join(format!("pontoon-units-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist");
    let mut copies = Vec::new();
    for entry in fs::read_dir(dist).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "service" || kind == "socket") {
            let text = fs::read_to_string(&path).unwrap();
            let copy = folder.join(path.file_name().unwrap());
            let installed = "/usr/local/bin/pontoon ";
            fs::write(&copy, text.replace(installed, &format!("{} ", program().display()))).unwrap();
            copies.push(copy);
        }
    }
    assert!(copies.len() >= 3, "{copies:?}");
    copies
}

fn analyze(words: &[&str], units: &[PathBuf]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(words).args(units).output();
    let output = output.expect("this test needs the program `systemd-analyze`, of the package `systemd`");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn systemd_takes_the_units_as_they_are() {
    let units = copies("verify");
    let (taken, said) = analyze(&["verify", "--man=no"], &units);
    // It speaks of the machine's own units too, and where it speaks of ours, that is a fault.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("pontoon")).collect();
    assert!(taken && ours.is_empty(), "{said}");
    fs::remove_dir_all(units[0].parent().unwrap()).unwrap();
}

/// `systemd-analyze security` counts from 0 (safe) to 10. What a mount namespace would bring is out of reach.
#[test]
fn the_daemon_is_confined() {
    let units = copies("security");
    let daemon: Vec<PathBuf> =
        units.iter().filter(|unit| unit.ends_with("pontoon-daemon.service")).cloned().collect();
    let (within, said) = analyze(&["security", "--offline=true", "--threshold=55", "--no-pager"], &daemon);
    assert!(within, "{said}");
    fs::remove_dir_all(units[0].parent().unwrap()).unwrap();
}

/// Mounts of the daemon's must reach the host, and the host's the daemon.
#[test]
fn no_setting_gives_the_daemon_a_mount_namespace() {
    let unit = include_str!("../../../dist/pontoon-daemon.service");
    // systemd.exec(5): each of these sets one up.
    let never = [
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateMounts",
        "PrivateNetwork",
        "PrivateUsers",
        "ProtectProc",
        "ProcSubset",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ReadOnlyPaths",
        "ReadWritePaths",
        "InaccessiblePaths",
        "TemporaryFileSystem",
        "BindPaths",
        "RootDirectory",
        "DynamicUser",
        "MountFlags",
        "LogNamespace",
    ];
    for line in unit.lines().filter(|line| !line.starts_with('#')) {
        let key = line.split('=').next().unwrap();
        assert!(!never.contains(&key), "{line}");
    }
}
