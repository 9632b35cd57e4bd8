//! The disk: it does as it is told, and remembers.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image::{PAGE, Page, Pages, by_page};
use super::{CrashImages, CrashPlan, Fault, FaultKind, Image, LaggingView, Operation, Random, SlowView};
use crate::{Barrier, ReadAt, Storage, end_of};

/// A storage that remembers all that was done to it. Share it by `Arc`.
#[derive(Debug)]
pub struct Disk {
    state: Mutex<State>,
}

/// What was done to a [`Disk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes were written.
    Write {
        /// The offset of the first.
        at: u64,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// The length was set.
    SetLen(u64),
    /// A barrier was made, and kept.
    Barrier(Barrier),
    /// A sync failed: what it covered stays unsettled until it is written again.
    FailedSync,
    /// The test's own mark, see [`Disk::mark`].
    Mark(u64),
}

impl Disk {
    /// An empty disk. The seed decides the little that the disk decides itself, such as how much of a short write is done.
    pub fn new(seed: u64) -> Self {
        Self::with_image(&Image::new(), seed)
    }

    /// A disk whose content, all of it settled, is `image`.
    pub fn with_image(image: &Image, seed: u64) -> Self {
        let pages = image.pages();
        let state = State {
            history: History::new(&pages),
            start: pages.clone(),
            now: pages,
            log: Vec::new(),
            faults: Vec::new(),
            random: Random::new(seed),
        };
        Self { state: Mutex::new(state) }
    }

    /// Notes that the writer has promised something, for example that so many rows are published. Crash images tell the last mark.
    pub fn mark(&self, mark: u64) {
        self.lock().record(Event::Mark(mark));
    }

    /// Makes a later call fail.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// The faults that have not happened yet, or go on.
    pub fn pending_faults(&self) -> Vec<Fault> {
        self.lock().faults.clone()
    }

    /// The content as it is now.
    pub fn image(&self) -> Image {
        Image::from(self.lock().now.clone())
    }

    /// All that was done so far, in order.
    pub fn log(&self) -> Vec<Event> {
        self.lock().log.clone()
    }

    /// The states in which a crash, at any moment up to now, may have left the disk.
    pub fn crash_images(&self, plan: &CrashPlan) -> CrashImages {
        let state = self.lock();
        CrashImages::new(state.start.clone(), state.log.clone(), plan)
    }

    /// A reader's view that lags behind. It sees at least what was written before the last barrier until now.
    pub fn lagging_view(self: &Arc<Self>, seed: u64) -> LaggingView {
        LaggingView::new(Arc::clone(self), seed)
    }

    /// The view of a reader that takes its time: it comes when `moment` events have happened, and sees some of the later ones happen
    /// between its reads. Those are what there are now: more are not to come.
    pub fn slow_view(self: &Arc<Self>, moment: usize, seed: u64) -> SlowView {
        SlowView::new(Arc::clone(self), moment, seed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // State changes in steps that do not panic, so it is whole even if a test's thread died.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAt for Disk {
    fn size(&self) -> io::Result<u64> {
        Ok(self.lock().now.len())
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.now.read(buf, at)?;
        state.spoil_read(buf)
    }
}

impl Storage for Disk {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        end_of(at, buf.len())?;
        let mut state = self.lock();
        let Some(kind) = state.fault(Operation::Write) else {
            state.record(Event::Write { at, bytes: buf.into() });
            return Ok(());
        };
        if kind == FaultKind::Short && !buf.is_empty() {
            // Like any other write, it ends at a page's end or does nothing to that page.
            let end = at + state.random.below(buf.len()) as u64;
            let done = (end / PAGE as u64 * PAGE as u64).saturating_sub(at) as usize;
            state.record(Event::Write { at, bytes: buf[..done].into() });
        }
        kind.error(Operation::Write).map_or(Ok(()), Err)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        match state.fault(Operation::SetLen) {
            Some(kind) => kind.error(Operation::SetLen).map_or(Ok(()), Err),
            None => {
                state.record(Event::SetLen(len));
                Ok(())
            }
        }
    }

    fn barrier(&self, barrier: Barrier) -> io::Result<()> {
        let mut state = self.lock();
        let kind = match barrier {
            Barrier::Visible => None,
            Barrier::Durable => state.fault(Operation::Sync),
        };
        match kind.map(|kind| kind.error(Operation::Sync)) {
            None => state.record(Event::Barrier(barrier)),
            // What a lying device fails to settle is still seen in order.
            Some(None) => state.record(Event::Barrier(Barrier::Visible)),
            Some(Some(error)) => {
                state.record(Event::FailedSync);
                return Err(error);
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct State {
    start: Pages,
    now: Pages,
    log: Vec<Event>,
    pub(super) history: History,
    faults: Vec<Fault>,
    random: Random,
}

impl State {
    /// How many events there were.
    pub(super) fn moment(&self) -> usize {
        self.log.len()
    }

    /// What a fault makes of a read.
    pub(super) fn spoil_read(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let Some(kind) = self.fault(Operation::Read) else { return Ok(()) };
        let kept = match kind {
            FaultKind::Short if !buf.is_empty() => self.random.below(buf.len()),
            _ => 0,
        };
        buf[kept..].fill_with(|| self.random.number() as u8);
        kind.error(Operation::Read).map_or(Ok(()), Err)
    }

    fn record(&mut self, event: Event) {
        let changed = apply(&mut self.now, &event);
        self.log.push(event);
        self.history.record(self.log.len(), self.log.last(), &changed, &self.now);
    }

    /// Counts a call down, and tells how it is to fail, if it is.
    fn fault(&mut self, operation: Operation) -> Option<FaultKind> {
        let mut found = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation || found.is_some() {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            found = Some(fault.kind);
            fault.lasting
        });
        found
    }
}

/// Does to `pages` what `event` says; returns the pages that changed.
pub(super) fn apply(pages: &mut Pages, event: &Event) -> Vec<u64> {
    match event {
        Event::Write { at, bytes } => {
            pages.write(bytes, *at);
            by_page(*at, bytes.len()).map(|(index, ..)| index).collect()
        }
        Event::SetLen(len) => pages.set_len(*len),
        Event::Barrier(_) | Event::FailedSync | Event::Mark(_) => Vec::new(),
    }
}

/// Every version there was. A *moment* is a number of events; a version is there from its moment on.
#[derive(Debug)]
pub(super) struct History {
    /// What pages not among `pages` always were.
    start: Pages,
    pages: BTreeMap<u64, Vec<(usize, Page)>>,
    lens: Vec<(usize, u64)>,
    /// The moments right after each barrier.
    barriers: Vec<usize>,
}

impl History {
    fn new(start: &Pages) -> Self {
        Self { start: start.clone(), pages: BTreeMap::new(), lens: vec![(0, start.len())], barriers: Vec::new() }
    }

    fn record(&mut self, moment: usize, event: Option<&Event>, changed: &[u64], now: &Pages) {
        for &index in changed {
            let versions = self.pages.entry(index).or_insert_with(|| vec![(0, self.start.page(index))]);
            versions.push((moment, now.page(index)));
        }
        if self.lens.last().is_none_or(|&(_, len)| len != now.len()) {
            self.lens.push((moment, now.len()));
        }
        if let Some(Event::Barrier(_)) = event {
            self.barriers.push(moment);
        }
    }

    /// The page as it was at `moment`, and since when.
    pub(super) fn page(&self, index: u64, moment: usize) -> (usize, Page) {
        match self.pages.get(&index) {
            Some(versions) => latest(versions, moment),
            None => (0, self.start.page(index)),
        }
    }

    /// The length as it was at `moment`, and since when.
    pub(super) fn len(&self, moment: usize) -> (usize, u64) {
        latest(&self.lens, moment)
    }

    /// The moment right after the last barrier that was made by `moment`.
    pub(super) fn last_barrier(&self, moment: usize) -> usize {
        let count = self.barriers.partition_point(|&barrier| barrier <= moment);
        count.checked_sub(1).map_or(0, |last| self.barriers[last])
    }
}

/// The last of the versions there were at `moment`; the first is there from the start.
fn latest<T: Clone>(versions: &[(usize, T)], moment: usize) -> (usize, T) {
    versions[versions.partition_point(|&(since, _)| since <= moment) - 1].clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(operation: Operation, after: u64, kind: FaultKind) -> Fault {
        Fault { operation, after, lasting: false, kind }
    }

    #[test]
    fn does_as_it_is_told_and_remembers() {
        let disk = Disk::with_image(&Image::from(&b"start"[..]), 1);
        disk.write_all_at(b"abc", 4).unwrap();
        disk.barrier(Barrier::Visible).unwrap();
        disk.set_len(6).unwrap();
        disk.mark(9);
        assert_eq!(disk.image().to_vec(), b"starab");
        let write = Event::Write { at: 4, bytes: (*b"abc").into() };
        assert_eq!(disk.log(), [write, Event::Barrier(Barrier::Visible), Event::SetLen(6), Event::Mark(9)]);
    }

    #[test]
    fn faults_come_when_they_are_due() {
        use std::io::ErrorKind;
        for (kind, on_write, on_read, on_sync) in [
            (FaultKind::Full, Some(ErrorKind::StorageFull), Some(ErrorKind::StorageFull), Some(ErrorKind::StorageFull)),
            (
                FaultKind::Interrupted,
                Some(ErrorKind::Interrupted),
                Some(ErrorKind::Interrupted),
                Some(ErrorKind::Interrupted),
            ),
            (FaultKind::Short, Some(ErrorKind::StorageFull), Some(ErrorKind::UnexpectedEof), Some(eio())),
            (FaultKind::Broken, Some(eio()), Some(eio()), Some(eio())),
            (FaultKind::Lie, None, None, None),
        ] {
            let disk = Disk::new(5);
            disk.inject(fault(Operation::Write, 1, kind));
            disk.inject(fault(Operation::Read, 0, kind));
            disk.inject(fault(Operation::Sync, 0, kind));
            const SIZE: usize = 20 * PAGE;
            disk.write_all_at(&[1; SIZE], 0).unwrap();
            assert_eq!(disk.write_all_at(&[2; SIZE], 0).err().map(|error| error.kind()), on_write, "{kind:?}");
            let mut buf = [0; 100];
            assert_eq!(disk.read_exact_at(&mut buf, 0).err().map(|error| error.kind()), on_read, "{kind:?}");
            let twos = disk.image().to_vec().iter().filter(|byte| **byte == 2).count();
            assert_eq!(twos > 0, kind == FaultKind::Short, "{kind:?}");
            assert!(twos < SIZE && twos.is_multiple_of(PAGE));
            assert_eq!(disk.barrier(Barrier::Durable).err().map(|error| error.kind()), on_sync, "{kind:?}");
            assert_eq!(disk.pending_faults(), []);
            disk.barrier(Barrier::Durable).unwrap();
            disk.read_exact_at(&mut buf, 0).unwrap();
        }
    }

    #[test]
    fn a_lasting_fault_lasts() {
        let disk = Disk::new(5);
        disk.inject(Fault { lasting: true, ..fault(Operation::SetLen, 1, FaultKind::Full) });
        disk.set_len(1).unwrap();
        for _ in 0..3 {
            disk.set_len(2).unwrap_err();
        }
        disk.write_all_at(b"x", 0).unwrap();
        assert_eq!(disk.pending_faults().len(), 1);
    }

    fn eio() -> io::ErrorKind {
        io::Error::from(rustix::io::Errno::IO).kind()
    }
}
