//! What is there when: before the first use, after a failure, after a reboot, beside another store.

use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

use pontoon_model::Diagnose as _;
use pontoon_store::{Store, StoreError};

use crate::fixture::{Place, network, network_id, sandbox};

type Outcome = Result<(), StoreError>;

#[test]
fn looking_for_a_store_makes_none() -> Outcome {
    let place = Place::new();
    assert!(Store::open_existing(&place.dirs)?.is_none());
    assert!(Store::definitions(&place.dirs)?.is_empty());
    assert!(!place.base().exists());
    drop(Store::open(&place.dirs)?);
    assert!(Store::open_existing(&place.dirs)?.is_some());
    let mode = std::fs::metadata(&place.dirs.run).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(!place.dirs.lib.exists(), "no definition, no folder");
    Ok(())
}

#[test]
fn those_who_come_while_it_is_made_find_it() {
    for _ in 0..50 {
        let place = Place::new();
        let opened: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&place.dirs).map(drop))).collect();
            others.into_iter().map(|other| other.join().unwrap()).collect()
        });
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    }
}

#[test]
fn a_failed_change_leaves_nothing() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let failed = store.transaction(|tx| {
        tx.network_put(&network(1, "blue"))?;
        Err::<(), _>(StoreError::ReadOnly { action: "fail" })
    });
    assert!(failed.is_err());
    assert!(Store::definitions(&place.dirs)?.is_empty());
    store.read(|tx| tx.networks().map(|networks| assert!(networks.is_empty())))?;
    // The lock is free and no transaction is left open.
    store.transaction(|tx| tx.meta_set("a", "b"))
}

#[test]
fn a_definition_that_cannot_be_written_is_not_made() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    std::fs::write(&place.dirs.lib, "a file where the folder should be").unwrap();
    let error = store.transaction(|tx| tx.network_put(&network(1, "blue"))).unwrap_err();
    assert_eq!(error.code(), "store-folder");
    store.read(|tx| tx.networks().map(|networks| assert!(networks.is_empty())))
}

#[test]
fn networks_outlive_a_reboot_and_nothing_else_does() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    store.transaction(|tx| {
        tx.network_put(&network(1, "blue"))?;
        tx.network_put(&network(2, "red"))?;
        let mut host = network(3, "host");
        host.builtin = true;
        tx.network_put(&host)?;
        tx.sandbox_put(&sandbox(1, "web", 1))
    })?;
    store.transaction(|tx| tx.network_delete(&network_id(2)))?;
    drop(store);
    place.reboot();
    assert!(Store::open_existing(&place.dirs)?.is_none());
    assert_eq!(Store::definitions(&place.dirs)?, [network(1, "blue")]);
    Store::open(&place.dirs)?.read(|tx| {
        assert_eq!(tx.networks()?, [network(1, "blue")]);
        assert!(tx.sandboxes()?.is_empty());
        Ok(())
    })
}

#[test]
fn a_lasting_note_outlives_a_reboot_and_another_does_not() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    // In a database that was made before there were notes.
    store.transaction(|tx| tx.network_put(&network(1, "blue")))?;
    store.transaction(|tx| {
        tx.lasting_meta_set("wish", "yes")?;
        tx.meta_set("look", "yes")
    })?;
    drop(store);
    place.reboot();
    let mut store = Store::open(&place.dirs)?;
    let notes = |store: &Store| store.read(|tx| Ok((tx.meta_get("wish")?, tx.meta_get("look")?)));
    assert_eq!(notes(&store)?, (Some("yes".to_owned()), None));
    store.transaction(|tx| tx.lasting_meta_set("wish", ""))?;
    drop(store);
    place.reboot();
    assert_eq!(notes(&Store::open(&place.dirs)?)?.0, Some(String::new()));
    Ok(())
}

#[test]
fn a_definition_left_over_by_a_kill_gives_way() -> Outcome {
    let place = Place::new();
    Store::open(&place.dirs)?.transaction(|tx| tx.network_put(&network(1, "blue")))?;
    let definitions = std::fs::read(place.dirs.lib.join("definitions.db")).unwrap();
    let mut store = Store::open(&place.dirs)?;
    store.transaction(|tx| tx.network_delete(&network_id(1)))?;
    std::fs::write(place.dirs.lib.join("definitions.db"), definitions).unwrap();
    store.transaction(|tx| tx.network_put(&network(2, "blue")))?;
    assert_eq!(Store::definitions(&place.dirs)?, [network(2, "blue")]);
    Ok(())
}

/// As if another Pontoon had made it; the bytes of the file.
fn with_format(path: &std::path::Path, format: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    // The user version is at offset 60: https://www.sqlite.org/fileformat.html#the_database_header
    bytes[60..64].copy_from_slice(&format.to_be_bytes());
    std::fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn an_earlier_format_is_refused_and_left_alone() -> Outcome {
    let place = Place::new();
    drop(Store::open(&place.dirs)?);
    let path = place.dirs.run.join("runtime.db");
    let bytes = with_format(&path, 1);
    let error = Store::open(&place.dirs).unwrap_err();
    assert_eq!(error.code(), "store-older");
    assert!(
        error.to_string().ends_with("runtime.db has format 1; this Pontoon knows format 3 alone"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("reboot"), "{error}");
    assert!(Store::open_existing(&place.dirs).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    Ok(())
}

#[test]
fn a_later_format_is_refused_and_left_alone() -> Outcome {
    let place = Place::new();
    drop(Store::open(&place.dirs)?);
    let path = place.dirs.run.join("runtime.db");
    let bytes = with_format(&path, 99);
    let error = Store::open(&place.dirs).unwrap_err();
    assert_eq!(error.code(), "store-newer");
    assert!(
        error.to_string().ends_with("runtime.db has format 99; this Pontoon knows formats up to 3"),
        "{error}"
    );
    assert!(Store::open_existing(&place.dirs).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    Ok(())
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let place = Place::new();
    std::fs::create_dir_all(&place.dirs.run).unwrap();
    std::fs::write(place.dirs.run.join("runtime.db"), "x".repeat(5000)).unwrap();
    let error = Store::open(&place.dirs).unwrap_err();
    assert!(error.to_string().ends_with("run/runtime.db"), "{error}");
    assert!(error.hint().unwrap().starts_with("move the file away"));
}

#[test]
fn a_reader_sees_one_moment_while_others_write() -> Outcome {
    let place = Place::new();
    let mut writer = Store::open(&place.dirs)?;
    writer.transaction(|tx| tx.meta_set("n", "1"))?;
    Store::open(&place.dirs)?.read(|tx| {
        assert_eq!(tx.meta_get("n")?.as_deref(), Some("1"));
        writer.transaction(|tx| tx.meta_set("n", "2"))?;
        assert_eq!(tx.meta_get("n")?.as_deref(), Some("1"));
        Ok(())
    })
}

#[test]
fn the_exclusive_guard_keeps_others_out_and_its_own_store_in() -> Outcome {
    let place = Place::new();
    let mut store = Store::open(&place.dirs)?;
    let guard = store.exclusive()?;
    store.transaction(|tx| tx.meta_set("n", "1"))?;
    let dirs = place.dirs.clone();
    let other = thread::spawn(move || {
        Store::open(&dirs)?.transaction(|tx| {
            assert_eq!(tx.meta_get("n")?.as_deref(), Some("2"));
            tx.meta_set("n", "3")
        })
    });
    thread::sleep(Duration::from_millis(50));
    store.transaction(|tx| {
        assert_eq!(tx.meta_get("n")?.as_deref(), Some("1"), "the other one waits");
        tx.meta_set("n", "2")
    })?;
    let inner = store.exclusive()?;
    drop(guard);
    assert!(!other.is_finished());
    drop(inner);
    other.join().unwrap()?;
    store.read(|tx| tx.meta_get("n").map(|n| assert_eq!(n.as_deref(), Some("3"))))
}
