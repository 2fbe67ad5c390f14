//! What people and programs are shown.

pub(crate) mod conflict;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod moment;
pub(crate) mod plan;
pub(crate) mod size;
