//! When requests are sent.

use std::time::Duration;

use rand::Rng as _;

use super::trace::Ask;
use super::words;

/// A stream of random numbers that no prompt uses.
const STREAM: u64 = u64::MAX;

/// How requests are sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pace {
    /// So many clients, each of whom asks again when it has its answer: a closed loop.
    Clients(usize),
    /// Each at its time after the beginning, whether or not earlier ones are answered: an open loop.
    At(Vec<Duration>),
}

/// The times of `asks`. At a rate, they are those of a Poisson process, or the trace's own, stretched so that they have
/// this rate on average; without one, the trace's own as they are. An infinite rate, or neither: all at once.
pub(crate) fn times(asks: &[Ask], rate: Option<f64>, seed: u64) -> Vec<Duration> {
    let rate = match rate {
        Some(rate) if rate.is_infinite() => return vec![Duration::ZERO; asks.len()],
        rate => rate,
    };
    let own: Option<Vec<f64>> = asks.iter().map(|ask| ask.at).collect();
    match (own, rate) {
        (Some(own), None) => own.into_iter().map(seconds).collect(),
        (Some(own), Some(rate)) if own.iter().any(|at| *at > 0.0) => {
            let last = own.iter().copied().fold(0.0, f64::max);
            let stretch = (own.len() - 1) as f64 / rate / last;
            own.into_iter().map(|at| seconds(at * stretch)).collect()
        }
        (_, Some(rate)) => poisson(asks.len(), rate, seed),
        (None, None) => vec![Duration::ZERO; asks.len()],
    }
}

/// Nobody waits longer than some years; clocks cannot.
fn seconds(at: f64) -> Duration {
    Duration::try_from_secs_f64(if at > 0.0 { at.min(1e8) } else { 0.0 }).unwrap_or_default()
}

/// Gaps of a Poisson process are exponential: -ln(u) / rate. The first request comes at once.
fn poisson(count: usize, rate: f64, seed: u64) -> Vec<Duration> {
    let mut random = words::random(seed, STREAM);
    let mut at = 0.0;
    (0..count)
        .map(|number| {
            if number > 0 {
                at -= (1.0 - random.random::<f64>()).ln() / rate;
            }
            seconds(at)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::trace::Prompt;
    use super::*;

    fn asks(times: &[Option<f64>]) -> Vec<Ask> {
        let ask = |at: &Option<f64>| Ask {
            prompt: Prompt::Text("x".into()),
            output_tokens: None,
            at: *at,
        };
        times.iter().map(ask).collect()
    }

    #[test]
    fn a_poisson_process_has_its_rate_and_exponential_gaps_and_follows_its_seed() {
        let asks = asks(&[None; 10_001]);
        let times = times(&asks, Some(50.0), 7);
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / n).sqrt();
        // The mean of n exponential gaps lies within 5 / sqrt(n) of its own size of 1/rate, and so does their deviation.
        assert!((mean * 50.0 - 1.0).abs() < 0.05, "{mean}");
        assert!((deviation / mean - 1.0).abs() < 0.1, "{deviation}");
        assert_eq!(times, super::times(&asks, Some(50.0), 7));
        assert_ne!(times, super::times(&asks, Some(50.0), 8));
    }

    #[test]
    fn a_trace_keeps_its_times_and_a_rate_stretches_them() {
        let asks = asks(&[Some(0.0), Some(1.0), Some(4.0)]);
        let millis = |times: Vec<Duration>| times.iter().map(Duration::as_millis).collect::<Vec<_>>();
        assert_eq!(millis(times(&asks, None, 0)), [0, 1000, 4000]);
        assert_eq!(millis(times(&asks, Some(2.0), 0)), [0, 250, 1000]);
        assert_eq!(millis(times(&asks, Some(f64::INFINITY), 0)), [0, 0, 0]);
        assert!(millis(times(&asks, Some(f64::MIN_POSITIVE), 0))[2] >= 1000 * 100_000_000);
    }

    #[test]
    fn requests_without_times_and_rate_come_at_once() {
        assert_eq!(times(&asks(&[None, None]), None, 0), [Duration::ZERO; 2]);
        assert_eq!(times(&asks(&[Some(0.0)]), Some(1.0), 0), [Duration::ZERO]);
    }
}
