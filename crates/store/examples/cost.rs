//! What the store costs: `cargo run --release -p pontoon-store --example cost [FOLDER]`, on tmpfs by default.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pontoon_model::network::AddressPool;
use pontoon_model::{EndpointId, NetworkId};
use pontoon_store::{Dirs, IpamError, Store};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let base = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from);
    let base = base.join(format!("pontoon-cost-{}", std::process::id()));
    let measured = measure(&Dirs { lib: base.join("lib"), run: base.join("run") });
    std::fs::remove_dir_all(&base)?;
    measured
}

fn measure(dirs: &Dirs) -> Outcome {
    let begin = Instant::now();
    drop(Store::open(dirs)?);
    println!("first open: {:?}", begin.elapsed());

    median("open, close", 500, |_| {
        Store::open(dirs)?;
        Ok(())
    })?;
    median("open, write, read, close", 500, |round| {
        let mut store = Store::open(dirs)?;
        store.transaction(|tx| tx.meta_set("round", &round.to_string()))?;
        store.read(|tx| tx.meta_get("round"))?;
        Ok(())
    })?;
    let network = NetworkId::from_bytes([7; 32]);
    let pool = AddressPool {
        subnet: "10.0.0.0/8".parse()?,
        range: None,
        gateway: "10.0.0.1".parse()?,
        aux: Default::default(),
    };
    let mut store = Store::open(dirs)?;
    median("write", 500, |round| Ok(store.transaction(|tx| tx.meta_set("round", &round.to_string()))?))?;
    median("read", 500, |_| {
        store.read(|tx| tx.meta_get("round"))?;
        Ok(())
    })?;
    for taken in [0, 1_000, 100_000_u64] {
        store.transaction::<_, IpamError>(|tx| {
            (0..taken).try_for_each(|n| tx.allocate(&network, &pool, &owner(taken + n)).map(drop))
        })?;
        median(&format!("allocate with {taken} more taken"), 500, |round| {
            store.transaction(|tx| tx.allocate(&network, &pool, &owner(round)))?;
            Ok(())
        })?;
        median("open, allocate, close", 500, |round| {
            let mut store = Store::open(dirs)?;
            store.transaction(|tx| tx.allocate(&network, &pool, &owner(1 << 40 | round)))?;
            Ok(())
        })?;
        median("free", 500, |round| Ok(store.transaction(|tx| tx.lease_free_all(&owner(1 << 40 | round)))?))?;
    }
    Ok(())
}

fn owner(number: u64) -> EndpointId {
    let mut bytes = [0; 32];
    // The other way round, as ids are not in order.
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    EndpointId::from_bytes(bytes)
}

fn median(what: &str, rounds: u64, mut round: impl FnMut(u64) -> Outcome) -> Outcome {
    let mut times = Vec::new();
    for number in 0..rounds {
        let begin = Instant::now();
        round(number)?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| -> Duration { times[times.len() * percent / 100] };
    println!("{what}: median {:?}, p90 {:?}", at(50), at(90));
    Ok(())
}
