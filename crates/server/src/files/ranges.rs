//! Which bytes of a text are asked for: by `start` and `end`, as citations have them, or by a `Range` header (RFC 9110,
//! one range; what does not parse is ignored, as it says).

use std::ops::Range;

use http::{HeaderMap, header};

use crate::ApiError;

/// What to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// These bytes, as the whole of the answer.
    Slice(Range<usize>),
    /// These bytes, as a part (206).
    Part(Range<usize>),
    /// A range that begins behind the end (416).
    Nothing,
}

/// Works out what is asked for of `size` bytes.
pub(super) fn asked(headers: &HeaderMap, start: Option<u64>, end: Option<u64>, size: usize) -> Result<Asked, ApiError> {
    if start.is_some() || end.is_some() {
        let at = |given: Option<u64>, otherwise| {
            given.map_or(otherwise, |given| usize::try_from(given).unwrap_or(usize::MAX))
        };
        let range = at(start, 0)..at(end, size);
        if range.start > range.end || range.end > size {
            let message = format!(
                "the bytes {}..{} do not lie in this text, which has {size}",
                range.start, range.end
            );
            return Err(ApiError::param(if range.end > size { "end" } else { "start" }, message));
        }
        return Ok(Asked::Slice(range));
    }
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    Ok(range
        .and_then(|range| header_range(range, size))
        .unwrap_or(Asked::Whole))
}

fn header_range(range: &str, size: usize) -> Option<Asked> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| -> Option<usize> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    let range = match (first.trim(), last.trim()) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some(if range.start >= range.end {
        Asked::Nothing
    } else {
        Asked::Part(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &'static str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, http::HeaderValue::from_static(range));
        asked(&headers, None, None, 100).unwrap()
    }

    #[test]
    fn a_range_header_is_read_as_the_standard_says() {
        assert_eq!(of("bytes=0-9"), Asked::Part(0..10));
        assert_eq!(of("bytes=90-"), Asked::Part(90..100));
        assert_eq!(of("bytes=-5"), Asked::Part(95..100));
        assert_eq!(of("bytes=95-1000"), Asked::Part(95..100));
        assert_eq!(of("bytes=100-"), Asked::Nothing);
        assert_eq!(of("bytes=-0"), Asked::Nothing);
        for ignored in ["bytes=9-0", "lines=0-9", "bytes=0-1,5-6", "bytes=a-b", "bytes=-", "0-9"] {
            assert_eq!(of(ignored), Asked::Whole, "{ignored}");
        }
    }

    #[test]
    fn bytes_that_are_not_there_are_refused_by_name() {
        let slice = |start, end| asked(&HeaderMap::new(), start, end, 100);
        assert_eq!(slice(Some(3), Some(5)).unwrap(), Asked::Slice(3..5));
        assert_eq!(slice(None, Some(5)).unwrap(), Asked::Slice(0..5));
        assert_eq!(slice(Some(100), None).unwrap(), Asked::Slice(100..100));
        for (start, end) in [(Some(5), Some(3)), (None, Some(101)), (Some(u64::MAX), None)] {
            assert!(slice(start, end).is_err(), "{start:?} {end:?}");
        }
    }
}
