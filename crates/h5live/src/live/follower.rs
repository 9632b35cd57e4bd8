//! Following a file that another process writes: how far is it, and does its writer live?
//!
//! A writer of ours leaves a [`Trailer`] at the end of the file; one small read of it is a whole snapshot. libhdf5's SWMR
//! writers leave their consistency flags and nothing else: then extents come from the object headers, one by one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use h5live_format::Addr;
use h5live_format::superblock::{ConsistencyFlags, Superblock};
use h5live_storage::{Closable, File, Lease, LeaseError, PathState, ReadAt};

use super::trailer::{self, Datasets, FOOTER, Trailer, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Patience, Source};

/// What can be known of a file's writer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriterState {
    /// It lives: it holds its lease.
    Live(Writer),
    /// It ended without closing the file. Everything it published is there; the file can be opened to append.
    Died(Writer),
    /// Nobody writes: the file was closed, or was never live.
    Closed,
    /// A libhdf5 writer in SWMR mode has the file open, or died: it leaves nothing by which to tell.
    Foreign,
    /// The file has a trailer, but its filesystem cannot tell whether the writer still holds its lease.
    Unknown(Writer),
}

/// Bytes of the trailer read at first; the length it states corrects this.
const GUESS: usize = 512;

/// Looks at a file's trailer again and again.
pub(crate) struct Follower {
    storage: Arc<dyn ReadAt>,
    /// For asking about the lease; none for bytes that are no file.
    file: Option<Arc<Closable<File>>>,
    source: Source,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// Offset of the record, while there is one.
    position: Option<u64>,
    last: Option<Arc<Trailer>>,
}

impl Follower {
    /// Starts without having looked.
    pub(crate) fn new(storage: Arc<dyn ReadAt>, file: Option<Arc<Closable<File>>>, source: Source) -> Self {
        Self { storage, file, source, state: Mutex::default() }
    }

    /// The trailer as it is now; `None` when the file has none, because it was closed, was never live, or is written by
    /// libhdf5.
    pub(crate) fn look(&self) -> Result<Option<Arc<Trailer>>> {
        let mut state = self.lock();
        if let Some(position) = state.position
            && let Some(trailer) = self.read_at(&mut state, position)?
        {
            return Ok(Some(self.keep(&mut state, trailer)));
        }
        // Moved, closed, or never there: look at the end of the file. While it moves, the end may change under us.
        let patience = std::time::Instant::now();
        loop {
            let size = self.storage.size().map_err(|source| Error::io("find the file's size", source))?;
            if let Some(position) = self.position_by_footer(size)? {
                if let Some(trailer) = self.read_at(&mut state, position)? {
                    state.position = Some(position);
                    return Ok(Some(self.keep(&mut state, trailer)));
                }
            } else if self.size_is(size)? {
                state.position = None;
                drop(state);
                return self.require_whole(size).map(|()| None);
            }
            if patience.elapsed() > Patience::LIVE.0 {
                state.position = None;
                return Ok(None);
            }
            std::thread::yield_now();
        }
    }

    /// The file that is followed, unless it is no file or closed.
    pub(crate) fn file(&self) -> Option<File> {
        self.file.as_ref()?.inner()
    }

    /// Closes the file, if it is one, for all its handles.
    pub(crate) fn close(&self) {
        if let Some(file) = &self.file {
            file.close();
        }
    }

    /// The trailer seen last.
    pub(crate) fn last(&self) -> Option<Arc<Trailer>> {
        self.lock().last.clone()
    }

    /// Who writes the file, and whether that process lives.
    pub(crate) fn writer_state(&self) -> Result<WriterState> {
        // A writer that closes lets go of its lease last: so a lease that is gone is held against a later look.
        let held = match self.file() {
            Some(file) => match Lease::is_held(&file) {
                Ok(held) => Some(held),
                Err(LeaseError::Unsupported { .. }) => None,
                Err(error) => return Err(Error::new(ErrorKind::NoLocks { why: error.to_string() })),
            },
            None => None,
        };
        let Some(trailer) = self.look()? else {
            let flags = self.superblock()?.flags;
            let swmr = ConsistencyFlags(ConsistencyFlags::WRITE.0 | ConsistencyFlags::SWMR_WRITE.0);
            return Ok(if flags.contains(swmr) { WriterState::Foreign } else { WriterState::Closed });
        };
        let writer = trailer.writer.clone();
        Ok(match held {
            Some(true) => WriterState::Live(writer),
            Some(false) => WriterState::Died(writer),
            None => WriterState::Unknown(writer),
        })
    }

    /// The superblock as it is now.
    pub(crate) fn superblock(&self) -> Result<Superblock> {
        self.source.patiently(|| {
            let bytes = self.source.bytes_up_to("superblock", Addr(0), Superblock::MAX_SIZE as u64)?;
            Ok(Superblock::decode(&bytes, self.source.base())?)
        })
    }

    /// Refuses a file that is shorter than its superblock says, unless a libhdf5 writer has it open.
    fn require_whole(&self, size: u64) -> Result<()> {
        if size < self.source.base() + Superblock::MAX_SIZE as u64 / 2 {
            return Err(Error::new(ErrorKind::Changed { what: "truncated" }));
        }
        let superblock = self.superblock()?;
        let end_of_file = superblock.end_of_file.saturating_sub(superblock.base).saturating_add(self.source.base());
        if superblock.flags == ConsistencyFlags::NONE && size < end_of_file && self.size_is(size)? {
            return Err(Error::new(ErrorKind::Changed { what: "truncated" }));
        }
        Ok(())
    }

    /// Refuses to go on when the path by which the file was opened names another file by now. One that was only renamed can
    /// be followed on.
    pub(crate) fn require_same(&self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        match file.path_state(0).map_err(|source| Error::io("look at the file's name", source))? {
            PathState::Replaced(_) => Err(Error::new(ErrorKind::Changed { what: "replaced" })),
            PathState::Same | PathState::Missing | PathState::Truncated { .. } => Ok(()),
        }
    }

    /// Keeps what was seen last; a look that overtook another does not go back.
    fn keep(&self, state: &mut State, trailer: Trailer) -> Arc<Trailer> {
        if let Some(last) = &state.last
            && last.session == trailer.session
            && last.commit >= trailer.commit
            && last.extents.len() >= trailer.extents.len()
        {
            return last.clone();
        }
        let trailer = Arc::new(trailer);
        state.last = Some(trailer.clone());
        trailer
    }

    /// The record at `position`; `None` when there is none, there.
    ///
    /// The datasets of a parted record stay as long as the record does. So where they are not those it names, and it is still the same,
    /// power was lost between the two: then the object headers are what there is.
    fn read_at(&self, state: &mut State, position: u64) -> Result<Option<Trailer>> {
        let mut len = state.buffer.len().max(GUESS);
        let mut without_datasets: Option<Trailer> = None;
        self.source.patiently(|| {
            loop {
                state.buffer.resize(len, 0);
                match self.storage.read_exact_at(&mut state.buffer, position) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                    Err(source) => return Err(Error::io("read the live trailer", source)),
                }
                match Trailer::length_of(&state.buffer, position) {
                    None => return Ok(None),
                    Some(needed) if needed > len as u64 => {
                        let size = self.storage.size().map_err(|source| Error::io("find the file's size", source))?;
                        if position + needed > size {
                            return Ok(None);
                        }
                        len = needed as usize;
                    }
                    Some(_) => {
                        let (mut trailer, datasets) = Trailer::decode(&state.buffer, position)?;
                        if let Some(datasets) = datasets
                            && without_datasets.as_ref() != Some(&trailer)
                            && let Err(error) = self.join(&mut trailer, datasets)
                        {
                            trailer.extents.clear();
                            without_datasets = Some(trailer);
                            return Err(error);
                        }
                        return Ok(Some(trailer));
                    }
                }
            }
        })
    }

    /// Reads the datasets of a parted record.
    fn join(&self, trailer: &mut Trailer, datasets: Datasets) -> Result<()> {
        let size = self.storage.size().map_err(|source| Error::io("find the file's size", source))?;
        let at = trailer.position.checked_add(datasets.offset);
        let joined = match at.filter(|at| at.checked_add(datasets.len).is_some_and(|end| end <= size)) {
            Some(at) => {
                let mut bytes = vec![0; datasets.len as usize];
                match self.storage.read_exact_at(&mut bytes, at) {
                    Ok(()) => trailer.join(datasets, &bytes),
                    Err(source) => return Err(Error::io("read the live trailer", source)),
                }
            }
            None => trailer.join(datasets, &[]),
        };
        Ok(joined?)
    }

    fn position_by_footer(&self, size: u64) -> Result<Option<u64>> {
        let Some(at) = size.checked_sub(FOOTER) else { return Ok(None) };
        let mut footer = [0; FOOTER as usize];
        match self.storage.read_exact_at(&mut footer, at) {
            Ok(()) => Ok(trailer::decode_footer(&footer).filter(|addr| addr.0 < at).map(|addr| addr.0)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(Error::io("read the end of the file", source)),
        }
    }

    fn size_is(&self, size: u64) -> Result<bool> {
        Ok(self.storage.size().map_err(|source| Error::io("find the file's size", source))? == size)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
