//! Counting how files came out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Comparison, Tags, Verdict};

/// How many files passed and failed: in all, by category, by tag, and in which aspects they failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    all: Count,
    explained: u64,
    categories: BTreeMap<String, Count>,
    tags: BTreeMap<String, Count>,
    aspects: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    fn add(&mut self, failed: bool) {
        *(if failed { &mut self.failed } else { &mut self.passed }) += 1;
    }
}

impl Summary {
    /// Counts a file.
    pub fn add(&mut self, tags: &Tags, comparison: &Comparison) {
        let failed = comparison.verdict == Verdict::Fail;
        self.all.add(failed);
        self.explained += u64::from(comparison.verdict == Verdict::Explained);
        self.categories.entry(tags.category.clone()).or_default().add(failed);
        for tag in &tags.tags {
            self.tags.entry(tag.clone()).or_default().add(failed);
        }
        let told = comparison.differences.iter().filter(|_| failed);
        let aspects: BTreeSet<&'static str> = told.map(|found| found.aspect).collect();
        for aspect in aspects {
            *self.aspects.entry(aspect).or_default() += 1;
        }
    }

    /// Files that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.all.failed
    }

    /// Files that passed, those among them that are explained included.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.all.passed
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = |f: &mut fmt::Formatter<'_>, title: &str, rows: Vec<(&String, &Count)>| {
            writeln!(f, "{title:34} pass  fail")?;
            rows.iter().try_for_each(|(name, count)| writeln!(f, "{name:34} {:4} {:5}", count.passed, count.failed))
        };
        if !self.tags.is_empty() {
            let mut tags: Vec<_> = self.tags.iter().collect();
            // The worst first.
            tags.sort_by_key(|(_, count)| std::cmp::Reverse(count.failed * 1_000_000 / (count.failed + count.passed)));
            table(f, "tag", tags)?;
            writeln!(f)?;
            table(f, "category", self.categories.iter().collect())?;
            writeln!(f)?;
        }
        if !self.aspects.is_empty() {
            let aspects: Vec<String> = self.aspects.iter().map(|(aspect, count)| format!("{aspect} {count}")).collect();
            writeln!(f, "failed by aspect: {}", aspects.join(", "))?;
        }
        write!(f, "{} passed ({} explained), {} failed", self.all.passed, self.explained, self.all.failed)
    }
}
