//! Machines, networks and stores that fail while rows come in: what clients see meanwhile, and that nothing is lost,
//! doubled or deleted by it.

mod catalog;
mod chaos;
mod objects;
mod repair;
