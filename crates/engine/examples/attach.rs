//! Attaches and detaches in a row on a throw-away host, to be looked at with a profiler:
//! `perf record -g target/release/examples/attach`.

use std::time::Instant;

use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::network::NetworkSpec;
use pontoon_engine::{Engine, Mode, Root};
use pontoon_kernel::lab;
use pontoon_kernel::netns::Netns;
use pontoon_model::ContainerRef;

/// How many are attached.
const COUNT: usize = 400;

fn main() {
    let status = lab::run(&lab::Options::default(), || {
        attach_all().expect("the engine works on a throw-away host");
        0
    });
    std::process::exit(status.map_or(1, |status| status.code()));
}

fn attach_all() -> Result<(), Box<dyn std::error::Error>> {
    let mut engine = Engine::open(Root::host(), Mode::Apply)?;
    engine.network_create(&NetworkSpec { name: "blue".into(), ..NetworkSpec::default() })?;
    for number in 0..COUNT {
        Netns::create()?.pin(&format!("n{number}"))?;
    }
    let mut times = Vec::new();
    for number in 0..COUNT {
        if let Some(pause) = std::env::var("PAUSE").ok().and_then(|pause| pause.parse().ok()) {
            std::thread::sleep(std::time::Duration::from_millis(pause));
        }
        let start = Instant::now();
        engine.connect("blue", &ContainerRef::NetnsName(format!("n{number}")), &ConnectSpec::default())?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("median {:?}, 99th percentile {:?}", times[COUNT / 2], times[COUNT * 99 / 100]);
    Ok(())
}
