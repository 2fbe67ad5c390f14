//! Carrying out plans in a kernel: that it gives the state that the printed commands give, that it can be undone from
//! any step, and what it refuses.

// The scenarios and the small engine that the planner's own tests have.
#[path = "../../../plan/tests/it/cases.rs"]
mod cases;
#[path = "../../../plan/tests/it/world.rs"]
mod world;

mod dump;
mod refusal;
mod replay;
mod stand;
mod undo;
