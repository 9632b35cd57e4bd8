//! The judge of what a reader of a growing dataset may see.
//!
//! Row `i` of dataset `d` holds the [`Formula`]'s values, whoever wrote it and whenever. So what a reader sees can be judged without
//! asking the writer: it must be a prefix of that, never shorter than what the same reader saw before, with nothing in it that was not
//! written. The writer's own promises, what it has acknowledged and what it has been asked for, bound the length from both sides.

use std::ops::Range;

use crate::formula::Formula;

/// What one reader has seen of one dataset.
#[derive(Clone, Debug)]
pub struct History {
    dataset: u64,
    row_length: u64,
    seen: u64,
    acknowledged: u64,
    asked: u64,
}

/// Why what a reader saw cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Fewer rows than before, though no shrinking was declared.
    #[error("dataset {dataset} shrank from {before} to {now} rows")]
    Shrank {
        /// The dataset's number.
        dataset: u64,
        /// Rows seen before.
        before: u64,
        /// Rows seen now.
        now: u64,
    },
    /// Fewer rows than the writer has acknowledged.
    #[error("dataset {dataset} has {now} rows, though {acknowledged} were acknowledged")]
    Lost {
        /// The dataset's number.
        dataset: u64,
        /// Rows acknowledged.
        acknowledged: u64,
        /// Rows seen.
        now: u64,
    },
    /// More rows than the writer was asked to write.
    #[error("dataset {dataset} has {now} rows, though only {asked} were asked for")]
    Invented {
        /// The dataset's number.
        dataset: u64,
        /// Rows asked for.
        asked: u64,
        /// Rows seen.
        now: u64,
    },
    /// Rows were read that the length does not count.
    #[error("dataset {dataset} has {now} rows, but rows up to {end} were read")]
    Beyond {
        /// The dataset's number.
        dataset: u64,
        /// Rows the length counts.
        now: u64,
        /// The end of what was read.
        end: u64,
    },
    /// A read brought fewer or more values than its rows have.
    #[error("rows {}..{} of dataset {dataset} came with {values} values", .rows.start, .rows.end)]
    Count {
        /// The dataset's number.
        dataset: u64,
        /// The rows read.
        rows: Range<u64>,
        /// The values that came.
        values: usize,
    },
    /// Zero, the fill value, where data belongs.
    #[error("row {row} of dataset {dataset} holds the fill value (element {element} of the row)")]
    Fill {
        /// The dataset's number.
        dataset: u64,
        /// The row.
        row: u64,
        /// The element within the row.
        element: u64,
    },
    /// A value that was never written there.
    #[error("row {row} of dataset {dataset} holds {found} instead of {wanted} (element {element} of the row)")]
    Wrong {
        /// The dataset's number.
        dataset: u64,
        /// The row.
        row: u64,
        /// The element within the row.
        element: u64,
        /// What was read.
        found: String,
        /// What was written.
        wanted: String,
    },
    /// Datasets that are published together were seen apart.
    #[error("datasets published together have {lengths:?} rows")]
    Apart {
        /// Their lengths.
        lengths: Vec<u64>,
    },
}

impl History {
    /// The history of a reader that has seen nothing yet of dataset number `dataset`, each row of which has `row_length` elements.
    #[must_use]
    pub fn new(dataset: u64, row_length: u64) -> Self {
        Self { dataset, row_length, seen: 0, acknowledged: 0, asked: u64::MAX }
    }

    /// The rows this reader has seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The writer has acknowledged `rows` rows: whoever looks from now on must see them.
    pub fn acknowledged(&mut self, rows: u64) {
        self.acknowledged = rows;
    }

    /// The writer has been asked for no more than `rows` rows in all: nobody may see more.
    pub fn asked(&mut self, rows: u64) {
        self.asked = rows;
    }

    /// The writer may shrink the dataset to `rows` rows at any time from now on: seeing no more than that is no violation.
    pub fn shrinks_to(&mut self, rows: u64) {
        self.seen = self.seen.min(rows);
        self.acknowledged = self.acknowledged.min(rows);
    }

    /// Judges the length `now` that the reader sees, and with it `values`, what it read of `rows`.
    ///
    /// # Errors
    /// The first [`Violation`]; this reader's history then stays as it was.
    pub fn check<T: Formula>(&mut self, now: u64, rows: Range<u64>, values: &[T]) -> Result<(), Violation> {
        let Self { dataset, row_length, seen, acknowledged, asked } = *self;
        if now < seen {
            return Err(Violation::Shrank { dataset, before: seen, now });
        }
        if now < acknowledged {
            return Err(Violation::Lost { dataset, acknowledged, now });
        }
        if now > asked {
            return Err(Violation::Invented { dataset, asked, now });
        }
        if rows.end > now {
            return Err(Violation::Beyond { dataset, now, end: rows.end });
        }
        if (rows.end - rows.start) * row_length != values.len() as u64 {
            return Err(Violation::Count { dataset, rows, values: values.len() });
        }
        for (index, &found) in (rows.start * row_length..).zip(values) {
            self.check_value(index, found)?;
        }
        self.seen = now;
        Ok(())
    }

    fn check_value<T: Formula>(&self, index: u64, found: T) -> Result<(), Violation> {
        let wanted = T::value(self.dataset, index);
        if found == wanted {
            return Ok(());
        }
        let (dataset, row, element) = (self.dataset, index / self.row_length, index % self.row_length);
        // The one form in which every type writes its zero.
        if found.to_string() == "0" {
            return Err(Violation::Fill { dataset, row, element });
        }
        Err(Violation::Wrong { dataset, row, element, found: found.to_string(), wanted: wanted.to_string() })
    }
}

/// Judges the lengths of datasets whose rows are always published together, as an h5live reader sees them in one look.
///
/// # Errors
/// [`Violation::Apart`].
pub fn check_together(lengths: &[u64]) -> Result<(), Violation> {
    if lengths.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(());
    }
    Err(Violation::Apart { lengths: lengths.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::values;

    const DATASET: u64 = 5;

    /// A reader that has seen ten rows of three elements.
    fn reader() -> History {
        let mut history = History::new(DATASET, 3);
        history.check(10, 0..10, &values::<u64>(DATASET, 0, 30)).unwrap();
        history
    }

    #[test]
    fn a_growing_prefix_is_accepted() {
        let mut history = reader();
        history.acknowledged(12);
        history.asked(20);
        history.check(12, 10..12, &values::<u64>(DATASET, 30, 6)).unwrap();
        history.check::<u64>(12, 12..12, &[]).unwrap();
        history.check(20, 3..20, &values::<u64>(DATASET, 9, 51)).unwrap();
        assert_eq!(history.seen(), 20);
        check_together(&[]).unwrap();
        check_together(&[4, 4, 4]).unwrap();
    }

    #[test]
    fn floats_are_judged_too() {
        let mut history = History::new(1, 1);
        history.check(4, 0..4, &values::<f64>(1, 0, 4)).unwrap();
        let fill = history.check(5, 4..5, &[0.0_f64]);
        assert_eq!(fill, Err(Violation::Fill { dataset: 1, row: 4, element: 0 }));
    }

    #[test]
    fn a_declared_shrink_is_accepted_once_declared() {
        let mut history = reader();
        history.acknowledged(10);
        assert!(matches!(history.check::<u64>(4, 0..0, &[]), Err(Violation::Shrank { before: 10, now: 4, .. })));
        history.shrinks_to(4);
        history.check::<u64>(4, 0..0, &[]).unwrap();
        history.check(6, 4..6, &values::<u64>(DATASET, 12, 6)).unwrap();
    }

    /// A judge that cannot condemn is decoration: each rule, broken alone.
    #[test]
    fn every_rule_can_be_broken() {
        let (one, two) = (values::<u64>(DATASET, 30, 3), values::<u64>(DATASET, 30, 6));
        let altered = |at: usize, value: u64| {
            let mut rows = two.clone();
            rows[at] = value;
            rows
        };
        let cases: Vec<(Violation, u64, Range<u64>, Vec<u64>)> = vec![
            (Violation::Shrank { dataset: DATASET, before: 10, now: 9 }, 9, 0..0, vec![]),
            (Violation::Lost { dataset: DATASET, acknowledged: 12, now: 11 }, 11, 10..11, one.clone()),
            (Violation::Invented { dataset: DATASET, asked: 15, now: 16 }, 16, 10..12, two.clone()),
            (Violation::Beyond { dataset: DATASET, now: 12, end: 13 }, 12, 10..13, two.clone()),
            (Violation::Count { dataset: DATASET, rows: 10..12, values: 3 }, 12, 10..12, one.clone()),
            (Violation::Fill { dataset: DATASET, row: 11, element: 1 }, 12, 10..12, altered(4, 0)),
            (
                Violation::Wrong {
                    dataset: DATASET,
                    row: 10,
                    element: 2,
                    found: two[3].to_string(),
                    wanted: two[2].to_string(),
                },
                12,
                10..12,
                altered(2, two[3]),
            ),
        ];
        for (violation, now, rows, values) in cases {
            let mut history = reader();
            history.acknowledged(12);
            history.asked(15);
            assert_eq!(history.check(now, rows, &values), Err(violation));
            assert_eq!(history.seen(), 10, "a violation leaves the history as it was");
        }
        assert_eq!(check_together(&[4, 4, 5]), Err(Violation::Apart { lengths: vec![4, 4, 5] }));
    }
}
