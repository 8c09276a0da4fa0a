//! The egress on a scripted network and a paused clock.

mod dial;
mod happy;
mod policy;
mod rule;
mod scripted;
mod target;
