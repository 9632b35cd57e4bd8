//! Real processes: writers that are killed, readers that come, go and stop, and libhdf5 as the judge.

use std::collections::BTreeMap;
use std::fmt;

/// The first argument of a process that a campaign starts.
pub const ROLE: &str = "--role";

/// What a campaign saw.
#[derive(Debug, Default, Clone)]
pub struct Report {
    figures: BTreeMap<String, u64>,
    notes: Vec<String>,
    wrong: Vec<String>,
}

/// Runs a campaign by its name.
///
/// # Errors
/// It is not known, or cannot be run here.
pub fn run(name: &str, _count: Option<u64>, _seed: u64) -> Result<Report, String> {
    Err(format!("there is no campaign {name:?}"))
}

/// Plays the part of a process that a campaign started.
///
/// # Errors
/// Whatever went wrong.
pub fn act(_role: &[String]) -> Result<(), String> {
    Ok(())
}

impl Report {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
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
        self.wrong.iter().try_for_each(|wrong| writeln!(f, "    {wrong}"))
    }
}
