//! `candor chat`: a conversation in the terminal.

use std::process::ExitCode;
use std::sync::Arc;

use candor_engine::{Constraint, EngineError, GenerateRequest, Generator, Prompt};
use candor_wire::chat::ToolChoice;
use clap::Args;
use tokio::runtime::Runtime;

use crate::answer::{self, Answer};
use crate::chat::{Conversation, Editor, HELP, Input, Slash, parse};
use crate::context::Context;
use crate::open::{self, EngineArgs};
use crate::sampling::{SamplingArgs, Settings};
use crate::terminal::{Live, Style, print, printable};

/// Talk to a model in this terminal
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor chat                               the default model
  candor chat -m ./model.gguf               any GGUF file
  candor chat --system \"Answer in one sentence.\" -t 0.2

In the chat: /help lists commands, Ctrl-C stops an answer, Ctrl-D leaves.")]
pub(crate) struct Chat {
    /// A name from `candor models`, or a path
    #[arg(short, long, value_name = "NAME|PATH")]
    model: Option<String>,
    /// What the conversation begins with
    #[arg(short, long, value_name = "TEXT")]
    system: Option<String>,
    /// Show answers as they are written, without drawing their Markdown
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// A running chat.
struct Talk<'a> {
    context: &'a Context,
    runtime: Runtime,
    engine: EngineArgs,
    name: String,
    generator: Arc<dyn Generator>,
    conversation: Conversation,
    settings: Settings,
    markdown: bool,
    interactive: bool,
    style: Style,
}

impl Chat {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let settings = Settings::new(&context.config, &self.sampling)?;
        let runtime = crate::runtime::start()?;
        let opened = runtime.block_on(open::open(context, self.model.as_deref(), &self.engine))?;
        open::needs_chat(&opened)?;
        let keeps = context.config.chat.history;
        let history = keeps.then(|| context.data_dir.join("chat-history.txt"));
        let mut editor = Editor::new(history)?;
        let mut talk = Talk {
            context,
            runtime,
            engine: self.engine,
            name: opened.name,
            generator: opened.generator,
            conversation: Conversation::new(self.system.as_deref().unwrap_or(&context.config.chat.system)),
            settings,
            markdown: context.config.chat.markdown && !self.plain,
            interactive: editor.is_terminal(),
            style: Style::for_stdout(),
        };
        if talk.interactive {
            let hint = "/help lists commands, Ctrl-C stops an answer, Ctrl-D leaves";
            print(&format!("{}\n{}\n", talk.style.bold(&talk.name), talk.style.dim(hint)))?;
        }
        loop {
            let line = match editor.read()? {
                Input::End => break,
                Input::Dropped => continue,
                Input::Line(line) if line.trim().is_empty() => continue,
                Input::Line(line) => line,
            };
            match parse(&line) {
                Ok(Ok(Slash::Exit)) => break,
                Ok(Ok(slash)) => {
                    if let Err(error) = talk.command(slash) {
                        talk.complain(&format!("{error:#}"));
                    }
                }
                Ok(Err(text)) => talk.ask(text)?,
                Err(sentence) => talk.complain(&sentence),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Talk<'_> {
    fn complain(&self, sentence: &str) {
        eprintln!("{}", Style::for_stderr().yellow(&printable(sentence)));
    }

    fn command(&mut self, slash: Slash) -> anyhow::Result<()> {
        match slash {
            Slash::Help => print(HELP)?,
            Slash::Model(None) => print(&format!("{}\n", self.name))?,
            Slash::Model(Some(name)) => {
                let opened = self
                    .runtime
                    .block_on(open::open(self.context, Some(&name), &self.engine))?;
                open::needs_chat(&opened)?;
                self.name = opened.name;
                self.generator = opened.generator;
                print(&format!("{} answers now\n", self.name))?;
            }
            Slash::System(None) => print(&format!("{}\n", self.conversation.system().unwrap_or("(none)")))?,
            Slash::System(Some(text)) => self
                .conversation
                .set_system(Some(text.as_str()).filter(|text| *text != "none")),
            Slash::Set(None) => print(&self.settings.list())?,
            Slash::Set(Some((key, value))) => self.settings.set(&key, &value).map_err(anyhow::Error::msg)?,
            Slash::Regenerate => match self.conversation.undo() {
                Some(question) => self.ask(question)?,
                None => self.complain("there is no answer yet to make again"),
            },
            Slash::Undo => match self.conversation.undo() {
                Some(question) => print(&format!("taken back: {}\n", printable(&question)))?,
                None => self.complain("there is nothing to take back"),
            },
            Slash::Clear => self.conversation.clear(),
            Slash::Save(file) => {
                self.conversation.save(&file)?;
                print(&format!("saved in {file}\n"))?;
            }
            Slash::Exit => {}
        }
        Ok(())
    }

    /// Asks, draws the answer, and keeps both. An answer that was stopped is kept as far as it came.
    fn ask(&mut self, question: String) -> anyhow::Result<()> {
        let request = GenerateRequest {
            prompt: Prompt::Chat {
                messages: self.conversation.ask(&question),
                tools: Vec::new(),
                tool_choice: ToolChoice::None,
            },
            sampling: self.settings.sampling.clone(),
            stop: self.settings.stop.clone(),
            constraint: Constraint::None,
            logprobs: None,
            prompt_logprobs: None,
            affinity: None,
        };
        let mut live = Live::new(self.markdown);
        let interactive = self.interactive;
        let stop = async move {
            // Where lines come from a pipe, Ctrl-C ends the program, as usual.
            if !interactive || tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let result = self.runtime.block_on(answer::stream(
            self.generator.as_ref(),
            request,
            |text| live.push(text),
            stop,
        ));
        live.finish()?;
        match result {
            Ok(answer) => {
                self.say_pace(&answer)?;
                self.conversation.keep(question, answer.text);
                Ok(())
            }
            Err(error) if error.downcast_ref::<std::io::Error>().is_some() => Err(error),
            Err(error) => {
                let hint = match error.downcast_ref() {
                    Some(EngineError::TooLong { .. } | EngineError::FarTooLong { .. }) => {
                        " (/clear starts over, /undo takes back the last question)"
                    }
                    _ => "",
                };
                if !self.interactive {
                    return Err(error);
                }
                self.complain(&format!("{error:#}{hint}"));
                Ok(())
            }
        }
    }

    fn say_pace(&self, answer: &Answer) -> std::io::Result<()> {
        if !self.interactive {
            return Ok(());
        }
        print(&format!("{}\n\n", self.style.dim(&answer.pace())))
    }
}
