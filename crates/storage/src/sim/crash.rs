//! What a crash may leave behind.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::disk::{Event, apply};
use super::image::{PAGE, Page, Pages};
use super::{Image, Random};
use crate::Barrier;

/// Which crashes to go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashPlan {
    /// The state after each write.
    pub killed: bool,
    /// For each write across page boundaries and each of these boundaries, only what lies before it and only what lies after.
    pub torn: bool,
    /// After each event that left something unsettled, so many draws of what survives a loss of power.
    pub power_losses: usize,
    /// Skips the crashes during the first so many events of the log.
    pub from: usize,
    /// The seed of the draws.
    pub seed: u64,
}

/// One state that a crash may leave behind.
#[derive(Debug, Clone)]
pub struct CrashImage {
    /// The kind of crash, with its particulars.
    pub kind: CrashKind,
    /// How many events of the log had happened, the one interrupted included.
    pub moment: usize,
    /// The last mark made before the crash.
    pub marked: Option<u64>,
    /// The last mark made before the last settling barrier before the crash.
    pub settled: Option<u64>,
    /// What is found afterwards.
    pub image: Image,
}

/// A kind of crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrashKind {
    /// The process ended between two writes.
    Killed,
    /// A write was cut at a page boundary.
    Torn {
        /// The boundary's offset.
        at: u64,
        /// Which side of it was written.
        side: Side,
    },
    /// Power was lost; the number of the draw.
    PowerLost {
        /// 0 if nothing unsettled survived; 1 if only what the last event wrote did; from 2 on by chance.
        draw: usize,
    },
}

/// A side of a page boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Before it.
    Head,
    /// After it.
    Tail,
}

/// Goes through the crashes of a [`CrashPlan`], in the order of the log. Made by [`Disk::crash_images`](super::Disk::crash_images).
#[derive(Debug)]
pub struct CrashImages {
    plan: CrashPlan,
    random: Random,
    events: std::iter::Enumerate<std::vec::IntoIter<Event>>,
    now: Pages,
    medium: Medium,
    marked: Option<u64>,
    settled: Option<u64>,
    ready: VecDeque<CrashImage>,
}

impl CrashPlan {
    /// Every crash of the killed and torn kind, and some draws of lost power at each moment.
    pub fn all(seed: u64) -> Self {
        Self { killed: true, torn: true, power_losses: 4, from: 0, seed }
    }

    /// Only the crashes of a process: what is written stays written.
    pub fn killed() -> Self {
        Self { killed: true, torn: false, power_losses: 0, from: 0, seed: 0 }
    }
}

impl CrashImages {
    pub(super) fn new(start: Pages, log: Vec<Event>, plan: &CrashPlan) -> Self {
        let mut images = Self {
            plan: plan.clone(),
            random: Random::new(plan.seed),
            events: log.into_iter().enumerate(),
            medium: Medium::new(start.clone()),
            now: start,
            marked: None,
            settled: None,
            ready: VecDeque::new(),
        };
        if plan.killed && plan.from == 0 {
            images.push(CrashKind::Killed, 0, images.now.clone());
        }
        images
    }

    /// Lets one event happen, and gathers the crashes during it and right after it.
    fn step(&mut self, index: usize, event: &Event) {
        let moment = index + 1;
        let wanted = moment > self.plan.from;
        if let Event::Write { at, bytes } = event
            && wanted
            && self.plan.torn
        {
            self.tear(moment, *at, bytes);
        }
        let changed = apply(&mut self.now, event);
        self.medium.follow(event, &changed, &self.now);
        match event {
            Event::Mark(mark) => self.marked = Some(*mark),
            Event::Barrier(Barrier::Durable) => self.settled = self.marked,
            _ => {}
        }
        if !wanted || matches!(event, Event::Barrier(_)) {
            return;
        }
        if self.plan.killed && *event != Event::FailedSync {
            self.push(CrashKind::Killed, moment, self.now.clone());
        }
        if !self.medium.is_settled() {
            for draw in 0..self.plan.power_losses {
                let survivors = match draw {
                    0 => self.medium.survivors(|_, _| 0),
                    1 => self.medium.survivors(
                        |page, last| {
                            if page.is_none_or(|page| changed.contains(&page)) { last } else { 0 }
                        },
                    ),
                    _ => {
                        // From "little survives" to "nearly everything does": faults hide at both ends.
                        let keep = 1 + self.random.below(7);
                        let random = &mut self.random;
                        self.medium.survivors(|_, last| {
                            if random.chance(keep, 8) { random.below(last + 1).max(random.below(last + 1)) } else { 0 }
                        })
                    }
                };
                self.push(CrashKind::PowerLost { draw }, moment, survivors);
            }
        }
    }

    fn tear(&mut self, moment: usize, at: u64, bytes: &Arc<[u8]>) {
        let first = at.next_multiple_of(PAGE as u64);
        for cut in (first..at + bytes.len() as u64).step_by(PAGE).filter(|cut| *cut > at) {
            let (head, tail) = bytes.split_at((cut - at) as usize);
            for (side, at, part) in [(Side::Head, at, head), (Side::Tail, cut, tail)] {
                let mut pages = self.now.clone();
                pages.write(part, at);
                self.push(CrashKind::Torn { at: cut, side }, moment, pages);
            }
        }
    }

    fn push(&mut self, kind: CrashKind, moment: usize, pages: Pages) {
        let (marked, settled, image) = (self.marked, self.settled, Image::from(pages));
        self.ready.push_back(CrashImage { kind, moment, marked, settled, image });
    }
}

impl Iterator for CrashImages {
    type Item = CrashImage;

    fn next(&mut self) -> Option<CrashImage> {
        loop {
            if let Some(image) = self.ready.pop_front() {
                return Some(image);
            }
            let (index, event) = self.events.next()?;
            self.step(index, &event);
        }
    }
}

impl fmt::Display for CrashImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CrashKind::Killed => write!(f, "killed after event {}", self.moment),
            CrashKind::Torn { at, side: Side::Head } => write!(f, "event {} written only up to {at:#x}", self.moment),
            CrashKind::Torn { at, side: Side::Tail } => write!(f, "event {} written only from {at:#x} on", self.moment),
            CrashKind::PowerLost { draw } => write!(f, "power lost after event {}, draw {draw}", self.moment),
        }
    }
}

/// What has certainly reached the medium, and what may have.
#[derive(Debug)]
struct Medium {
    settled: Pages,
    pages: BTreeMap<u64, Unsettled<Page>>,
    len: Option<Unsettled<u64>>,
}

/// Versions of which any one may be what the medium has.
#[derive(Debug)]
struct Unsettled<T> {
    /// The settled one, then the later ones.
    versions: Vec<T>,
    /// Whether the next sync will settle the last one: not so after a failed sync, until it is written again.
    dirty: bool,
}

impl Medium {
    fn new(settled: Pages) -> Self {
        Self { settled, pages: BTreeMap::new(), len: None }
    }

    fn is_settled(&self) -> bool {
        self.pages.is_empty() && self.len.is_none()
    }

    /// Takes note of an event, which changed the pages `changed` and made the content `now`.
    fn follow(&mut self, event: &Event, changed: &[u64], now: &Pages) {
        match event {
            Event::Write { .. } | Event::SetLen(_) => {
                for &index in changed {
                    self.pages
                        .entry(index)
                        .or_insert_with(|| Unsettled::new(self.settled.page(index)))
                        .push(now.page(index));
                }
                let last = self.len.as_ref().map_or(self.settled.len(), |len| *len.last());
                if last != now.len() {
                    self.len.get_or_insert_with(|| Unsettled::new(self.settled.len())).push(now.len());
                }
            }
            Event::Barrier(Barrier::Durable) => {
                let settled = &mut self.settled;
                self.pages.retain(|&index, page| {
                    if page.dirty {
                        settled.put(index, page.last().clone());
                    }
                    !page.dirty
                });
                if let Some(len) = self.len.take_if(|len| len.dirty) {
                    self.settled.set_len(*len.last());
                }
            }
            Event::FailedSync => {
                self.pages.values_mut().for_each(|page| page.dirty = false);
                self.len.iter_mut().for_each(|len| len.dirty = false);
            }
            Event::Barrier(Barrier::Visible) | Event::Mark(_) => {}
        }
    }

    /// The content found afterwards, if `choose` says which version survives of a page (or, for none, of the length): a number from 0,
    /// the settled one, to the given last.
    fn survivors(&self, mut choose: impl FnMut(Option<u64>, usize) -> usize) -> Pages {
        let mut pages = self.settled.clone();
        for (&index, page) in &self.pages {
            pages.put(index, page.versions[choose(Some(index), page.versions.len() - 1)].clone());
        }
        let len = self.len.as_ref().map(|len| len.versions[choose(None, len.versions.len() - 1)]);
        pages.set_len(len.unwrap_or(self.settled.len()));
        pages
    }
}

impl<T> Unsettled<T> {
    fn new(settled: T) -> Self {
        Self { versions: vec![settled], dirty: false }
    }

    fn push(&mut self, version: T) {
        self.versions.push(version);
        self.dirty = true;
    }

    fn last(&self) -> &T {
        self.versions.last().expect("the settled version is always there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Disk, Fault, FaultKind, Operation};
    use crate::{ReadAt, Storage};

    const P: u64 = PAGE as u64;

    /// A toy protocol: `count` records, each on a page of its own, and on page 0 how many there are.
    fn publish(disk: &Disk, count: u64, barrier: Option<Barrier>) {
        for record in 1..=count {
            disk.write_all_at(&record.to_le_bytes(), record * P).unwrap();
            if let Some(barrier) = barrier {
                disk.barrier(barrier).unwrap();
            }
            disk.write_all_at(&record.to_le_bytes(), 0).unwrap();
            if let Some(barrier) = barrier {
                disk.barrier(barrier).unwrap();
            }
            disk.mark(record);
        }
    }

    /// The number of records found, if all of them are there.
    fn found(image: &Image) -> Result<u64, String> {
        let number = |at| {
            let mut bytes = [0; 8];
            image.read_exact_at(&mut bytes, at).map(|()| u64::from_le_bytes(bytes))
        };
        let count = number(0).unwrap_or(0);
        for record in 1..=count {
            match number(record * P) {
                Ok(value) if value == record => {}
                other => return Err(format!("record {record} of {count} is {other:?}")),
            }
        }
        Ok(count)
    }

    /// The crashes after which records are missing.
    fn violations(disk: &Disk, plan: &CrashPlan) -> Vec<CrashKind> {
        disk.crash_images(plan)
            .filter(|crash| !found(&crash.image).is_ok_and(|count| Some(count) >= crash.marked))
            .map(|crash| crash.kind)
            .collect()
    }

    #[test]
    fn a_sound_protocol_survives_and_an_unsound_one_does_not() {
        for (barrier, plan, sound) in [
            (Some(Barrier::Durable), CrashPlan::all(7), true),
            (None, CrashPlan::killed(), true),
            // A visible barrier settles nothing, and no barrier does neither.
            (Some(Barrier::Visible), CrashPlan::all(7), false),
            (None, CrashPlan::all(7), false),
        ] {
            let disk = Disk::new(0);
            publish(&disk, 12, barrier);
            let violations = violations(&disk, &plan);
            assert_eq!(violations.is_empty(), sound, "{barrier:?}: {violations:?}");
        }
    }

    #[test]
    fn the_states_of_a_killed_process_are_the_prefixes() {
        let disk = Disk::with_image(&Image::from(&b"...."[..]), 0);
        disk.write_all_at(b"a", 0).unwrap();
        disk.write_all_at(b"bb", 1).unwrap();
        disk.set_len(2).unwrap();
        let states = |plan| disk.crash_images(&plan).map(|crash| crash.image.to_vec()).collect::<Vec<_>>();
        assert_eq!(states(CrashPlan::killed()), [&b"...."[..], b"a...", b"abb.", b"ab"]);
        assert_eq!(states(CrashPlan { from: 2, ..CrashPlan::killed() }), [b"ab"]);
    }

    #[test]
    fn writes_tear_at_every_page_boundary() {
        let disk = Disk::new(0);
        disk.set_len(4 * P).unwrap();
        disk.write_all_at(&vec![1; 2 * PAGE + 2], P - 1).unwrap();
        disk.write_all_at(&vec![2; PAGE], P).unwrap();
        let plan = CrashPlan { torn: true, killed: false, power_losses: 0, from: 0, seed: 0 };
        let ones: Vec<_> = disk
            .crash_images(&plan)
            .map(|crash| (crash.kind, crash.image.to_vec().iter().filter(|byte| **byte == 1).count()))
            .collect();
        let torn = |at, side| CrashKind::Torn { at, side };
        assert_eq!(
            ones,
            [
                (torn(P, Side::Head), 1),
                (torn(P, Side::Tail), 2 * PAGE + 1),
                (torn(2 * P, Side::Head), PAGE + 1),
                (torn(2 * P, Side::Tail), PAGE + 1),
                (torn(3 * P, Side::Head), 2 * PAGE + 1),
                (torn(3 * P, Side::Tail), 1),
            ]
        );
    }

    #[test]
    fn lost_power_keeps_what_is_settled_and_any_of_the_rest() {
        let disk = Disk::new(0);
        disk.write_all_at(b"s", 0).unwrap();
        disk.barrier(Barrier::Durable).unwrap();
        disk.mark(1);
        disk.write_all_at(b"abc", P - 1).unwrap();
        let plan = CrashPlan { killed: false, torn: false, power_losses: 64, from: 3, seed: 3 };
        let mut seen: Vec<_> = disk
            .crash_images(&plan)
            .map(|crash| {
                let bytes = crash.image.to_vec();
                assert_eq!((bytes[0], crash.marked, crash.settled), (b's', Some(1), None));
                let at = |at: u64| bytes.get(at as usize).copied();
                (bytes.len() as u64, at(P - 1), at(P))
            })
            .collect();
        seen.sort();
        seen.dedup();
        // Each of the length and the two pages old or new; what lies beyond the length is gone.
        assert_eq!(
            seen,
            [
                (1, None, None),
                (P + 2, Some(0), Some(0)),
                (P + 2, Some(0), Some(b'b')),
                (P + 2, Some(b'a'), Some(0)),
                (P + 2, Some(b'a'), Some(b'b')),
            ]
        );
    }

    #[test]
    fn syncs_that_fail_or_lie_settle_nothing() {
        for (kind, fails) in [(FaultKind::Broken, true), (FaultKind::Lie, false)] {
            let disk = Disk::new(0);
            disk.inject(Fault { operation: Operation::Sync, after: 0, lasting: false, kind });
            disk.write_all_at(b"x", 0).unwrap();
            assert_eq!(disk.barrier(Barrier::Durable).is_err(), fails);
            disk.mark(1);
            let lost = |disk: &Disk, from| {
                let plan = CrashPlan { killed: false, power_losses: 1, from, ..CrashPlan::all(0) };
                disk.crash_images(&plan).last().is_some_and(|crash| crash.image.to_vec().is_empty())
            };
            assert!(lost(&disk, 2));
            // After a failure the next sync claims success, but what the failed one covered is still not settled ...
            disk.barrier(Barrier::Durable).unwrap();
            disk.mark(2);
            assert_eq!(lost(&disk, 4), fails);
            // ... until it is written again.
            disk.write_all_at(b"xy", 0).unwrap();
            disk.barrier(Barrier::Durable).unwrap();
            disk.mark(3);
            assert!(!lost(&disk, 7));
        }
    }

    #[test]
    fn a_seed_replays() {
        let disk = Disk::new(0);
        publish(&disk, 5, None);
        let run = |seed| disk.crash_images(&CrashPlan::all(seed)).map(|crash| crash.image.to_vec()).collect::<Vec<_>>();
        assert!(run(1) == run(1));
        assert!(run(1) != run(2));
        let names: Vec<_> = disk.crash_images(&CrashPlan::all(1)).map(|crash| crash.to_string()).collect();
        assert_eq!(names[..3], ["killed after event 0", "killed after event 1", "power lost after event 1, draw 0"]);
    }
}
