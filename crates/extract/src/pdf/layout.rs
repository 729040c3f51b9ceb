//! Characters at places become lines, columns and paragraphs, in the order in which people read: a gutter that several lines leave
//! free between long pieces of text parts columns, one between short pieces parts the cells of a table.

use std::ops::Range;

use super::page::Glyph;
use crate::text::is_cjk;

/// A gap of this many ems parts words.
const WORD_GAP: f32 = 0.17;
/// A gap of this many ems parts the cells of a table.
const CELL_GAP: f32 = 1.5;
/// The narrowest gutter between columns, in ems.
const GUTTER: f32 = 0.7;
/// Lines on either side of a gutter, at least, and how many characters they have on average if they are prose.
const COLUMN_LINES: usize = 3;
const COLUMN_CHARACTERS: usize = 18;

/// A paragraph, or one row of a table.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The lines; or the cells, if it is a row.
    pub(super) parts: Vec<String>,
    pub(super) row: bool,
    pub(super) size: f32,
    pub(super) bold: bool,
}

/// Characters that follow each other on one baseline.
#[derive(Debug, Clone)]
struct Span {
    text: String,
    x0: f32,
    x1: f32,
    y: f32,
    size: f32,
    bold: bool,
}

impl Span {
    fn middle(&self) -> f32 {
        (self.x0 + self.x1) / 2.0
    }
}

type Row = Vec<Span>;

#[derive(Debug)]
struct Line {
    cells: Vec<String>,
    x0: f32,
    x1: f32,
    y: f32,
    size: f32,
    bold: bool,
}

/// The blocks of a page, in reading order; text that stands on its side comes last.
pub(super) fn blocks(glyphs: &[Glyph]) -> Vec<Block> {
    let mut turns: Vec<(usize, u8)> = (0..4)
        .map(|turn| (glyphs.iter().filter(|glyph| glyph.turn == turn).count(), turn))
        .collect();
    turns.sort_by_key(|(count, turn)| (std::cmp::Reverse(*count), *turn));
    let mut blocks = Vec::new();
    for (count, turn) in turns {
        if count > 0 {
            let spans = spans(glyphs.iter().filter(|glyph| glyph.turn == turn));
            let mut columns = Vec::new();
            columns_of(rows(spans), 0, &mut columns);
            columns
                .into_iter()
                .for_each(|rows| paragraphs(rows.into_iter().map(line).collect(), &mut blocks));
        }
    }
    blocks
}

fn spans<'a>(glyphs: impl Iterator<Item = &'a Glyph>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut space = false;
    for glyph in glyphs {
        if glyph.text.trim().is_empty() {
            space = true;
            continue;
        }
        let last = spans.last_mut().filter(|span| {
            let size = span.size.max(glyph.size);
            let gap = glyph.x0 - span.x1;
            (glyph.y - span.y).abs() < 0.15 * size && gap > -0.5 * size && gap < CELL_GAP * size
        });
        match last {
            Some(span) => {
                let gap = glyph.x0 - span.x1;
                if space || gap > WORD_GAP * span.size.min(glyph.size) {
                    push_space(&mut span.text, &glyph.text, gap, glyph.size);
                }
                span.text.push_str(&glyph.text);
                span.x1 = span.x1.max(glyph.x1);
                span.bold &= glyph.bold;
            }
            None => spans.push(Span {
                text: glyph.text.clone(),
                x0: glyph.x0,
                x1: glyph.x1.max(glyph.x0),
                y: glyph.y,
                size: glyph.size,
                bold: glyph.bold,
            }),
        }
        space = false;
    }
    spans
}

/// A space, but none between two Chinese characters that only stand a little apart.
fn push_space(before: &mut String, after: &str, gap: f32, size: f32) {
    let close = gap < 0.9 * size;
    let both = before.chars().next_back().is_some_and(is_cjk) && after.chars().next().is_some_and(is_cjk);
    if !(close && both || before.ends_with(' ')) {
        before.push(' ');
    }
}

/// Spans by baseline, top to bottom, each row from left to right.
fn rows(mut spans: Vec<Span>) -> Vec<Row> {
    spans.sort_by(|a, b| b.y.total_cmp(&a.y));
    let mut rows: Vec<Row> = Vec::new();
    let mut open: (f32, f32) = (f32::INFINITY, 0.0);
    for span in spans {
        let same = (open.0 - span.y).abs() < 0.45 * open.1.max(span.size);
        match rows.last_mut().filter(|_| same) {
            Some(row) => {
                // The line stands where its largest letters stand, not where a raised figure does.
                if span.size > open.1 * 1.05 {
                    open = (span.y, span.size);
                }
                row.push(span);
            }
            None => {
                open = (span.y, span.size);
                rows.push(vec![span]);
            }
        }
    }
    for row in &mut rows {
        row.sort_by(|a, b| a.x0.total_cmp(&b.x0));
        right_to_left(row);
    }
    rows
}

/// Neighbouring spans of Arabic or Hebrew are read from the right.
fn right_to_left(row: &mut [Span]) {
    let rtl = |span: &Span| {
        span.text
            .chars()
            .any(|c| matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}'))
    };
    let mut at = 0;
    while at < row.len() {
        let run = row[at..].iter().take_while(|span| rtl(span)).count();
        row[at..at + run].reverse();
        at += run.max(1);
    }
}

/// The most places at which a gutter is looked for in one region.
const MOST_CANDIDATES: usize = 256;

/// Parts rows into columns where a run of rows leaves a gutter free between prose, and what is above, below and beside it again.
fn columns_of(rows: Vec<Row>, depth: usize, columns: &mut Vec<Vec<Row>>) {
    let Some((run, x)) = (depth < 12).then(|| best_gutter(&rows)).flatten() else {
        columns.extend((!rows.is_empty()).then_some(rows));
        return;
    };
    let mut above = rows;
    let mut beside = above.split_off(run.start);
    let below = beside.split_off(run.len());
    columns_of(above, depth + 1, columns);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for row in beside {
        let (a, b): (Row, Row) = row.into_iter().partition(|span| span.middle() < x);
        before.extend((!a.is_empty()).then_some(a));
        after.extend((!b.is_empty()).then_some(b));
    }
    columns_of(before, depth + 1, columns);
    columns_of(after, depth + 1, columns);
    columns_of(below, depth + 1, columns);
}

/// The rows and the place of the gutter that parts the most text.
fn best_gutter(rows: &[Row]) -> Option<(Range<usize>, f32)> {
    let mut sizes: Vec<f32> = rows.iter().flatten().map(|span| span.size).collect();
    sizes.sort_by(f32::total_cmp);
    let half = sizes.get(sizes.len() / 2)? * GUTTER / 2.0;
    // A gutter lies just after the end of something, or just before its beginning.
    let mut candidates: Vec<i32> = rows
        .iter()
        .flatten()
        .flat_map(|span| [span.x1 + half, span.x0 - half])
        .map(|x| x.round() as i32)
        .collect();
    candidates.sort_unstable();
    candidates.dedup();
    let every = candidates.len().div_ceil(MOST_CANDIDATES).max(1);
    let mut best: Option<(usize, Range<usize>, f32)> = None;
    for x in candidates.into_iter().step_by(every).map(|x| x as f32) {
        let free = |row: &Row| {
            row.iter()
                .all(|span| span.x1 <= x - half + 1.0 || span.x0 >= x + half - 1.0)
        };
        let mut start = 0;
        while start < rows.len() {
            let length = rows[start..].iter().take_while(|row| free(row)).count();
            let run = start..start + length;
            let parted = prose(&rows[run.clone()], x, true).zip(prose(&rows[run.clone()], x, false));
            if let Some((before, after)) = parted
                && best.as_ref().is_none_or(|(most, ..)| before.min(after) > *most)
            {
                best = Some((before.min(after), run, x));
            }
            start += length.max(1);
        }
    }
    best.map(|(_, run, x)| (run, x))
}

/// The characters on one side of a gutter, if they are prose: enough lines, most of them one long piece.
fn prose(rows: &[Row], x: f32, before: bool) -> Option<usize> {
    let (mut lines, mut pieces, mut characters, mut longest) = (0, 0, 0, 0);
    for row in rows {
        let side: Vec<usize> = row
            .iter()
            .filter(|span| (span.middle() < x) == before)
            .map(|span| weight(&span.text))
            .collect();
        if let Some(most) = side.iter().max() {
            lines += 1;
            pieces += side.len();
            characters += side.iter().sum::<usize>();
            longest += most;
        }
    }
    (lines >= COLUMN_LINES && longest >= lines * COLUMN_CHARACTERS && pieces * 2 <= lines * 3).then_some(characters)
}

/// Characters, where a Chinese one counts for two.
fn weight(text: &str) -> usize {
    text.chars().map(|c| if is_cjk(c) { 2 } else { 1 }).sum()
}

fn line(row: Row) -> Line {
    let size = row.iter().map(|span| span.size).fold(0.0, f32::max);
    let (x0, x1) = row
        .iter()
        .fold((f32::MAX, f32::MIN), |(l, r), span| (l.min(span.x0), r.max(span.x1)));
    let y = row
        .iter()
        .max_by(|a, b| a.size.total_cmp(&b.size))
        .map_or(0.0, |span| span.y);
    let bold = row.iter().all(|span| span.bold);
    let mut cells: Vec<String> = Vec::new();
    let mut end = f32::MIN;
    for span in row {
        let gap = span.x0 - end;
        match cells.last_mut() {
            Some(cell) if gap.abs() < CELL_GAP * size || gap < 0.0 => {
                if gap > WORD_GAP * span.size.min(size) || gap < -size {
                    push_space(cell, &span.text, gap, size);
                }
                cell.push_str(&span.text);
            }
            _ => cells.push(span.text),
        }
        end = end.max(span.x1);
    }
    Line {
        cells,
        x0,
        x1,
        y,
        size,
        bold,
    }
}

fn paragraphs(lines: Vec<Line>, blocks: &mut Vec<Block>) {
    let mut steps: Vec<f32> = lines
        .windows(2)
        .map(|pair| pair[0].y - pair[1].y)
        .filter(|step| *step > 0.0)
        .collect();
    steps.sort_by(f32::total_cmp);
    let step = steps.get(steps.len() / 3).copied().unwrap_or(0.0);
    let right = lines.iter().map(|line| line.x1).fold(f32::MIN, f32::max);
    let left = lines.iter().map(|line| line.x0).fold(f32::MAX, f32::min);
    let in_table = |at: usize| {
        let several = |at: usize| lines.get(at).is_some_and(|line| line.cells.len() > 1);
        several(at) && (several(at + 1) || at.checked_sub(1).is_some_and(several) || lines[at].cells.len() > 2)
    };
    let mut open = false;
    for (at, line) in lines.iter().enumerate() {
        if in_table(at) {
            blocks.push(Block {
                parts: line.cells.clone(),
                row: true,
                size: line.size,
                bold: line.bold,
            });
            open = false;
            continue;
        }
        let words = line.cells.join(" ");
        let follows = open
            && at > 0
            && continues(
                &lines[at - 1],
                line,
                &words,
                step,
                left,
                right,
                at > 1
                    && lines[at - 1].x0 > left + line.size * 0.8
                    && (lines[at - 1].x0 - line.x0).abs() < line.size * 0.4,
            );
        match blocks.last_mut().filter(|_| follows) {
            Some(block) => {
                block.bold &= line.bold;
                block.parts.push(words);
            }
            None => blocks.push(Block {
                parts: vec![words],
                row: false,
                size: line.size,
                bold: line.bold,
            }),
        }
        open = true;
    }
}

/// Whether a line goes on with the paragraph of the one above. `same_indent`: both stand equally far in.
fn continues(above: &Line, line: &Line, words: &str, step: f32, left: f32, right: f32, same_indent: bool) -> bool {
    let gap = above.y - line.y;
    let size = line.size.max(above.size);
    if gap > step.max(size * 0.9) * 1.35 || gap < -size * 0.5 {
        return false;
    }
    if (line.size / above.size - 1.0).abs() > 0.12
        || (line.bold != above.bold && (above.bold || line.bold && line.x1 < right - size * 4.0))
    {
        return false;
    }
    let indented = line.x0 > above.x0 + size * 0.8 && !same_indent;
    let ended = above
        .cells
        .last()
        .is_some_and(|words| words.ends_with(['.', '!', '?', ':', '。', '！', '？', '：', '”', '"']));
    let short = above.x1 < right - (right - left) * 0.12;
    // Prose that is not large breaks its lines where they are full.
    let far_too_short = above.x1 < right - (right - left) * 0.4 && line.x0 <= above.x0 + size * 0.3;
    let parts = is_item(words) && (ended || short || line.x0 <= above.x0 + size * 0.3)
        || short && ended
        || far_too_short
        || indented && (ended || short);
    !parts
}

/// Begins with a bullet, a figure with a dot, or a bracketed figure.
fn is_item(words: &str) -> bool {
    let first = words.chars().next().unwrap_or(' ');
    if "•◦▪‣·●○■–*".contains(first) {
        return words.chars().nth(1).is_none_or(|c| c == ' ' || is_cjk(c));
    }
    let digits = words
        .trim_start_matches(['(', '['])
        .chars()
        .take_while(char::is_ascii_digit)
        .count();
    (1..=3).contains(&digits) && {
        let rest = &words.trim_start_matches(['(', '['])[digits..];
        rest.starts_with(". ") || rest.starts_with(") ") || rest.starts_with("] ") || rest.starts_with('、')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str, x: f32, y: f32) -> Vec<Glyph> {
        let glyph = |(n, c): (usize, char)| Glyph {
            text: c.into(),
            x0: x + n as f32 * 5.0,
            x1: x + n as f32 * 5.0 + 5.0,
            y,
            size: 10.0,
            bold: false,
            turn: 0,
        };
        words.chars().enumerate().map(glyph).collect()
    }

    fn read(glyphs: &[Glyph]) -> Vec<String> {
        blocks(glyphs)
            .into_iter()
            .map(|block| block.parts.join(if block.row { " | " } else { "\n" }))
            .collect()
    }

    #[test]
    fn two_columns_are_read_one_after_the_other() {
        let mut glyphs = text(
            "A title that runs across both of the columns of this page here",
            0.0,
            130.0,
        );
        for n in 0..6_u8 {
            // Drawn line by line across the page, the order that mixes columns.
            glyphs.extend(text(
                &format!("left line {n} of some prose"),
                0.0,
                100.0 - f32::from(n) * 12.0,
            ));
            glyphs.extend(text(
                &format!("right line {n} of more text"),
                170.0,
                100.0 - f32::from(n) * 12.0,
            ));
        }
        let read = read(&glyphs);
        assert_eq!(read.len(), 3, "{read:?}");
        assert!(read[1].starts_with("left line 0") && read[1].ends_with("left line 5 of some prose"));
        assert!(read[2].starts_with("right line 0"));
    }

    #[test]
    fn a_table_is_read_row_by_row() {
        let mut glyphs = Vec::new();
        for (n, row) in [
            ["Name", "Count", "Place"],
            ["bolts", "12", "A1"],
            ["nuts", "7", "B2"],
            ["rings", "3", "C3"],
        ]
        .iter()
        .enumerate()
        {
            for (column, cell) in row.iter().enumerate() {
                glyphs.extend(text(cell, column as f32 * 100.0, 100.0 - n as f32 * 12.0));
            }
        }
        assert_eq!(
            read(&glyphs),
            [
                "Name | Count | Place",
                "bolts | 12 | A1",
                "nuts | 7 | B2",
                "rings | 3 | C3"
            ]
        );
    }

    #[test]
    fn paragraphs_part_at_gaps_and_words_at_small_ones() {
        let mut glyphs = text("one line that is", 0.0, 100.0);
        glyphs.extend(text("going on here", 0.0, 88.0));
        glyphs.extend(text("another", 0.0, 60.0));
        glyphs.extend(text("word", 38.0, 60.0));
        assert_eq!(read(&glyphs), ["one line that is\ngoing on here", "another word"]);
    }

    #[test]
    fn raised_figures_stay_on_their_line() {
        let mut glyphs = text("squares", 0.0, 100.0);
        glyphs.extend(
            text("2", 36.0, 104.0)
                .into_iter()
                .map(|glyph| Glyph { size: 6.0, ..glyph }),
        );
        glyphs.extend(text("too", 47.0, 100.0));
        assert_eq!(read(&glyphs), ["squares2 too"]);
    }
}
