//! Network namespaces to attach.

use std::net::{TcpListener, TcpStream};

use pontoon_kernel::netns::{self, Netns};
use pontoon_kernel::socket::{Protocol, Requests, Socket};
use pontoon_netlink::link::SetLink;

use crate::error::BenchError;

/// A namespace with a name, as `ip netns add` makes it. It goes away with this value.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    netns: Netns,
}

impl Place {
    /// Makes one; its `lo` is down.
    pub(crate) fn new(name: impl Into<String>) -> Result<Self, BenchError> {
        let (name, netns) = (name.into(), Netns::create()?);
        netns.pin(&name)?;
        Ok(Self { name, netns })
    }

    /// Makes several, numbered from `first` on.
    pub(crate) fn several(prefix: &str, first: usize, count: usize) -> Result<Vec<Self>, BenchError> {
        (first..first + count).map(|number| Self::new(format!("{prefix}{number}"))).collect()
    }

    /// Takes `lo` down again, so that the next attach finds the namespace as the last one did.
    pub(crate) fn reset(&self) -> Result<(), BenchError> {
        let mut socket = self.netns.enter(|| Socket::open(Protocol::Route))??;
        let mut requests = Requests::new();
        requests.set_link(&SetLink { up: Some(false), ..SetLink::new("lo") });
        socket.run(&mut requests)?;
        Ok(())
    }

    /// Runs `body` inside; sockets that it opens stay there, and commands that it starts run there.
    pub(crate) fn enter<T>(&self, body: impl FnOnce() -> Result<T, BenchError>) -> Result<T, BenchError> {
        self.netns.enter(body)?
    }

    /// The namespace.
    pub(crate) fn netns(&self) -> &Netns {
        &self.netns
    }

    /// A listener inside, on every address that it has or will have.
    pub(crate) fn listen(&self, port: u16) -> Result<TcpListener, BenchError> {
        self.netns.enter(|| listen(port))?
    }

    /// Runs `connect` inside: the connection stays there.
    pub(crate) fn dial(
        &self,
        connect: impl FnOnce() -> Result<TcpStream, BenchError>,
    ) -> Result<TcpStream, BenchError> {
        self.netns.enter(connect)?
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = netns::unpin(&self.name, self.netns.id()) {
            eprintln!("warning: the namespace {} stays until the lab ends: {error}", self.name);
        }
    }
}

/// A listener in the thread's namespace, for both families.
pub(crate) fn listen(port: u16) -> Result<TcpListener, BenchError> {
    TcpListener::bind(("::", port)).map_err(BenchError::io("listen"))
}
