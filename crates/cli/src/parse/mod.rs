//! What a person typed, as what the engine takes.

pub(crate) mod attachment;
pub(crate) mod cable;
pub(crate) mod environment;
pub(crate) mod hinted;
pub(crate) mod interface;
pub(crate) mod pair;
pub(crate) mod project;
pub(crate) mod supervision;
pub(crate) mod target;
