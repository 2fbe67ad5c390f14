//! Names as containers meet them: a server on a throw-away host, asked with dig.

mod local;
mod outside;
mod stand;
mod streams;
mod upstream;
