//! Carrying out plans in a kernel.

mod probe;
