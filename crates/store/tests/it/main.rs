//! The store from outside: one store, many, and killed ones.

mod allocator;
mod children;
mod fixture;
mod lifetime;
mod ports;
mod records;
