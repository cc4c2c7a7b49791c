//! The harness itself: what makes others fail has to do so as it says, and what checks others has to be able to fail.

mod network;
mod objects;
mod redis;
