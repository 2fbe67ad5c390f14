//! The nouns of Pontoon: ids, names, networks, sandboxes, endpoints, and the operations that the kernel is asked for.
//!
//! Data and parsing only: nothing here touches the host, reads a clock or rolls dice.

pub mod config;
pub mod diagnose;
pub mod endpoint;
pub mod event;
pub mod id;
pub mod impairment;
pub mod lease;
pub mod mac;
pub mod name;
pub mod network;
pub mod observed;
pub mod op;
pub mod option;
pub mod publish;
pub mod reference;
pub mod resolv_conf;
pub mod route;
pub mod sandbox;
pub mod shell;
pub mod subnet;
pub mod supervision;

pub use diagnose::Diagnose;
pub use endpoint::Endpoint;
pub use event::{Event, News};
pub use id::{EndpointId, NetworkId, SandboxId};
pub use impairment::Impairment;
pub use mac::Mac;
pub use name::{IfName, NetworkName, SandboxName};
pub use network::{Driver, Network};
pub use op::{Netns, Op, Step, Why};
pub use publish::Publication;
pub use reference::ContainerRef;
pub use sandbox::Sandbox;
