//! What a file expects: what is reached from where, tried from inside the containers.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use pontoon_compose::converge::{Member, members};
use pontoon_compose::project::{Expectation, Probe, Project, Target, TargetHost};
use pontoon_engine::container::running;
use pontoon_kernel::echo::echo;
use pontoon_kernel::process::Inquiry;

use crate::{ProjectError, Site};

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// There was an answer.
    Reached,
    /// Packets arrive, and nobody listens.
    Refused,
    /// There was none in time.
    Silent,
    /// The kernel knows no way.
    NoWay,
    /// The name means nothing there.
    NoName,
    /// It could not be tried.
    Failed(String),
}

impl Got {
    /// In a word or two.
    pub fn word(&self) -> String {
        match self {
            Self::Reached => "reached".into(),
            Self::Refused => "refused: nobody listens".into(),
            Self::Silent => "no answer".into(),
            Self::NoWay => "no way there".into(),
            Self::NoName => "no such name".into(),
            Self::Failed(why) => why.clone(),
        }
    }

    /// Whether packets got to where they were sent.
    fn arrived(&self) -> bool {
        matches!(self, Self::Reached | Self::Refused)
    }
}

/// An expectation that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The container that asked.
    pub from: String,
    /// What was expected.
    pub expectation: Expectation,
    /// What came of it.
    pub got: Got,
    /// How long that took.
    pub took: Duration,
}

impl Tried {
    /// Whether it is as expected. What is denied must not arrive at all: that nobody listens keeps nobody away.
    pub fn holds(&self) -> bool {
        match self.expectation.allowed {
            true => self.got == Got::Reached,
            false => matches!(self.got, Got::Silent | Got::NoWay | Got::NoName),
        }
    }
}

/// How long a silence must be to count as one, where an answer is denied.
const SILENCE: Duration = Duration::from_secs(1);

/// Between two attempts at what is to be reached.
const PAUSE: Duration = Duration::from_millis(20);

/// How long over its time an attempt may take to say so.
const GRACE: Duration = Duration::from_secs(2);

/// Tries all that the file expects, at the same time.
///
/// # Errors
///
/// If a container that is to ask does not run.
pub fn test(site: &Site, project: &Project) -> Result<Vec<Tried>, ProjectError> {
    let members = members(project);
    let mut asked = Vec::new();
    for expectation in &project.expectations {
        for member in members.iter().filter(|member| member.service == expectation.from) {
            asked.push(Asked::begin(site, member, expectation)?);
        }
    }
    Ok(asked.into_iter().map(Asked::end).collect())
}

struct Asked {
    from: String,
    expectation: Expectation,
    inquiry: Inquiry,
    since: Instant,
}

impl Asked {
    fn begin(site: &Site, member: &Member, expectation: &Expectation) -> Result<Self, ProjectError> {
        let not_up = || ProjectError::NotUp(member.name.clone());
        let sandbox = site.reader()?.container(&member.name).map_err(|_| not_up())?;
        let process = running(&sandbox).map_err(ProjectError::of(&member.name))?.ok_or_else(not_up)?;
        let asking = expectation.clone();
        let inquiry = Inquiry::begin(&process, move || encode(&attempt(&asking)))
            .map_err(|error| ProjectError::of(&member.name)(error.into()))?;
        let from = member.name.clone();
        Ok(Self { from, expectation: expectation.clone(), inquiry, since: Instant::now() })
    }

    fn end(self) -> Tried {
        let deadline = self.since + self.expectation.within + GRACE;
        let got = match self.inquiry.answer(deadline) {
            Ok(Some(said)) => decode(&said),
            Ok(None) => (Got::Failed("the container could not be entered".into()), self.since.elapsed()),
            Err(error) => (Got::Failed(error.to_string()), self.since.elapsed()),
        };
        Tried { from: self.from, expectation: self.expectation, got: got.0, took: got.1 }
    }
}

/// What the fork tells: how it went, how long it took, and the reason.
fn encode((got, took): &(Got, Duration)) -> Vec<u8> {
    let (kind, why) = match got {
        Got::Reached => (0, ""),
        Got::Refused => (1, ""),
        Got::Silent => (2, ""),
        Got::NoWay => (3, ""),
        Got::NoName => (4, ""),
        Got::Failed(why) => (5, why.as_str()),
    };
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    [&[kind][..], &micros.to_be_bytes(), why.as_bytes()].concat()
}

fn decode(said: &[u8]) -> (Got, Duration) {
    let nothing = || (Got::Failed("it ended without a word".into()), Duration::ZERO);
    let Some((kind, rest)) = said.split_first() else { return nothing() };
    let Some((micros, why)) = rest.split_first_chunk::<8>() else { return nothing() };
    let got = match kind {
        0 => Got::Reached,
        1 => Got::Refused,
        2 => Got::Silent,
        3 => Got::NoWay,
        4 => Got::NoName,
        _ => Got::Failed(String::from_utf8_lossy(why).into_owned()),
    };
    (got, Duration::from_micros(u64::from_be_bytes(*micros)))
}

/// Inside the container: tries until it is reached, or for long enough.
fn attempt(expectation: &Expectation) -> (Got, Duration) {
    let start = Instant::now();
    let within = if expectation.allowed { expectation.within } else { expectation.within.min(SILENCE) };
    loop {
        let left = within.saturating_sub(start.elapsed()).max(PAUSE);
        let got = once(&expectation.to, left);
        let enough = match expectation.allowed {
            true => got == Got::Reached || start.elapsed() >= within,
            // One that does not arrive now may do so when its way is found.
            false => {
                got.arrived() || matches!(got, Got::Silent | Got::Failed(_)) || start.elapsed() >= within
            }
        };
        if enough {
            return (got, start.elapsed());
        }
        std::thread::sleep(PAUSE);
    }
}

fn once(target: &Target, within: Duration) -> Got {
    let addresses = match &target.host {
        TargetHost::Address(address) => vec![*address],
        TargetHost::Service(name) | TargetHost::Name(name) => match (name.as_str(), 0).to_socket_addrs() {
            Ok(found) => found.map(|found| found.ip()).collect(),
            Err(_) => return Got::NoName,
        },
    };
    let Some(share) = u32::try_from(addresses.len()).ok().and_then(|count| within.checked_div(count)) else {
        return Got::NoName;
    };
    let mut last = Got::NoName;
    for address in addresses {
        let at = SocketAddr::new(address, target.port.unwrap_or(0));
        last = match target.protocol {
            Probe::Tcp => tcp(at, share),
            Probe::Udp => udp(at, share),
            Probe::Icmp => icmp(address, share),
        };
        if last.arrived() {
            return last;
        }
    }
    last
}

fn tcp(at: SocketAddr, within: Duration) -> Got {
    match TcpStream::connect_timeout(&at, within) {
        Ok(_) => Got::Reached,
        Err(error) => failure(&error),
    }
}

/// Something is sent, and any answer is one. Port 53 is asked a question, as servers of names answer nothing else.
fn udp(at: SocketAddr, within: Duration) -> Got {
    // The root's name servers: RFC 1035, section 4.1.
    const QUESTION: [u8; 17] = [0x70, 0x6f, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let any: IpAddr = if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(at)?;
        socket.set_read_timeout(Some(within.max(Duration::from_millis(1))))?;
        socket.send(if at.port() == 53 { &QUESTION } else { b"pontoon\n" })?;
        socket.recv(&mut [0; 512])
    });
    match asked {
        Ok(_) => Got::Reached,
        Err(error) => failure(&error),
    }
}

fn icmp(address: IpAddr, within: Duration) -> Got {
    match echo(address, within) {
        Ok(true) => Got::Reached,
        Ok(false) => Got::Silent,
        Err(errno) => failure(&errno.into()),
    }
}

fn failure(error: &std::io::Error) -> Got {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Got::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Got::Silent,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Got::NoWay,
        // An administrator's rule said so: no packet arrived.
        ErrorKind::PermissionDenied => Got::NoWay,
        _ => Got::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        for got in
            [Got::Reached, Got::Refused, Got::Silent, Got::NoWay, Got::NoName, Got::Failed("no fork".into())]
        {
            let told = (got, Duration::from_micros(1234));
            assert_eq!(decode(&encode(&told)), told);
        }
        assert!(matches!(decode(&[]).0, Got::Failed(_)));
        assert!(matches!(decode(&[0, 1]).0, Got::Failed(_)));
    }
}
