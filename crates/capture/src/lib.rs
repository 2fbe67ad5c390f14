//! Captured packets, as far as no socket is needed: which of them are wanted ([`filter`], [`bpf`]), what is written of
//! them to a file ([`pcapng`]), and what a person reads of each ([`decode`]).

pub mod bpf;
pub mod decode;
pub mod filter;
pub mod link;
pub mod pcapng;

pub use link::Link;
