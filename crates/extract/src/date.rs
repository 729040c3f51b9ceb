//! Dates in the forms that documents use, as `YYYY-MM-DD`: ISO 8601, RFC 2822 (feeds), PDF's `D:20240131…`, and the day
//! numbers of spreadsheets. A date that is no day of the calendar is none.

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// The day that a text says.
pub(crate) fn day(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("D:").unwrap_or(text);
    iso(text).or_else(|| worded(text))
}

/// `2024-01-31T…`, `2024/1/31`, `20240131…`.
fn iso(text: &str) -> Option<String> {
    let year = number(text.get(..4)?)?;
    let rest = text.get(4..)?;
    if let Some(digits) = rest
        .get(..4)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    {
        return written(year, number(&digits[..2])?, number(&digits[2..])?);
    }
    let mut parts = rest.strip_prefix(['-', '/', '.'])?.splitn(2, ['-', '/', '.']);
    let (month, day) = (number(parts.next()?)?, parts.next()?);
    let end = day.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(day.len());
    written(year, month, number(&day[..end])?)
}

/// `Wed, 31 Jan 2024 10:00:00 GMT`, `January 31, 2024`.
fn worded(text: &str) -> Option<String> {
    let (mut day, mut month, mut year) = (None, None, None);
    for word in text
        .get(..text.floor_char_boundary(60))?
        .split([' ', ',', '-', '\t'])
        .filter(|word| !word.is_empty())
        .take(6)
    {
        if let Some(n) = number(word) {
            match word.len() {
                1 | 2 if day.is_none() => day = Some(n),
                4 if year.is_none() => year = Some(n),
                _ => {}
            }
        } else if month.is_none() && word.len() >= 3 {
            let word = word.to_ascii_lowercase();
            month = MONTHS
                .iter()
                .position(|name| word.starts_with(name))
                .map(|n| n as u32 + 1);
        }
    }
    written(year?, month?, day?)
}

/// The day that a spreadsheet counts from the end of 1899 (or from 1904).
pub(crate) fn of_day_number(days: f64, from_1904: bool) -> Option<String> {
    if !(1.0..2_958_466.0).contains(&days) {
        return None;
    }
    // Days since 1970; numbers below 61 count a 29 February 1900 that never was.
    let whole = days.floor() as i64;
    let unix = if from_1904 {
        whole - 24_107
    } else {
        whole - 25_569 + i64::from(whole < 60)
    };
    // Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days.
    let z = unix + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    written(u32::try_from(year).ok()?, month as u32, day as u32)
}

fn number(digits: &str) -> Option<u32> {
    (!digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

fn written(year: u32, month: u32, day: u32) -> Option<String> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    ((1000..=9999).contains(&year) && (1..=last).contains(&day)).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_all_forms_are_one_day() {
        for text in [
            "2024-01-31",
            "2024-01-31T10:00:00Z",
            "2024/1/31",
            "D:20240131100000+01'00'",
            "Wed, 31 Jan 2024 10:00:00 GMT",
            "January 31, 2024",
            "31-Jan-2024",
            " 20240131 ",
        ] {
            assert_eq!(day(text).as_deref(), Some("2024-01-31"), "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_no_date() {
        for text in [
            "",
            "soon",
            "2024-13-01",
            "2023-02-29",
            "0000-01-01",
            "2024",
            "2024-01",
            "20240231",
            "é2024-01-31",
            "D:",
        ] {
            assert_eq!(day(text), None, "{text}");
        }
    }

    #[test]
    fn day_numbers_of_spreadsheets_are_days() {
        assert_eq!(of_day_number(45_322.5, false).as_deref(), Some("2024-01-31"));
        assert_eq!(of_day_number(1.0, false).as_deref(), Some("1900-01-01"));
        assert_eq!(of_day_number(61.0, false).as_deref(), Some("1900-03-01"));
        assert_eq!(of_day_number(43_860.0, true).as_deref(), Some("2024-01-31"));
        assert_eq!(of_day_number(f64::NAN, false), None);
        assert_eq!(of_day_number(1e300, false), None);
    }
}
