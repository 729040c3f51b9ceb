//! Commands that begin with a slash.

/// What `/help` prints.
pub(crate) const HELP: &str = "\
  /help                 this list
  /model [NAME|PATH]    say which model answers, or change it; the conversation stays
  /system [TEXT]        show, set, or (with `none`) remove what the conversation begins with
  /set [NAME VALUE]     show or change sampling settings, as in `/set temperature 0.2`
  /regenerate           another answer to the last question (/r)
  /undo                 take back the last question and its answer
  /clear                start over; settings stay
  /save FILE            write the conversation: Markdown, or JSON where the name ends in .json
  /exit                 leave, as Ctrl-D does

  Ctrl-C stops an answer. Alt-Enter begins a new line. Arrow keys and Ctrl-R find what you typed before.
  A line that begins with two slashes is text: //like this.
";

/// Names, for completion.
pub(crate) const NAMES: &[&str] = &[
    "/help",
    "/model",
    "/system",
    "/set",
    "/regenerate",
    "/undo",
    "/clear",
    "/save",
    "/exit",
];

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slash {
    Help,
    Model(Option<String>),
    System(Option<String>),
    Set(Option<(String, String)>),
    Regenerate,
    Undo,
    Clear,
    Save(String),
    Exit,
}

/// What a line means: `Ok(Err(text))` is text for the model.
///
/// # Errors
/// A sentence about a command that does not exist or lacks something.
pub(crate) fn parse(line: &str) -> Result<Result<Slash, String>, String> {
    let trimmed = line.trim();
    let Some(command) = trimmed.strip_prefix('/') else {
        return Ok(Err(line.trim_end().to_owned()));
    };
    if command.starts_with('/') {
        return Ok(Err(command.to_owned()));
    }
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
    let slash = match name {
        "help" | "?" => Slash::Help,
        "model" => Slash::Model(rest),
        "system" => Slash::System(rest),
        "set" => match rest.as_deref().map(|rest| rest.split_once(char::is_whitespace)) {
            None => Slash::Set(None),
            Some(Some((key, value))) => Slash::Set(Some((key.to_owned(), value.trim().to_owned()))),
            Some(None) => {
                return Err(
                    "/set takes a name and a value, as in `/set temperature 0.2`; `/set` alone lists them".into(),
                );
            }
        },
        "regenerate" | "r" => Slash::Regenerate,
        "undo" => Slash::Undo,
        "clear" => Slash::Clear,
        "save" => Slash::Save(rest.ok_or("/save takes a file name, as in `/save talk.md`")?),
        "exit" | "quit" | "bye" => Slash::Exit,
        _ => {
            return Err(format!(
                "there is no command /{name}; /help lists them, and a line that begins with // is text"
            ));
        }
    };
    Ok(Ok(slash))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_commands_or_text() {
        let text = |line: &str| parse(line).unwrap().unwrap_err();
        assert_eq!(text("hello /help"), "hello /help");
        assert_eq!(text("//etc is a path"), "/etc is a path");
        let command = |line: &str| parse(line).unwrap().unwrap();
        assert_eq!(
            command("/set temperature  0.2"),
            Slash::Set(Some(("temperature".into(), "0.2".into())))
        );
        assert_eq!(command(" /system Be brief. "), Slash::System(Some("Be brief.".into())));
        assert_eq!(command("/r"), Slash::Regenerate);
    }

    #[test]
    fn a_command_that_is_not_there_is_a_sentence() {
        assert!(parse("/hepl").unwrap_err().contains("no command /hepl"));
        assert!(parse("/save").unwrap_err().contains("file name"));
    }

    #[test]
    fn every_completed_name_is_a_command_with_help() {
        for name in NAMES {
            assert!(HELP.contains(name), "{name}");
            assert!(
                !matches!(parse(&format!("{name} a b")), Err(error) if error.contains("there is no command")),
                "{name}"
            );
        }
    }
}
