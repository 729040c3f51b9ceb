//! A count of bytes that prints itself the way people read it. It does no arithmetic beyond that.

use std::fmt;

/// A number of bytes; `Display` shows at most three digits and a decimal unit, as disks and hubs do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1000 {
            return write!(f, "{} bytes", self.0);
        }
        let mut value = self.0 as f64 / 1000.0;
        let mut unit = 0;
        while value >= 999.95 && unit + 1 < UNITS.len() {
            value /= 1000.0;
            unit += 1;
        }
        let places = if value < 10.0 { 2 } else { 1 };
        write!(f, "{value:.places$} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::Bytes;

    #[test]
    fn sizes_read_as_people_say_them() {
        let shown: Vec<String> = [0, 999, 1000, 98_362_432, 4_680_000_000, u64::MAX]
            .map(|n| Bytes(n).to_string())
            .into();
        assert_eq!(
            shown,
            ["0 bytes", "999 bytes", "1.00 kB", "98.4 MB", "4.68 GB", "18.4 EB"]
        );
    }
}
