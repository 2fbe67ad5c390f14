//! The server's half of names: sockets on the bridges, and the servers that the host asks.
