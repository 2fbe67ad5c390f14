//! Many processes at once, and processes that are killed. A child is this test program again.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pontoon_store::{IpamError, Store, StoreError};

use crate::fixture::{Place, cable, dirs_in, endpoint_id, network_id, pool};

const BASE: &str = "PONTOON_STORE_TEST_BASE";

fn spawn(role: &str, base: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", role, "--ignored", "--nocapture", "--test-threads=1"])
        .env(BASE, base)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn base() -> PathBuf {
    std::env::var_os(BASE).expect("only other tests run this one").into()
}

#[test]
#[ignore = "the child of fifty_processes_never_get_one_address_twice"]
fn allocating_child() {
    let mut addresses = String::new();
    for round in 0..20 {
        // As a command does: each opens the store anew.
        let mut store = Store::open(&dirs_in(&base())).unwrap();
        let owner = endpoint_id(u64::from(std::process::id()) << 32 | round);
        let blue = pool("10.0.0.0/16", None, "10.0.0.1", &[]);
        let address =
            store.transaction::<_, IpamError>(|tx| tx.allocate(&network_id(1), &blue, &owner)).unwrap();
        addresses.push_str(&format!("address {address}\n"));
    }
    print!("\n{addresses}");
}

#[test]
fn fifty_processes_never_get_one_address_twice() {
    let place = Place::new();
    let children: Vec<Child> = (0..50).map(|_| spawn("children::allocating_child", place.base())).collect();
    let mut seen = BTreeSet::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        for line in output.stdout.lines().map(Result::unwrap) {
            if let Some(address) = line.strip_prefix("address ") {
                assert!(seen.insert(address.to_owned()), "{address} was given out twice");
            }
        }
    }
    assert_eq!(seen.len(), 50 * 20);
}

#[test]
#[ignore = "the child of the tests that kill one"]
fn writing_child() {
    let mut store = Store::open(&dirs_in(&base())).unwrap();
    println!("\nready");
    for round in 0_u64.. {
        store
            .transaction(|tx| {
                // Two records that belong together, and enough of the rest to be in the middle most of the time.
                tx.meta_set("first", &round.to_string())?;
                for number in 0..50 {
                    tx.cable_put(&cable(round * 50 + number, [None, Some(1)]))?;
                }
                tx.meta_set("second", &round.to_string())
            })
            .unwrap();
    }
}

#[test]
fn a_kill_in_mid_write_leaves_whole_changes() -> Result<(), StoreError> {
    let place = Place::new();
    for round in 0..12 {
        let mut child = spawn("children::writing_child", place.base());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut store = Store::open(&place.dirs)?;
        store.read::<_, StoreError>(|tx| {
            assert_eq!(tx.meta_get("first")?, tx.meta_get("second")?);
            Ok(())
        })?;
        store.transaction(|tx| tx.meta_set("alive", "yes"))?;
    }
    Ok(())
}

#[test]
fn a_kill_while_the_store_is_made_leaves_one_that_opens() -> Result<(), StoreError> {
    for round in 0..20 {
        let place = Place::new();
        let mut child = spawn("children::writing_child", place.base());
        std::thread::sleep(Duration::from_micros(400 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut store = Store::open(&place.dirs)?;
        store.transaction(|tx| tx.meta_set("alive", "yes"))?;
        store.read::<_, StoreError>(|tx| {
            assert_eq!(tx.meta_get("first")?, tx.meta_get("second")?);
            Ok(())
        })?;
    }
    Ok(())
}
