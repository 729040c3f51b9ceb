//! Which networks may be reached. An address of IPv6 that carries one of IPv4 (mapped, compatible, translated, 6to4) is
//! what that one is: the machine or a gateway would go there. What is not known to be public is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a client may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// The public internet alone.
    #[default]
    Public,
    /// Also this machine and private networks, because a person said so.
    Local,
}

/// What network an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The public internet.
    Public,
    /// This machine or a private network; with the words for it.
    Local(&'static str),
    /// Nothing that a document may come from, whoever asks: link-local (where clouds keep their keys), multicast, reserved.
    Never(&'static str),
}

impl Reach {
    /// What forbids an address, where something does; and whether a person can permit it.
    pub(crate) fn forbids(self, ip: IpAddr) -> Option<(&'static str, bool)> {
        match (network(ip), self) {
            (Network::Public, _) | (Network::Local(_), Self::Local) => None,
            (Network::Local(what), Self::Public) => Some((what, true)),
            (Network::Never(what), _) => Some((what, false)),
        }
    }
}

/// The network of an address.
pub fn network(ip: IpAddr) -> Network {
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => v6(ip),
    }
}

const RESERVED: Network = Network::Never("an address that is reserved for other uses");

/// The registry of special addresses: RFC 6890 and what was added to it.
fn v4(ip: Ipv4Addr) -> Network {
    match ip.octets() {
        [127, ..] => Network::Local("this machine itself"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Network::Local("an address of a private network"),
        [100, 64..=127, ..] => Network::Local("an address that a provider shares among its customers"),
        [169, 254, ..] => Network::Never("a link-local address"),
        [0, ..] => Network::Never("no address of a machine"),
        [224..=239, ..] => Network::Never("a multicast address"),
        [240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => RESERVED,
        _ => Network::Public,
    }
}

fn v6(ip: Ipv6Addr) -> Network {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Network::Never("no address of a machine"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Network::Local("this machine itself"),
        // Mapped, compatible, translated (RFC 6052), 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => inner(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0x2002, high, low, ..] => inner(high, low),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Network::Local("an address of a private network"),
        [0xfe80..=0xfebf, ..] => Network::Never("a link-local address"),
        [0xff00..=0xffff, ..] => Network::Never("a multicast address"),
        // Protocol assignments with Teredo, whose inner address is another's; documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => RESERVED,
        [0x2000..=0x3fff, ..] => Network::Public,
        _ => RESERVED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network {
        network(text.parse().unwrap())
    }

    #[test]
    fn addresses_of_this_machine_and_of_private_networks_are_local() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:192.168.1.1",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
        ] {
            assert!(matches!(of(text), Network::Local(_)), "{text}: {:?}", of(text));
        }
    }

    #[test]
    fn what_nothing_may_be_fetched_from_stays_so_for_everyone() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "192.0.0.8",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::1",
            "4000::1",
            "5f00::1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
        ] {
            assert!(matches!(of(text), Network::Never(_)), "{text}: {:?}", of(text));
            assert!(Reach::Local.forbids(text.parse().unwrap()).is_some());
        }
    }

    #[test]
    fn the_public_internet_is_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.1.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(of(text), Network::Public, "{text}");
            assert_eq!(Reach::Public.forbids(text.parse().unwrap()), None);
        }
    }
}
