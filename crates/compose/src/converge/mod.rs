//! From a project and what is there to the changes that make them one.
//!
//! [`members`] says which containers a project wants, [`plan`] compares them with those that were [`Found`].

mod difference;
pub mod label;
mod member;
mod plan;
mod stages;
mod wires;

pub use difference::Difference;
pub use member::{Member, members, reference};
pub use plan::{Change, Found, FoundMode, FoundNetwork, Life, Place, Update, plan, unserved};
pub use stages::{before, stages};
pub use wires::{FoundCable, FoundWires, Wire, Wired, container_at, destination, is_laid, wires};
