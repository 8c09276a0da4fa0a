//! The controller on a simulated link, in virtual time.

mod fairness;
mod flow;
mod link;
mod parts;
mod rivals;
mod sim;
mod steady;
mod upsets;
