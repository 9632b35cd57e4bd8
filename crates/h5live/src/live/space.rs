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
/// From so many bytes on, a block starts on a page: the kernel copies whole pages faster.
pub(crate) const LARGE: u64 = 64 << 10;
/// The kernel also keeps files in units of several pages, the larger the better if they are written whole. So a large block starts
/// at a multiple of the power of two that divides its length, up to this one.
const WIDEST_UNIT: u64 = 1 << 20;
/// What that may leave unused: one part in so many of the file.
const UNUSED_PART: u64 = 16;
/// Gaps in front of such boundaries that are kept for other blocks.
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
    /// Bytes left out so, those of gaps too that are not kept.
    unused: u64,
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

    /// Where in it `len` bytes find room: at its start, or, if they may not cross a page, perhaps on its second page. Large blocks
    /// start on one.
    fn room(self, base: u64, len: u64, placement: Placement) -> Option<u64> {
        let on_page = match placement {
            Placement::InPage => crosses_page(base + self.start, len),
            Placement::Anywhere => len >= LARGE,
        };
        let start = if on_page { boundary(base, self.start, PAGE) } else { self.start };
        start.checked_add(len).is_some_and(|end| end <= self.end).then_some(start)
    }
}

/// The first address from `from` on that is a multiple of `unit` in the file.
fn boundary(base: u64, from: u64, unit: u64) -> u64 {
    (base + from).next_multiple_of(unit) - base
}

impl Space {
    /// Space from `used` on; `base` is the superblock's base address.
    pub(crate) fn new(base: u64, used: u64) -> Self {
        Self { base, used, metadata: Run::default(), gaps: Vec::new(), unused: 0, returned: Vec::new() }
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
            let start = self.boundary_for(len);
            self.keep_gap(Run { start: self.used, end: start });
            self.used = start;
        } else if let Some(start) = self.take_gap(len, Placement::Anywhere) {
            return start;
        }
        let start = self.used;
        self.used += len;
        start
    }

    /// Where a large block starts: at the best boundary that does not leave too much unused, at the next page at least.
    fn boundary_for(&self, len: u64) -> u64 {
        let best = len.trailing_zeros().min(WIDEST_UNIT.trailing_zeros());
        let mut units =
            (PAGE.trailing_zeros() + 1..=best).rev().map(|power| boundary(self.base, self.used, 1 << power));
        let is_cheap = |start: &u64| self.unused + (start - self.used) <= self.used / UNUSED_PART;
        units.find(is_cheap).unwrap_or_else(|| boundary(self.base, self.used, PAGE))
    }

    fn take_gap(&mut self, len: u64, placement: Placement) -> Option<u64> {
        let start = carve(&mut self.gaps, self.base, len, placement)?;
        self.unused -= len;
        Some(start)
    }

    fn take_in_page(&mut self, len: u64) -> u64 {
        let found = self.take_gap(len, Placement::InPage);
        if let Some(start) = found.or_else(|| carve(&mut self.returned, self.base, len, Placement::InPage)) {
            return start;
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
            let page = boundary(self.base, start, PAGE);
            self.keep_gap(Run { start, end: page });
            start = page;
        }
        self.used = boundary(self.base, start + len, PAGE);
        Run { start, end: self.used }
    }

    fn keep_gap(&mut self, gap: Run) {
        self.unused += gap.len();
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
                    let unit = if round < 20 { PAGE } else { unit };
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
    fn frames_come_to_lie_in_the_widest_unit_as_soon_as_that_costs_little() {
        let mut space = Space::new(512, 700);
        let starts: Vec<u64> = (0..100).map(|_| space.take(WIDEST_UNIT, Placement::Anywhere).0 + 512).collect();
        assert!(starts.iter().all(|start| start % PAGE == 0));
        assert!(starts[2..].iter().all(|start| start % LARGE == 0), "{starts:?}");
        assert!(starts[20..].iter().all(|start| start % WIDEST_UNIT == 0), "{starts:?}");
    }

    #[test]
    fn what_lies_well_leaves_little_unused() {
        // Each leaves no room for the other in front of it.
        let mut space = Space::new(0, 48);
        let mut taken = 48;
        for _ in 0..500 {
            for len in [WIDEST_UNIT, WIDEST_UNIT * 3 / 2] {
                space.take(len, Placement::Anywhere);
                taken += len;
            }
        }
        let unused = space.used() - taken;
        assert!(unused <= space.used() / UNUSED_PART + PAGE, "{unused} of {}", space.used());
        assert_eq!(unused, space.unused);
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
