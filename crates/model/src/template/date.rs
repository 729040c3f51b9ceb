//! `strftime_now`: the date for templates that tell the model what day it is. UTC; English names.

use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::{Error, ErrorKind};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
]; // 1970-01-01 was the first

/// `now` in the format of C's `strftime`, the directives that templates use.
pub(super) fn strftime(format: &str, now: SystemTime) -> Result<String, Error> {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[(days % 7) as usize]);
    let hour = second / 3600;
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut directive = chars.next();
        let unpadded = directive == Some('-');
        if unpadded {
            directive = chars.next();
        }
        let two = |n: u64| if unpadded { n.to_string() } else { format!("{n:02}") };
        out.push_str(&match directive {
            Some('Y') => year.to_string(),
            Some('y') => two(year % 100),
            Some('m') => two(month),
            Some('d') => two(day),
            Some('e') => format!("{day:2}"),
            Some('B') => month_name.to_owned(),
            Some('b' | 'h') => month_name[..3].to_owned(),
            Some('A') => day_name.to_owned(),
            Some('a') => day_name[..3].to_owned(),
            Some('H') => two(hour),
            Some('I') => two((hour + 11) % 12 + 1),
            Some('M') => two(second / 60 % 60),
            Some('S') => two(second % 60),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('T' | 'X') => format!("{hour:02}:{:02}:{:02}", second / 60 % 60, second % 60),
            Some('j') => format!("{:03}", days - days_before(year) + 1),
            Some('w') => ((days + 4) % 7).to_string(),
            Some('u') => ((days + 3) % 7 + 1).to_string(),
            Some('D' | 'x') => format!("{month:02}/{day:02}/{:02}", year % 100),
            Some('R') => format!("{hour:02}:{:02}", second / 60 % 60),
            Some('c') => format!(
                "{} {} {day:2} {hour:02}:{:02}:{:02} {year}",
                &day_name[..3],
                &month_name[..3],
                second / 60 % 60,
                second % 60
            ),
            Some('s') => seconds.to_string(),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('Z') => "UTC".to_owned(),
            Some('%') => "%".to_owned(),
            other => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("strftime_now does not know %{}", other.unwrap_or(' ')),
                ));
            }
        });
    }
    Ok(out)
}

/// Days from 1970-01-01 to the first day of a year.
fn days_before(year: u64) -> u64 {
    (1970..year)
        .map(|y| 365 + u64::from(y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)))
        .sum()
}

/// Year, month and day of a day since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (
        year_of_era + era * 400 + u64::from(month <= 2),
        month,
        of_year - (153 * m + 2) / 5 + 1,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(strftime("%d %b %Y", at(0)).unwrap(), "01 Jan 1970");
        assert_eq!(
            strftime("%A %-d %B %Y %H:%M", at(1_709_210_096)).unwrap(),
            "Thursday 29 February 2024 12:34"
        );
        assert_eq!(
            strftime("%j %w %u %x %X %c", at(1_709_210_096)).unwrap(),
            "060 4 4 02/29/24 12:34:56 Thu Feb 29 12:34:56 2024"
        );
        assert!(strftime("%Q", at(0)).is_err());
    }
}
