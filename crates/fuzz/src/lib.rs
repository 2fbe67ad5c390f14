//! What must hold whatever bytes a parser is given: one function per parser, and [`TARGETS`] lists them.
//!
//! A function panics when its law is broken:
//!
//! - the parser does not panic, and what it makes is not out of proportion to what it was given;
//! - what it takes obeys the rule that the type documents;
//! - what it takes prints (or encodes), and that parses back to the same.
//!
//! The functions run in two forms. `cargo test -p pontoon-fuzz` gives each a fixed number of inputs made from the files
//! in `corpus/NAME`, the same ones every time. `cargo fuzz`, in the folder `fuzz` at the root of the repository, gives
//! them inputs for as long as one likes, guided by coverage. See `docs/development/fuzzing.md`.

mod compose;
mod daemon;
mod dns;
mod format;
mod input;
mod model;
mod netlink;
mod nft;
mod program;
mod resolver;

pub use compose::compose;
pub use daemon::{control_request, http_request};
pub use dns::{dns_answer, dns_query};
pub use format::{filter, template};
pub use model::{config_toml, container_ref, daemon_json, event_line, name, option, publish, subnet};
pub use netlink::{
    netlink_address, netlink_conntrack, netlink_fdb, netlink_link, netlink_neighbour, netlink_route,
    netlink_rule, netlink_socket, netlink_wire,
};
pub use nft::{nft_answers, nft_decompile};
pub use resolver::resolv_conf;

/// A function of this crate with its name, which is also that of its corpus and of its fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The function's name.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// All functions of this crate.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name }),*];
    };
}

targets!(
    compose,
    config_toml,
    container_ref,
    control_request,
    daemon_json,
    event_line,
    dns_answer,
    dns_query,
    filter,
    http_request,
    name,
    netlink_address,
    netlink_conntrack,
    netlink_fdb,
    netlink_link,
    netlink_neighbour,
    netlink_route,
    netlink_rule,
    netlink_socket,
    netlink_wire,
    nft_answers,
    nft_decompile,
    option,
    publish,
    resolv_conf,
    subnet,
    template,
);
