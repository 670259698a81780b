//! The table.

use std::fmt::Display;

/// Answers so far.
#[derive(Default)]
pub(crate) struct Verdict {
    rows: Vec<Row>,
}

struct Row {
    question: String,
    answer: String,
    /// `None` = told, not judged.
    right: Option<bool>,
}

impl Verdict {
    /// A question whose answer is right or not.
    pub(crate) fn judge(&mut self, question: impl Display, answer: impl Display, right: bool) {
        self.add(question.to_string(), answer.to_string(), Some(right));
    }

    /// A question with one right answer.
    pub(crate) fn equal<T: PartialEq + Display>(
        &mut self,
        question: impl Display,
        answer: T,
        right: T,
    ) {
        let same = answer == right;
        let answer = if same { answer.to_string() } else { format!("{answer}, not {right}") };
        self.add(question.to_string(), answer, Some(same));
    }

    /// Something to know.
    pub(crate) fn tell(&mut self, question: impl Display, answer: impl Display) {
        self.add(question.to_string(), answer.to_string(), None);
    }

    fn add(&mut self, question: String, answer: String, right: Option<bool>) {
        let row = Row { question, answer, right };
        eprintln!("  {} {}: {}", row.mark(), row.question, row.answer);
        self.rows.push(row);
    }

    /// The whole, and whether all of it was right.
    pub(crate) fn print(&self) -> bool {
        let width = self.rows.iter().map(|row| row.question.chars().count()).max().unwrap_or(0);
        println!();
        for row in &self.rows {
            println!("{:<4} {:<width$}  {}", row.mark(), row.question, row.answer);
        }
        let wrong = self.rows.iter().filter(|row| row.right == Some(false)).count();
        let judged = self.rows.iter().filter(|row| row.right.is_some()).count();
        println!("\n{} of {judged} answers right", judged - wrong);
        wrong == 0 && judged > 0
    }
}

impl Row {
    fn mark(&self) -> &'static str {
        match self.right {
            Some(true) => "ok",
            Some(false) => "BAD",
            None => "-",
        }
    }
}
