//! Why an address gives nothing: sentences for the person who named it.

/// Why an address gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It is no address that can be asked.
    #[error("{address} is no web address that can be fetched: {why}")]
    Address {
        /// What was given, cut short.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It leads to a network that must not be reached.
    #[error("{host} was not asked: it is {what}, and web sources may come from the public internet alone{}", if *.local { "; --allow-private permits the machines of your own network" } else { "" })]
    Private {
        /// The host.
        host: String,
        /// What kind of network.
        what: &'static str,
        /// Whether a person can permit it.
        local: bool,
    },
    /// The host has no such page.
    #[error("{host} has no such page ({status}); check the address")]
    NotThere {
        /// The host.
        host: String,
        /// 404 or 410.
        status: u16,
    },
    /// The host says no.
    #[error("{host} {why}")]
    Refused {
        /// The host.
        host: String,
        /// What it said and what to do.
        why: String,
    },
    /// No answer, or not to its end.
    #[error("{host} cannot be reached: {why}; check the address and the connection, and try again")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        why: String,
    },
    /// More than a limit allows.
    #[error("what {host} sends is larger than {megabytes} MB; download it and add the file")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        megabytes: u64,
    },
    /// No client can be had.
    #[error("web sources cannot be fetched here: {0}")]
    NoClient(String),
}
