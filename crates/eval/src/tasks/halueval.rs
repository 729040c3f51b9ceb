//! HaluEval's questions (Li et al. 2023, arXiv:2305.11747; MIT), each with a text that answers it, a right answer and an
//! invented one: which of the two is believed? The model by the mean log-probability of their tokens, alone and with the
//! text in front; Candor by its checker, text against answer. Nothing is fitted on it.

use candor_truth::check::{Checking, pairings};
use serde::Deserialize;

use crate::bench::Bench;
use crate::data::records;
use crate::likelihood;
use crate::report::Report;

#[derive(Deserialize)]
struct Asked {
    knowledge: String,
    question: String,
    right_answer: String,
    hallucinated_answer: String,
}

/// Runs the task.
///
/// # Errors
/// If the data are not there or a model fails.
pub async fn run(bench: &Bench) -> anyhow::Result<Report> {
    let all = bench.sample(records::<Asked>(&bench.data, "halueval/qa_one_turn")?);
    let checking = Checking::shipped();
    let mut right: [Vec<f64>; 3] = Default::default();
    for (n, one) in all.iter().enumerate() {
        (bench.step)(n, all.len());
        for (column, before) in [(0, String::new()), (1, format!("{}\n\n", one.knowledge))] {
            let context = format!("{before}Q: {}\nA:", one.question);
            let answers = [&one.right_answer, &one.hallucinated_answer].map(|answer| format!(" {answer}"));
            let scores = likelihood::of(&*bench.model, &context, &answers).await?;
            let mean: Vec<f64> = scores
                .iter()
                .map(|(sum, tokens)| sum / *tokens.max(&1) as f64)
                .collect();
            right[column].push(f64::from(u8::from(mean[0] > mean[1])));
        }
        let claims = [&one.right_answer, &one.hallucinated_answer].map(|answer| format!("{} {answer}", one.question));
        let pairs = claims.each_ref().map(|claim| (claim.as_str(), one.knowledge.as_str()));
        let found = tokio::task::block_in_place(|| pairings(&bench.answerer.encoders, &pairs))?;
        let p: Vec<f64> = found
            .iter()
            .map(|pairing| checking.probability(&pairing.features))
            .collect();
        right[2].push(match p[0].total_cmp(&p[1]) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        });
    }
    let mut report = Report::new("HaluEval, questions with a text: the right answer is believed over the invented one");
    report.row("right answer preferred", right);
    Ok(report)
}
