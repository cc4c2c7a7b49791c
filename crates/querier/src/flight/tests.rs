//! Flight over real sockets, asked by the protocol's own client.

mod calls;
mod flow;
mod harness;
mod known_clients;
mod lists;
mod prepared;
mod sessions;
mod statements;
mod transports;
