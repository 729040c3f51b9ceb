//! Figures with their names, for people and for programs: single ones, and rows that set three systems side by side.

use std::fmt::Write as _;

use serde::Serialize;

use crate::scores;

/// What stands side by side: the model with the question alone; the same model with the best passages pasted into its
/// prompt, which is what everybody else does; and Candor with the same model.
pub const COLUMNS: [&str; 3] = ["bare model", "plain retrieval", "Candor"];

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

/// A figure of each of the three systems; `None` where a system gives no such answers.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What it is of.
    pub name: String,
    /// By [`COLUMNS`].
    pub columns: [Option<Figure>; 3],
}

/// Probabilities with what came true, to be drawn.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// What it is of.
    pub name: String,
    /// Said, and whether it was right.
    pub points: Vec<(f64, bool)>,
}

/// What a task gave.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The task.
    pub task: String,
    /// Three systems side by side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// What can be drawn.
    #[serde(skip)]
    pub curves: Vec<Curve>,
}

impl Figure {
    fn mean(name: &str, values: &[f64]) -> Self {
        let [value, low, high] = scores::mean_with_interval(values);
        Self {
            name: name.into(),
            value,
            interval: Some([low, high]),
            cases: values.len(),
        }
    }
}

impl Report {
    /// Of a task.
    pub fn new(task: &str) -> Self {
        Self {
            task: task.into(),
            ..Self::default()
        }
    }

    /// Adds a mean with its interval.
    pub fn mean(&mut self, name: &str, values: &[f64]) {
        self.figures.push(Figure::mean(name, values));
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

    /// Adds a mean of each system; a system without values stays empty.
    pub fn row(&mut self, name: &str, values: [Vec<f64>; 3]) {
        let columns = values.map(|values| (!values.is_empty()).then(|| Figure::mean(name, &values)));
        self.rows.push(Row {
            name: name.into(),
            columns,
        });
    }

    /// Calibration of said probabilities: its error, its Brier score beside the base rate's, how well right is told from
    /// wrong, and the curve.
    pub fn calibration(&mut self, name: &str, points: Vec<(f64, bool)>) {
        let n = points.len();
        self.value(
            &format!("{name}: right told from wrong, AUROC"),
            scores::auroc(&points),
            n,
        );
        self.value(
            &format!("{name}: calibration error"),
            scores::calibration_error(&points),
            n,
        );
        let (brier, base) = scores::brier(&points);
        self.value(&format!("{name}: Brier score"), brier, n);
        self.value(&format!("{name}: Brier score of the base rate"), base, n);
        self.curves.push(Curve {
            name: name.into(),
            points,
        });
    }

    /// As a table.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n", self.task);
        let names = self
            .figures
            .iter()
            .map(|one| &one.name)
            .chain(self.rows.iter().map(|row| &row.name));
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
        if !self.rows.is_empty() {
            let _ = writeln!(
                text,
                "  {:<width$}  {:<22}  {:<22}  {}",
                "", COLUMNS[0], COLUMNS[1], COLUMNS[2]
            );
        }
        for row in &self.rows {
            let cells = row
                .columns
                .each_ref()
                .map(|one| one.as_ref().map_or("-".to_owned(), cell));
            let n = row.columns.iter().flatten().map(|one| one.cases).max().unwrap_or(0);
            let _ = writeln!(
                text,
                "  {:<width$}  {:<22}  {:<22}  {:<22}  (n = {n})",
                row.name, cells[0], cells[1], cells[2]
            );
        }
        for figure in &self.figures {
            let _ = writeln!(
                text,
                "  {:<width$}  {}  (n = {})",
                figure.name,
                cell(figure),
                figure.cases
            );
        }
        text
    }
}

fn cell(figure: &Figure) -> String {
    let interval = figure
        .interval
        .map_or(String::new(), |[low, high]| format!(" [{low:.3}, {high:.3}]"));
    format!("{:.3}{interval}", figure.value)
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn three_systems_stand_side_by_side_and_one_without_an_answer_is_a_dash() {
        let mut report = Report::new("Task");
        report.row("right", [vec![1.0, 0.0], Vec::new(), vec![1.0, 1.0]]);
        report.calibration("said", vec![(0.9, true), (0.1, false)]);
        let table = report.table();
        assert!(
            table.contains("0.500 [") && table.contains(" -  ") && table.contains("1.000 ["),
            "{table}"
        );
        assert_eq!((report.figures.len(), report.curves.len()), (4, 1));
    }
}
