//! Server-sent events (WHATWG HTML, section 9.2) out of bytes as they arrive. Pure and bounded: a line or an event
//! longer than its limit is an error, whatever the sender does, and how bytes are cut into pieces changes nothing.

/// Longest line.
pub const MAX_LINE: usize = 1 << 20;
/// Longest event, all its `data` lines together.
pub const MAX_EVENT: usize = 4 << 20;

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line over [`MAX_LINE`].
    #[error("a line is longer than {} bytes", MAX_LINE)]
    LongLine,
    /// An event over [`MAX_EVENT`].
    #[error("an event is longer than {} bytes", MAX_EVENT)]
    LongEvent,
    /// Bytes that are no UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// Reads events; keeps what is incomplete.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    data: Option<String>,
    after_cr: bool,
    begun: bool,
}

impl SseParser {
    /// A parser at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more bytes; appends the `data` of every event that they complete to `out`.
    ///
    /// # Errors
    /// [`SseError`]; the stream is lost then.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<String>) -> Result<(), SseError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            match rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
                Some(end) => {
                    self.extend(&rest[..end])?;
                    self.after_cr = rest[end] == b'\r';
                    self.end_of_line(out)?;
                    rest = &rest[end + 1..];
                }
                None => {
                    self.extend(rest)?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        if self.line.len() + bytes.len() > MAX_LINE {
            return Err(SseError::LongLine);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_of_line(&mut self, out: &mut Vec<String>) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line).map_err(|_| SseError::NotUtf8)?;
        let line = if std::mem::replace(&mut self.begun, true) {
            line
        } else {
            line.trim_start_matches('\u{feff}')
        };
        if line.is_empty() {
            out.extend(self.data.take());
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field != "data" {
            return Ok(()); // comments, `event`, `id`, `retry`: nothing here depends on them
        }
        let value = value.strip_prefix(' ').unwrap_or(value);
        match &mut self.data {
            Some(data) if data.len() + value.len() >= MAX_EVENT => return Err(SseError::LongEvent),
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
            none => *none = Some(value.to_owned()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &[u8]) -> Result<Vec<String>, SseError> {
        let mut out = Vec::new();
        SseParser::new().push(text, &mut out).map(|()| out)
    }

    #[test]
    fn events_end_at_empty_lines_of_any_kind() {
        let out =
            whole(b"\xef\xbb\xbfdata: a\n\ndata:b\r\n\r\ndata: c\rdata: d\r\r: ping\n\nid: 1\ndata\n\ndata: lost")
                .unwrap();
        assert_eq!(out, ["a", "b", "c\nd", ""]);
    }

    #[test]
    fn a_line_without_end_is_an_error_and_not_memory() {
        let mut parser = SseParser::new();
        let mut out = Vec::new();
        let piece = vec![b'x'; 1 << 16];
        let error = (0..1000).find_map(|_| parser.push(&piece, &mut out).err()).unwrap();
        assert_eq!(error, SseError::LongLine);
        assert!(parser.line.len() <= MAX_LINE);
    }

    #[test]
    fn an_event_without_end_is_an_error_and_not_memory() {
        let mut parser = SseParser::new();
        let mut out = Vec::new();
        let line = [b"data: ".as_slice(), &vec![b'x'; 1 << 19], b"\n"].concat();
        let error = (0..1000).find_map(|_| parser.push(&line, &mut out).err()).unwrap();
        assert_eq!(error, SseError::LongEvent);
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert_eq!(whole(b"data: \xff\xfe\n\n"), Err(SseError::NotUtf8));
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_changes_nothing(
            lines in proptest::collection::vec("(data: ?[a-zé]{0,6}|: c|event: x|)(\n|\r\n|\r)", 0..20),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = lines.concat().into_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let (mut parser, mut out) = (SseParser::new(), Vec::new());
            for pair in at.windows(2) {
                parser.push(&text[pair[0]..pair[1]], &mut out).unwrap();
            }
            prop_assert_eq!(out, whole(&text).unwrap());
        }

        #[test]
        fn any_bytes_end_in_events_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = whole(&bytes);
        }
    }
}
