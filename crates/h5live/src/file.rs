//! Files: finding the superblock, and what all handles of one open file share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use h5live_filter::Registry;
use h5live_format::message::{self, SharedMessage, SharedMessageTable};
use h5live_format::metadata_cache_image::{self, CachedEntry};
use h5live_format::object_header::MessageType;
use h5live_format::superblock::{ConsistencyFlags, Superblock, SuperblockVersion};
use h5live_format::{Addr, Widths};
use h5live_storage::{Closable, Overlay, ReadAt};

use crate::attribute::Attribute;
use crate::chunk::decoded::DecodedChunks;
use crate::dataset::{Dataset, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::group::{CommittedDatatype, Group, Link, Member, Object};
use crate::known::Known;
use crate::live::follower::Follower;
use crate::live::session::Session;
use crate::live::trailer;
use crate::members::{self, Pattern, Together};
use crate::object::global_heap::GlobalHeap;
use crate::object::header::{Message, ObjectHeader};
use crate::object::links;
use crate::object::shared::{Body, SharedMessages};
use crate::source::{Patience, Source};

/// An open HDF5 file. Clones are handles of the same open file.
///
/// ```no_run
/// # fn main() -> h5live::Result<()> {
/// let file = h5live::File::open("run.h5")?;
/// let signal = file.dataset("entry/signal")?;
/// let last_ten = signal.read_vec::<f64>(signal.shape()[0] - 10..)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct File {
    pub(crate) inner: Arc<Inner>,
}

/// What the handles of one open file share.
pub(crate) struct Inner {
    /// As it was opened; empty for bytes that are no file.
    pub(crate) path: PathBuf,
    pub(crate) source: Source,
    /// As it was at opening.
    pub(crate) superblock: Superblock,
    pub(crate) role: Role,
    pub(crate) filters: Arc<Registry>,
    pub(crate) heap: GlobalHeap,
    shared_messages: OnceLock<SharedMessages>,
    /// What was looked up, where that stays as it is.
    known: Option<Known>,
    /// Filtered chunks that were read in part.
    pub(crate) decoded: DecodedChunks,
    /// The datasets that have handles.
    datasets: Mutex<HashMap<Addr, Weak<Shared>>>,
    /// The files that external links and virtual datasets lead to.
    others: Mutex<HashMap<PathBuf, File>>,
    /// The files whose heaps elements of virtual datasets refer to.
    foreign: Mutex<Vec<File>>,
    /// Itself.
    me: Weak<Inner>,
}

/// What the file is open for.
pub(crate) enum Role {
    /// Reading, perhaps while another process writes.
    Reader(Follower),
    /// Writing.
    Writer(Box<Mutex<Session>>),
}

impl File {
    /// Opens a file for reading.
    ///
    /// A file that is being written can be opened too: datasets then have the shape they had when they were looked up.
    ///
    /// # Errors
    /// The file cannot be opened, is no HDF5 file ([`ErrorKind::NotHdf5`]), is one of several that are to be opened together
    /// ([`ErrorKind::Part`]), is shorter than its superblock says ([`ErrorKind::Truncated`]), or its superblock is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path)
    }

    /// Opens a family for reading: a file in several pieces. `pattern` is how they are called, with a place for the number
    /// of a piece as C's `printf` has it: `run%05d.h5`.
    ///
    /// # Errors
    /// [`ErrorKind::BadName`] when there is no place for a number; otherwise as [`File::open`].
    pub fn open_family(pattern: impl AsRef<Path>) -> Result<Self> {
        let pattern = Pattern::parse(pattern.as_ref())?;
        let first = pattern.member(0);
        Self::open_path(&first, Patience::NONE, &Together::Family(pattern), None)
    }

    /// Opens the parts of a file that was written with libhdf5's split or multi driver, for reading. `path` is that of the
    /// part with the superblock (`run-m.h5`), which says how the others are called.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the part is not called as it says; otherwise as [`File::open`].
    pub fn open_multi(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_path(path.as_ref(), Patience::NONE, &Together::Multi, None)
    }

    /// Opens a file for reading while another process writes it, in whatever state it is, even before it is live.
    /// [`File::refresh`] shows what has been published since.
    ///
    /// # Errors
    /// The file cannot be opened, or is no HDF5 file.
    pub fn follow(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().follow(path)
    }

    pub(crate) fn open_path(
        path: &Path,
        patience: Patience,
        together: &Together,
        filters: Option<Arc<Registry>>,
    ) -> Result<Self> {
        let open = || {
            let file = h5live_storage::File::open(path).map_err(|source| Error::io("open the file", source))?;
            let file = Arc::new(Closable::new(file));
            let storage: Arc<dyn ReadAt> = file.clone();
            match members::of(path, &storage, together)? {
                Some(joined) => Self::open_storage(Arc::new(joined), None, path.to_owned(), Patience::NONE, filters),
                None => Self::open_storage(storage, Some(file), path.to_owned(), patience, filters),
            }
        };
        open().map_err(|error| error.in_file(path))
    }

    /// Opens bytes for reading that are no file of the operating system: in memory, behind a network, simulated.
    ///
    /// External links and external raw data are looked for relative to the working directory.
    ///
    /// # Errors
    /// As [`File::open`].
    pub fn open_with(storage: Arc<dyn ReadAt>) -> Result<Self> {
        Self::builder().open_with(storage)
    }

    /// `patience` is what a file gets that does not look live now.
    pub(crate) fn open_storage(
        storage: Arc<dyn ReadAt>,
        file: Option<Arc<Closable<h5live_storage::File>>>,
        path: PathBuf,
        patience: Patience,
        filters: Option<Arc<Registry>>,
    ) -> Result<Self> {
        let found = find_superblock(&storage)?;
        let patience = if found.is_live || found.is_longer() { Patience::LIVE } else { patience };
        if patience == Patience::NONE {
            found.check_size()?;
        }
        let (storage, mut source) = with_cache_image(storage, &found, patience)?;
        if let Some(filters) = filters {
            source = source.with_filters(filters);
        }
        let follower = Follower::new(storage, file, source.clone());
        let source = if patience == Patience::NONE { source.keeping() } else { source }.keeping_nodes(false);
        if found.is_live {
            follower.look()?;
        }
        Self::assemble(path, source, found.superblock, Role::Reader(follower))
    }

    /// Opens bytes that may be damaged, shorter than they should be, or in the middle of being written; not so if they
    /// are `settled`.
    pub(crate) fn open_damaged(
        storage: Arc<dyn ReadAt>,
        file: Option<h5live_storage::File>,
        path: PathBuf,
        settled: bool,
    ) -> Result<Self> {
        let found = find_superblock(&storage)?;
        let patience = if found.is_live && !settled { Patience::LIVE } else { Patience::NONE };
        // What the superblock extension said may be lost; the rest need not be.
        let (storage, source) = with_cache_image(storage.clone(), &found, patience).unwrap_or_else(|_| {
            let source = Source::new(storage.clone(), found.base, found.superblock.widths, patience);
            (storage, source)
        });
        let follower = Follower::new(storage, file.map(|file| Arc::new(Closable::new(file))), source.clone());
        if found.is_live {
            follower.look()?;
        }
        Ok(Self::with(path, source, found.superblock, Role::Reader(follower)))
    }

    /// A file of which all is known.
    pub(crate) fn assemble(path: PathBuf, source: Source, superblock: Superblock, role: Role) -> Result<Self> {
        let file = Self::with(path, source, superblock, role);
        file.inner.check_extension()?;
        file.inner.check_writable()?;
        Ok(file)
    }

    fn with(path: PathBuf, source: Source, superblock: Superblock, role: Role) -> Self {
        let inner = Arc::new_cyclic(|me| Inner {
            me: me.clone(),
            path,
            filters: source.filters().clone(),
            known: source.is_keeping().then(Known::default),
            decoded: DecodedChunks::default(),
            source,
            superblock,
            role,
            heap: GlobalHeap::default(),
            shared_messages: OnceLock::new(),
            datasets: Mutex::default(),
            others: Mutex::default(),
            foreign: Mutex::default(),
        });
        Self { inner }
    }

    /// The path the file was opened by; empty for bytes that are no file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Version of the superblock, from 0 to 3. Only files of version 3 can be live.
    #[must_use]
    pub fn superblock_version(&self) -> u8 {
        match self.inner.superblock.version {
            SuperblockVersion::V0 => 0,
            SuperblockVersion::V1 => 1,
            SuperblockVersion::V2 => 2,
            SuperblockVersion::V3 => 3,
        }
    }

    /// libhdf5's file consistency flags, as they were when the file was opened: 0x01 open for writing, 0x04 for SWMR writing.
    #[must_use]
    pub fn consistency_flags(&self) -> u8 {
        self.inner.superblock.flags.0
    }

    /// Bytes of an address in the file's structures: usually 8.
    #[must_use]
    pub fn offset_size(&self) -> u8 {
        self.inner.source.widths().offset
    }

    /// Bytes of a length in the file's structures: usually 8.
    #[must_use]
    pub fn length_size(&self) -> u8 {
        self.inner.source.widths().length
    }

    /// Bytes in front of the superblock, which belong to someone else.
    #[must_use]
    pub fn userblock_size(&self) -> u64 {
        self.inner.source.base()
    }

    /// The root group.
    #[must_use]
    pub fn root(&self) -> Group {
        Group::new(self.clone(), self.inner.superblock.root.header(), "/".into())
    }

    /// The object at `path`, from the root group.
    ///
    /// # Errors
    /// There is none, or something on the way is damaged.
    pub fn get(&self, path: &str) -> Result<Object> {
        self.root().get(path)
    }

    /// The group at `path`, from the root group.
    ///
    /// # Errors
    /// There is no object, or it is no group.
    pub fn group(&self, path: &str) -> Result<Group> {
        self.root().group(path)
    }

    /// The dataset at `path`, from the root group.
    ///
    /// # Errors
    /// There is no object, or it is no dataset.
    pub fn dataset(&self, path: &str) -> Result<Dataset> {
        self.root().dataset(path)
    }

    /// The committed datatype at `path`, from the root group.
    ///
    /// # Errors
    /// There is no object, or it is no committed datatype.
    pub fn datatype(&self, path: &str) -> Result<CommittedDatatype> {
        self.root().datatype(path)
    }

    /// Whether there is an object at `path`, from the root group.
    ///
    /// # Errors
    /// Something on the way is damaged.
    pub fn contains(&self, path: &str) -> Result<bool> {
        self.root().contains(path)
    }

    /// The members of the root group, as [`Group::members`].
    ///
    /// # Errors
    /// Something is damaged.
    pub fn members(&self) -> Result<Vec<Member>> {
        self.root().members()
    }

    /// The links of the root group, as [`Group::links`].
    ///
    /// # Errors
    /// Something is damaged.
    pub fn links(&self) -> Result<Vec<Link>> {
        self.root().links()
    }

    /// An attribute of the root group.
    ///
    /// # Errors
    /// There is none of that name, or something is damaged.
    pub fn attribute(&self, name: &str) -> Result<Attribute> {
        self.root().attribute(name)
    }

    /// The attributes of the root group.
    ///
    /// # Errors
    /// Something is damaged.
    pub fn attributes(&self) -> Result<Vec<Attribute>> {
        self.root().attributes()
    }

    /// How many names lead to the object at `address`, as its header counts them.
    ///
    /// # Errors
    /// There is no object header at that address.
    pub fn link_count(&self, address: u64) -> Result<u32> {
        let count = || {
            let header = self.inner.header(Addr(address))?;
            match header.find(MessageType::REFERENCE_COUNT) {
                Some(message) => Ok(message::ReferenceCount::decode(&message.body, header.body_addr(message).0)?.0),
                None => Ok(1),
            }
        };
        count().map_err(|error: Error| self.inner.locate(error))
    }

    /// Whether this is a handle of the same opening of a file as `other`.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The object whose header lies at `address`, as an object reference or [`Object::address`] names it.
    ///
    /// # Errors
    /// There is no object header at that address.
    pub fn object_at(&self, address: u64) -> Result<Object> {
        let path = format!("<object at {address:#x}>");
        Object::open(self.clone(), Addr(address), path)
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.inner.path).finish()
    }
}

impl Inner {
    /// Names the file in an error, unless it has no name.
    pub(crate) fn locate(&self, error: Error) -> Error {
        if self.path.as_os_str().is_empty() { error } else { error.in_file(&self.path) }
    }

    /// Whether others may be writing to the file, so that what does not fit together may fit a moment later.
    pub(crate) fn is_live(&self) -> bool {
        self.source.is_patient()
    }

    /// What the dataset at `addr` shares among its handles: made by `open` for the first of them.
    pub(crate) fn share(&self, addr: Addr, open: impl FnOnce() -> Result<Shared>) -> Result<Arc<Shared>> {
        if let Some(shared) = lock(&self.datasets).get(&addr).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        // Without the lock: reading takes time. Whoever comes second uses what the first has made.
        let made = Arc::new(open()?);
        let mut datasets = lock(&self.datasets);
        if let Some(shared) = datasets.get(&addr).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        if datasets.len() >= 64 && datasets.len().is_power_of_two() {
            datasets.retain(|_, shared| shared.strong_count() > 0);
        }
        datasets.insert(addr, Arc::downgrade(&made));
        drop(datasets);
        // What a virtual dataset shows may grow although its file stays as it is.
        if let Some(known) = &self.known
            && !made.is_virtual()
        {
            known.keep_dataset(&made);
        }
        Ok(made)
    }

    /// The object header at `addr`.
    pub(crate) fn header(&self, addr: Addr) -> Result<Arc<ObjectHeader>> {
        let read = || ObjectHeader::read(&self.source, addr);
        match &self.known {
            Some(known) => known.header(addr, read),
            None => read().map(Arc::new),
        }
    }

    /// The link called `name` of the group at `group`, whose header is `header`.
    pub(crate) fn link(&self, group: Addr, header: &ObjectHeader, name: &[u8]) -> Result<Option<message::Link>> {
        let find = || links::find(&self.source, &self.filters, header, name);
        match &self.known {
            Some(known) => known.link(group, name, find),
            None => find(),
        }
    }

    /// The links of the group at `group`, whose header is `header`, as the file has them.
    pub(crate) fn links(&self, group: Addr, header: &ObjectHeader) -> Result<Arc<Vec<message::Link>>> {
        let list = || {
            let mut found = Vec::new();
            links::each(&self.source, &self.filters, header, |link| {
                found.push(link);
                Ok(())
            })?;
            Ok(found)
        };
        match &self.known {
            Some(known) => known.links(group, list),
            None => list().map(Arc::new),
        }
    }

    /// Forgets what was kept of the file: it may have changed.
    pub(crate) fn forget(&self) {
        self.source.forget();
        if let Some(known) = &self.known {
            known.forget();
        }
    }

    /// The datasets that have handles.
    pub(crate) fn open_datasets(&self) -> Vec<Arc<Shared>> {
        lock(&self.datasets).values().filter_map(Weak::upgrade).collect()
    }

    /// A handle of this file; none while its last one is being dropped.
    pub(crate) fn handle(&self) -> Option<File> {
        self.me.upgrade().map(|inner| File { inner })
    }

    /// The other file called `name` by this one: an absolute path, or one relative to this file's directory or the working
    /// directory. It stays open as long as this one.
    pub(crate) fn other(&self, name: &[u8]) -> Result<File> {
        let path = self.find_other(name)?;
        if let Some(file) = lock(&self.others).get(&path) {
            return Ok(file.clone());
        }
        let file = File::builder().filters(self.filters.clone()).open(&path)?;
        lock(&self.others).insert(path, file.clone());
        Ok(file)
    }

    /// Gives up the files that this one leads to: they stay open only for who has handles of them.
    pub(crate) fn let_others_go(&self) {
        let others = std::mem::take(&mut *lock(&self.others));
        let foreign = std::mem::take(&mut *lock(&self.foreign));
        drop((others, foreign));
    }

    /// The number of another file among those whose heaps are referred to.
    pub(crate) fn foreign_number(&self, file: &File) -> usize {
        let mut foreign = lock(&self.foreign);
        let is_it = |other: &File| Arc::ptr_eq(&other.inner, &file.inner);
        foreign.iter().position(is_it).unwrap_or_else(|| {
            foreign.push(file.clone());
            foreign.len() - 1
        })
    }

    /// The other file with that number.
    pub(crate) fn foreign(&self, number: usize) -> Option<File> {
        lock(&self.foreign).get(number).cloned()
    }

    /// The path of the file called `name` by this one.
    pub(crate) fn find_other(&self, name: &[u8]) -> Result<PathBuf> {
        let name = String::from_utf8_lossy(name);
        let given = Path::new(&*name);
        let directory = self.path.parent();
        // As libhdf5 does: an absolute path that leads nowhere is tried again by its last part.
        let beside = if given.is_absolute() { given.file_name().map(Path::new) } else { Some(given) };
        let beside = directory.zip(beside).map(|(directory, name)| directory.join(name));
        let candidates =
            if given.is_absolute() { [Some(given.to_owned()), beside] } else { [beside, Some(given.to_owned())] };
        let found = candidates.into_iter().flatten().find(|path| path.is_file());
        found.ok_or_else(|| Error::new(ErrorKind::NotFound { what: "file", name: name.into_owned() }))
    }

    /// Where shared messages are.
    pub(crate) fn shared_messages(&self) -> Result<&SharedMessages> {
        if let Some(found) = self.shared_messages.get() {
            return Ok(found);
        }
        let mut read = SharedMessages::default();
        if let Some(extension) = self.superblock.extension {
            let header = ObjectHeader::read(&self.source, extension)?;
            if let Some(message) = header.find(MessageType::SHARED_MESSAGE_TABLE) {
                let at = header.body_addr(message).0;
                let table = SharedMessageTable::decode(&message.body, at, self.source.widths())?;
                read = SharedMessages::read(&self.source, table)?;
            }
        }
        Ok(self.shared_messages.get_or_init(|| read))
    }

    /// The body of a message of `header`, wherever it is.
    pub(crate) fn body(&self, header: &ObjectHeader, message: &Message) -> Result<Body> {
        self.shared_messages()?.body(&self.source, &self.filters, header, message)
    }

    /// The message of type `kind` that `shared` names.
    pub(crate) fn shared_body(&self, kind: MessageType, shared: SharedMessage) -> Result<Body> {
        self.shared_messages()?.resolve(&self.source, &self.filters, kind, shared)
    }

    /// Refuses files whose superblock extension is damaged: what it says holds for the whole file.
    fn check_extension(&self) -> Result<()> {
        let Some(extension) = self.superblock.extension else { return Ok(()) };
        let header = ObjectHeader::read(&self.source, extension)?;
        for message in &header.messages {
            let at = header.body_addr(message).0;
            message::Message::decode(message.kind, message.flags, &message.body, at, self.source.widths())?;
        }
        Ok(())
    }

    /// Refuses to write to files whose structures are elsewhere than at their addresses.
    fn check_writable(&self) -> Result<()> {
        if matches!(self.role, Role::Reader(_)) {
            return Ok(());
        }
        if let Some((driver, _)) = members::driver_info(&self.source, &self.superblock)? {
            let driver = driver.driver;
            return Err(Error::unsupported(format!(
                "writing to a file of several, written with the file driver {driver}"
            )));
        }
        if cache_image(&self.source, &self.superblock)?.is_some() {
            return Err(Error::unsupported(
                "the file keeps its metadata in a metadata cache image; opening it once for writing with libhdf5 puts them \
                 in their place",
            ));
        }
        Ok(())
    }
}

/// The bytes of a file, with the structures of its metadata cache image, if it has one, where they belong.
fn with_cache_image(storage: Arc<dyn ReadAt>, found: &Found, patience: Patience) -> Result<(Arc<dyn ReadAt>, Source)> {
    let source_of =
        |storage: &Arc<dyn ReadAt>| Source::new(storage.clone(), found.base, found.superblock.widths, patience);
    let source = source_of(&storage);
    let Some(entries) = cache_image(&source, &found.superblock)? else { return Ok((storage, source)) };
    let overlay = Overlay::new(storage);
    for entry in entries {
        overlay.patch(found.base.saturating_add(entry.addr.0), entry.image);
    }
    let storage: Arc<dyn ReadAt> = Arc::new(overlay);
    let source = source_of(&storage);
    Ok((storage, source))
}

/// The structures that the file has in a metadata cache image; none where it has no such image.
fn cache_image(source: &Source, superblock: &Superblock) -> Result<Option<Vec<CachedEntry>>> {
    let Some(extension) = superblock.extension else { return Ok(None) };
    let header = ObjectHeader::read(source, extension)?;
    let Some(message) = header.find(MessageType::METADATA_CACHE_IMAGE) else { return Ok(None) };
    let at = header.body_addr(message).0;
    let image = message::MetadataCacheImage::decode(&message.body, at, source.widths())?;
    let Some(addr) = image.addr else { return Ok(None) };
    let bytes = source.bytes("metadata cache image", addr, image.size)?;
    Ok(Some(metadata_cache_image::decode(&bytes, addr.0, source.widths())?))
}

/// A superblock, and what its surroundings say.
pub(crate) struct Found {
    pub(crate) superblock: Superblock,
    /// Where it is, which is where address 0 is.
    pub(crate) base: u64,
    /// Bytes of the storage.
    pub(crate) size: u64,
    /// Whether someone writes the file, or did and died.
    pub(crate) is_live: bool,
}

impl Found {
    /// Refuses a file that ends before what its superblock counts.
    pub(crate) fn check_size(&self) -> Result<()> {
        let end_of_file = self.end_of_file();
        if self.size < end_of_file {
            return Err(ErrorKind::Truncated { size: self.size, end_of_file }.into());
        }
        Ok(())
    }

    /// Whether the file goes on after what its superblock counts, as one does that can be live: its trailer may be about to move.
    fn is_longer(&self) -> bool {
        self.superblock.version == SuperblockVersion::V3 && self.size > self.end_of_file()
    }

    fn end_of_file(&self) -> u64 {
        // The end of the file moves with a superblock that is elsewhere than it says.
        self.superblock.end_of_file.saturating_sub(self.superblock.base).saturating_add(self.base)
    }
}

/// How long a superblock that looks torn is read again, before anything else is known of the file. It is one small write.
const TORN_SUPERBLOCK: Duration = Duration::from_millis(100);

/// Finds and reads the superblock: at the start, or at 512, 1024, 2048 and so on.
pub(crate) fn find_superblock(storage: &Arc<dyn ReadAt>) -> Result<Found> {
    let size = storage.size().map_err(|source| Error::io("find the file's size", source))?;
    let mut base = 0;
    loop {
        let mut signature = [0; 8];
        if base + 8 > size {
            return Err(ErrorKind::NotHdf5.into());
        }
        storage.read_exact_at(&mut signature, base).map_err(|source| Error::io("read the file", source))?;
        if signature == Superblock::SIGNATURE {
            break;
        }
        base = if base == 0 { 512 } else { base * 2 };
    }
    // Widths are not known yet; the superblock has none of its own before it says them.
    let source = Source::new(storage.clone(), base, Widths::EIGHT, Patience(TORN_SUPERBLOCK));
    let superblock = source.patiently(|| {
        let bytes = source.bytes_up_to("superblock", Addr(0), Superblock::MAX_SIZE as u64)?;
        Ok(Superblock::decode(&bytes, base)?)
    })?;
    let swmr = ConsistencyFlags::WRITE | ConsistencyFlags::SWMR_WRITE;
    let is_live = superblock.flags.contains(swmr) || has_trailer(storage)?;
    Ok(Found { superblock, base, size, is_live })
}

fn has_trailer(storage: &Arc<dyn ReadAt>) -> Result<bool> {
    let io = |source| Error::io("read the end of the file", source);
    let mut footer = [0; trailer::FOOTER as usize];
    let Some(at) = storage.size().map_err(io)?.checked_sub(trailer::FOOTER) else { return Ok(false) };
    match storage.read_exact_at(&mut footer, at) {
        Ok(()) => Ok(trailer::decode_footer(&footer).is_some()),
        // It was cut a moment ago: its writer has closed it.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(io(error)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
