//! Being woken when a file changes, instead of asking again and again.
//!
//! A hint, never the truth: a wake may come for nothing, and several changes may come as one. Who is woken looks at the file.
//!
//! On Linux this is inotify, which sees every local change of the file, by whatever name, and sees its writers close it, even by
//! dying. It sees nothing of what other hosts do: on network filesystems, and where inotify is not to be had, the file is looked at
//! every [`Wake::POLL`] instead.

use std::io;
use std::time::Duration;

use crate::File;

/// Waits for changes of one file.
#[derive(Debug)]
pub struct Wake {
    means: Means,
}

#[derive(Debug)]
enum Means {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Inotify(linux::Inotify),
    Polling,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Woken {
    /// The file was written to, cut or extended; or the time has come to look whether it was.
    Changed,
    /// A program that had the file open for writing closed it or ended.
    Closed,
    /// Nothing happened in the given time.
    Idle,
}

impl Wake {
    /// How often a file is looked at where nothing tells of its changes.
    pub const POLL: Duration = Duration::from_millis(50);

    /// Starts to watch `file`: a change after this returns ends a later [`Wake::wait`], even if that has not begun yet.
    pub fn new(file: &File) -> Self {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if linux::changes_are_local(file)
            && let Ok(inotify) = linux::Inotify::new(file)
        {
            return Self { means: Means::Inotify(inotify) };
        }
        let _ = file;
        Self { means: Means::Polling }
    }

    /// A wake that only ever polls.
    #[must_use]
    pub fn polling() -> Self {
        Self { means: Means::Polling }
    }

    /// Whether the system tells of changes; otherwise they are noticed within [`Wake::POLL`].
    #[must_use]
    pub fn is_notified(&self) -> bool {
        !matches!(self.means, Means::Polling)
    }

    /// Waits until something happens, at most for `timeout`. Changes that came together end one wait.
    pub fn wait(&self, timeout: Duration) -> io::Result<Woken> {
        match &self.means {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Means::Inotify(inotify) => inotify.wait(timeout),
            Means::Polling => {
                std::thread::sleep(timeout.min(Self::POLL));
                Ok(Woken::Changed)
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::fstatfs;
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
    use rustix::io::Errno;

    use super::Woken;
    use crate::File;

    /// Filesystems whose files other hosts may change unseen: NFS, SMB (three numbers), 9P, FUSE, AFS, Ceph, Lustre, GPFS.
    const REMOTE: [u64; 10] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x5346_414f,
        0x00c3_6400,
        0x0bd0_0bd0,
        0x4750_4653,
    ];

    /// Whether every change of the file is made through this host's kernel.
    pub(super) fn changes_are_local(file: &File) -> bool {
        // The kernel's own type for the number differs from one architecture to the next; its low 32 bits are the magic.
        fstatfs(file.as_fd()).is_ok_and(|fs| !REMOTE.contains(&(fs.f_type as u64 & 0xffff_ffff)))
    }

    #[derive(Debug)]
    pub(super) struct Inotify {
        queue: OwnedFd,
    }

    impl Inotify {
        pub(super) fn new(file: &File) -> io::Result<Self> {
            let queue = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            // By descriptor and not by name: the file may have been renamed since it was opened.
            let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
            add_watch(&queue, path, WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE)?;
            Ok(Self { queue })
        }

        pub(super) fn wait(&self, timeout: Duration) -> io::Result<Woken> {
            let timeout = Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos().into() };
            let mut fds = [PollFd::new(&self.queue, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => Ok(Woken::Idle),
                Ok(_) => self.drain(),
                // A signal: the caller may want to look at what it meant.
                Err(Errno::INTR) => Ok(Woken::Changed),
                Err(errno) => Err(errno.into()),
            }
        }

        /// Takes all that is queued, so that a burst wakes once.
        fn drain(&self) -> io::Result<Woken> {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(&self.queue, &mut buffer);
            let mut woken = Woken::Changed;
            loop {
                match reader.next() {
                    Ok(event) if event.events().contains(ReadFlags::CLOSE_WRITE) => woken = Woken::Closed,
                    Ok(_) => {}
                    Err(Errno::WOULDBLOCK) => return Ok(woken),
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Storage;
    use crate::file::tests::Scratch;

    #[test]
    fn a_change_before_the_wait_is_not_missed_and_a_burst_wakes_once() {
        let scratch = Scratch::new("wake");
        let writer = File::create_new(scratch.path("file")).unwrap();
        let wake = Wake::new(&File::open(scratch.path("file")).unwrap());
        assert_eq!(wake.wait(Duration::ZERO).unwrap(), if wake.is_notified() { Woken::Idle } else { Woken::Changed });
        if !wake.is_notified() {
            return;
        }
        for at in 0..10 {
            writer.write_all_at(b"x", at).unwrap();
        }
        assert_eq!(wake.wait(Duration::from_secs(10)).unwrap(), Woken::Changed);
        assert_eq!(wake.wait(Duration::ZERO).unwrap(), Woken::Idle);
        std::fs::rename(scratch.path("file"), scratch.path("renamed")).unwrap();
        drop(writer);
        assert_eq!(wake.wait(Duration::from_secs(10)).unwrap(), Woken::Closed);
    }
}
