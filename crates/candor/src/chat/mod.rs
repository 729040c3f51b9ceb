//! The parts of `candor chat`.
