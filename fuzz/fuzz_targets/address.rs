//! Web addresses and redirects from others: what is accepted reads the same again, holds no credentials, and a host that is
//! a number is the number that would be connected to.
#![no_main]

use std::net::IpAddr;

use candor_fetch::{Address, Network, network};
use libfuzzer_sys::fuzz_target;

fn check(address: &Address) {
    let text = address.as_str();
    assert!(text.starts_with("http://") || text.starts_with("https://"), "{text}");
    assert!(text.len() <= 2048 && !text.contains('#'));
    assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace()));
    assert_eq!(&Address::parse(text).expect("what was accepted"), address);
    let host = address.host();
    assert!(!host.is_empty() && !host.contains('@'), "{text}");
    // The host as whoever connects would read it.
    let after = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after.split(['/', '?']).next().unwrap_or_default();
    assert_eq!(authority, host);
    let bare = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(authority, |(host, _)| host);
    let number = bare.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    assert_eq!(address.ip(), number, "{text}");
    if let Some(IpAddr::V4(ip)) = number {
        // The same address carried by one of IPv6 is the same network.
        assert_eq!(network(ip.to_ipv6_mapped().into()), network(ip.into()));
        assert!(!(ip.is_loopback() || ip.is_private() || ip.is_link_local()) || network(ip.into()) != Network::Public);
    }
}

fuzz_target!(|input: (String, String)| {
    let (text, location) = input;
    for text in [text.clone(), format!("http://{text}"), format!("https://{text}/")] {
        let Ok(address) = Address::parse(&text) else { continue };
        check(&address);
        if let Ok(next) = address.redirected(&location) {
            check(&next);
            assert!(next.as_str().starts_with("https") || !address.as_str().starts_with("https"));
        }
    }
});
