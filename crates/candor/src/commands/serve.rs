//! `candor serve`: the API and the chat page.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use candor_server::{ApiKey, App, Models, ServerConfig};
use candor_truth::Encoders;
use candor_truth::ingest::Summary;
use candor_truth::ingest::watch::{Pace, Watcher};
use candor_truth::ingest::web::Web;
use clap::Args;

use crate::context::Context;
use crate::library;
use crate::open::{self, EngineArgs};
use crate::terminal::{Style, print};

/// The variable that holds the key which callers must send.
const KEY: &str = "CANDOR_API_KEY";

/// Serve models: an OpenAI-compatible API, and a chat page
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor serve                              the default model; it is downloaded the first time
  candor serve -m smollm2-135m-instruct -m all-minilm-l6-v2
  candor serve -m ./model.gguf --port 9000
  CANDOR_API_KEY=... candor serve --host 0.0.0.0

Ctrl-C lets running answers finish and then stops; a second Ctrl-C stops at once. Without a key in CANDOR_API_KEY the
server listens only on loopback addresses, and refuses requests that come from other web pages.")]
pub(crate) struct Serve {
    /// A name from `candor models`, or a path; may be given again
    #[arg(short, long = "model", value_name = "NAME|PATH")]
    models: Vec<String>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 8080]
    #[arg(short, long)]
    port: Option<u16>,
    /// Path under which a proxy shows the server, as in /candor
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Serve {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let start = Instant::now();
        let mut config = context.config.server.clone();
        config.api_key = std::env::var(KEY).ok().as_deref().and_then(ApiKey::new);
        config.host = self.host.clone().unwrap_or(config.host);
        config.port = self.port.unwrap_or(config.port);
        if let Some(base) = &self.base_path {
            let base = base.trim_end_matches('/');
            crate::config::check_base(base).map_err(|what| anyhow!("--base-path {what}"))?;
            config.base_path = base.to_owned();
        }
        crate::runtime::start()?.block_on(self.serve(context, config, start))
    }

    async fn serve(self, context: &Context, config: ServerConfig, start: Instant) -> anyhow::Result<ExitCode> {
        candor_server::count(); // before models load and upstreams are asked
        // The port first: a model is not read for a server that cannot listen.
        let listener = candor_server::bind(&config).await?;
        let address = listener.local_addr().context("the listening socket has no address")?;
        let store = candor_store::Store::open(context.made_data_dir()?.join(crate::context::STORE)).await?;
        let models = self.models(context)?;
        let mut names: Vec<String> = Vec::new();
        let mut paths = Vec::new();
        let wanted: Vec<Option<&str>> = match self.models.as_slice() {
            // Where upstreams do the work, no model is fetched that nobody asked for.
            [] if !context.config.upstream.is_empty() && context.config.model.is_none() => vec![],
            [] => vec![None],
            some => some.iter().map(|name| Some(name.as_str())).collect(),
        };
        for name in wanted {
            let found = open::resolve(context, name).await?;
            if paths.contains(&found.path) {
                continue;
            }
            if names.contains(&found.name) {
                bail!(
                    "{} would be served as `{}`, as another model is already; rename one of the two",
                    found.path.display(),
                    found.name
                );
            }
            open::offer(context, &models, &found, &self.engine).await?;
            names.push(found.name);
            paths.push(found.path);
        }
        if let Some(first) = names.first() {
            models.set_default(first)?;
        }
        if self.models.is_empty() {
            self.offer_installed(context, &models)?;
        }
        let base = config.base();
        let offered = if names.is_empty() {
            models.names()
        } else {
            names.clone()
        };
        let others = match models.names().len() - offered.len() {
            0 => String::new(),
            others => format!(" (and {others} more when asked for)"),
        };
        let library = library::for_server(context, &self.engine, store.clone()).await?;
        let encoders = Encoders::new(open::threads(context, &self.engine));
        if library.index.size().passages > 0 {
            // Where there are documents there will be questions to them: the first one need not wait for the models.
            let (encoders, library) = (Arc::clone(&encoders), library.clone());
            tokio::spawn(async move { tokio::join!(encoders.warm(), library.embedder.ready()).0 });
        }
        let answerer = library::answerer(context, library.clone(), encoders)?;
        let intake = library::intake(context, library.clone())?;
        let importer = library::importer(&library, None)?;
        let watching = tokio::spawn({
            let (importer, intake) = (importer.clone(), intake.clone());
            async move {
                let changed = |_: &Summary| intake.changed();
                Watcher::new(importer, Pace::default()).run(&|_| {}, &changed).await;
            }
        });
        let app = App::new(Arc::new(models), config)
            .with(Web::new(importer)?)
            .with(store.clone())
            .with(library)
            .with(intake)
            .with(answerer);
        let style = Style::for_stdout();
        print(&format!(
            "{} serves {}{others}, ready after {:.1} s; Ctrl-C stops it\n",
            style.bold(&url(address, &base)),
            offered.join(", "),
            start.elapsed().as_secs_f64()
        ))?;
        candor_server::serve(app, listener, stopped())
            .await
            .context("the server stopped")?;
        watching.abort();
        store.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Serve {
    /// No models yet, and upstreams.
    fn models(&self, context: &Context) -> anyhow::Result<Models> {
        let memory = context.config.engine.memory_gb;
        let models = if memory > 0.0 {
            Models::with_budget((memory * 1e9) as u64)
        } else {
            Models::new()
        };
        for upstream in candor_engine::upstream::connect(&context.config.upstream)? {
            models.insert(upstream.name().to_owned(), upstream);
        }
        Ok(models)
    }

    /// Models that were pulled are loaded when someone asks for them.
    fn offer_installed(&self, context: &Context, models: &Models) -> anyhow::Result<()> {
        for installed in candor_catalog::installed(&context.models_dir())?
            .into_iter()
            .filter(|model| model.complete)
        {
            if !models.names().contains(&installed.name) {
                models.register(open::registration(
                    context,
                    &installed.name,
                    installed.path,
                    &self.engine,
                ));
            }
        }
        Ok(())
    }
}

/// What to type into a browser.
fn url(address: SocketAddr, base: &str) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    format!("http://{host}:{}{base}/", address.port())
}

/// Completes at the first Ctrl-C or SIGTERM. The second one ends the program.
async fn stopped() {
    crate::runtime::told_to_stop().await;
    eprintln!("stopping; running answers may finish (Ctrl-C again stops at once)");
    tokio::spawn(async {
        crate::runtime::told_to_stop().await;
        #[expect(clippy::exit, reason = "the user asked twice")]
        std::process::exit(130);
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::url;

    #[test]
    fn the_address_can_be_typed_into_a_browser() {
        assert_eq!(url("0.0.0.0:80".parse().unwrap(), ""), "http://127.0.0.1:80/");
        assert_eq!(
            url("[::1]:8080".parse().unwrap(), "/candor"),
            "http://[::1]:8080/candor/"
        );
    }
}
