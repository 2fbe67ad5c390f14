//! Laws of names, with hickory-proto to say what the messages mean.

mod directory;
mod forwarder;
mod message;
mod queries;
