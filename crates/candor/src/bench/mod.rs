//! What `candor bench` measures with: a model against the clock (`runner`) beside what the machine could do (`floor`),
//! and a server under load.

mod arrivals;
mod client;
mod floor;
mod load;
mod report;
mod runner;
pub(crate) mod trace;
mod words;

pub(crate) use floor::{Bound, Floor, peak_line};
pub(crate) use runner::{Room, Runner, Timing};
