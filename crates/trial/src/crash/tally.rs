//! How many states were judged, and what was wrong.

use std::collections::BTreeMap;
use std::fmt;

/// Complaints after which nobody looks for more.
const ENOUGH: usize = 30;

/// What a run over crashes found.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    by_workload: BTreeMap<String, BTreeMap<&'static str, u64>>,
    wrong: Vec<String>,
}

impl Tally {
    /// Counts one state of a sort; tells how many of that sort there were before, of that workload.
    pub fn count(&mut self, workload: &str, sort: &'static str) -> u64 {
        self.count_more(workload, sort, 1)
    }

    /// Counts several.
    pub fn count_more(&mut self, workload: &str, sort: &'static str, count: u64) -> u64 {
        if !self.by_workload.contains_key(workload) {
            self.by_workload.insert(workload.to_owned(), BTreeMap::new());
        }
        let counted = self.by_workload.get_mut(workload).map(|sorts| sorts.entry(sort).or_default());
        counted.map_or(0, |counted| {
            *counted += count;
            *counted - count
        })
    }

    /// Notes what is wrong.
    pub fn complain(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// What was wrong.
    #[must_use]
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Whether so much is wrong that more of it teaches nothing.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.wrong.len() >= ENOUGH
    }

    /// How many states were judged.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.by_workload.values().flat_map(BTreeMap::values).sum()
    }

    /// Takes in another.
    pub fn add(&mut self, other: Self) {
        for (workload, sorts) in other.by_workload {
            for (sort, count) in sorts {
                self.count_more(&workload, sort, count);
            }
        }
        self.wrong.extend(other.wrong);
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    /// Panics if anything was wrong, or nothing was judged.
    ///
    /// # Panics
    /// Then.
    pub fn require_clean(&self) {
        let shown: Vec<_> = self.wrong.iter().take(12).map(String::as_str).collect();
        assert!(self.wrong.is_empty(), "{} of {} wrong:\n{}", self.wrong.len(), self.states(), shown.join("\n"));
        assert!(self.states() > 0);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_sort: BTreeMap<&str, u64> = BTreeMap::new();
        for (workload, sorts) in &self.by_workload {
            writeln!(f, "{:>9}  {workload}", sorts.values().sum::<u64>())?;
            for (sort, count) in sorts {
                *by_sort.entry(sort).or_default() += count;
            }
        }
        writeln!(f)?;
        for (sort, count) in by_sort {
            writeln!(f, "{count:>9}  {sort}")?;
        }
        writeln!(f, "\n{:>9}  states, {} wrong", self.states(), self.wrong.len())?;
        for wrong in &self.wrong {
            writeln!(f, "    {wrong}")?;
        }
        Ok(())
    }
}
