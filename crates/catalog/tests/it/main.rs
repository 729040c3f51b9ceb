//! The catalog from outside: pulls from a loopback server and from made-up wheels, good and bad.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod from_package;
mod over_http;
mod server;
mod tools;
mod wheels;
