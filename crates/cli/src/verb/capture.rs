//! `pontoon capture`

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use pontoon_capture::pcapng::{self, Counts, Direction, Packet};
use pontoon_capture::{decode, filter};
use pontoon_engine::capture::{Capture as Taps, CaptureSpec, Waited};
use pontoon_kernel::signal::Signals;
use pontoon_model::IfName;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::cable::{Place, place_and_interface};

/// Capture the packets of a container's interfaces, or of the host's
///
/// Each packet is a line: when, by which interface, which way, from whom to whom. With -w the packets go to a file that
/// Wireshark and tcpdump read, with the interfaces' names, networks and addresses. It ends with Ctrl-C, after -c packets,
/// after --duration, or with the container.
///
/// The filter has the words of tcpdump: `tcp port 80 or 443`, `host 10.0.0.2 and not arp`, `src net 10.0.0.0/8`. The
/// words are host, net, port, portrange, src, dst, proto, ether, ip, ip6, arp, tcp, udp, sctp, icmp, icmp6, broadcast,
/// multicast, less, greater, and, or, not, and parentheses, for which the shell wants quotes.
#[derive(Debug, Args)]
pub(crate) struct Capture {
    /// Write the packets to FILE as pcapng; `-` is standard output, for a pipe
    #[arg(long, short, value_name = "FILE")]
    write: Option<PathBuf>,
    /// End after so many packets
    #[arg(long, short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Take so many bytes of each packet
    #[arg(long, value_name = "BYTES", default_value_t = MOST, value_parser = clap::value_parser!(u32).range(1..=MOST as i64))]
    snaplen: u32,
    /// End after so long, such as `30s` or `5m`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Take also what is for other stations: on a bridge, what its ports send each other
    #[arg(long)]
    promiscuous: bool,
    /// Container by name, id, the beginning of an id, pid:N, netns:NAME, or `host`; with one interface, or all that are up
    #[arg(value_name = "CONTAINER[:IF]|host[:IF]", value_parser = place_and_interface)]
    place: (Place, Option<IfName>),
    /// Which packets: all if none is given
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

/// The longest packet that is taken whole. Source: `MAXIMUM_SNAPLEN` of libpcap's pcap-int.h.
const MOST: u32 = 262_144;

/// Where packets go.
enum Sink {
    Lines,
    File { out: Box<dyn Write>, name: String },
}

impl Capture {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let words = self.filter.join(" ");
        let filter = if words.is_empty() { None } else { Some(filter::parse(&words)?) };
        if self.to_standard_output() && std::io::stdout().is_terminal() {
            return Err(Failure::usage("packets are not written to a terminal")
                .with_hint("leave -w out for a line each, or name a file: `-w capture.pcapng`"));
        }
        let (place, interface) = &self.place;
        let spec = CaptureSpec {
            place: place.container().cloned(),
            interface: interface.clone(),
            filter,
            snaplen: self.snaplen,
            promiscuous: self.promiscuous,
        };
        let signals = Signals::block([SIGINT, SIGTERM, SIGHUP]);
        let signals = signals.map_err(|errno| Failure::io("could not wait for signals", &errno.into()))?;
        // The engine is let go of first: packets may come for a long time.
        let mut taps = global.session()?.capture(&spec)?;
        let started = nanoseconds();
        let mut sink = self.sink()?;
        sink.begin(&taps, self.snaplen, &words)?;
        output::note(&format!("capturing on {}\n", interfaces(&taps)));
        let delivered = self.take(&mut taps, &mut sink, &signals)?;
        let mut counts = taps.counts()?;
        counts.iter_mut().zip(delivered).for_each(|(counts, delivered)| counts.delivered = delivered);
        sink.end([started, nanoseconds()], &counts)?;
        output::note(&summary(&taps, &counts));
        Ok(ExitCode::SUCCESS)
    }

    fn to_standard_output(&self) -> bool {
        self.write.as_deref() == Some(Path::new("-"))
    }

    fn sink(&self) -> Result<Sink, Failure> {
        let Some(path) = &self.write else { return Ok(Sink::Lines) };
        if self.to_standard_output() {
            let out = Box::new(BufWriter::new(std::io::stdout()));
            return Ok(Sink::File { out, name: "standard output".to_owned() });
        }
        let name = path.display().to_string();
        let file =
            File::create(path).map_err(|error| Failure::io(format!("could not create {name}"), &error))?;
        Ok(Sink::File { out: Box::new(BufWriter::new(file)), name })
    }

    /// Takes packets until it is over; returns how many there were for each interface.
    fn take(&self, taps: &mut Taps, sink: &mut Sink, signals: &Signals) -> Result<Vec<u64>, Failure> {
        let until = self.duration.and_then(|duration| Instant::now().checked_add(duration));
        let mut delivered = vec![0; taps.interfaces().count()];
        loop {
            let waited = taps.wait(until, signals)?;
            let left = self.count.map_or(u64::MAX, |count| count - delivered.iter().sum::<u64>());
            let packets = taps.packets();
            let taken = packets.iter().take(usize::try_from(left).unwrap_or(usize::MAX));
            for packet in taken.clone() {
                delivered[packet.interface as usize] += 1;
            }
            sink.packets(taps, taken)?;
            if waited == Waited::Interrupted {
                // Taken, it does nothing more.
                signals.next().map_err(|errno| Failure::io("could not read a signal", &errno.into()))?;
            }
            if waited != Waited::Packets || packets.len() as u64 >= left {
                return Ok(delivered);
            }
        }
    }
}

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Sink {
    fn begin(&mut self, taps: &Taps, snaplen: u32, filter: &str) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        pcapng::section(&mut bytes, concat!("pontoon ", env!("CARGO_PKG_VERSION")));
        for interface in taps.interfaces() {
            pcapng::interface(&mut bytes, interface, snaplen, filter);
        }
        pcapng::names(&mut bytes, taps.names());
        self.write(&bytes)
    }

    fn packets<'a>(
        &mut self,
        taps: &Taps,
        packets: impl Iterator<Item = &'a Packet<'a>>,
    ) -> Result<(), Failure> {
        if matches!(self, Self::Lines) {
            let lines: String = packets.map(|packet| line(taps, packet)).collect();
            return output::print(&lines);
        }
        let mut bytes = Vec::new();
        packets.for_each(|packet| pcapng::packet(&mut bytes, packet));
        self.write(&bytes)
    }

    fn end(&mut self, times: [u64; 2], counts: &[Counts]) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for (number, counts) in (0..).zip(counts) {
            pcapng::statistics(&mut bytes, number, times, *counts);
        }
        self.write(&bytes)
    }

    /// Writes to the file, at once: somebody may be reading it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Self::File { out, name } = self else { return Ok(()) };
        let written = out.write_all(bytes).and_then(|()| out.flush());
        written.map_err(|error| Failure::io(format!("could not write {name}"), &error))
    }
}

/// `2026-01-31T12:00:00.000000Z eth0 in  ARP who has …`
fn line(taps: &Taps, packet: &Packet<'_>) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(packet.time);
    let width = taps.interfaces().map(|interface| interface.name.chars().count()).max().unwrap_or(0);
    let Some(interface) = taps.interfaces().nth(packet.interface as usize) else { return String::new() };
    let name = interface.name.escape_debug().to_string();
    let direction = match packet.direction {
        Direction::In => "in ",
        Direction::Out => "out",
    };
    let what = decode::line(interface.link, packet.data, packet.length);
    format!("{} {name:<width$} {direction} {what}\n", humantime::format_rfc3339_micros(time))
}

/// `eth0 (container web, network blue), lo (…)`
fn interfaces(taps: &Taps) -> String {
    let one = |interface: &pcapng::Interface| {
        format!("{} ({})", interface.name.escape_debug(), interface.description)
    };
    taps.interfaces().map(one).collect::<Vec<_>>().join(", ")
}

fn summary(taps: &Taps, counts: &[Counts]) -> String {
    let one = |(interface, counts): (&pcapng::Interface, &Counts)| {
        let Counts { accepted, dropped, delivered } = counts;
        let name = interface.name.escape_debug();
        format!(
            "{name}: {delivered} packets captured, {accepted} passed the filter, {dropped} lost for want of room\n"
        )
    };
    taps.interfaces().zip(counts).map(one).collect()
}
