//! What a campaign saw.

use std::collections::BTreeMap;
use std::fmt;

/// Complaints that are shown.
const SHOWN: usize = 40;

/// What a campaign saw.
#[derive(Debug, Default, Clone)]
pub struct Report {
    figures: BTreeMap<String, u64>,
    notes: Vec<String>,
    wrong: Vec<String>,
}

impl Report {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The figure of that name; 0 if there is none.
    #[must_use]
    pub fn figure(&self, what: &str) -> u64 {
        self.figures.get(what).copied().unwrap_or(0)
    }

    /// Adds to a figure.
    pub(super) fn count(&mut self, what: impl Into<String>, many: u64) {
        *self.figures.entry(what.into()).or_default() += many;
    }

    /// Notes something worth telling that is not wrong.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Notes what is wrong.
    pub(super) fn complain(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    /// Takes in another.
    pub(super) fn add(&mut self, other: Self) {
        other.figures.into_iter().for_each(|(what, many)| self.count(what, many));
        self.notes.extend(other.notes);
        self.wrong.extend(other.wrong);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.figures {
            writeln!(f, "{count:>9}  {what}")?;
        }
        for note in &self.notes {
            writeln!(f, "           {note}")?;
        }
        writeln!(f, "{:>9}  wrong", self.wrong.len())?;
        self.wrong.iter().take(SHOWN).try_for_each(|wrong| writeln!(f, "    {wrong}"))
    }
}
