//! From a step's logits to each request's next tokens.
//!
//! Tokens are chosen one after another, each from the row of the token before it, by the request's own sampler,
//! constraint and end; a guessed token counts if it is the one that was chosen, and with the first that is not, the rows
//! behind it are worthless. So what is chosen does not depend on what was guessed.

use std::sync::{Mutex, PoisonError};

use candor_kernels::team::Team;

use crate::scheduler::{Sequence, Share};
use crate::{EngineError, FinishReason};

/// What a step brought for one request.
pub(crate) struct Outcome {
    pub(crate) index: usize,
    /// Tokens that the answer grew by.
    pub(crate) chosen: usize,
    /// Tokens that were guessed, and how many of them count.
    pub(crate) proposed: usize,
    pub(crate) accepted: usize,
    /// How the answer ended, if it did.
    pub(crate) end: Option<Result<FinishReason, EngineError>>,
}

/// Positions of a share whose logits are wanted: those that predict prompt tokens to report, and from the last token on.
pub(crate) fn wanted_positions(sequence: &Sequence, len: usize) -> impl Iterator<Item = usize> + use<> {
    let (past, prompt, all) = (sequence.computed, sequence.prompt, sequence.tokens.len());
    let report_from = sequence.reported().map(|reported| reported.max(1) - 1);
    let last = sequence.answer.wants_tokens();
    (past..past + len).filter(move |position| {
        let reported = report_from.is_some_and(|from| *position >= from && position + 1 < prompt);
        reported || last && position + 1 >= all
    })
}

/// Lets the answers of a step's requests grow, requests side by side on the team; one outcome per share, in their order.
/// `logits`: `[rows, vocab]`, the wanted rows of all shares; they are used up. `context`: longest prompt and answer together.
pub(crate) fn verify(
    team: &Team,
    logits: &mut [f32],
    vocab: usize,
    running: &mut [Sequence],
    shares: &[Share],
    context: usize,
) -> Vec<Outcome> {
    let mut rows = logits.chunks_exact_mut(vocab);
    let mut shares = shares.iter().peekable();
    let mut work = Vec::new();
    for (index, sequence) in running.iter_mut().enumerate() {
        if let Some(share) = shares.next_if(|share| share.index == index) {
            let wanted: Vec<usize> = wanted_positions(sequence, share.len).collect();
            let own: Vec<_> = wanted.into_iter().zip(rows.by_ref()).collect();
            work.push(Mutex::new((sequence, own, Outcome::new(index))));
        }
    }
    team.run(work.len(), &|task| {
        let mut slot = work[task].lock().unwrap_or_else(PoisonError::into_inner);
        let (sequence, rows, outcome) = &mut *slot;
        outcome.take(sequence, rows, context);
    });
    work.into_iter()
        .map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner).2)
        .collect()
}

impl Outcome {
    fn new(index: usize) -> Self {
        Self {
            index,
            chosen: 0,
            proposed: 0,
            accepted: 0,
            end: None,
        }
    }

    /// Reads a request's rows, each with its position.
    fn take(&mut self, sequence: &mut Sequence, rows: &mut [(usize, &mut [f32])], context: usize) {
        let known = sequence.tokens.len();
        let predict = rows.partition_point(|(position, _)| position + 1 < known);
        let (reported, chosen_from) = rows.split_at_mut(predict);
        report(sequence, reported);
        let draft = std::mem::take(&mut sequence.draft);
        self.proposed = draft.len();
        for (accepted, (_, row)) in chosen_from.iter_mut().enumerate() {
            self.accepted = accepted;
            let choice = match sequence.answer.choose(row, &sequence.tokens) {
                Ok(choice) => choice,
                Err(error) => {
                    self.end = Some(Err(error));
                    break;
                }
            };
            let room = context - (sequence.tokens.len() + 1).min(context);
            let (token, reason) = sequence.answer.accept(choice, room);
            sequence.tokens.push(token);
            self.chosen += 1;
            self.end = reason.map(Ok);
            if self.end.is_some() || draft.get(accepted) != Some(&token) {
                break;
            }
        }
    }
}

/// Adds to the prompt's report, and sends it when it is complete: before the answer's first token.
fn report(sequence: &mut Sequence, rows: &mut [(usize, &mut [f32])]) {
    let before = sequence.unreported();
    if sequence.reported() == Some(0) {
        let first = sequence.answer.prompt_token(sequence.tokens[0], None);
        sequence.prompt_report.push(first);
    }
    for (position, row) in rows {
        let token = sequence.answer.prompt_token(sequence.tokens[*position + 1], Some(row));
        sequence.prompt_report.push(token);
    }
    if before > 0 && sequence.unreported() == 0 {
        sequence.answer.send_prompt(sequence.prompt_report.clone());
    }
}
