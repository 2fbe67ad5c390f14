//! Plans: the laws that they keep on a host that is only imagined, and how they read.

mod cases;
mod drift;
mod elements;
mod golden;
mod host;
mod laws;
mod stage;
mod world;
