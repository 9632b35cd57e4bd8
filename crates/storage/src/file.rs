//! A file on disk, read and written by position.
//!
//! Positions are given with each call, so one [`File`] serves any number of threads. A clone shares the open file description, and
//! with it the locks: `flock` locks and the writer's lease belong to the description, and end with its last clone.

use std::fs;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::lock::{Lock, LockError, LockMode, Locking};
use crate::{Barrier, ReadAt, Storage, end_of, past_end};

/// An open file that remembers its path.
#[derive(Debug, Clone)]
pub struct File {
    opened: Arc<Opened>,
}

/// Which file this is, whatever it is called: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The file system the file is on.
    pub device: u64,
    /// The file's number there.
    pub inode: u64,
}

/// What the path of an open [`File`] names now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathState {
    /// This very file, no shorter than it was known to be.
    Same,
    /// This very file, cut to `size` bytes, less than it was known to have.
    Truncated {
        /// Its size in bytes now.
        size: u64,
    },
    /// Another file: this one was renamed or removed, and that one put in its place.
    Replaced(Identity),
    /// Nothing: this file was renamed or removed.
    Missing,
}

impl File {
    /// Opens an existing file for reading.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), fs::File::options().read(true))
    }

    /// Opens an existing file for reading and writing.
    pub fn open_read_write(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), fs::File::options().read(true).write(true))
    }

    /// Creates a file for reading and writing where there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the path names anything.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), fs::File::options().read(true).write(true).create_new(true))
    }

    /// Creates a file, or empties the one there is, for reading and writing, and locks it exclusively.
    ///
    /// The lock is taken first and the file emptied after, so a file that someone reads or writes is refused untouched.
    pub fn create(path: impl AsRef<Path>, locking: Locking) -> Result<(Self, Lock), LockError> {
        let (file, lock) = Self::claim(path, locking)?;
        file.set_len(0).map_err(|source| LockError::Io { path: file.path().to_owned(), source })?;
        Ok((file, lock))
    }

    /// As [`File::create`], but a file that is there stays as it is.
    pub fn claim(path: impl AsRef<Path>, locking: Locking) -> Result<(Self, Lock), LockError> {
        let path = path.as_ref();
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        // Between opening and locking, another process may put a different file in the path's place. Then this lock guards a file
        // that nobody will find; try with the one that is there now.
        for _ in 0..REPLACED_AT_MOST {
            let options = fs::File::options().read(true).write(true).create(true).truncate(false).clone();
            let file = Self::open_with(path, &options).map_err(failed)?;
            let lock = file.lock_alone(locking)?;
            if file.path_state(0).map_err(failed)? == PathState::Same {
                return Ok((file, lock));
            }
        }
        Err(failed(io::Error::other("the file was replaced again and again while it was being opened")))
    }

    /// Locks for writing alone. A file without bytes has nothing to be read: who holds a lock on it waits for it to be created, as a
    /// reader that opens it again and again does, and lets go at once.
    fn lock_alone(&self, locking: Locking) -> Result<Lock, LockError> {
        for _ in 0..PASSING_LOOKS_AT_MOST {
            match self.lock(LockMode::Exclusive, locking) {
                Err(LockError::Conflict { .. }) if self.size().is_ok_and(|size| size == 0) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                settled => return settled,
            }
        }
        self.lock(LockMode::Exclusive, locking)
    }

    /// The path this file was opened by, made absolute then.
    pub fn path(&self) -> &Path {
        &self.opened.path
    }

    /// Which file this is.
    pub fn identity(&self) -> io::Result<Identity> {
        self.opened.file.metadata().map(|metadata| Identity::of(&metadata))
    }

    /// Whether the path still names this file, and the file still has `known_size` bytes or more.
    pub fn path_state(&self, known_size: u64) -> io::Result<PathState> {
        let named = match fs::metadata(self.path()) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PathState::Missing),
            Err(error) => return Err(error),
        };
        Ok(match Identity::of(&named) {
            other if other != self.identity()? => PathState::Replaced(other),
            _ if named.len() < known_size => PathState::Truncated { size: named.len() },
            _ => PathState::Same,
        })
    }

    /// Makes the file's name durable: a new file survives a loss of power only once its directory does too.
    pub fn sync_directory(&self) -> io::Result<()> {
        match self.path().parent() {
            Some(directory) => fs::File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }

    /// The opening itself, without keeping it open.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<Opened> {
        Arc::downgrade(&self.opened)
    }

    fn open_with(path: &Path, options: &fs::OpenOptions) -> io::Result<Self> {
        let file = options.open(path)?;
        // The system opens a directory for reading without complaint, and fails at the first read.
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let path = std::path::absolute(path)?;
        Ok(Self { opened: Arc::new(Opened { file, path, sync_failed: AtomicBool::new(false) }) })
    }
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opened.file.as_fd()
    }
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        self.opened.file.metadata().map(|metadata| metadata.len())
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let wanted = buf.len();
        end_of(at, wanted)?;
        match read_full(|buf, at| self.opened.file.read_at(buf, at), buf, at)? {
            found if found == wanted => Ok(()),
            found => Err(past_end(at, wanted, at + found as u64)),
        }
    }
}

impl Storage for File {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        end_of(at, buf.len())?;
        write_full(|buf, at| self.opened.file.write_at(buf, at), buf, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.opened.file.set_len(len)
    }

    fn barrier(&self, barrier: Barrier) -> io::Result<()> {
        match barrier {
            Barrier::Visible => Ok(()),
            Barrier::Durable => self.opened.sync(),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        retry(|| Ok(rustix::fs::fallocate(self, rustix::fs::FallocateFlags::KEEP_SIZE, at, len)?))
    }

    fn write_vectored_all_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        let mut at = at;
        for parts in parts.chunks(PARTS_AT_ONCE) {
            let total: usize = parts.iter().map(|part| part.len()).sum();
            end_of(at, total)?;
            let written = retry(|| Ok(rustix::io::pwritev(self, parts, at)?))?;
            // The system rarely stops short; then what is left goes part by part.
            let mut skip = written;
            let mut part_at = at;
            for part in parts {
                let done = skip.min(part.len());
                if done < part.len() {
                    self.write_all_at(&part[done..], part_at + done as u64)?;
                }
                skip -= done;
                part_at += part.len() as u64;
            }
            at += total as u64;
        }
        Ok(())
    }
}

/// How often [`File::create`] starts over because the path came to name another file.
const REPLACED_AT_MOST: usize = 8;
/// How often, a millisecond apart, the lock of an empty file is asked for again.
const PASSING_LOOKS_AT_MOST: usize = 200;

/// The most parts one `pwritev` takes on any system we know (`IOV_MAX`).
const PARTS_AT_ONCE: usize = 1024;

#[derive(Debug)]
pub(crate) struct Opened {
    file: fs::File,
    path: PathBuf,
    /// Set by the first failed sync. The kernel drops the pages it could not write and reports success next time, so from then on no
    /// sync of this file can be believed.
    sync_failed: AtomicBool,
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Opened {
    fn sync(&self) -> io::Result<()> {
        if self.sync_failed.load(Ordering::Acquire) {
            return Err(io::Error::other("an earlier sync of this file failed: what it covered may be lost"));
        }
        retry(|| self.file.sync_data()).inspect_err(|_| self.sync_failed.store(true, Ordering::Release))
    }
}

/// Reads until `buf` is full or the bytes end; returns how many were read.
fn read_full(read: impl Fn(&mut [u8], u64) -> io::Result<usize>, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match retry(|| read(&mut buf[done..], at + done as u64))? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

/// Writes until all of `buf` is written.
fn write_full(write: impl Fn(&[u8], u64) -> io::Result<usize>, buf: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match retry(|| write(&buf[done..], at + done as u64))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => done += written,
        }
    }
    Ok(())
}

/// Calls again for as long as a signal interrupts.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A directory of the test's own, removed at the end.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("h5live-storage-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn room_that_is_found_ahead_changes_nothing_that_can_be_read() {
        let scratch = Scratch::new("allocate");
        let file = File::create_new(scratch.path("a")).unwrap();
        file.write_all_at(b"there", 0).unwrap();
        let taken = || fs::metadata(file.path()).unwrap().blocks() * 512;
        if file.allocate(0, 8 << 20).is_err() {
            // This file system finds room when it must.
            return;
        }
        assert!(taken() >= 8 << 20);
        assert_eq!(file.size().unwrap(), 5);
        assert_eq!(file.read_exact_at(&mut [0; 6], 0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        file.write_all_at(b"further", 1 << 20).unwrap();
        let mut between = [1; 64];
        file.read_exact_at(&mut between, 5).unwrap();
        assert_eq!(between, [0; 64]);
        file.set_len(5).unwrap();
        assert!(taken() < 1 << 20, "{} bytes for 5", taken());
        assert!(file.allocate(u64::MAX, 2).is_err());
    }

    #[test]
    fn reads_and_writes_by_position() {
        let scratch = Scratch::new("position");
        let file = File::create_new(scratch.path("a")).unwrap();
        file.write_all_at(b"world", 6).unwrap();
        file.write_vectored_all_at(
            &[IoSlice::new(b"he"), IoSlice::new(b""), IoSlice::new(b"llo "), IoSlice::new(b"w")],
            0,
        )
        .unwrap();
        file.barrier(Barrier::Visible).unwrap();
        file.barrier(Barrier::Durable).unwrap();
        file.sync_directory().unwrap();
        let mut buf = [0; 11];
        File::open(file.path()).unwrap().read_exact_at(&mut buf, 0).unwrap();
        assert_eq!(&buf, b"hello world");
        for at in [1, 11, 12, u64::MAX >> 1] {
            let error = file.read_exact_at(&mut buf, at.min(i64::MAX as u64 - 11)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "at {at}");
        }
        assert!(file.read_exact_at(&mut buf, u64::MAX).is_err());
        assert!(file.write_all_at(&buf, u64::MAX).is_err());
        file.set_len(5).unwrap();
        assert_eq!(file.size().unwrap(), 5);
        assert_eq!(File::create_new(file.path()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(File::open(scratch.path("")).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn more_parts_than_one_call_takes() {
        let scratch = Scratch::new("parts");
        let file = File::create_new(scratch.path("a")).unwrap();
        let bytes: Vec<u8> = (0..2500_u32).flat_map(u32::to_le_bytes).collect();
        let parts: Vec<_> = bytes.chunks(4).map(IoSlice::new).collect();
        file.write_vectored_all_at(&parts, 3).unwrap();
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, 3).unwrap();
        assert_eq!(found, bytes);
    }

    #[test]
    fn interruptions_and_short_calls_are_handled() {
        let source: Vec<u8> = (0..100).collect();
        let calls = RefCell::new(0);
        let hiccup = || -> io::Result<()> {
            *calls.borrow_mut() += 1;
            if *calls.borrow() % 2 == 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        let read = |buf: &mut [u8], at: u64| {
            hiccup()?;
            let rest = &source[source.len().min(at as usize)..];
            let len = rest.len().min(buf.len()).min(7);
            buf[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        };
        let mut buf = [0; 64];
        assert_eq!(read_full(read, &mut buf, 10).unwrap(), 64);
        assert_eq!(buf, source[10..74]);
        assert_eq!(read_full(read, &mut buf, 60).unwrap(), 40);

        let target = RefCell::new(Vec::new());
        let write = |buf: &[u8], at: u64| {
            hiccup()?;
            assert_eq!(at, 5 + target.borrow().len() as u64);
            let len = buf.len().min(9);
            target.borrow_mut().extend_from_slice(&buf[..len]);
            Ok(len)
        };
        write_full(write, &source, 5).unwrap();
        assert_eq!(*target.borrow(), source);
        assert_eq!(write_full(|_, _| Ok(0), &source, 0).unwrap_err().kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn knows_when_its_path_names_something_else() {
        let scratch = Scratch::new("identity");
        let path = scratch.path("a");
        let file = File::create_new(&path).unwrap();
        file.set_len(10).unwrap();
        assert_eq!(file.path_state(10).unwrap(), PathState::Same);
        assert_eq!(file.path_state(11).unwrap(), PathState::Truncated { size: 10 });
        fs::rename(&path, scratch.path("b")).unwrap();
        assert_eq!(file.path_state(10).unwrap(), PathState::Missing);
        let other = File::create_new(&path).unwrap();
        assert_eq!(file.path_state(10).unwrap(), PathState::Replaced(other.identity().unwrap()));
        assert_eq!(file.clone().identity().unwrap(), file.identity().unwrap());
    }

    #[test]
    fn creating_waits_for_who_looks_in_passing() {
        let scratch = Scratch::new("passing");
        let path = scratch.path("a");
        // Someone who found the new file before its creator had locked it; and one who stays.
        let passing = File::create_new(&path).unwrap();
        let _ = passing.lock(LockMode::Shared, Locking::On).unwrap();
        assert!(matches!(File::create(&path, Locking::On), Err(LockError::Conflict { .. })));
        std::thread::scope(|scope| {
            let creator = scope.spawn(|| File::create(&path, Locking::On));
            std::thread::sleep(Duration::from_millis(5));
            passing.unlock().unwrap();
            assert!(creator.join().unwrap().is_ok());
        });
    }

    #[test]
    fn create_empties_only_what_it_could_lock() {
        let scratch = Scratch::new("create");
        let path = scratch.path("a");
        fs::write(&path, b"precious").unwrap();
        let reader = File::open(&path).unwrap();
        let _ = reader.lock(LockMode::Shared, Locking::On).unwrap();
        assert!(matches!(File::create(&path, Locking::On), Err(LockError::Conflict { .. })));
        assert_eq!(reader.size().unwrap(), 8);
        drop(reader);
        let (file, lock) = File::create(&path, Locking::On).unwrap();
        assert_eq!((file.size().unwrap(), lock), (0, Lock::Held(LockMode::Exclusive)));
    }

    #[test]
    fn no_sync_is_believed_after_one_failed() {
        let scratch = Scratch::new("sync");
        let file = File::create_new(scratch.path("a")).unwrap();
        file.opened.sync_failed.store(true, Ordering::Release);
        assert!(file.barrier(Barrier::Durable).is_err());
        assert!(file.clone().barrier(Barrier::Durable).is_err());
        file.barrier(Barrier::Visible).unwrap();
    }
}
