//! Rotary positions (Su et al. 2021, arXiv:2104.09864): pairs of a head's elements turn by position * theta^(-2i/dim).
//!
//! Frequencies and angles are rounded to f32 as in the reference implementations; sine and cosine of that angle are
//! taken in f64. Tables grow as positions are met and are kept.

use std::sync::OnceLock;

use super::activation::in_parts;
use crate::shared::Shared;
use crate::team::Team;

/// Positions per table; tables are made when first needed.
const SPAN: usize = 256;
/// Tables at most; positions beyond are computed each time.
const SPANS: usize = 4096;

/// How frequencies are changed for longer contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Divided by a factor.
    Linear(f32),
    /// Llama 3: low frequencies divided by a factor, high ones kept, those between blended.
    Llama3 {
        /// Divisor of low frequencies.
        factor: f32,
        /// Wavelengths above original_context / this are low.
        low_freq_factor: f32,
        /// Wavelengths below original_context / this are high.
        high_freq_factor: f32,
        /// The context of pre-training.
        original_context: f32,
    },
    /// Each frequency divided by its own factor (`rope_freqs.weight`).
    Factors(Vec<f32>),
    /// YaRN (Peng et al. 2023, arXiv:2309.00071): as Llama 3, but blended by the number of turns within the context of
    /// pre-training, and queries and keys grow a little.
    Yarn {
        /// Divisor of low frequencies.
        factor: f32,
        /// Frequencies with more turns than this are kept.
        beta_fast: f32,
        /// Frequencies with fewer turns than this are divided.
        beta_slow: f32,
        /// The context of pre-training.
        original_context: f32,
        /// What sines and cosines are multiplied by.
        magnitude: f32,
        /// The blended range begins and ends at whole frequencies.
        whole: bool,
    },
}

/// Which elements form a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeStyle {
    /// (2i, 2i + 1): llama's GGUF files.
    Interleaved,
    /// (i, i + dim / 2): qwen, gemma, and safetensors of all.
    Halves,
}

/// Rotations of one kind of head.
#[derive(Debug)]
pub struct Rope {
    head_dim: usize,
    style: RopeStyle,
    /// One per pair.
    frequencies: Vec<f32>,
    /// What sines and cosines are multiplied by.
    magnitude: f32,
    /// Cosines then sines, `[SPAN][2][pairs]` each.
    tables: Vec<OnceLock<Box<[f32]>>>,
}

impl Rope {
    /// `rope_dim` of the `head_dim` elements turn; the rest stays. `theta` is the base.
    ///
    /// # Panics
    /// If `rope_dim` is odd or above `head_dim`, or `Factors` are too few.
    #[must_use]
    pub fn new(head_dim: usize, rope_dim: usize, theta: f32, scaling: &RopeScaling, style: RopeStyle) -> Self {
        assert!(
            rope_dim.is_multiple_of(2) && rope_dim <= head_dim,
            "{rope_dim} of {head_dim} elements cannot turn"
        );
        let frequencies = (0..rope_dim / 2)
            .map(|i| {
                let exponent = (2 * i) as f32 / rope_dim as f32;
                let frequency = (1.0 / f64::from(theta).powf(f64::from(exponent))) as f32;
                scaled(frequency, i, (rope_dim, theta), scaling)
            })
            .collect();
        let magnitude = match scaling {
            RopeScaling::Yarn { magnitude, .. } => *magnitude,
            _ => 1.0,
        };
        Rope {
            head_dim,
            style,
            frequencies,
            magnitude,
            tables: (0..SPANS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Turns the heads of each row of `rows`, `[T, heads * head_dim]`, to its position.
    ///
    /// # Panics
    /// If the length does not fit.
    pub fn rotate_rows(&self, team: &Team, rows: &mut [f32], heads: usize, positions: &[usize]) {
        let width = heads * self.head_dim;
        assert_eq!(rows.len(), positions.len() * width, "rows are [T, heads * head_dim]");
        let shared = Shared::new(rows);
        in_parts(team, positions.len(), width, &|part| {
            // SAFETY: parts do not overlap.
            let rows = unsafe { shared.slice(part.start * width, part.len() * width) };
            for (row, position) in rows.chunks_exact_mut(width).zip(&positions[part]) {
                self.rotate(row, heads, *position);
            }
        });
    }

    /// Turns `heads` heads, `row` `[heads * head_dim]`, to `position`.
    ///
    /// # Panics
    /// If the length does not fit.
    pub fn rotate(&self, row: &mut [f32], heads: usize, position: usize) {
        assert_eq!(row.len(), heads * self.head_dim, "row is [heads, head_dim]");
        let pairs = self.frequencies.len();
        let mut own = Vec::new();
        let turn = match self.tables.get(position / SPAN) {
            Some(table) => {
                let table = table.get_or_init(|| {
                    let start = position / SPAN * SPAN;
                    (start..start + SPAN).flat_map(|p| self.turn(p)).collect()
                });
                &table[position % SPAN * 2 * pairs..][..2 * pairs]
            }
            None => {
                own.extend(self.turn(position));
                &own[..]
            }
        };
        let (cos, sin) = turn.split_at(pairs);
        for head in row.chunks_exact_mut(self.head_dim) {
            match self.style {
                RopeStyle::Interleaved => {
                    for ((pair, c), s) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
                        let [a, b] = *pair;
                        *pair = [a * c - b * s, b * c + a * s];
                    }
                }
                RopeStyle::Halves => {
                    let (low, high) = head[..2 * pairs].split_at_mut(pairs);
                    for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
                    }
                }
            }
        }
    }

    /// Cosines, then sines, of one position.
    fn turn(&self, position: usize) -> Vec<f32> {
        let angles = || self.frequencies.iter().map(|f| f64::from(position as f32 * f));
        angles()
            .map(|a| a.cos() as f32 * self.magnitude)
            .chain(angles().map(|a| a.sin() as f32 * self.magnitude))
            .collect()
    }
}

/// The frequency of pair `i`, which was `frequency`; `of` are the elements that turn, and the base.
fn scaled(frequency: f32, i: usize, of: (usize, f32), scaling: &RopeScaling) -> f32 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear(factor) => frequency / factor,
        RopeScaling::Factors(factors) => frequency / factors[i],
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_context,
        } => {
            let wavelength = 2.0 * std::f32::consts::PI / frequency;
            if wavelength > original_context / low_freq_factor {
                frequency / factor
            } else if wavelength < original_context / high_freq_factor {
                frequency
            } else {
                let smooth = (original_context / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
        RopeScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            original_context,
            magnitude: _,
            whole,
        } => {
            let (dim, theta) = (of.0 as f64, f64::from(of.1));
            // The pair that makes this many turns within the context of pre-training.
            let pair = |turns: f32| {
                let wavelength = f64::from(*original_context) / (f64::from(turns) * 2.0 * std::f64::consts::PI);
                dim * wavelength.ln() / (2.0 * theta.ln())
            };
            let (mut low, mut high) = (pair(*beta_fast), pair(*beta_slow));
            if *whole {
                (low, high) = (low.floor(), high.ceil());
            }
            (low, high) = (low.max(0.0), high.min(dim - 1.0));
            if low == high {
                high += 0.001;
            }
            let divided = (((i as f64 - low) / (high - low)) as f32).clamp(0.0, 1.0);
            frequency / factor * divided + frequency * (1.0 - divided)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_keeps_lengths_and_relative_angles() {
        for style in [RopeStyle::Interleaved, RopeStyle::Halves] {
            let rope = Rope::new(8, 8, 10000.0, &RopeScaling::None, style);
            let dot = |p: usize, q: usize| {
                let mut a = [0.5, -1.0, 2.0, 0.25, 1.0, -0.5, 0.75, 3.0];
                let mut b = [1.5, 1.0, -2.0, 0.5, 1.0, 0.5, -0.75, 1.0];
                rope.rotate(&mut a, 1, p);
                rope.rotate(&mut b, 1, q);
                a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()
            };
            assert!((dot(3, 10) - dot(1003, 1010)).abs() < 1e-3);
            assert!((dot(0, 0) - dot(77, 77)).abs() < 1e-4);
        }
    }

    #[test]
    fn positions_past_the_tables_turn_alike_and_elements_past_rope_dim_stay() {
        let rope = Rope::new(6, 4, 1e6, &RopeScaling::Linear(4.0), RopeStyle::Halves);
        let mut row = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        rope.rotate(&mut row, 1, SPAN * SPANS + 5);
        assert_eq!(row[4..], [5.0, 6.0]);
        assert!((row[0] * row[0] + row[2] * row[2] - 10.0).abs() < 1e-4);
    }

    #[test]
    fn llama3_scaling_divides_low_frequencies_only() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 8192.0,
        };
        assert_eq!(scaled(1.0, 0, (8, 1e4), &scaling), 1.0);
        assert_eq!(scaled(1e-5, 0, (8, 1e4), &scaling), 1e-5 / 8.0);
        let between = scaled(2e-3, 0, (8, 1e4), &scaling);
        assert!(between < 2e-3 && between > 2e-3 / 8.0);
    }

    #[test]
    fn yarn_keeps_fast_pairs_divides_slow_ones_and_lengthens_all() {
        let scaling = RopeScaling::Yarn {
            factor: 4.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_context: 4096.0,
            magnitude: 1.25,
            whole: true,
        };
        let of = |i: usize| scaled(0.5, i, (128, 10_000.0), &scaling);
        assert_eq!((of(0), of(63)), (0.5, 0.125));
        assert!(of(35) < 0.5 && of(35) > 0.125);
        let rope = Rope::new(8, 8, 1e4, &scaling, RopeStyle::Halves);
        let mut row = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        rope.rotate(&mut row, 1, 0);
        assert_eq!(row[0], 1.25);
    }
}
