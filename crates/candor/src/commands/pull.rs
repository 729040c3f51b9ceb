//! `candor pull`: gets a model.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::models;
use crate::terminal::{Style, print};

/// Get a model: from the catalog, the Hugging Face hub, or any address
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor pull smollm2-135m-instruct         a model of the catalog; `candor models` lists them
  candor pull org/repository/file.gguf      a file on the hub; its address works too
  candor pull https://example.org/x.gguf    a file anywhere

A pull that was stopped goes on where it was when the same command runs again. HF_ENDPOINT and HF_TOKEN name another
hub and your token. Models are kept in the data directory; --data-dir or CANDOR_DATA_DIR put it elsewhere.")]
pub(crate) struct Pull {
    /// Names of the catalog, ORGANISATION/REPOSITORY/FILE on the hub, or addresses
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// Download again what is here already
    #[arg(long)]
    again: bool,
}

impl Pull {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let catalog = models::catalog(context)?;
        // All names are checked before the first download begins.
        let entries = self
            .models
            .iter()
            .map(|what| catalog.resolve(what))
            .collect::<Result<Vec<_>, _>>()?;
        let runtime = crate::runtime::start()?;
        for entry in &entries {
            let pulled = runtime.block_on(models::pull(context, entry, self.again))?;
            let how = match &pulled.source {
                Some(source) => format!("from {source}"),
                None => "here already".to_owned(),
            };
            print(&format!(
                "{}: {how}\n  {}\n",
                Style::for_stdout().bold(&pulled.name),
                pulled.path.display()
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
