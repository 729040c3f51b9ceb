//! `candor bench`: a model against the clock, what guessing ahead gains, or a server under load.

mod model;
mod serve;
mod speculate;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::context::Context;

/// Measure tokens per second: reading a prompt (pp) and writing an answer (tg)
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  candor bench                              512 tokens of prompt, then 128 of answer
  candor bench -m a.gguf -m b.gguf -p 128,512 -n 64
  candor bench -d 0,1024                    the same after 0 and 1024 tokens of context
  candor bench -p 0 -n 64 --parallel 1,4,8,16
                                            many answers at once; t/s are those of all together
  candor bench -p 0 --parallel 8 --shared-prefix 512
                                            the same, whose contexts begin alike
  candor bench --json > bench.json
  candor bench speculate                    what guessing ahead gains
  candor bench serve --clients 8            a running server under load

Close other programs first. Before anything is timed, the model computes the same tokens at once
and one by one, and both must give the same bits.

The floor: a step reads all weights once and multiplies them with each token. `at most` is what
the machine could do if that were all and nothing stood still, from the memory bandwidth and the
int8 products measured in the same run; attention, norms and rounding are not counted."
)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    model: model::ModelBench,
}

/// What else can be measured.
#[derive(Debug, Subcommand)]
enum What {
    Serve(serve::Serve),
    Speculate(speculate::Speculate),
}

impl Bench {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self.what {
            Some(What::Serve(serve)) => serve.run(),
            Some(What::Speculate(speculate)) => speculate.run(context),
            None => self.model.run(context),
        }
    }
}
