//! A file from creation to closing: live in between, followed by others.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use h5live_filter::Registry;
use h5live_storage::{Barrier, Locking, ReadAt, Storage};

use crate::dataset::refresh_together;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, Role};
use crate::live::session::Session;
use crate::live::{LockWarning, WriterIdentity, WriterState};
use crate::members::Together;
use crate::object::link_edit::GroupSettings;
use crate::source::Patience;

/// A file that readers may look at while it is written; made by [`File::go_live`].
///
/// Changes made through any handle of the file stay unseen until they are published, all together.
#[derive(Debug, Clone)]
pub struct Live {
    file: File,
}

/// What a new file will be, and what any file is opened with; made by [`File::builder`].
#[must_use = "nothing is opened or created yet"]
#[derive(Debug, Clone)]
pub struct FileBuilder {
    root: GroupSettings,
    userblock: u64,
    filters: Option<Arc<Registry>>,
    locking: Option<Locking>,
}

impl FileBuilder {
    /// Remembers the order in which links and attributes of the root group are created.
    pub fn track_order(mut self) -> Self {
        self.root = GroupSettings::in_creation_order();
        self
    }

    /// Leaves so many bytes free in front of the file, for whatever another program puts there: none, or a power of 2 from
    /// 512 on.
    pub fn userblock(mut self, bytes: u64) -> Self {
        self.userblock = bytes;
        self
    }

    /// Chunks pass through these filters. Those of [`Registry::default`] are the ones that every file has without this. Files that
    /// this file leads to have them too.
    pub fn filters(mut self, filters: impl Into<Arc<Registry>>) -> Self {
        self.filters = Some(filters.into());
        self
    }

    /// Whether a file that is opened or created for writing is locked; else the environment variable `HDF5_USE_FILE_LOCKING`
    /// says it. With [`Locking::Off`] nothing keeps another writer out, and nobody can tell whether this one lives. Readers take no
    /// locks.
    pub fn locking(mut self, locking: Locking) -> Self {
        self.locking = Some(locking);
        self
    }

    fn locks(&self) -> Locking {
        self.locking.unwrap_or_else(Locking::from_env)
    }

    /// Opens a file for reading, as [`File::open`].
    ///
    /// # Errors
    /// As [`File::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<File> {
        File::open_path(path.as_ref(), Patience::NONE, &Together::Alone, self.filters)
    }

    /// Opens a file for reading while another process writes it, as [`File::follow`].
    ///
    /// # Errors
    /// As [`File::follow`].
    pub fn follow(self, path: impl AsRef<Path>) -> Result<File> {
        File::open_path(path.as_ref(), Patience::LIVE, &Together::Alone, self.filters)
    }

    /// Opens other storage for reading, as [`File::open_with`].
    ///
    /// # Errors
    /// As [`File::open_with`].
    pub fn open_with(self, storage: Arc<dyn ReadAt>) -> Result<File> {
        File::open_storage(storage, None, PathBuf::new(), Patience::NONE, self.filters)
    }

    /// Opens a file to change it and add to it, as [`File::append`].
    ///
    /// # Errors
    /// As [`File::append`].
    pub fn append(self, path: impl AsRef<Path>) -> Result<File> {
        let (path, locking) = (path.as_ref(), self.locks());
        let open = || File::writing(Session::append(path, locking)?, path.to_owned(), self.filters);
        open().map_err(|error: Error| error.in_file(path))
    }

    /// Opens other storage to change it and add to it, as [`File::append_with`].
    ///
    /// # Errors
    /// As [`File::append_with`].
    pub fn append_with(self, storage: Arc<dyn Storage>) -> Result<File> {
        File::writing(Session::append_on(storage, None)?, PathBuf::new(), self.filters)
    }

    /// Creates the file, as [`File::create`].
    ///
    /// # Errors
    /// As [`File::create`].
    pub fn create(self, path: impl AsRef<Path>) -> Result<File> {
        let (path, locking) = (path.as_ref(), self.locks());
        let session = || Session::create(path, self.root, self.userblock, locking);
        let create = || File::writing(session()?, path.to_owned(), self.filters);
        create().map_err(|error: Error| error.in_file(path))
    }

    /// Creates the file in other storage, as [`File::create_with`].
    ///
    /// # Errors
    /// As [`File::create_with`].
    pub fn create_with(self, storage: Arc<dyn Storage>) -> Result<File> {
        File::writing(Session::create_on(storage, self.root, self.userblock)?, PathBuf::new(), self.filters)
    }
}

impl File {
    /// Creates a file, or empties the one of that name. Nobody can read it before [`File::go_live`] or [`File::close`].
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] when someone has the file open: it stays untouched. Or the system refuses.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().create(path)
    }

    /// A file to be created or opened with other properties than [`File::create`] and the like give it.
    pub fn builder() -> FileBuilder {
        FileBuilder { root: GroupSettings::default(), userblock: 0, filters: None, locking: None }
    }

    /// Creates a file in storage that is no file of the operating system.
    ///
    /// # Errors
    /// Whatever the storage says.
    pub fn create_with(storage: Arc<dyn Storage>) -> Result<Self> {
        Self::builder().create_with(storage)
    }

    /// Opens a file to change it and add to it. Readers may have it open: then it is live at once. What a writer that died
    /// left behind unpublished is cut off.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] when another writer has it open; or it cannot be opened, or is no HDF5 file.
    pub fn append(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().append(path)
    }

    /// Opens storage that is no file of the operating system to change it and add to it.
    ///
    /// # Errors
    /// As [`File::append`], but for locks, of which such storage has none.
    pub fn append_with(storage: Arc<dyn Storage>) -> Result<Self> {
        Self::builder().append_with(storage)
    }

    fn writing(mut session: Session, path: PathBuf, filters: Option<Arc<Registry>>) -> Result<Self> {
        if let Some(filters) = filters {
            session.writer.use_filters(filters);
        }
        let (source, superblock) = (session.writer.source(), session.writer.superblock().clone());
        Self::assemble(path, source, superblock, Role::Writer(Box::new(Mutex::new(session))))
    }

    /// Publishes what is there and lets readers in, of any kind: h5live, h5py with or without `swmr=True`, h5dump.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`]; [`ErrorKind::NotLive`] when the file's format cannot carry it; or the system refuses.
    pub fn go_live(&self) -> Result<Live> {
        self.writing_session(|session| session.go_live(false))?;
        Ok(Live { file: self.clone() })
    }

    /// As [`File::go_live`], but raises libhdf5's own consistency flags, so that programs that did not ask for SWMR are
    /// refused by libhdf5, as they are with its own SWMR writers.
    ///
    /// # Errors
    /// As [`File::go_live`].
    pub fn go_live_strict(&self) -> Result<Live> {
        self.writing_session(|session| session.go_live(true))?;
        Ok(Live { file: self.clone() })
    }

    /// Makes all changes visible to readers, as one commit. Costs no sync. Without effect on a file that is not live, but
    /// for writing everything out.
    ///
    /// # Errors
    /// The system refuses, for instance for want of space: readers then see what they saw before, nothing is lost, and
    /// publishing may be tried again.
    pub fn publish(&self) -> Result<()> {
        self.writing_session(|session| session.publish(Barrier::Visible))
    }

    /// As [`File::publish`], and returns only when what is published survives a loss of power.
    ///
    /// # Errors
    /// As [`File::publish`].
    pub fn publish_durably(&self) -> Result<()> {
        self.writing_session(|session| session.publish(Barrier::Durable))
    }

    /// Publishes what was changed, and closes the file for all its handles, also one that is open for reading. Dropping the last
    /// handle does the same, but cannot tell of errors.
    ///
    /// # Errors
    /// As [`File::publish`].
    pub fn close(self) -> Result<()> {
        self.inner.let_others_go();
        match &self.inner.role {
            Role::Reader(follower) => {
                follower.close();
                Ok(())
            }
            Role::Writer(_) => self.writing_session(|session| session.close(Barrier::Visible)),
        }
    }

    /// Shows what has been published since the last look, in all datasets together: their extents are those of one commit.
    /// Handles stay valid. Tells whether anything changed.
    ///
    /// On a file that libhdf5 writes, each dataset is looked at by itself.
    ///
    /// # Errors
    /// The file is damaged, or was truncated or replaced.
    pub fn refresh(&self) -> Result<bool> {
        match &self.inner.role {
            Role::Writer(_) => Ok(false),
            Role::Reader(follower) => refresh_together(&self.inner, follower, &self.inner.open_datasets())
                .map_err(|error| self.inner.locate(error)),
        }
    }

    /// Number of the last commit of the session that writes the file; `None` unless it is live.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn commit(&self) -> Result<Option<u64>> {
        match &self.inner.role {
            Role::Writer(_) => {
                self.writing_session(|session| Ok(session.writer.is_live().then(|| session.writer.commit())))
            }
            Role::Reader(follower) => {
                Ok(follower.look().map_err(|error| self.inner.locate(error))?.map(|trailer| trailer.commit))
            }
        }
    }

    /// Number and time of the last commit that [`File::refresh`] or a watch has seen, without looking again.
    #[must_use]
    pub fn last_commit(&self) -> (Option<u64>, Option<std::time::SystemTime>) {
        match &self.inner.role {
            Role::Reader(follower) => {
                follower.last().map_or((None, None), |trailer| (Some(trailer.commit), Some(trailer.published)))
            }
            Role::Writer(_) => (None, None),
        }
    }

    /// Who writes the file, and whether that process lives.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn writer_state(&self) -> Result<WriterState> {
        match &self.inner.role {
            Role::Writer(_) => self.writing_session(|session| Ok(session.state())),
            Role::Reader(follower) => follower.writer_state().map_err(|error| self.inner.locate(error)),
        }
    }

    /// What the user should know of locks on this filesystem, if they do not keep other writers out.
    #[must_use]
    pub fn warning(&self) -> Option<LockWarning> {
        self.session().ok()?.warning()
    }

    /// Bytes of the file that nothing leads to any more; they are reclaimed when it is rewritten.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`].
    pub fn superseded_bytes(&self) -> Result<u64> {
        self.writing_session(|session| Ok(session.writer.superseded()))
    }

    /// On a file that is being written: completes what is planned, so that all of it can be read. Tells whether it is one.
    pub(crate) fn complete_for_reading(&self) -> Result<bool> {
        match &self.inner.role {
            Role::Writer(_) => self.session()?.complete_for_reading().map(|()| true),
            Role::Reader(_) => Ok(false),
        }
    }

    /// The session of a file that is open for writing.
    pub(crate) fn session(&self) -> Result<SessionGuard<'_>> {
        match &self.inner.role {
            Role::Reader(_) => Err(Error::new(ErrorKind::ReadOnly)),
            Role::Writer(session) => {
                let guard = SessionGuard(session.lock().unwrap_or_else(PoisonError::into_inner));
                if guard.is_closed() { Err(Error::new(ErrorKind::Closed)) } else { Ok(guard) }
            }
        }
    }

    fn writing_session<T>(&self, act: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let act = || act(&mut *self.session()?);
        act().map_err(|error| self.inner.locate(error))
    }
}

impl Live {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// As [`File::publish`].
    ///
    /// # Errors
    /// As [`File::publish`].
    pub fn publish(&self) -> Result<()> {
        self.file.publish()
    }

    /// As [`File::publish_durably`].
    ///
    /// # Errors
    /// As [`File::publish`].
    pub fn publish_durably(&self) -> Result<()> {
        self.file.publish_durably()
    }

    /// As [`File::close`].
    ///
    /// # Errors
    /// As [`File::publish`].
    pub fn close(self) -> Result<()> {
        self.file.close()
    }
}

impl Deref for Live {
    type Target = File;
    fn deref(&self) -> &File {
        &self.file
    }
}

/// The session, locked.
pub(crate) struct SessionGuard<'a>(MutexGuard<'a, Session>);

impl Deref for SessionGuard<'_> {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.0
    }
}

impl DerefMut for SessionGuard<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Whoever wants to know whether this went well calls `close`. A writer that is unwinding publishes nothing more.
        if !self.is_closed() && !std::thread::panicking() {
            let _ = self.close(Barrier::Visible);
        }
    }
}

impl WriterState {
    /// Who it is, where that is known.
    #[must_use]
    pub fn writer(&self) -> Option<&WriterIdentity> {
        match self {
            Self::Live(writer) | Self::Died(writer) | Self::Unknown(writer) => Some(writer),
            Self::Closed | Self::Foreign => None,
        }
    }
}
