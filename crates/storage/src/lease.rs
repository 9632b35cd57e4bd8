//! The writer's lease: how others see that a writer lives.
//!
//! A writer holds an open-file-description write lock (`F_OFD_SETLK`) on one byte far beyond any data. The kernel releases it when the
//! writer's last descriptor closes, however the process ends, so the lease cannot outlive its writer. Readers ask for it with
//! `F_OFD_GETLK`, which works through a descriptor open for reading only and takes no lock.
//!
//! Byte-range locks and `flock` locks do not know each other on a local file system: libhdf5's readers, which take a shared `flock`,
//! never notice the lease. Over NFS the kernel turns `flock` into a byte-range lock of the whole file, and the two do meet there: a
//! lease is then refused while any reader has the file open.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::File;
use crate::lock::{Outcome, outcome, retry_interrupted};

/// The right to write a file, held until dropped.
///
/// A process forked from the holder does not hold it: there the file's descriptor becomes one of its own, for reading only, so that
/// the lease (and the `flock` lock) ends with the holder even if the fork lives on, and the fork cannot write.
#[derive(Debug)]
pub struct Lease {
    file: File,
    holder: u32,
}

/// Why a lease could not be taken or asked about.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another holds it: another process, or another opening of the file in this one.
    #[error("{}: another writer holds the file", .path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// This system or file system has no open-file-description locks: whether a writer lives cannot be known.
    #[error("{}: open-file-description locks are not supported here ({source})", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused for another reason, for example because the file is open for reading only.
    #[error("{}: cannot take or query the writer's lease: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Lease {
    /// The byte the lease locks. Nothing is ever stored there; the largest files a kernel allows end before it.
    pub const BYTE: u64 = 0x7fff_ffff_ffff_fff0;

    /// Takes the lease of `file`, which must be open for writing, without waiting.
    ///
    /// Asking again through the same [`File`] or a clone of it succeeds: the lease is the description's.
    pub fn acquire(file: &File) -> Result<Self, LeaseError> {
        match call(file, Request::Lock) {
            Ok(_) => {
                #[cfg(any(target_os = "linux", target_os = "android"))]
                crate::fork::register(file);
                Ok(Self { file: file.clone(), holder: std::process::id() })
            }
            Err(errno) => Err(error(file, errno)),
        }
    }

    /// Whether someone holds the lease of `file` through another opening of it than this one.
    pub fn is_held(file: &File) -> Result<bool, LeaseError> {
        call(file, Request::Query).map(|answer| answer == Answer::Taken).map_err(|errno| error(file, errno))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A fork has nothing to give up.
        if self.holder == std::process::id() {
            // Nothing can be done about a failure here, and closing the descriptor releases the lease all the same.
            let _ = call(&self.file, Request::Unlock);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Lock,
    Unlock,
    Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Free,
    Taken,
}

/// Makes one request about the lease's byte; after [`Request::Lock`] the answer is [`Answer::Taken`], by us.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn call(file: &File, request: Request) -> Result<Answer, Errno> {
    let command = match request {
        Request::Lock | Request::Unlock => libc::F_OFD_SETLK,
        Request::Query => libc::F_OFD_GETLK,
    };
    let kind = match request {
        Request::Lock | Request::Query => libc::F_WRLCK,
        Request::Unlock => libc::F_UNLCK,
    };
    let mut lock = libc::flock64 {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: Lease::BYTE as libc::off64_t,
        l_len: 1,
        l_pid: 0, // must be zero for locks of open file descriptions
    };
    retry_interrupted(|| fcntl(file, command, &mut lock))?;
    Ok(if lock.l_type == libc::F_UNLCK as libc::c_short { Answer::Free } else { Answer::Taken })
}

/// Systems without locks of open file descriptions: POSIX record locks are no substitute, for they vanish when *any* descriptor of the
/// file in the process closes.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn call(_: &File, _: Request) -> Result<Answer, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(unsafe_code)]
fn fcntl(file: &File, command: libc::c_int, lock: &mut libc::flock64) -> Result<(), Errno> {
    use std::os::fd::{AsFd, AsRawFd};

    // Safety: `file` keeps the descriptor open for the whole call. `F_OFD_SETLK` and `F_OFD_GETLK` take a pointer to one lock
    // structure with 64-bit offsets, which `lock` is; the kernel reads it, writes at most that structure, and keeps no pointer.
    let result = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, std::ptr::from_mut(lock)) };
    match result {
        -1 => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
        _ => Ok(()),
    }
}

fn error(file: &File, errno: Errno) -> LeaseError {
    let path = file.path().to_owned();
    match outcome(Err(errno)) {
        Outcome::Conflict => LeaseError::Held { path },
        // Kernels from before 3.15 do not know the command and call it invalid.
        Outcome::Unsupported(_) => LeaseError::Unsupported { path, source: errno.into() },
        _ if errno == Errno::INVAL => LeaseError::Unsupported { path, source: errno.into() },
        _ => LeaseError::Io { path, source: errno.into() },
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;
    use crate::file::tests::Scratch;
    use crate::{LockMode, Locking, ReadAt};
    use std::io::{BufRead, BufReader, Write};
    use std::path::Path;
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

    #[test]
    fn one_holder_at_a_time() {
        let scratch = Scratch::new("lease");
        let writer = File::create_new(scratch.path("a")).unwrap();
        let rival = File::open_read_write(writer.path()).unwrap();
        let reader = File::open(writer.path()).unwrap();
        assert!(!Lease::is_held(&reader).unwrap());
        let lease = Lease::acquire(&writer).unwrap();
        assert!(Lease::is_held(&reader).unwrap());
        assert!(matches!(Lease::acquire(&rival), Err(LeaseError::Held { .. })));
        // A description's own lock is no obstacle to it.
        assert!(!Lease::is_held(&writer).unwrap());
        drop(lease);
        assert!(!Lease::is_held(&reader).unwrap());
        assert!(matches!(Lease::acquire(&reader), Err(LeaseError::Io { .. })), "a reader cannot lease");
        // Closing the file elsewhere in the process does not release the lease.
        let _lease = Lease::acquire(&rival).unwrap();
        drop(File::open(writer.path()).unwrap());
        assert!(Lease::is_held(&reader).unwrap());
        assert_eq!(writer.size().unwrap(), 0, "locking beyond the end does not extend the file");
    }

    #[test]
    fn another_process_sees_it_come_and_go() {
        let Some(scratch) = child_scratch("process") else { return act() };
        let path = scratch.path("a");
        let reader = {
            File::create_new(&path).unwrap();
            File::open(&path).unwrap()
        };
        let mut writer = Process::start("another_process_sees_it_come_and_go", &path);
        writer.ask("lease");
        assert!(Lease::is_held(&reader).unwrap());
        // What libhdf5's readers do is let through, what its writers do is refused.
        let _ = reader.lock(LockMode::Shared, Locking::On).unwrap();
        reader.unlock().unwrap();
        assert!(reader.lock(LockMode::Exclusive, Locking::On).is_err());
        assert!(matches!(Lease::acquire(&File::open_read_write(&path).unwrap()), Err(LeaseError::Held { .. })));
        writer.ask("release");
        assert!(!Lease::is_held(&reader).unwrap());
        writer.ask("lease");
        assert!(Lease::is_held(&reader).unwrap());
        writer.child.kill().unwrap();
        writer.child.wait().unwrap();
        assert!(!Lease::is_held(&reader).unwrap(), "the lease ends with its process");
        let _ = reader.lock(LockMode::Exclusive, Locking::On).unwrap();
    }

    /// This test program again, as another process that does as it is told.
    struct Process {
        child: Child,
        orders: ChildStdin,
        answers: BufReader<ChildStdout>,
    }

    const CHILD: &str = "H5LIVE_STORAGE_TEST_FILE";

    impl Process {
        fn start(test: &str, path: &Path) -> Self {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &format!("lease::tests::{test}"), "--nocapture", "--test-threads=1"])
                .env(CHILD, path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let orders = child.stdin.take().unwrap();
            let answers = BufReader::new(child.stdout.take().unwrap());
            Self { child, orders, answers }
        }

        fn ask(&mut self, order: &str) {
            writeln!(self.orders, "{order}").unwrap();
            let mut line = String::new();
            // The test harness prints lines of its own first.
            while !line.ends_with(&format!("done {order}\n")) {
                line.clear();
                assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the child ended");
            }
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// A scratch directory for the parent, nothing in the child.
    fn child_scratch(name: &str) -> Option<Scratch> {
        std::env::var_os(CHILD).is_none().then(|| Scratch::new(name))
    }

    /// What the child does: a writer that leases and releases on order.
    fn act() {
        let file = File::open_read_write(std::env::var_os(CHILD).unwrap()).unwrap();
        let mut lease = None;
        for order in io::stdin().lines() {
            let order = order.unwrap();
            match order.as_str() {
                "lease" => {
                    let _ = file.lock(LockMode::Shared, Locking::On).unwrap();
                    lease = Some(Lease::acquire(&file).unwrap());
                }
                _ => drop(lease.take()),
            }
            println!("done {order}");
        }
    }
}
