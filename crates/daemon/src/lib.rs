//! One process for all networks: it answers their containers' questions for names, watches the host, and repairs what
//! somebody took away. Everything but names works without it.

pub mod activation;
pub mod dns;
pub mod health;
pub mod http;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod privileges;
pub mod watch;
