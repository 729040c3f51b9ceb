//! What a question is asked of: all passages of a set, or a library as small as someone's first: the passages of one article,
//! or a single passage. Words are rare in another way there, and a passage has few others to be ahead of.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candor_truth::{Embedder, Library};

use super::Paragraph;
use super::places::Places;
use crate::bench::library;

/// Small libraries that are kept open: an article's, a passage's and its neighbour's.
const OPEN: usize = 3;

/// The size of a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shelf {
    /// All passages.
    All,
    /// Those of the question's article.
    Article,
    /// The question's own, or, where that is taken away, another one of its article.
    Alone,
}

impl Shelf {
    /// How many there are.
    pub(super) const COUNT: u8 = 3;

    /// The kind of text of questions that are asked of it, of the set's file number `file`.
    pub(super) fn kind(self, file: u8) -> u8 {
        file * Self::COUNT + self as u8
    }

    /// That of a kind of text.
    pub(super) fn of(kind: u8) -> Self {
        match kind % Self::COUNT {
            0 => Self::All,
            1 => Self::Article,
            _ => Self::Alone,
        }
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all passages",
            Self::Article => "an article's passages",
            Self::Alone => "one passage",
        })
    }
}

/// The libraries of a set, made as they are asked for.
pub(super) struct Shelves<'a> {
    paragraphs: &'a [Paragraph],
    /// The library of all passages.
    pub(super) all: Library,
    home: PathBuf,
    embedder: Option<Embedder>,
    threads: usize,
    /// The small ones that were asked for last, the last one first, by their paragraphs.
    open: Vec<(Vec<usize>, Arc<Library>)>,
    made: usize,
}

impl<'a> Shelves<'a> {
    /// With all passages in a library in the folder `home`.
    pub(super) async fn new(
        home: &Path,
        paragraphs: &'a [Paragraph],
        embedder: Option<Embedder>,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let every = 0..paragraphs.len();
        Ok(Self {
            all: make(&home.join("all"), paragraphs, every, embedder.clone(), threads).await?,
            paragraphs,
            home: home.to_owned(),
            embedder,
            threads,
            open: Vec::new(),
            made: 0,
        })
    }

    /// The small library for a question of paragraph `gold`, with its answer (`there`) or without; `None` where every other
    /// paragraph of the article has it too. An article's library holds the answer either way.
    pub(super) async fn small(
        &mut self,
        shelf: Shelf,
        gold: usize,
        places: &Places,
        there: bool,
    ) -> anyhow::Result<Option<Arc<Library>>> {
        let wanted = paragraphs_of(shelf, self.paragraphs, gold, places, there);
        if wanted.is_empty() {
            return Ok(None);
        }
        if let Some(at) = self.open.iter().position(|(of, _)| *of == wanted) {
            self.open[..=at].rotate_right(1);
            return Ok(Some(Arc::clone(&self.open[0].1)));
        }
        self.made += 1;
        let home = self.home.join(self.made.to_string());
        let made = make(
            &home,
            self.paragraphs,
            wanted.iter().copied(),
            self.embedder.clone(),
            self.threads,
        )
        .await?;
        let made = Arc::new(made);
        self.open.truncate(OPEN - 1);
        self.open.insert(0, (wanted, Arc::clone(&made)));
        Ok(Some(made))
    }
}

/// Which paragraphs a small library has; without the answer, the next one of the article that is without it, so that not all
/// questions of an article get the same.
fn paragraphs_of(shelf: Shelf, all: &[Paragraph], gold: usize, places: &Places, there: bool) -> Vec<usize> {
    let article = (0..all.len()).filter(|n| all[*n].title == all[gold].title);
    match (shelf, there) {
        (Shelf::Alone, true) => vec![gold],
        (Shelf::Alone, false) => {
            let (before, behind): (Vec<_>, Vec<_>) = article.partition(|n| *n <= gold);
            let others = behind.into_iter().chain(before);
            others.filter(|n| places.of(&n.to_string()).is_none()).take(1).collect()
        }
        _ => article.collect(),
    }
}

async fn make(
    home: &Path,
    paragraphs: &[Paragraph],
    which: impl Iterator<Item = usize>,
    embedder: Option<Embedder>,
    threads: usize,
) -> anyhow::Result<Library> {
    std::fs::create_dir(home)?;
    let texts = which.map(|n| (n, paragraphs[n].title.clone(), paragraphs[n].context.clone()));
    library(home, texts, embedder, threads).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::grounded::{Asked, Right};

    #[test]
    fn a_passage_alone_without_the_answer_is_the_next_one_of_its_article() {
        let paragraph = |title: &str, context: &str| Paragraph {
            title: title.to_owned(),
            context: context.to_owned(),
            qas: Vec::new(),
        };
        let told = "The king had a golden bird.";
        let all = [
            paragraph("Birds", "A queen had a cat."),
            paragraph("Birds", told),
            paragraph("Cats", "The cat was asleep."),
            paragraph("Birds", told),
        ];
        let asked = Asked {
            question: "What did the king have?".to_owned(),
            answers: vec![Right {
                text: "a golden bird".to_owned(),
                answer_start: Some(13),
            }],
        };
        let of = |shelf, there| {
            let places = Places::new(&all, 1, &asked)?;
            Some(paragraphs_of(shelf, &all, 1, &places, there))
        };
        assert_eq!(of(Shelf::Alone, true), Some(vec![1]));
        assert_eq!(of(Shelf::Alone, false), Some(vec![0]));
        assert_eq!(of(Shelf::Article, true), Some(vec![0, 1, 3]));
    }
}
