//! Streams, requests and connections between two places.
//!
//! All ends run on one processor, so that a rate is what the work costs, and not which end the kernel put beside
//! which; what else the machine does disturbs all sides alike.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::BenchError;
use crate::place::Place;

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(4);
/// How much is sent before it is acknowledged.
const UNIT: usize = 8 << 20;
/// How much is written and read at once.
const PIECE: usize = 128 << 10;

/// What a client wants of a server: the first byte that it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Each byte comes back.
    Echo,
    /// A byte comes back for each [`UNIT`].
    Drain,
}

impl Want {
    fn byte(self) -> u8 {
        match self {
            Self::Echo => b'e',
            Self::Drain => b'd',
        }
    }
}

/// Serves connections of both kinds, until the program ends.
pub(crate) fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        // Threads that it starts are where it is.
        share_a_processor().ok();
        for stream in listener.incoming().flatten() {
            // A client that goes away ends it.
            std::thread::spawn(move || answer(stream).ok());
        }
    });
}

/// Takes connections and ends them at once, until the program ends.
pub(crate) fn take(listener: TcpListener) {
    std::thread::spawn(move || {
        share_a_processor().ok();
        listener.incoming().flatten().for_each(drop);
    });
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut want = [0];
    stream.read_exact(&mut want)?;
    if want[0] == Want::Echo.byte() {
        loop {
            stream.read_exact(&mut want)?;
            stream.write_all(&want)?;
        }
    }
    let mut piece = vec![0; PIECE];
    let mut left = UNIT;
    loop {
        match stream.read(&mut piece[..left.min(PIECE)])? {
            0 => return Ok(()),
            count => left -= count,
        }
        if left == 0 {
            stream.write_all(&want)?;
            left = UNIT;
        }
    }
}

/// A connection to a server, and what is done on it.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    want: Want,
}

impl Client {
    /// Connects from `place`.
    pub(crate) fn connect(place: &Place, address: SocketAddr, want: Want) -> Result<Self, BenchError> {
        let mut stream = place.enter(|| connect(address))?;
        let begun = stream.set_nodelay(true).and_then(|()| stream.write_all(&[want.byte()]));
        begun.map_err(BenchError::io("begin a conversation"))?;
        Ok(Self { stream, want })
    }

    /// What is done in a second: requests, or bits.
    pub(crate) fn rate(&mut self, time: Duration) -> Result<f64, BenchError> {
        let (request, weight) = match self.want {
            Want::Echo => (vec![7], 1.0),
            Want::Drain => (vec![7; PIECE], 8.0 * UNIT as f64),
        };
        let times = match self.want {
            Want::Echo => 1,
            Want::Drain => UNIT / PIECE,
        };
        let done = on_the_shared_processor(|| {
            repeat(time, || {
                for _ in 0..times {
                    self.stream.write_all(&request)?;
                }
                self.stream.read_exact(&mut [0])
            })
        })?;
        Ok(weight * done)
    }
}

/// How many connections are made and ended in a second, one after the other.
pub(crate) fn connections(place: &Place, address: SocketAddr, time: Duration) -> Result<f64, BenchError> {
    on_the_shared_processor(|| {
        place.enter(|| {
            repeat(time, || {
                let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
                // The server ends it first.
                stream.read(&mut [0]).map(drop)
            })
        })
    })
}

fn connect(address: SocketAddr) -> Result<TcpStream, BenchError> {
    TcpStream::connect_timeout(&address, PATIENCE).map_err(BenchError::io("connect"))
}

/// How often `work` was done in a second.
fn repeat(time: Duration, mut work: impl FnMut() -> std::io::Result<()>) -> Result<f64, BenchError> {
    let start = Instant::now();
    let mut count = 0;
    loop {
        work().map_err(BenchError::io("exchange data"))?;
        count += 1;
        let elapsed = start.elapsed();
        if elapsed >= time {
            return Ok(f64::from(count) / elapsed.as_secs_f64());
        }
    }
}

/// Runs `work` in a thread beside the servers; the thread that asks goes on to run everywhere.
fn on_the_shared_processor<T: Send>(
    work: impl FnOnce() -> Result<T, BenchError> + Send,
) -> Result<T, BenchError> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| share_a_processor().and_then(|()| work()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Ties the thread to the last of the processors that the program may use.
fn share_a_processor() -> Result<(), BenchError> {
    let failed = |errno: rustix::io::Errno| BenchError::io("choose a processor")(errno.into());
    let all = sched_getaffinity(None).map_err(failed)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|processor| all.is_set(*processor));
    let mut one = CpuSet::new();
    one.set(last.ok_or(BenchError::Silent("the processors that there are"))?);
    sched_setaffinity(None, &one).map_err(failed)
}
