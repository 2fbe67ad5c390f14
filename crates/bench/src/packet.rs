//! The first packet: how soon after an attach a connection works.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use pontoon_model::Endpoint;

use crate::attach::{Attach as _, InProcess};
use crate::error::BenchError;
use crate::place::{Place, listen};
use crate::program;
use crate::samples::{Samples, timed};
use crate::scale::Scale;

/// What the first round trip may take.
pub(crate) const LIMIT: Duration = Duration::from_millis(5);
/// A lost SYN comes back after 1 s, the next after 3 s.
const PATIENCE: Duration = Duration::from_secs(4);

const NETWORK: &str = "first";
/// A dual-stack network.
const SUBNETS: [&str; 2] = ["10.206.0.0/16", "fd00:f1:f1:f1::/64"];
const PORT: u16 = 7007;

/// First round trips of one kind.
#[derive(Debug)]
pub(crate) struct First {
    /// Of which kind.
    pub(crate) what: String,
    /// How long each took.
    pub(crate) times: Samples,
}

#[derive(Debug, Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl Family {
    const BOTH: [Self; 2] = [Self::V4, Self::V6];

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    fn of(self, endpoint: &Endpoint) -> Result<IpAddr, BenchError> {
        let address = match self {
            Self::V4 => endpoint.v4.map(IpAddr::V4),
            Self::V6 => endpoint.v6.map(IpAddr::V6),
        };
        address.ok_or(BenchError::Silent("an address"))
    }

    fn gateway(self, engine: &InProcess) -> Result<SocketAddr, BenchError> {
        let wanted = |address: &IpAddr| address.is_ipv4() == matches!(self, Self::V4);
        let gateway = engine.gateways()?.into_iter().find(wanted).ok_or(BenchError::Silent("a gateway"))?;
        Ok(SocketAddr::new(gateway, PORT))
    }
}

/// Measures all kinds, each time with a namespace of its own.
pub(crate) fn measure(scale: &Scale) -> Result<Vec<First>, BenchError> {
    let mut engine = InProcess::create(NETWORK, &SUBNETS)?;
    let told = serve_on_host()?;
    let mut all = Vec::new();
    for family in Family::BOTH {
        let inwards = repeat(scale.packets, |_| into_namespace(&mut engine, family))?;
        all.push(First { what: format!("`connect`, host to namespace, {}", family.name()), times: inwards });
        let outwards = repeat(scale.packets, |_| out_of_namespace(&mut engine, family))?;
        all.push(First {
            what: format!("`connect`, namespace to gateway, {}", family.name()),
            times: outwards,
        });
    }
    // Times that nobody waited for were told to the listener on the host as well.
    told.try_iter().for_each(drop);
    for family in Family::BOTH {
        let inwards = repeat(scale.run_packets, |number| into_container(&engine, family, number))?;
        all.push(First { what: format!("`run -d`, host to container, {}", family.name()), times: inwards });
        let outwards = repeat(scale.run_packets, |number| out_of_container(&engine, &told, family, number))?;
        all.push(First {
            what: format!("`run -d`, container to gateway, {}", family.name()),
            times: outwards,
        });
    }
    Ok(all)
}

fn repeat(
    count: usize,
    mut measure: impl FnMut(usize) -> Result<Duration, BenchError>,
) -> Result<Samples, BenchError> {
    Ok(Samples::new((0..count).map(&mut measure).collect::<Result<_, _>>()?))
}

fn into_namespace(engine: &mut InProcess, family: Family) -> Result<Duration, BenchError> {
    let place = Place::new("packet")?;
    let listener = place.listen(PORT)?;
    std::thread::spawn(move || listener.accept().map(|(stream, _)| echo(stream)));
    let (_, endpoint) = engine.connect(&place.name)?;
    let address = SocketAddr::new(family.of(&endpoint)?, PORT);
    let (time, ()) = timed(|| round_trip(connect(address)?).map(drop))?;
    engine.detach(&place.name)?;
    Ok(time)
}

fn out_of_namespace(engine: &mut InProcess, family: Family) -> Result<Duration, BenchError> {
    let place = Place::new("packet")?;
    let gateway = family.gateway(engine)?;
    engine.connect(&place.name)?;
    let (time, _) = timed(|| round_trip(place.dial(|| connect(gateway))?))?;
    engine.detach(&place.name)?;
    Ok(time)
}

/// The container's process serves one connection and ends, and its container with it.
fn into_container(engine: &InProcess, family: Family, number: usize) -> Result<Duration, BenchError> {
    let known: Vec<_> = engine.endpoints()?.into_iter().map(|endpoint| endpoint.id).collect();
    start_container(&format!("in-{}-{number}", family.name()), &["serve".into(), PORT.to_string()])?;
    let new = engine.endpoints()?.into_iter().find(|endpoint| !known.contains(&endpoint.id));
    let address = SocketAddr::new(family.of(&new.ok_or(BenchError::Silent("of the container"))?)?, PORT);
    let start = Instant::now();
    let mut answered = connect(address);
    let mut first = start.elapsed();
    if answered.is_ok() {
        answered = answered.and_then(round_trip);
        first = start.elapsed();
    } else {
        // A refusal is a round trip too: the process does not listen yet. It ends when it is served.
        answered = persist(address, answered, start).and_then(round_trip);
    }
    answered.map(|_| first)
}

/// Connects again as long as nobody listens.
fn persist(
    address: SocketAddr,
    mut answered: Result<TcpStream, BenchError>,
    start: Instant,
) -> Result<TcpStream, BenchError> {
    let refused = |answered: &Result<TcpStream, BenchError>| matches!(answered, Err(BenchError::Io { source, .. }) if source.kind() == ErrorKind::ConnectionRefused);
    while refused(&answered) && start.elapsed() < PATIENCE {
        answered = connect(address);
    }
    answered
}

/// The container's process dials as soon as it starts, and tells how long the round trip took.
fn out_of_container(
    engine: &InProcess,
    told: &Receiver<Duration>,
    family: Family,
    number: usize,
) -> Result<Duration, BenchError> {
    let gateway = family.gateway(engine)?;
    start_container(&format!("out-{}-{number}", family.name()), &["dial".into(), gateway.to_string()])?;
    told.recv_timeout(2 * PATIENCE).map_err(|_| BenchError::Silent("how long the container's dial took"))
}

fn start_container(name: &str, order: &[String]) -> Result<(), BenchError> {
    let mut command = Command::new(program::pontoon()?);
    command.args(["run", "-d", "--rm", "--name", name, "--network", NETWORK, "--"]);
    command.arg(program::own()?).args(order);
    program::run(&mut command).map(drop)
}

fn connect(address: SocketAddr) -> Result<TcpStream, BenchError> {
    TcpStream::connect_timeout(&address, PATIENCE).map_err(BenchError::io("connect"))
}

/// Sends a byte and waits for it to come back.
fn round_trip(mut stream: TcpStream) -> Result<TcpStream, BenchError> {
    let mut byte = [7];
    let done = stream.write_all(&byte).and_then(|()| stream.read_exact(&mut byte));
    done.map_err(BenchError::io("exchange a byte"))?;
    Ok(stream)
}

/// Sends a byte back.
fn echo(mut stream: TcpStream) -> std::io::Result<TcpStream> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    stream.write_all(&byte)?;
    Ok(stream)
}

/// Answers on the host; what callers tell after the round trip comes out of the receiver.
fn serve_on_host() -> Result<Receiver<Duration>, BenchError> {
    let listener = listen(PORT)?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || listener.incoming().flatten().try_for_each(|stream| answer(stream, &sender)));
    Ok(receiver)
}

/// Ends the listener when nobody hears the times any more.
fn answer(stream: TcpStream, sender: &Sender<Duration>) -> Result<(), std::sync::mpsc::SendError<Duration>> {
    let mut said = String::new();
    let heard = echo(stream).and_then(|mut stream| stream.read_to_string(&mut said));
    match (heard, said.parse()) {
        (Ok(_), Ok(nanoseconds)) => sender.send(Duration::from_nanos(nanoseconds)),
        _ => Ok(()),
    }
}

/// What `serve` does, in a container.
pub(crate) fn serve_once(port: u16) -> Result<(), BenchError> {
    let (stream, _) = listen(port)?.accept().map_err(BenchError::io("accept"))?;
    echo(stream).map_err(BenchError::io("answer"))?;
    Ok(())
}

/// What `dial` does, in a container.
pub(crate) fn dial_and_tell(address: SocketAddr) -> Result<(), BenchError> {
    let (time, mut stream) = timed(|| round_trip(connect(address)?))?;
    write!(stream, "{}", time.as_nanos()).map_err(BenchError::io("tell the time"))
}
