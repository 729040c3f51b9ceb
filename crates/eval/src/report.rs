//! Figures with their names, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

/// A figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What it is of.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its 95% interval, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How many cases it is of.
    pub cases: usize,
}

/// What a task gave.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The task.
    pub task: String,
    /// Its figures.
    pub figures: Vec<Figure>,
}

impl Report {
    /// Of a task.
    pub fn new(task: &str) -> Self {
        Self {
            task: task.into(),
            figures: Vec::new(),
        }
    }

    /// Adds a mean with its interval.
    pub fn mean(&mut self, name: &str, values: &[f64]) {
        let [value, low, high] = crate::scores::mean_with_interval(values);
        self.figures.push(Figure {
            name: name.into(),
            value,
            interval: Some([low, high]),
            cases: values.len(),
        });
    }

    /// Adds a single value.
    pub fn value(&mut self, name: &str, value: f64, cases: usize) {
        self.figures.push(Figure {
            name: name.into(),
            value,
            interval: None,
            cases,
        });
    }

    /// As a table.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n", self.task);
        let width = self
            .figures
            .iter()
            .map(|figure| figure.name.chars().count())
            .max()
            .unwrap_or(0);
        for figure in &self.figures {
            let interval = figure
                .interval
                .map_or(String::new(), |[low, high]| format!("  [{low:.3}, {high:.3}]"));
            let _ = writeln!(
                text,
                "  {:<width$}  {:.3}{interval}  (n = {})",
                figure.name, figure.value, figure.cases
            );
        }
        text
    }
}
