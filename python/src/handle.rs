//! What the objects of one opened file share: whether it is still open, and for what.
//!
//! As in libhdf5, each object has an identifier, which can be closed by itself. An opening ends when that is asked for, and all its
//! identifiers with it, or with its last identifier.
//!
//! A file that is opened twice in one process is one file, as in libhdf5: reader and writer see the same.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use h5live::{Error, File};
use pyo3::prelude::*;

use crate::errors::{Doing, OrRaise};
use crate::file_object::FileObject;

/// The identifier of an object, or of a file, of one opening.
pub(crate) struct Handle {
    is_closed: AtomicBool,
    opening: Arc<Opening>,
}

/// One opening of a file.
pub(crate) struct Opening {
    is_open: AtomicBool,
    /// Identifiers that have not been closed.
    identifiers: AtomicUsize,
    pub(crate) opened: Arc<Opened>,
    /// Whether this opening may change the file.
    pub(crate) writable: bool,
    /// What the program asked for when it opened the file, for the package.
    asked: Mutex<Option<Py<PyAny>>>,
}

/// A file that this process has open.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) writable: bool,
    /// Whether readers were let in, or it was opened as one of them.
    pub(crate) swmr: AtomicBool,
    /// Where the bytes are, if in no file of the system.
    pub(crate) elsewhere: Option<Elsewhere>,
    /// How the program asked it to be locked.
    pub(crate) locking: Option<String>,
    /// Objects that nothing leads to any more.
    deleted: Mutex<HashSet<u64>>,
    identity: Option<Identity>,
    /// Openings that have not been closed.
    openings: AtomicUsize,
    /// How deep the program is inside of commits: until the outermost ends, nothing is published.
    commits: AtomicUsize,
    /// Distinguishes it from every other file this process has opened.
    pub(crate) number: usize,
    /// A child process inherits what it must not close.
    process: u32,
}

/// A file whose bytes are in memory, or in a Python object.
pub(crate) struct Elsewhere {
    pub(crate) memory: Option<Arc<h5live_storage::Memory>>,
    pub(crate) object: Option<Arc<FileObject>>,
    /// What it is called.
    pub(crate) path: PathBuf,
    /// Whether it is to be written to its path.
    pub(crate) store: bool,
}

impl Elsewhere {
    /// Writes the bytes to the path, if that is wanted.
    pub(crate) fn write_out(&self) -> std::io::Result<()> {
        match &self.memory {
            Some(bytes) if self.store => std::fs::write(&self.path, bytes.to_vec()),
            _ => Ok(()),
        }
    }
}

/// Device and number of a file.
type Identity = (u64, u64);

static OPEN: Mutex<Option<HashMap<Identity, Weak<Opened>>>> = Mutex::new(None);
static OPENED: AtomicUsize = AtomicUsize::new(1);

fn registry() -> MutexGuard<'static, Option<HashMap<Identity, Weak<Opened>>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The file at `path`, if this process has it open.
pub(crate) fn find(path: &Path) -> Option<Arc<Opened>> {
    let identity = identity(path)?;
    registry().as_ref()?.get(&identity)?.upgrade().filter(|opened| opened.openings.load(Ordering::SeqCst) > 0)
}

impl Opened {
    /// A file that was just opened.
    pub(crate) fn new(
        file: File,
        path: Option<PathBuf>,
        writable: bool,
        swmr: bool,
        elsewhere: Option<Elsewhere>,
        locking: Option<String>,
    ) -> Arc<Self> {
        let identity = path.and_then(|path| identity(&path));
        let opened = Arc::new(Self {
            file,
            writable,
            swmr: AtomicBool::new(swmr),
            elsewhere,
            locking,
            deleted: Mutex::default(),
            identity,
            openings: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            number: OPENED.fetch_add(1, Ordering::Relaxed),
            process: std::process::id(),
        });
        if let Some(identity) = identity {
            registry().get_or_insert_default().insert(identity, Arc::downgrade(&opened));
        }
        opened
    }

    /// Notes that an object was deleted.
    pub(crate) fn delete(&self, address: u64) {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner).insert(address);
    }

    /// Whether an object was deleted.
    pub(crate) fn is_deleted(&self, address: u64) -> bool {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    fn close(&self) -> Result<(), Error> {
        if let Some(identity) = self.identity
            && let Some(open) = registry().as_mut()
            && open.get(&identity).is_some_and(|known| std::ptr::eq(known.as_ptr(), self))
        {
            open.remove(&identity);
        }
        let closed = if self.process == std::process::id() { self.file.clone().close() } else { Ok(()) };
        if let Some(Elsewhere { object: Some(object), .. }) = &self.elsewhere {
            object.release();
        }
        closed
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // The writer of a parent process is not ended by its child.
        if self.writable && self.process != std::process::id() {
            std::mem::forget(self.file.clone());
        }
    }
}

impl Handle {
    /// Another opening of `opened`, by its first identifier.
    pub(crate) fn new(opened: Arc<Opened>, writable: bool) -> Arc<Self> {
        opened.openings.fetch_add(1, Ordering::SeqCst);
        let asked = Mutex::new(None);
        let (is_open, identifiers) = (AtomicBool::new(true), AtomicUsize::new(0));
        Self::of(Arc::new(Opening { is_open, identifiers, opened, writable, asked }))
    }

    fn of(opening: Arc<Opening>) -> Arc<Self> {
        opening.identifiers.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self { is_closed: AtomicBool::new(false), opening })
    }

    /// An identifier of something else in the same opening. What comes from something closed is closed.
    pub(crate) fn another(&self) -> Arc<Self> {
        if self.is_open() {
            return Self::of(self.opening.clone());
        }
        Arc::new(Self { is_closed: AtomicBool::new(true), opening: self.opening.clone() })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.opening.is_open() && !self.is_closed.load(Ordering::Acquire)
    }

    /// Refuses to do something with what is closed.
    pub(crate) fn check(&self, doing: Doing) -> PyResult<()> {
        if self.is_open() { Ok(()) } else { Err(doing.closed()) }
    }

    /// Closes this identifier; the last one ends the opening. Tells whether it did.
    pub(crate) fn close(&self) -> Result<bool, Error> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(false);
        }
        if self.opening.identifiers.fetch_sub(1, Ordering::SeqCst) == 1 { self.opening.end() } else { Ok(false) }
    }
}

impl Deref for Handle {
    type Target = Opening;

    fn deref(&self) -> &Opening {
        &self.opening
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Whoever wants to know of errors closes it himself.
        let _ = self.close();
    }
}

impl Opening {
    pub(crate) fn ask(&self, asked: Py<PyAny>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
    }

    pub(crate) fn asked(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|asked| asked.clone_ref(py))
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Makes all changes visible, as one commit, unless a commit of the program's own is under way.
    pub(crate) fn publish(&self, py: Python<'_>, durable: bool) -> PyResult<()> {
        if !self.writable || self.opened.commits.load(Ordering::Acquire) > 0 {
            return Ok(());
        }
        let file = &self.opened.file;
        py.detach(|| if durable { file.publish_durably() } else { file.publish() }).or_raise(Doing::Flush)?;
        match &self.opened.elsewhere {
            Some(what) => Ok(what.write_out()?),
            None => Ok(()),
        }
    }

    /// Begins a commit of the program's own, or goes deeper into one.
    pub(crate) fn begin_commit(&self) {
        self.opened.commits.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends a commit that was begun. Tells whether it was the outermost.
    pub(crate) fn end_commit(&self) -> bool {
        self.opened.commits.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Ends this opening, whatever identifiers it has; the last one closes the file. Tells whether it was still open.
    pub(crate) fn end(&self) -> Result<bool, Error> {
        if !self.is_open.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        if self.opened.openings.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.opened.close()?;
        }
        Ok(true)
    }
}
