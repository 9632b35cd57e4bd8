//! Keeping locks with the process that took them when it forks.
//!
//! A forked process shares its parent's open file descriptions, and with them the writer's lease and the `flock` lock: a fork that lives
//! on would make a dead writer look alive, and keep the next one out. So in the fork, before anything else runs there, the descriptor of
//! every leased file is given another description of the same file: one of the fork's own, for reading only. What the fork inherited
//! stays readable; writing through it fails.
//!
//! `exec` needs nothing of this: descriptors are opened so that it closes them.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError, Weak};

use crate::File;
use crate::file::Opened;

/// The leased files. Only whoever has the [`GATE`] locks it, so that in a fork it is never locked by a thread that does not exist there.
static LEASED: Mutex<Vec<Weak<Opened>>> = Mutex::new(Vec::new());

/// Held while [`LEASED`] is looked at, and by the thread that forks from before the fork until after it, on both sides.
static GATE: AtomicBool = AtomicBool::new(false);

/// Has forks of this process leave the lease of `file` alone.
pub(crate) fn register(file: &File) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Safety: the three functions are of the type that the call wants, and live as long as the process. The only failure is want
        // of memory; forks are then as the system makes them.
        let _ = unsafe { libc::pthread_atfork(Some(close_gate), Some(open_gate), Some(give_up_leases)) };
    });
    close_gate();
    let mut leased = LEASED.lock().unwrap_or_else(PoisonError::into_inner);
    leased.retain(|opened| opened.strong_count() > 0);
    leased.push(file.downgrade());
    drop(leased);
    open_gate();
}

extern "C" fn close_gate() {
    while GATE.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        std::thread::yield_now();
    }
}

extern "C" fn open_gate() {
    GATE.store(false, Ordering::Release);
}

/// In the fork, whose only thread this is.
extern "C" fn give_up_leases() {
    for opened in LEASED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // Its strong count keeps the descriptor open. Another thread may have been closing it as the process forked: then it is either
        // still counted, and open, or not found here.
        if let Some(opened) = opened.upgrade() {
            replace(opened.as_fd().as_raw_fd());
            // Whoever has it besides is of the parent's threads or still to run here; closing is theirs.
            std::mem::forget(opened);
        }
    }
    open_gate();
}

/// Gives a descriptor another description of the same file, for reading only. Calls nothing that allocates or locks: the fork of a
/// process with threads must not.
fn replace(descriptor: RawFd) {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let digits = &mut path[14..25];
    let mut rest = descriptor.unsigned_abs();
    let count = rest.checked_ilog10().unwrap_or(0) as usize + 1;
    for digit in digits[..count].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // Safety: both paths end with a zero byte, and `open`, `dup3` and `close` keep no pointer. `descriptor` is open and ours; `dup3`
    // replaces what it stands for in one step, so that at no moment another file can come to have its number.
    unsafe {
        let mut own = libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if own < 0 {
            own = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        }
        if own >= 0 {
            libc::dup3(own, descriptor, libc::O_CLOEXEC);
            libc::close(own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::Scratch;
    use crate::{Lease, LockMode, Locking, ReadAt, Storage};

    /// Forks; the child does `act` and ends with 0 if it is true, 1 if not. Gives the child's number.
    fn fork(act: impl FnOnce() -> bool) -> libc::pid_t {
        // Safety: the child calls only what reads, writes and waits by descriptors, and ends without unwinding into the test harness.
        match unsafe { libc::fork() } {
            0 => unsafe { libc::_exit(if act() { 0 } else { 1 }) },
            child => child,
        }
    }

    fn status(child: libc::pid_t) -> i32 {
        let mut status = -1;
        // Safety: waits for a child of this process, with a pointer to a number that outlives the call.
        unsafe { libc::waitpid(child, &mut status, 0) };
        status
    }

    #[test]
    fn a_fork_does_not_hold_the_lease() {
        let scratch = Scratch::new("fork");
        let path = scratch.path("a");
        let writer = File::create_new(&path).unwrap();
        writer.write_all_at(b"seen", 0).unwrap();
        let _ = writer.lock(LockMode::Exclusive, Locking::On).unwrap();
        let lease = Lease::acquire(&writer).unwrap();
        let reader = File::open(&path).unwrap();
        let pipe = || {
            let mut ends = [0; 2];
            // Safety: the pointer is to two numbers, which the call fills in.
            assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
            (ends[0], ends[1])
        };
        let ((wait, go), (is_ready, ready)) = (pipe(), pipe());
        let child = fork(|| {
            let mut seen = [0; 4];
            let reads = writer.read_exact_at(&mut seen, 0).is_ok() && &seen == b"seen";
            let writes = writer.write_all_at(b"lost", 0).is_ok();
            // Safety: one byte out of one and into a place for one. The read returns when the parent writes or ends.
            unsafe {
                libc::close(go);
                libc::write(ready, [0u8].as_ptr().cast(), 1);
                libc::read(wait, seen.as_mut_ptr().cast(), 1);
            }
            reads && !writes
        });
        // Safety: one byte into a place for one.
        unsafe { libc::read(is_ready, [0u8].as_mut_ptr().cast(), 1) };
        // The parent holds on, whatever the fork did.
        assert!(Lease::is_held(&reader).unwrap());
        // With the parent's copy gone, as when it dies, nothing is held although the fork lives.
        std::mem::forget(lease);
        // Safety: the writer's descriptor is not used again: both are forgotten.
        unsafe { libc::close(writer.as_fd().as_raw_fd()) };
        std::mem::forget(writer);
        assert!(!Lease::is_held(&reader).unwrap());
        let _ = reader.lock(LockMode::Exclusive, Locking::On).unwrap();
        // Safety: one byte out of one.
        unsafe { libc::write(go, [0u8].as_ptr().cast(), 1) };
        assert_eq!(status(child), 0, "the fork reads what it inherited, and cannot write it");
    }
}
