//! A file opened for writing: its locks, its writer, and the datasets that are being written.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use h5live_format::message::{BTreeK, LinkTarget};
use h5live_format::object_header::MessageType;
use h5live_format::superblock::{ConsistencyFlags, Root, Superblock, SuperblockVersion};
use h5live_format::{Addr, Widths};
use h5live_storage::{
    Barrier, Closable, File, Lease, LeaseError, Lock, LockError, LockMode, Locking, ReadAt, Storage, host_name,
};

use super::dataset::{WrittenDataset, can_grow, refuse_old_form, secure_layout};
use super::exclusion::LockWarning;
use super::follower::{Follower, WriterState};
use super::trailer::{SessionId, Writer as Identity};
use super::writer::Writer;
use crate::chunk::store::Seal;
use crate::error::{Error, ErrorKind, Result};
use crate::file::find_superblock;
use crate::object::first_chunk::{self, Emptied};
use crate::object::global_heap_edit::HeapWriter;
use crate::object::header::ObjectHeader;
use crate::object::link_edit::{self, GroupSettings};
use crate::object::links::{self, LinkStorage};
use crate::source::{Patience, Source};

/// Everything behind a file opened for writing.
pub(crate) struct Session {
    file: Option<Opened>,
    lease: Option<Lease>,
    locking: Locking,
    pub(crate) writer: Writer,
    pub(crate) heap: HeapWriter,
    datasets: BTreeMap<Addr, WrittenDataset>,
    /// Datasets changed since the last publication.
    dirty: BTreeSet<Addr>,
    root: Addr,
    warning: Option<LockWarning>,
    /// Whether there may be datasets that another library made.
    made_elsewhere: bool,
    closed: bool,
}

/// The file of a session.
struct Opened {
    file: File,
    /// The same as its structures and elements are written to, for as long as the session lasts: handles that outlive it keep no
    /// descriptor.
    storage: Arc<Closable<File>>,
}

impl Opened {
    fn new(file: File) -> Self {
        Self { storage: Arc::new(Closable::new(file.clone())), file }
    }
}

impl Session {
    /// Creates a file at `path`, or empties the one that is there, unless someone has it open.
    pub(crate) fn create(path: &Path, root: GroupSettings, userblock: u64, locking: Locking) -> Result<Self> {
        check_userblock(userblock)?;
        let (file, lock) = File::claim(path, locking).map_err(|error| locked(error, path))?;
        let lease = acquire(&file, locking)?;
        refuse_swmr(&file)?;
        file.set_len(0).map_err(|source| Error::io("empty the file", source))?;
        let opened = Opened::new(file);
        let mut session = Self::create_on(opened.storage.clone(), root, userblock)?;
        session.warning = LockWarning::of(lock, lease.is_some());
        (session.file, session.lease, session.locking) = (Some(opened), lease, locking);
        Ok(session)
    }

    /// Creates a file in any storage, behind a userblock.
    pub(crate) fn create_on(storage: Arc<dyn Storage>, root: GroupSettings, userblock: u64) -> Result<Self> {
        check_userblock(userblock)?;
        let size = Superblock::size(Widths::EIGHT) as u64;
        let mut superblock = Superblock {
            version: SuperblockVersion::V3,
            widths: Widths::EIGHT,
            flags: ConsistencyFlags::NONE,
            base: userblock,
            end_of_file: userblock + size,
            root: Root::ObjectHeader(Addr(size)),
            extension: None,
            driver_info: None,
            btree_k: BTreeK::default(),
        };
        let mut writer = Writer::new(storage, superblock.clone());
        let root = link_edit::new_group(&mut writer, root)?;
        superblock.root = Root::ObjectHeader(root);
        writer.adopt_superblock(superblock)?;
        let mut session = Self::on(writer, root);
        session.made_elsewhere = false;
        Ok(session)
    }

    /// Opens the file at `path` to change it or add to it.
    pub(crate) fn append(path: &Path, locking: Locking) -> Result<Self> {
        let file = File::open_read_write(path).map_err(|source| Error::io("open the file for writing", source))?;
        // Readers that are there already hold shared locks: then so do we, and the file is live at once.
        let (lock, watched) = match file.lock(LockMode::Exclusive, locking) {
            Ok(lock) => (lock, false),
            Err(LockError::Conflict { .. }) => {
                (file.lock(LockMode::Shared, locking).map_err(|error| locked(error, path))?, true)
            }
            Err(error) => return Err(locked(error, path)),
        };
        let lease = acquire(&file, locking)?;
        let opened = Opened::new(file);
        let mut session = Self::append_on(opened.storage.clone(), Some(opened.storage.clone()))?;
        session.warning = LockWarning::of(lock, lease.is_some());
        (session.file, session.lease, session.locking) = (Some(opened), lease, locking);
        if watched {
            session.go_live(false)?;
        }
        Ok(session)
    }

    /// Opens a file in any storage to change it or add to it. What a writer that died left behind unpublished is cut off.
    pub(crate) fn append_on(storage: Arc<dyn Storage>, file: Option<Arc<Closable<File>>>) -> Result<Self> {
        let reader: Arc<dyn ReadAt> = Arc::new(storage.clone());
        let found = find_superblock(&reader)?;
        if !found.is_live {
            found.check_size()?;
        }
        let (mut superblock, base) = (found.superblock, found.base);
        let source = Source::new(reader.clone(), base, superblock.widths, Patience::LIVE);
        let abandoned = Follower::new(reader, file, source).look()?;
        if superblock.widths != Widths::EIGHT {
            let Widths { offset, length } = superblock.widths;
            return Err(Error::unsupported(format!(
                "changing a file whose addresses have {offset} bytes and whose lengths have {length}; \
                 make one of 8 and 8 with `h5live repack`"
            )));
        }
        // The flags of a strict session of ours are known to mean nothing any more: this session has its lease. Before superblock 3
        // nobody gave them a meaning, and some writers left something there.
        let says_written = superblock.version == SuperblockVersion::V3 && superblock.flags != ConsistencyFlags::NONE;
        if says_written && abandoned.as_ref().is_none_or(|trailer| !trailer.strict) {
            return Err(Error::new(ErrorKind::Locked {
                holder: "by a libhdf5 program, or was left so by one that died; if none is running, \
                         save it with `h5live recover`"
                    .to_owned(),
            }));
        }
        let shown = superblock.clone();
        superblock.flags = ConsistencyFlags::NONE;
        let size = storage.size().map_err(|source| Error::io("find the file's size", source))?;
        let root = superblock.root.header();
        if let Some(trailer) = abandoned {
            superblock.end_of_file = base + trailer.bound;
            let mut writer = Writer::new(storage, shown);
            writer.take_over(superblock)?;
            return Ok(Self::on(writer, root));
        }
        if size < superblock.end_of_file {
            return Err(Error::new(ErrorKind::Truncated { size, end_of_file: superblock.end_of_file }));
        }
        Ok(Self::on(Writer::new(storage, superblock), root))
    }

    fn on(writer: Writer, root: Addr) -> Self {
        let heap = HeapWriter::new();
        Self {
            file: None,
            lease: None,
            locking: Locking::Off,
            writer,
            heap,
            datasets: BTreeMap::new(),
            dirty: BTreeSet::new(),
            root,
            warning: None,
            made_elsewhere: true,
            closed: false,
        }
    }

    /// What the user should know about exclusion on this filesystem.
    pub(crate) fn warning(&self) -> Option<LockWarning> {
        self.warning
    }

    /// The dataset whose object header is at `at`, about to be changed, with what it needs to change.
    pub(crate) fn changing(&mut self, at: Addr) -> Result<(&mut WrittenDataset, &mut Writer)> {
        self.open_dataset(at, false)?;
        self.dirty.insert(at);
        let Self { datasets, writer, .. } = self;
        match datasets.get_mut(&at) {
            Some(dataset) => Ok((dataset, writer)),
            None => Err(Error::new(ErrorKind::Closed)),
        }
    }

    /// The dataset as its writer sees it.
    pub(crate) fn dataset(&mut self, at: Addr) -> Option<&mut WrittenDataset> {
        self.datasets.get_mut(&at)
    }

    /// Opens the dataset for writing, unless it is; `is_new` says that nothing was ever stored in it.
    pub(crate) fn open_dataset(&mut self, at: Addr, is_new: bool) -> Result<()> {
        if !self.datasets.contains_key(&at) {
            let dataset = WrittenDataset::open(&mut self.writer, at, is_new)?;
            self.datasets.insert(at, dataset);
        }
        Ok(())
    }

    /// Makes everything changed so far visible, as one commit.
    pub(crate) fn publish(&mut self, barrier: Barrier) -> Result<()> {
        self.settle(Seal::Complete)?;
        self.writer.publish(barrier)?;
        // One by one: what is emptied in place need not be made again for the next publication.
        while let Some(at) = self.dirty.pop_first() {
            if let Some(dataset) = self.datasets.get_mut(&at) {
                dataset.published();
            }
        }
        Ok(())
    }

    fn settle(&mut self, which: Seal) -> Result<()> {
        for at in &self.dirty {
            if let Some(dataset) = self.datasets.get_mut(at) {
                dataset.settle(&mut self.writer, which)?;
            }
        }
        self.heap.settle(&mut self.writer)
    }

    /// Plans what was kept aside, so that reading finds it.
    pub(crate) fn complete_for_reading(&mut self) -> Result<()> {
        for at in &self.dirty {
            if let Some(dataset) = self.datasets.get_mut(at) {
                dataset.complete_index(&mut self.writer)?;
            }
        }
        self.heap.settle(&mut self.writer)
    }

    /// Whether the session has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// What can be said of the writer, who is ourselves.
    pub(crate) fn state(&self) -> WriterState {
        match self.writer.identity() {
            Some(identity) => WriterState::Live(identity.clone()),
            None => WriterState::Closed,
        }
    }

    /// Lets readers in.
    pub(crate) fn go_live(&mut self, strict: bool) -> Result<()> {
        if self.writer.is_live() {
            return Ok(());
        }
        self.writer.require_live_superblock()?;
        if self.made_elsewhere {
            self.make_ready()?;
        }
        self.settle(Seal::Complete)?;
        let identity = Identity { host: host_name(), pid: std::process::id(), since: SystemTime::now() };
        self.writer.go_live(identity, new_session_id(), strict)?;
        for dataset in self.datasets.values_mut() {
            dataset.published();
        }
        self.dirty.clear();
        self.share_lock().inspect_err(|_| self.abandon())
    }

    /// Turns the exclusive lock into a shared one, which lets readers in. The system gives the one up before it grants the other, and a
    /// libhdf5 writer that comes between has the file: then nothing more is written here. Writers of ours are kept out by the lease.
    fn share_lock(&mut self) -> Result<()> {
        let Some(Opened { file, .. }) = &self.file else { return Ok(()) };
        match file.lock(LockMode::Shared, self.locking).map_err(|error| locked(error, file.path()))? {
            // One that came and went within that instant has left its marks.
            Lock::Held(_) => self.writer.require_untouched(),
            Lock::Off | Lock::Unsupported => Ok(()),
        }
    }

    /// Ends the session without another write: the file is someone else's.
    fn abandon(&mut self) {
        self.closed = true;
        self.dirty.clear();
        self.datasets.clear();
        self.lease = None;
        if let Some(opened) = self.file.take() {
            opened.storage.close();
        }
    }

    /// Publishes, ends the session and gives the file free.
    pub(crate) fn close(&mut self, barrier: Barrier) -> Result<()> {
        if self.writer.is_live() && self.datasets.values().any(WrittenDataset::leaves_behind) {
            self.publish(barrier)?;
        }
        self.dirty = self.datasets.keys().copied().collect();
        self.settle(Seal::All)?;
        self.writer.close(barrier)?;
        self.closed = true;
        self.dirty.clear();
        self.datasets.clear();
        self.lease = None;
        let Some(Opened { file, storage }) = self.file.take() else { return Ok(()) };
        let unlocked = file.unlock().map_err(|error| locked(error, file.path()));
        storage.close();
        unlocked
    }
}

impl Session {
    /// Gives every object the form in which it can change while readers look: its header, and, if it is a dataset that can grow or
    /// be overwritten, its index and layout.
    fn make_ready(&mut self) -> Result<()> {
        let objects = self.objects()?;
        let source = self.writer.source();
        for at in &objects {
            refuse_old_form(&source, &ObjectHeader::read(&source, *at)?)?;
        }
        let mut emptied = false;
        for at in &objects {
            let header = ObjectHeader::read(&source, *at)?;
            emptied |= first_chunk::empty(&mut self.writer, &header)? != Emptied::NotNeeded;
        }
        if emptied {
            // Whatever else the headers need is then a change of blocks that lie within a page. What was in the file before this session
            // may be all there is of it: so the blocks are on the medium before the headers name them.
            self.writer.publish(Barrier::Durable)?;
        }
        for at in objects {
            let header = ObjectHeader::read(&source, at)?;
            if can_grow(&source, &header)? {
                self.open_dataset(at, false)?;
            } else if header.find(MessageType::DATA_LAYOUT).is_some() {
                secure_layout(&mut self.writer, &header)?;
            }
        }
        Ok(())
    }

    /// Every object of the file.
    fn objects(&self) -> Result<Vec<Addr>> {
        let source = self.writer.source();
        let mut seen = HashSet::from([self.root]);
        let mut objects = vec![self.root];
        let mut next = 0;
        while let Some(at) = objects.get(next).copied() {
            next += 1;
            let header = ObjectHeader::read(&source, at)?;
            if LinkStorage::of(&source, &header)?.is_some() {
                links::each(&source, source.filters(), &header, |link| {
                    if let LinkTarget::Hard(target) = link.target
                        && seen.insert(target)
                    {
                        objects.push(target);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(objects)
    }
}

/// Refuses to empty a file that a libhdf5 program may be writing in SWMR mode: such a program holds no lock, only flags.
fn refuse_swmr(file: &File) -> Result<()> {
    let reader: Arc<dyn ReadAt> = Arc::new(file.clone());
    // What is no HDF5 file has no such writer.
    let Ok(found) = find_superblock(&reader) else { return Ok(()) };
    let source = Source::new(reader.clone(), found.base, found.superblock.widths, Patience::NONE);
    let is_swmr = found.superblock.flags.contains(ConsistencyFlags::WRITE | ConsistencyFlags::SWMR_WRITE);
    if !is_swmr || matches!(Follower::new(reader, None, source).look(), Ok(Some(_))) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Locked {
        holder: "by a libhdf5 program in SWMR mode, or was left so by one that died; if none is running, remove the file first"
            .to_owned(),
    }))
}

fn acquire(file: &File, locking: Locking) -> Result<Option<Lease>> {
    if locking == Locking::Off {
        return Ok(None);
    }
    match Lease::acquire(file) {
        Ok(lease) => Ok(Some(lease)),
        Err(LeaseError::Held { .. }) => Err(Error::new(ErrorKind::Locked { holder: holder(file.path()) })),
        Err(LeaseError::Unsupported { .. }) => Ok(None),
        Err(LeaseError::Io { source, .. }) => Err(Error::io("take the writer's lease", source)),
    }
}

pub(crate) fn locked(error: LockError, path: &Path) -> Error {
    match error {
        LockError::Conflict { .. } => Error::new(ErrorKind::Locked { holder: holder(path) }),
        LockError::Unsupported { source, .. } => Error::new(ErrorKind::NoLocks { why: source.to_string() }),
        LockError::Io { source, .. } => Error::io("open and lock the file", source),
    }
}

/// Who holds the file, if that is a writer of ours that lives: one that died may have left its name.
fn holder(path: &Path) -> String {
    let look = || -> Result<WriterState> {
        let file = File::open(path).map_err(|source| Error::io("open the file", source))?;
        let reader: Arc<dyn ReadAt> = Arc::new(file.clone());
        let found = find_superblock(&reader)?;
        let source = Source::new(reader.clone(), found.base, found.superblock.widths, Patience::LIVE);
        Follower::new(reader, Some(Arc::new(Closable::new(file))), source).writer_state()
    };
    match look() {
        Ok(WriterState::Live(writer) | WriterState::Unknown(writer)) => format!("by {writer}"),
        _ => "in another program (who holds it cannot be told)".to_owned(),
    }
}

/// Refuses a userblock behind which nobody would look for a superblock.
fn check_userblock(bytes: u64) -> Result<()> {
    if bytes == 0 || bytes >= 512 && bytes.is_power_of_two() {
        return Ok(());
    }
    Err(Error::unsupported(format!("a userblock of {bytes} bytes: it has none, or a power of 2 from 512 on")))
}

fn new_session_id() -> SessionId {
    let mut id = [0; 16];
    for half in id.chunks_exact_mut(8) {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        half.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    SessionId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in the instant in which the lock is converted: another's exclusive lock, or what it has changed.
    #[test]
    fn whoever_comes_between_the_locks_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        for comes_and_goes in [false, true] {
            let path = directory.path().join("run.h5");
            let mut session = Session::create(&path, GroupSettings::default(), 0, Locking::On).unwrap();
            let file = session.file.as_ref().unwrap().file.clone();
            let other = File::open_read_write(&path).unwrap();
            file.unlock().unwrap();
            let taken = other.lock(LockMode::Exclusive, Locking::On).unwrap();
            assert_eq!(taken, Lock::Held(LockMode::Exclusive));
            let error = if comes_and_goes {
                // As if it had been there and gone, after the session's own last write: it took the end of the file with it.
                let opened = session.file.take();
                session.go_live(false).unwrap();
                other.set_len(48).unwrap();
                other.unlock().unwrap();
                session.file = opened;
                session.share_lock().inspect_err(|_| session.abandon()).unwrap_err()
            } else {
                session.go_live(false).unwrap_err()
            };
            let expected = if comes_and_goes {
                matches!(error.kind(), ErrorKind::Changed { .. })
            } else {
                matches!(error.kind(), ErrorKind::Locked { .. })
            };
            assert!(expected, "{error}");
            let left = std::fs::read(&path).unwrap();
            assert!(session.is_closed());
            drop(session);
            assert!(std::fs::read(&path).unwrap() == left, "nothing more is written");
            let _ = other.unlock();
        }
    }
}
