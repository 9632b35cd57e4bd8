//! Where new blocks go: always to space that nothing has ever named.
//!
//! Three ends, each ahead of the one before: what is *used*, the *end-of-file* the superblock shows, and the *size* of
//! the file. Only the first moves with every block; [`Space::lead`] says when the other two must follow.

use h5live_format::Addr;

/// The unit that storage writes atomically, and therefore the unit no live overwrite may cross.
pub(crate) const PAGE: u64 = 4096;

/// How a block must lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The block will be overwritten while readers look: it may not cross a page boundary.
    InPage,
    /// The block is written once, or is covered by no single checksum: anywhere.
    Anywhere,
}

/// The smallest lead of the end-of-file over what is used.
const LEAST_LEAD: u64 = 1 << 20;
/// The largest: a reader that opened the file sees what is written until this much more has been.
const MOST_LEAD: u64 = 64 << 30;
/// From so many bytes on, a block starts on a page: the kernel copies whole pages faster. It also keeps files in units of
/// several pages, so a block whose length is a multiple of this starts at one.
const LARGE: u64 = 64 << 10;
/// Gaps in front of such boundaries that are kept for small blocks.
const GAPS_KEPT: usize = 32;
/// What is smaller is not worth keeping.
const LEAST_KEPT: u64 = 16;

/// Unused space of the file. Addresses are relative to `base`; pages are those of the file itself.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    base: u64,
    used: u64,
    /// Room for blocks that must stay within a page, kept apart from raw data so that they share pages.
    metadata: Run,
    /// Left out so that what follows lies well: never handed out.
    gaps: Vec<Run>,
    /// Reserved and given back before anything named them: as good as new.
    returned: Vec<Run>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Run {
    start: u64,
    end: u64,
}

impl Run {
    fn len(self) -> u64 {
        self.end - self.start
    }

    /// Where in it `len` bytes find room: at its start, or, if they may not cross a page, perhaps on its second page.
    fn room(self, base: u64, len: u64, placement: Placement) -> Option<u64> {
        let start = match placement {
            Placement::InPage if crosses_page(base + self.start, len) => {
                (base + self.start).next_multiple_of(PAGE) - base
            }
            _ => self.start,
        };
        start.checked_add(len).is_some_and(|end| end <= self.end).then_some(start)
    }
}

impl Space {
    /// Space from `used` on; `base` is the superblock's base address.
    pub(crate) fn new(base: u64, used: u64) -> Self {
        Self { base, used, metadata: Run::default(), gaps: Vec::new(), returned: Vec::new() }
    }

    /// The end of what has been handed out.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Hands out `len` bytes.
    pub(crate) fn take(&mut self, len: u64, placement: Placement) -> Addr {
        let addr = match placement {
            Placement::InPage if len <= PAGE => self.take_in_page(len),
            _ => self.take_anywhere(len),
        };
        debug_assert!(addr + len <= self.used);
        Addr(addr)
    }

    /// Hands out `len` bytes of what was given back. Unlike all other space they may hold old bytes.
    pub(crate) fn take_returned(&mut self, len: u64) -> Option<Addr> {
        carve(&mut self.returned, self.base, len, Placement::Anywhere).map(Addr)
    }

    /// Takes back `len` bytes at `addr` that nothing ever named: neither the file nor a staged block.
    pub(crate) fn give_back(&mut self, addr: Addr, len: u64) {
        self.returned.push(Run { start: addr.0, end: addr.0 + len });
    }

    /// How far past `used` the end-of-file should lie after it has been moved.
    pub(crate) fn lead(&self) -> u64 {
        self.used.clamp(LEAST_LEAD, MOST_LEAD)
    }

    fn take_anywhere(&mut self, len: u64) -> u64 {
        if len >= LARGE {
            let unit = 1 << len.trailing_zeros().clamp(PAGE.trailing_zeros(), LARGE.trailing_zeros());
            let boundary = (self.base + self.used).next_multiple_of(unit) - self.base;
            self.keep_gap(Run { start: self.used, end: boundary });
            self.used = boundary;
        } else if let Some(start) = carve(&mut self.gaps, self.base, len, Placement::Anywhere) {
            return start;
        }
        let start = self.used;
        self.used += len;
        start
    }

    fn take_in_page(&mut self, len: u64) -> u64 {
        for runs in [&mut self.gaps, &mut self.returned] {
            if let Some(start) = carve(runs, self.base, len, Placement::InPage) {
                return start;
            }
        }
        if crosses_page(self.base + self.metadata.start, len) || self.metadata.len() < len {
            let left = std::mem::take(&mut self.metadata);
            self.keep_gap(left);
            self.metadata = self.fresh_pages(len);
        }
        let start = self.metadata.start;
        self.metadata.start += len;
        start
    }

    /// A run that starts where a block of `len` stays within its page and ends at the page's end.
    fn fresh_pages(&mut self, len: u64) -> Run {
        let mut start = self.used;
        if crosses_page(self.base + start, len) {
            let boundary = (self.base + start).next_multiple_of(PAGE) - self.base;
            self.keep_gap(Run { start, end: boundary });
            start = boundary;
        }
        self.used = (self.base + start + len).next_multiple_of(PAGE) - self.base;
        Run { start, end: self.used }
    }

    fn keep_gap(&mut self, gap: Run) {
        if gap.len() < LEAST_KEPT {
            return;
        }
        if self.gaps.len() >= GAPS_KEPT {
            let smallest = (0..self.gaps.len()).min_by_key(|at| self.gaps[*at].len()).unwrap_or(0);
            self.gaps.swap_remove(smallest);
        }
        self.gaps.push(gap);
    }
}

/// Takes `len` bytes out of the first run that has room.
fn carve(runs: &mut Vec<Run>, base: u64, len: u64, placement: Placement) -> Option<u64> {
    let found = runs.iter().enumerate().find_map(|(at, run)| Some((at, run.room(base, len, placement)?)));
    let (at, start) = found?;
    let run = runs.swap_remove(at);
    let rest = [Run { start: run.start, end: start }, Run { start: start + len, end: run.end }];
    runs.extend(rest.into_iter().filter(|rest| rest.len() >= LEAST_KEPT));
    Some(start)
}

/// Whether `len` bytes at the absolute file position `at` lie on more than one page.
pub(crate) fn crosses_page(at: u64, len: u64) -> bool {
    len > 0 && at / PAGE != (at + len - 1) / PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_blocks_lie_in_whole_units_and_small_ones_fill_what_that_leaves() {
        for base in [0, 512] {
            let mut space = Space::new(base, 48);
            let mut taken = 0;
            for round in 0..200 {
                for (len, unit) in [(1 << 20, LARGE), (100_000, PAGE), (96 << 10, LARGE / 2)] {
                    let Addr(start) = space.take(len, Placement::Anywhere);
                    assert_eq!((base + start) % unit, 0, "{len} bytes");
                    taken += len;
                }
                let small =
                    [(700, Placement::InPage), (4096, Placement::Anywhere), (9000 + round, Placement::Anywhere)];
                taken += small.map(|(len, placement)| (space.take(len, placement), len).1).iter().sum::<u64>();
            }
            assert!(space.used() < taken * 11 / 10, "{} for {taken}", space.used());
        }
    }

    #[test]
    fn blocks_never_overlap_and_keep_to_their_page() {
        for base in [0, 512, 4096] {
            let mut space = Space::new(base, 48);
            let mut taken: Vec<(u64, u64)> = Vec::new();
            let mut seed = 7u64;
            for step in 0..5000 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let len = 1 + (seed >> 33) % if step % 10 == 0 { 9000 } else { 700 };
                let placement = if seed & 1 << 20 == 0 { Placement::InPage } else { Placement::Anywhere };
                let Addr(start) = space.take(len, placement);
                assert!(start >= 48 && start + len <= space.used());
                if placement == Placement::InPage && len <= PAGE {
                    assert!(!crosses_page(base + start, len), "{start} + {len}");
                }
                if seed & 7 << 40 == 0 {
                    space.give_back(Addr(start), len);
                } else {
                    taken.push((start, len));
                }
            }
            taken.sort_unstable();
            assert!(taken.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
            let sum: u64 = taken.iter().map(|(_, len)| len).sum();
            assert!(space.used() < sum * 13 / 10, "{} of {}", sum, space.used());
        }
    }
}
