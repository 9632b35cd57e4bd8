//! The writer: hands out space, keeps the three ends of the file in order, and publishes.
//!
//! *Used* is what has been handed out. The *end-of-file* is what the superblock shows; libhdf5's readers believe nothing
//! above it. The *size* of the file is what libhdf5 holds the end-of-file against. A reader takes them in the order size,
//! end-of-file, use; so the writer moves them in that order too, each a whole step ahead: an end-of-file is published
//! only when the file had that size before, and space above it is named only after that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use h5live_filter::Registry;
use h5live_format::superblock::{ConsistencyFlags, Root, Superblock, SuperblockVersion};
use h5live_format::{Addr, Widths};
use h5live_storage::{Barrier, Storage};

use super::layer::{Layer, LiveBlock};
use super::space::{LARGE, PAGE, Placement, Space};
use super::stage::Stage;
use super::trailer::{self, Datasets, Extent, FOOTER, SessionId, Trailer, Writer as Identity};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Patience, Source};

/// How far the bound is raised at a time: what a crash may waste.
const LEAST_BOUND_STEP: u64 = 1 << 16;
const MOST_BOUND_STEP: u64 = 16 << 20;

/// Room is found on the medium for large chunks ahead of time: one part in so many of the file, but no more than so much. A crash
/// may leave it taken.
const ALLOCATED_PART: u64 = 8;
const MOST_ALLOCATED: u64 = 16 << 20;

/// Everything that is changed under one lock.
pub(crate) struct Writer {
    stage: Arc<Stage>,
    source: Source,
    space: Space,
    superblock: Superblock,
    live: Option<Session>,
    /// Bytes that nothing leads to any more.
    superseded: u64,
    /// Whether links, attributes or objects changed since the last publication.
    structure_changed: bool,
    /// Whether a publication was durable: then no later one, durable or not, may take back what it promised.
    durable: bool,
    /// Objects whose dataspace message has moved, until their datasets look for it again.
    moved_extents: BTreeSet<Addr>,
}

/// What there is only while readers may look.
struct Session {
    trailer: Trailer,
    /// Bytes from the record to the end of the file.
    region: u64,
    /// Where the datasets were written last, if the record is too large to hold them.
    datasets: Option<Datasets>,
    /// Extents set since the last publication; while a commit is under way, what they replaced (if anything).
    changed: BTreeMap<u64, Option<Extent>>,
}

/// What the trailer said before a commit that did not come about.
struct Before {
    commit: u64,
    structure: u64,
    datasets: Option<Datasets>,
}

impl Session {
    /// Bytes of the datasets that the next commit adds to the record.
    fn added_len(&self) -> u64 {
        let known = &self.trailer.extents;
        let new = self.changed.iter().filter(|(dataset, _)| !known.contains_key(dataset));
        new.filter_map(|(_, extent)| extent.as_ref()).map(|extent| Extent::len(extent.dims.len())).sum()
    }

    /// Whether the record that the next commit writes finds room.
    fn has_room(&self) -> bool {
        let added = self.added_len();
        match self.trailer.len() + added {
            len @ ..=PAGE => len + FOOTER <= self.region,
            _ => self.trailer.datasets_len() + added <= self.place_size(),
        }
    }

    /// Bytes of each of the two places for the datasets of a record that cannot hold them.
    fn place_size(&self) -> u64 {
        self.region.saturating_sub(PAGE + FOOTER) / 2 / PAGE * PAGE
    }

    /// Sets the bytes from the record to the end of the file, so that the record may grow to twice what the next commit needs.
    fn make_room(&mut self) {
        let added = self.added_len();
        let len = self.trailer.len() + added;
        self.region = if 2 * len <= PAGE {
            PAGE
        } else {
            PAGE + 2 * (2 * (self.trailer.datasets_len() + added)).next_multiple_of(PAGE) + PAGE
        };
        self.datasets = None;
    }

    /// The writes of the record as it is now, with the offsets in the file at which they belong: the last one is the record, and lies
    /// within a page.
    fn render(&mut self) -> Vec<(u64, Vec<u8>)> {
        let position = self.trailer.position;
        if self.trailer.len() <= PAGE {
            self.datasets = None;
            return vec![(position, self.trailer.encode())];
        }
        // By turns: the place that the record in the file names is left alone.
        let offset = match self.datasets {
            Some(datasets) if datasets.offset == PAGE => PAGE + self.place_size(),
            _ => PAGE,
        };
        let bytes = self.trailer.encode_datasets();
        let named = Datasets::placed(&bytes, offset);
        self.datasets = Some(named);
        vec![(position + offset, bytes), (position, self.trailer.encode_parted(named))]
    }

    /// Lets the trailer say what the next commit makes true.
    fn begin_commit(&mut self, structure_changed: bool) -> Before {
        let trailer = &mut self.trailer;
        let before = Before { commit: trailer.commit, structure: trailer.structure, datasets: self.datasets };
        trailer.commit += 1;
        trailer.published = SystemTime::now();
        if structure_changed {
            trailer.structure = trailer.commit;
        }
        for extent in self.changed.values_mut().flatten() {
            extent.commit = trailer.commit;
        }
        self.exchange_extents();
        before
    }

    /// Lets it say again what it said before: the publication failed, and is to be tried again.
    fn take_back(&mut self, before: Before) {
        self.trailer.commit = before.commit;
        self.trailer.structure = before.structure;
        self.datasets = before.datasets;
        self.exchange_extents();
    }

    /// Puts the changed extents into the record, and keeps those that they replace; the second time, back again.
    fn exchange_extents(&mut self) {
        let known = &mut self.trailer.extents;
        for (dataset, extent) in &mut self.changed {
            *extent = match extent.take() {
                Some(extent) => known.insert(*dataset, extent),
                None => known.remove(dataset),
            };
        }
    }
}

impl Writer {
    /// A writer on `storage`, whose superblock is this one. Nothing below its end-of-file is handed out again.
    pub(crate) fn new(storage: Arc<dyn Storage>, superblock: Superblock) -> Self {
        let base = superblock.base;
        let stage = Arc::new(Stage::new(storage, base));
        let source = Source::new(stage.clone(), base, superblock.widths, Patience::NONE).keeping_nodes(true);
        let used = superblock.end_of_file - base;
        stage.handed_out(used);
        let space = Space::new(base, used);
        Self {
            stage,
            source,
            space,
            superblock,
            live: None,
            superseded: 0,
            structure_changed: false,
            durable: false,
            moved_extents: BTreeSet::new(),
        }
    }

    /// Chunks pass through these filters from now on.
    pub(crate) fn use_filters(&mut self, filters: Arc<Registry>) {
        self.source = self.source.clone().with_filters(filters);
    }

    /// Takes the root group into the superblock of a file that is being created.
    pub(crate) fn adopt_superblock(&mut self, superblock: Superblock) -> Result<()> {
        self.stage.fresh(Addr(0), superblock.encode())?;
        self.superblock = superblock;
        Ok(())
    }

    /// Takes out of the superblock what it says of the root group's symbol table, which that group gives up.
    pub(crate) fn forget_cached_root(&mut self, group: Addr) -> Result<()> {
        match self.superblock.root {
            Root::SymbolTable { header, cached: Some(_) } if header == group => {
                let root = Root::SymbolTable { header, cached: None };
                self.show_superblock(Superblock { root, ..self.superblock.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Takes over from a writer that died: `next` ends where the space begins that it can have named. Only then is the
    /// rest cut off, so that a reader never finds the file shorter than its superblock says.
    pub(crate) fn take_over(&mut self, next: Superblock) -> Result<()> {
        let end = next.end_of_file;
        self.space = Space::new(self.base(), end - self.base());
        self.stage.handed_out(self.space.used());
        let storage = self.stage.storage().clone();
        let failed = |source| Error::io("take the file over from a writer that died", source);
        if storage.size().map_err(failed)? < end {
            storage.set_len(end).map_err(failed)?;
        }
        self.show_superblock(next)?;
        self.stage.publish(Barrier::Visible)?;
        storage.set_len(end).map_err(failed)
    }

    /// Writes all fresh blocks now, because something that readers can already reach is about to name them.
    pub(crate) fn flush_fresh(&mut self) -> Result<()> {
        self.lead()?;
        self.raise_bound()?;
        self.stage.flush_fresh()?;
        if self.keeps_promises() { self.stage.barrier(Barrier::Durable) } else { Ok(()) }
    }

    /// Whether something was promised to survive a loss of power, and more can be.
    fn keeps_promises(&self) -> bool {
        self.durable && !self.stage.cannot_settle()
    }

    /// Reads the file as it will be after the publication.
    pub(crate) fn source(&self) -> Source {
        self.source.clone()
    }

    pub(crate) fn widths(&self) -> Widths {
        self.superblock.widths
    }

    /// The superblock as planned.
    pub(crate) fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Who writes, while readers may look.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.live.as_ref().map(|session| &session.trailer.writer)
    }

    /// The file offset of address 0.
    pub(crate) fn base(&self) -> u64 {
        self.superblock.base
    }

    /// Whether readers may look.
    pub(crate) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Hands out `len` bytes that nothing has ever named.
    pub(crate) fn reserve(&mut self, len: u64, placement: Placement) -> Result<Addr> {
        if self.space.used().checked_add(len).is_none_or(|end| end > i64::MAX as u64 / 4) {
            return Err(Error::unsupported(format!("{len} bytes more than a file can have")));
        }
        let addr = self.space.take(len, placement);
        self.stage.handed_out(self.space.used());
        if self.live.as_ref().is_some_and(|session| self.base() + self.space.used() > session.trailer.position) {
            self.move_trailer()?;
        }
        Ok(addr)
    }

    /// Hands out `len` bytes for a chunk.
    pub(crate) fn reserve_chunk(&mut self, len: u64) -> Result<Addr> {
        let addr = self.reserve(len, Placement::Anywhere)?;
        if len >= LARGE {
            let ahead = self.space.used() / ALLOCATED_PART;
            self.stage.allocate(addr, len, ahead.min(MOST_ALLOCATED));
        }
        Ok(addr)
    }

    /// Hands out `len` bytes for a chunk that will be written whole: they may hold anything, but nothing has ever named them.
    pub(crate) fn reserve_written(&mut self, len: u64) -> Result<Addr> {
        match self.space.take_returned(len) {
            Some(addr) => Ok(addr),
            None => self.reserve_chunk(len),
        }
    }

    /// Takes back space that nothing ever named.
    pub(crate) fn give_back(&mut self, addr: Addr, len: u64) {
        self.space.give_back(addr, len);
    }

    /// Counts bytes that nothing leads to any more. They stay as they are: a reader may still hold their address.
    pub(crate) fn supersede(&mut self, len: u64) {
        self.superseded += len;
    }

    /// Bytes superseded since the file was opened.
    pub(crate) fn superseded(&self) -> u64 {
        self.superseded
    }

    /// Stages a new block of data, which none but new elements will name.
    pub(crate) fn fresh_data(&self, addr: Addr, image: Vec<u8>) -> Result<()> {
        self.stage.fresh_data(addr, image)
    }

    /// Stages a new block of structure.
    pub(crate) fn fresh(&self, addr: Addr, image: Vec<u8>) -> Result<()> {
        self.stage.fresh(addr, image)
    }

    /// Reserves space for a new block and stages it there.
    pub(crate) fn place(&mut self, image: Vec<u8>, placement: Placement) -> Result<Addr> {
        let addr = self.reserve(image.len() as u64, placement)?;
        self.fresh(addr, image)?;
        Ok(addr)
    }

    /// Writes raw data at once: to space that no extent counts yet, or over data of the same kind.
    pub(crate) fn raw(&self, addr: Addr, bytes: &[u8]) -> Result<()> {
        self.stage.raw(addr, bytes)
    }

    /// Changes a live block; see [`Stage::edit`].
    ///
    /// A block that was swept in this publication is first published so: what is swept must come after everything else, and
    /// this change before.
    pub(crate) fn edit(
        &mut self,
        kind: LiveBlock,
        addr: Addr,
        len: usize,
        change: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<()> {
        self.part_from_sweep(kind, addr, len)?;
        self.stage.edit(kind, addr, len, change)
    }

    /// Changes a live block, only adding to what can be found by it; see [`Stage::edit_adding`].
    pub(crate) fn edit_adding(
        &mut self,
        kind: LiveBlock,
        addr: Addr,
        len: usize,
        change: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<()> {
        self.part_from_sweep(kind, addr, len)?;
        self.stage.edit_adding(kind, addr, len, change)
    }

    fn part_from_sweep(&mut self, kind: LiveBlock, addr: Addr, len: usize) -> Result<()> {
        if self.live.is_some() && kind.layer() < Layer::Sweep && self.stage.is_swept(addr, len) {
            self.lead()?;
            self.raise_bound()?;
            self.stage.publish(if self.keeps_promises() { Barrier::Durable } else { Barrier::Visible })?;
        }
        Ok(())
    }

    /// Replaces the start of a live block whose checksum stays what it is; see [`Stage::replace_start`].
    pub(crate) fn replace_start(&self, kind: LiveBlock, addr: Addr, len: usize, start: &[u8]) -> Result<()> {
        self.stage.replace_start(kind, addr, len, start)
    }

    /// Whether the block at `addr` is part of the publication under way: nobody can have seen it.
    pub(crate) fn is_fresh(&self, addr: Addr) -> bool {
        self.stage.is_fresh(addr)
    }

    /// Notes that the dataspace message of the object at `object` has another place.
    pub(crate) fn extent_moved(&mut self, object: Addr) {
        self.moved_extents.insert(object);
    }

    /// Whether the dataspace message of the object at `object` has moved since this was asked last.
    pub(crate) fn has_extent_moved(&mut self, object: Addr) -> bool {
        self.moved_extents.remove(&object)
    }

    /// Notes that links, attributes or objects changed: followers read structure again after the next commit.
    pub(crate) fn structure_changed(&mut self) {
        self.structure_changed = true;
    }

    /// Notes that a dataset is about to change, with the extent it has now. Called before the first change of a session:
    /// from then on followers take its extent from the trailer, where all extents are of one commit. One that nobody can
    /// have seen comes with its first extent.
    pub(crate) fn announce(&mut self, dataset: Addr, dims: &[u64]) -> Result<()> {
        let Some(session) = &mut self.live else { return Ok(()) };
        if session.trailer.extents.contains_key(&dataset.0) || self.stage.is_fresh(dataset) {
            return Ok(());
        }
        let commit = session.trailer.commit;
        session.trailer.extents.insert(dataset.0, Extent { commit, dims: dims.to_vec() });
        if !session.has_room() {
            return self.move_trailer();
        }
        let writes = session.render();
        self.write_record(&writes)
    }

    /// Notes the extent a dataset has from the next publication on.
    pub(crate) fn extent_changed(&mut self, dataset: Addr, dims: &[u64]) {
        if let Some(session) = &mut self.live {
            session.changed.insert(dataset.0, Some(Extent { commit: 0, dims: dims.to_vec() }));
        }
    }

    /// Performs everything staged, in order. While live, this is one commit; without anything staged it is none.
    pub(crate) fn publish(&mut self, barrier: Barrier) -> Result<()> {
        if self.live.is_none() {
            let end = self.base() + self.space.used();
            self.show_end_of_file(end)?;
            let storage = self.stage.storage();
            let size = storage.size().map_err(|source| Error::io("find the file's size", source))?;
            if size < end {
                storage.set_len(end).map_err(|source| Error::io("extend the file", source))?;
            }
            return self.stage.publish(barrier);
        }
        self.durable |= barrier == Barrier::Durable;
        self.lead()?;
        let told = !self.structure_changed && self.live.as_ref().is_none_or(|session| session.changed.is_empty());
        if told && self.stage.is_empty() {
            if barrier == Barrier::Durable {
                self.stage.barrier(barrier)?;
            }
            return Ok(());
        }
        self.raise_bound()?;
        if self.live.as_ref().is_some_and(|session| !session.has_room()) {
            self.move_trailer()?;
        }
        let Some(session) = &mut self.live else { return Ok(()) };
        // What was promised to survive must not hang on what may not: pages reach the medium in any order.
        let settles = self.durable && !self.stage.cannot_settle() && self.stage.replaces();
        let barrier = if settles { Barrier::Durable } else { barrier };
        let before = session.begin_commit(self.structure_changed);
        for (at, bytes) in session.render() {
            let layer = if at == session.trailer.position { Layer::Commit } else { Layer::Sweep };
            self.stage.record(layer, at, bytes);
        }
        if let Err(error) = self.stage.publish(barrier) {
            session.take_back(before);
            self.stage.forget_from(session.trailer.position);
            return Err(error);
        }
        session.changed.clear();
        self.structure_changed = false;
        Ok(())
    }

    /// Number of the last commit; 0 before the first.
    pub(crate) fn commit(&self) -> u64 {
        self.live.as_ref().map_or(0, |session| session.trailer.commit)
    }

    /// Refuses a superblock that says nothing of writers.
    pub(crate) fn require_live_superblock(&self) -> Result<()> {
        if self.superblock.version != SuperblockVersion::V3 {
            return Err(Error::new(ErrorKind::NotLive {
                reason: "only a file with a version 3 superblock can be live; convert it with `h5live repack`"
                    .to_owned(),
            }));
        }
        Ok(())
    }

    /// Publishes what is there and lets readers in: from now on every change is a publication in the order of the layers.
    pub(crate) fn go_live(&mut self, writer: Identity, session: SessionId, strict: bool) -> Result<()> {
        if self.live.is_some() {
            return Ok(());
        }
        self.require_live_superblock()?;
        self.publish(Barrier::Visible)?;
        self.stage.readers_may_look();
        let trailer = Trailer {
            position: 0,
            session,
            writer,
            strict,
            commit: 0,
            structure: 0,
            bound: 0,
            published: SystemTime::now(),
            extents: BTreeMap::new(),
        };
        self.live = Some(Session { trailer, region: 0, datasets: None, changed: BTreeMap::new() });
        if strict {
            let mut next = self.superblock.clone();
            next.flags = ConsistencyFlags::WRITE | ConsistencyFlags::SWMR_WRITE;
            self.show_superblock(next)?;
        }
        self.move_trailer()?;
        self.raise_bound()?;
        self.lead()?;
        self.stage.publish(Barrier::Visible)
    }

    /// Ends the session: publishes, takes the end-of-file back to what is used, and cuts the rest off.
    pub(crate) fn close(&mut self, barrier: Barrier) -> Result<()> {
        let wanted = if self.durable { Barrier::Durable } else { barrier };
        // What cannot be made durable is closed all the same, and said.
        let barrier = if self.stage.cannot_settle() { Barrier::Visible } else { wanted };
        self.publish(barrier)?;
        let end = self.base() + self.space.used();
        let mut next = self.superblock.clone();
        next.end_of_file = end;
        next.flags = ConsistencyFlags::NONE;
        if next != self.superblock {
            self.show_superblock(next)?;
        }
        self.stage.publish(barrier)?;
        // Only now: a reader that finds the file shorter than the superblock says calls it truncated.
        self.live = None;
        let cut = self.stage.storage().set_len(end);
        cut.map_err(|source| Error::io("trim the file to what is used", source))?;
        self.stage.barrier(wanted)
    }

    /// Refuses to go on if the file is not as this session left it when it went live.
    pub(crate) fn require_untouched(&self) -> Result<()> {
        let Some(session) = &self.live else { return Ok(()) };
        let position = session.trailer.position;
        let superblock = self.superblock.encode();
        let mut found = (vec![0; superblock.len()], vec![0; 40]);
        let storage = self.stage.storage();
        let read = storage
            .read_exact_at(&mut found.0, self.base())
            .and_then(|()| storage.read_exact_at(&mut found.1, position));
        let is_ours = |record: &[u8]| record[24..40] == session.trailer.session.0;
        match read {
            Ok(()) if found.0 == superblock && is_ours(&found.1) => Ok(()),
            Ok(()) => Err(Error::new(ErrorKind::Changed { what: "written by another program" })),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(Error::new(ErrorKind::Changed { what: "written by another program" }))
            }
            Err(source) => Err(Error::io("read the file again", source)),
        }
    }

    /// Moves end-of-file and size ahead, when what is used comes near.
    fn lead(&mut self) -> Result<()> {
        let base = self.base();
        // Half of the lead may be used up before it is renewed.
        while self.space.used() + self.space.lead() / 2 > self.superblock.end_of_file - base {
            let Some(session) = &self.live else { return Ok(()) };
            // The file has had this size since the last time round.
            let within = session.trailer.position;
            let wanted = base + self.space.used() + self.space.lead();
            self.show_end_of_file(wanted.min(within))?;
            if wanted <= within && within - wanted >= self.space.lead() / 2 {
                return Ok(());
            }
            self.move_trailer()?;
        }
        Ok(())
    }

    /// Tells whoever takes over after a crash where it may begin, before anything above the old bound is named. By then it
    /// does not matter how much of the publication under way reached the file.
    fn raise_bound(&mut self) -> Result<()> {
        let used = self.space.used();
        let Some(session) = &mut self.live else { return Ok(()) };
        if used <= session.trailer.bound {
            return Ok(());
        }
        session.trailer.bound = used + (used / 16).clamp(LEAST_BOUND_STEP, MOST_BOUND_STEP);
        let record = match session.datasets {
            Some(datasets) if session.trailer.len() > PAGE => session.trailer.encode_parted(datasets),
            _ => session.trailer.encode(),
        };
        let position = session.trailer.position;
        self.write_record(&[(position, record)])?;
        // Whatever survives a loss of power, the bound that goes with it does.
        if self.keeps_promises() { self.stage.barrier(Barrier::Durable) } else { Ok(()) }
    }

    /// Extends the file and places the trailer at its new end. The extension and the record come in one write, so there
    /// is no moment at which a live file has no trailer.
    fn move_trailer(&mut self) -> Result<()> {
        let base = self.base();
        let ahead = self.superblock.end_of_file.max(base + self.space.used()) + 2 * self.space.lead();
        let Some(session) = &mut self.live else { return Ok(()) };
        let old = session.trailer.position;
        let position = ahead.next_multiple_of(PAGE).max(old + session.region);
        session.trailer.position = position;
        session.make_room();
        let mut image = vec![0; (session.region - FOOTER) as usize];
        for (at, bytes) in session.render() {
            let start = (at - position) as usize;
            image[start..start + bytes.len()].copy_from_slice(&bytes);
        }
        image.extend_from_slice(&trailer::footer(position));
        self.write_record(&[(position, image)])?;
        // The end-of-file that comes to lie here must not reach the medium before this.
        self.stage.written_ahead();
        if old > 0 {
            // A follower that still looks at the old place finds nothing there, and looks for the end of the file.
            self.write_record(&[(old, vec![0; 24])])?;
        }
        Ok(())
    }

    fn write_record(&self, writes: &[(u64, Vec<u8>)]) -> Result<()> {
        let storage = self.stage.storage();
        for (at, bytes) in writes {
            let written = storage.write_all_at(bytes, *at).and_then(|()| storage.barrier(Barrier::Visible));
            written.map_err(|source| Error::io("write the live trailer", source))?;
        }
        Ok(())
    }

    /// Stages the superblock with another end-of-file (an offset in the file).
    fn show_end_of_file(&mut self, end: u64) -> Result<()> {
        if end == self.superblock.end_of_file {
            return Ok(());
        }
        let mut next = self.superblock.clone();
        next.end_of_file = end;
        self.show_superblock(next)
    }

    fn show_superblock(&mut self, next: Superblock) -> Result<()> {
        let bytes = next.encode();
        let at = Addr(0);
        if matches!(next.version, SuperblockVersion::V2 | SuperblockVersion::V3) {
            let body = bytes.len() - 4;
            let first = Superblock::FLAGS_OFFSET;
            self.stage.edit(LiveBlock::Superblock, at, bytes.len(), |image| {
                image.copy_from_slice(&bytes[..body]);
                Some(first)
            })?;
        } else {
            self.stage.fresh(at, bytes)?;
        }
        self.superblock = next;
        Ok(())
    }
}
