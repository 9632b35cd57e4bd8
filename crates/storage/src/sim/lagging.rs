//! A reader that is behind, by a different amount on each page.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::State;
use super::image::{by_page, copy_page};
use super::{Disk, Random};
use crate::{ReadAt, past_end};

/// What one reader sees of a [`Disk`] that others write.
///
/// Every page, and the length, is seen at a version of its own: never older than this reader saw it before, and never from before a
/// barrier when something written after that barrier has been seen.
#[derive(Debug)]
pub struct LaggingView {
    disk: Arc<Disk>,
    barriers_count: bool,
    reader: Mutex<Reader>,
}

impl LaggingView {
    pub(super) fn new(disk: Arc<Disk>, seed: u64) -> Self {
        let floor = {
            let state = disk.lock();
            state.history.last_barrier(state.moment())
        };
        let reader = Reader { random: Random::new(seed), floor, pages: BTreeMap::new(), len: 0 };
        Self { disk, barriers_count: true, reader: Mutex::new(reader) }
    }

    /// A reader for which barriers order nothing: no protocol can work beside it. For negative controls.
    pub fn ignoring_barriers(self) -> Self {
        Self { barriers_count: false, ..self }
    }

    /// Sees everything written until now from now on, as a reader does once the writer pauses.
    pub fn catch_up(&self) {
        let moment = self.disk.lock().moment();
        self.with_reader(|reader| reader.floor = moment);
    }

    fn with_reader<T>(&self, act: impl FnOnce(&mut Reader) -> T) -> T {
        act(&mut self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ReadAt for LaggingView {
    fn size(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        self.with_reader(|reader| Ok(reader.see_len(&state, self.barriers_count)))
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        self.with_reader(|reader| {
            let size = reader.see_len(&state, self.barriers_count);
            if at.checked_add(buf.len() as u64).is_none_or(|end| end > size) {
                return Err(past_end(at, buf.len(), size));
            }
            let pages = by_page(at, buf.len());
            // Nothing says in which order one read takes its pages.
            let ascending = reader.random.chance(1, 2);
            let mut see = |(index, within, part)| {
                let page = reader.see_page(index, &state, self.barriers_count);
                copy_page(page.as_deref(), within, &mut buf[part]);
            };
            match ascending {
                true => pages.for_each(&mut see),
                false => pages.rev().for_each(&mut see),
            }
            Ok(())
        })?;
        state.spoil_read(buf)
    }
}

/// How far a reader has come.
#[derive(Debug)]
struct Reader {
    random: Random,
    /// Everything is seen at this moment or later.
    floor: usize,
    /// Since when the version is there that was seen of each page.
    pages: BTreeMap<u64, usize>,
    /// The same for the length.
    len: usize,
}

impl Reader {
    fn see_len(&mut self, state: &State, barriers_count: bool) -> u64 {
        let moment = self.choose(self.len, state);
        let (since, len) = state.history.len(moment);
        self.len = self.len.max(since);
        self.saw(since, state, barriers_count);
        len
    }

    fn see_page(&mut self, index: u64, state: &State, barriers_count: bool) -> super::image::Page {
        let seen = self.pages.get(&index).copied().unwrap_or(0);
        let moment = self.choose(seen, state);
        let (since, page) = state.history.page(index, moment);
        self.pages.insert(index, since.max(seen));
        self.saw(since, state, barriers_count);
        page
    }

    /// A moment at which to look, when a version from moment `seen` was seen before.
    fn choose(&mut self, seen: usize, state: &State) -> usize {
        let (earliest, now) = (self.floor.max(seen), state.moment());
        // The extremes are where faults hide, so they come more often than chance alone would have it.
        match self.random.below(4) {
            0 => earliest,
            1 => now,
            _ => earliest + self.random.below(now - earliest + 1),
        }
    }

    /// Draws the consequence of having seen a version from moment `since`.
    fn saw(&mut self, since: usize, state: &State, barriers_count: bool) {
        if barriers_count {
            self.floor = self.floor.max(state.history.last_barrier(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::PAGE;
    use crate::{Barrier, Storage};

    const P: u64 = PAGE as u64;

    /// Publishes records and looks at them all the while; returns how often a counted record was not there.
    fn missing(barrier: Option<Barrier>, barriers_count: bool) -> (usize, u64) {
        let disk = Arc::new(Disk::new(0));
        disk.set_len(100 * P).unwrap();
        disk.barrier(Barrier::Visible).unwrap();
        let mut views: Vec<_> = (0..20).map(|seed| disk.lagging_view(seed)).collect();
        if !barriers_count {
            views = views.into_iter().map(LaggingView::ignoring_barriers).collect();
        }
        let number = |view: &LaggingView, at| {
            let mut bytes = [0; 8];
            view.read_exact_at(&mut bytes, at).unwrap();
            u64::from_le_bytes(bytes)
        };
        let mut missing = 0;
        let mut lag = 0;
        for record in 1..50_u64 {
            disk.write_all_at(&record.to_le_bytes(), record * P).unwrap();
            barrier.into_iter().for_each(|barrier| disk.barrier(barrier).unwrap());
            disk.write_all_at(&record.to_le_bytes(), 0).unwrap();
            barrier.into_iter().for_each(|barrier| disk.barrier(barrier).unwrap());
            for view in &views {
                let count = number(view, 0);
                assert!(count <= record);
                lag = lag.max(record - count);
                missing += (1..=count).filter(|record| number(view, record * P) != *record).count();
                assert!(number(view, 0) >= count, "a page went back");
            }
        }
        for view in &views {
            view.catch_up();
            assert_eq!(number(view, 0), 49);
        }
        (missing, lag)
    }

    #[test]
    fn barriers_order_what_is_seen_and_nothing_else_does() {
        let (missing_with, lag) = missing(Some(Barrier::Visible), true);
        assert_eq!(missing_with, 0);
        assert!(lag > 0, "a view that never lags tests nothing");
        assert!(missing(None, true).0 > 0);
        assert!(missing(Some(Barrier::Visible), false).0 > 0);
    }

    #[test]
    fn a_read_across_pages_may_be_torn_and_the_length_may_lag() {
        let disk = Arc::new(Disk::new(0));
        disk.write_all_at(&[1; 2 * PAGE], 0).unwrap();
        disk.barrier(Barrier::Visible).unwrap();
        let (mut torn, mut short) = (0, 0);
        let views: Vec<_> = (0..100).map(|seed| disk.lagging_view(seed)).collect();
        disk.write_all_at(&[2; 3 * PAGE], 0).unwrap();
        for view in views {
            let mut bytes = [0; 2 * PAGE];
            view.read_exact_at(&mut bytes, 0).unwrap();
            torn += usize::from(bytes[0] != bytes[PAGE]);
            assert!(bytes[..PAGE].iter().all(|byte| *byte == bytes[0]), "a page is whole");
            short += usize::from(view.size().unwrap() < 3 * P);
            view.catch_up();
            assert_eq!(view.size().unwrap(), 3 * P);
        }
        assert!(torn > 0 && short > 0, "{torn} {short}");
    }
}
