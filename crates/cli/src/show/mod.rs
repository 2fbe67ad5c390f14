//! What people and programs are shown.

pub(crate) mod changes;
pub(crate) mod conflict;
pub(crate) mod diagnosis;
pub(crate) mod inspect;
pub(crate) mod ladder;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod matrix;
pub(crate) mod moment;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod size;
