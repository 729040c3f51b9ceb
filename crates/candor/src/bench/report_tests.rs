#![allow(clippy::unwrap_used)]
use super::super::client::{Answer, Usage};
use super::*;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two answers side by side and one failure.
pub(crate) fn outcome() -> Outcome {
    let answer = |number: usize, sent: u64, events: &[u64], tokens: u64| {
        let events: Vec<Duration> = events.iter().copied().map(ms).collect();
        let end = *events.last().unwrap();
        let usage = Some(Usage {
            prompt_tokens: 100,
            completion_tokens: tokens,
            prompt_tokens_details: None,
        });
        Record {
            number,
            sent: ms(sent),
            ended: ms(sent) + end,
            answer: Ok(Answer { events, end, usage }),
        }
    };
    let failed = Record {
        number: 2,
        sent: ms(10),
        ended: ms(20),
        answer: Err("HTTP 429: the queue is full".into()),
    };
    Outcome {
        records: vec![answer(0, 0, &[100, 110, 130], 3), answer(1, 50, &[300, 700], 5), failed],
        duration: ms(1000),
        stopped: false,
    }
}

#[test]
fn percentiles_lie_between_samples_as_numpy_has_them() {
    let samples = Samples::new([4, 1, 3, 2].into_iter().map(ms));
    assert_eq!([0.0, 50.0, 100.0].map(|p| samples.percentile(p)), [1.0, 2.5, 4.0]);
    assert!((samples.percentile(90.0) - 3.7).abs() < 1e-9);
    assert!((samples.deviation() - 1.25f64.sqrt()).abs() < 1e-9);
    assert_eq!(Samples::default().percentile(99.0), 0.0);
    assert_eq!(Samples::new([7].into_iter().map(ms)).percentile(95.0), 7.0);
}

#[test]
fn waiting_is_measured_per_request_gap_and_token() {
    let figures = Figures::new(&outcome());
    assert_eq!((figures.completed, figures.failed, figures.most_at_once), (2, 1, 2));
    assert_eq!((figures.input, figures.output), (200, 8));
    assert_eq!(figures.ttft.sorted(), [100.0, 300.0]);
    assert_eq!(figures.itl.sorted(), [10.0, 20.0, 400.0]);
    assert_eq!(figures.tpot.sorted(), [15.0, 100.0]); // 30 ms for two tokens, 400 ms for four
    assert_eq!(figures.e2el.sorted(), [130.0, 700.0]);
}

#[test]
fn the_report_has_the_names_of_vllms_bench_and_the_first_failure() {
    let figures = Figures::new(&outcome());
    let fields = figures.json();
    for (name, value) in [
        ("request_throughput", 2.0),
        ("output_throughput", 8.0),
        ("total_token_throughput", 208.0),
        ("mean_ttft_ms", 200.0),
        ("median_ttft_ms", 200.0),
        ("p95_ttft_ms", 290.0),
        ("max_itl_ms", 400.0),
        ("longest_gap_ms", 400.0),
        ("p99_e2el_ms", 694.3),
    ] {
        let found = fields[name].as_f64().unwrap();
        assert!((found - value).abs() < 1e-6, "{name}: {found}");
    }
    let table = figures.table();
    assert!(
        table.contains("HTTP 429: the queue is full") && table.contains("longest gap     400.0 ms"),
        "{table}"
    );
    let details = details(&outcome().records);
    assert_eq!(details["ttfts"], json!([0.1, 0.3, 0.0]));
    assert_eq!(details["itls"][0], json!([0.01, 0.02]));
    assert_eq!(details["errors"][2], "HTTP 429: the queue is full");
}

#[test]
fn a_run_without_answers_has_zeros_and_no_nonsense() {
    let figures = Figures::new(&Outcome::default());
    assert!(
        figures
            .json()
            .values()
            .all(|value| value.as_f64().is_none_or(f64::is_finite))
    );
    assert!(!figures.table().contains("NaN"));
}
