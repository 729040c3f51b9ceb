use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::answer::AnswerParts;
use crate::sampling::Sampler;
use crate::toy::ToyLexicon;
use crate::{EngineError, Event, Sampling, Stop};

type Listener = UnboundedReceiver<Result<Event, EngineError>>;

fn sequence(id: u64, tokens: usize) -> (Sequence, Listener) {
    let (events, listener) = unbounded_channel();
    let answer = Answer::new(AnswerParts {
        lexicon: Arc::new(ToyLexicon),
        sampler: Sampler::new(Sampling::default(), &[], &ToyLexicon),
        matcher: None,
        tools: None,
        stop: Stop::default(),
        logprobs: None,
        prompt_logprobs: None,
        events,
    });
    // Each prompt with words of its own, so that none finds its pages in the tree.
    let words = (0..tokens).map(|at| (id as usize * 31 + at) as u32 % 256).collect();
    (Sequence::new(id, words, answer, None), listener)
}

fn scheduler(prompts: &[usize]) -> (Scheduler, Vec<Listener>) {
    let limits = StepLimits {
        max_batch: 16,
        chunk: 256,
        reported_chunk: 64,
    };
    let mut scheduler = Scheduler::new(4000, true, limits);
    let each = prompts
        .iter()
        .enumerate()
        .map(|(id, tokens)| sequence(id as u64, *tokens));
    let (waiting, listeners): (Vec<_>, Vec<_>) = each.unzip();
    scheduler.waiting.extend(waiting);
    (scheduler, listeners)
}

/// Plans a step of `seconds`, computes it, and gives an answer's token to every request whose prompt is done.
fn step(scheduler: &mut Scheduler, seconds: f64) -> Vec<(u64, usize)> {
    let shares = scheduler.plan();
    scheduler.took(&shares, seconds);
    let by_id = shares
        .iter()
        .map(|share| (scheduler.running[share.index].id, share.len));
    let by_id = by_id.collect();
    for share in shares {
        scheduler.advance(share);
        let sequence = &mut scheduler.running[share.index];
        if sequence.pending() == 0 {
            sequence.tokens.push(65);
        }
    }
    by_id
}

#[test]
fn prompts_of_like_length_go_one_after_the_other() {
    let (mut scheduler, _listeners) = scheduler(&[700, 700, 300]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 256)]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 256)]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 188), (1, 68)]);
}

#[test]
fn a_long_prompt_leaves_half_of_a_step_to_short_ones_behind_it() {
    let (mut scheduler, mut listeners) = scheduler(&[8000]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 256)]);
    for (id, tokens) in [(1, 6000), (2, 30), (3, 30)] {
        let (short, listener) = sequence(id, tokens);
        scheduler.waiting.push_back(short);
        listeners.push(listener);
    }
    // A second long one leaves half of its half; what nobody takes goes to the oldest.
    assert_eq!(step(&mut scheduler, 0.1), [(0, 132), (1, 64), (2, 30), (3, 30)]);
    assert_eq!(
        step(&mut scheduler, 0.1),
        [(0, 254), (2, 1), (3, 1)],
        "then the oldest goes first again"
    );
}

#[test]
fn a_prompt_beyond_its_start_takes_half_of_the_time_beside_answers() {
    let (mut scheduler, _listeners) = scheduler(&[20, 8000]);
    let (mut of_prompt, mut of_answers, mut begun) = (0.0, 0.0, 0);
    let mut longest = 0f64;
    while scheduler.running.len() < 2 || scheduler.running[1].pending() > 1 {
        let before = scheduler.running.get(1).map_or(0, |sequence| sequence.computed);
        // A millisecond a token, four thousand tokens deep five of them; answers alone take 10 ms.
        let shares = scheduler.plan();
        let prompt: usize = shares
            .iter()
            .filter(|share| share.index == 1)
            .map(|share| share.len)
            .sum();
        let seconds = 0.01 + prompt as f64 * 1e-3 * (1.0 + before as f64 / 1000.0);
        scheduler.took(&shares, seconds);
        for share in shares {
            scheduler.advance(share);
            let sequence = &mut scheduler.running[share.index];
            if sequence.pending() == 0 {
                sequence.tokens.push(65);
            }
        }
        if before >= 2048 {
            longest = longest.max(seconds);
            of_prompt += seconds - 0.01;
            of_answers += 0.01;
        }
        begun += 1;
        assert!(begun < 10_000, "the prompt goes on");
    }
    assert!(longest < 0.25, "{longest}");
    assert!(
        (0.8..1.3).contains(&(of_prompt / of_answers)),
        "{of_prompt} {of_answers}"
    );
}
