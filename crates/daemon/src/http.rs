//! A small HTTP server for figures and health: GET and HEAD, one answer for each connection.
//!
//! Written out rather than taken from a crate: what is needed is a request line and "until the empty line"; the crates
//! that bring a server (`tiny_http`, `hyper`) bring keep-alive, chunks, bodies and a runtime or a pool of threads along,
//! each of which has to be bounded then. Everything here is: how long a request is, how long it may take, how many there
//! are at a time.
//!
//! Source: RFC 9112, RFC 9110.

mod address;
mod request;
mod response;
mod server;

pub use address::{Address, AddressError};
pub use request::{LONGEST, Method, Refusal, Request, parse};
pub use response::Response;
pub use server::{HttpError, Server};

use crate::health::Health;
use crate::metrics::{CONTENT_TYPE, Registry};

/// What is answered: `/metrics` and `/healthz`.
pub fn routes(
    registry: Registry,
    health: impl Fn() -> Health + Send + Sync + 'static,
) -> impl Fn(&Request) -> Response + Send + Sync + 'static {
    move |request| match request.path.as_str() {
        "/metrics" => Response::new(200, CONTENT_TYPE, registry.text()),
        "/healthz" => health().response(),
        "/" => Response::text(200, "/metrics\n/healthz\n"),
        _ => Response::text(404, "there are /metrics and /healthz\n"),
    }
}
