//! What `candor bench` measures with: a model against the clock (`runner`) beside what the machine could do (`floor`);
//! questions for whole answers (`asks`); and a server under load: what to send (`trace`, `words`), when (`arrivals`), how
//! (`client`, `load`), and what came of it (`report`, `plot`).

pub(crate) mod arrivals;
pub(crate) mod asks;
pub(crate) mod client;
mod floor;
pub(crate) mod load;
pub(crate) mod plot;
pub(crate) mod report;
mod runner;
pub(crate) mod trace;
mod words;

pub(crate) use floor::{Bound, Floor, peak_line};
pub(crate) use runner::{Room, Runner, Timing};
