//! Room to work in, used again and again.

use std::sync::{Mutex, PoisonError};

use h5live_filter::Scratch;

use super::gather::Gather;

/// Whether the chunks that a read decodes are kept for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    Yes,
    No,
}

/// What one thread needs to read chunks.
pub(super) struct Work {
    pub(super) keeping: Keeping,
    /// The stored bytes of one chunk.
    pub(super) stored: Vec<u8>,
    /// The stored bytes of several.
    pub(super) together: Vec<u8>,
    /// A chunk, its filters undone.
    pub(super) chunk: Vec<u8>,
    pub(super) scratch: Scratch,
    pub(super) gather: Gather,
}

impl Work {
    /// Nothing in it yet, for elements of so many bytes.
    pub(super) fn new(keeping: Keeping, element_size: usize) -> Self {
        Self {
            keeping,
            stored: Vec::new(),
            together: Vec::new(),
            chunk: Vec::new(),
            scratch: Scratch::default(),
            gather: Gather::new(element_size),
        }
    }
}

/// As much of it as threads work at the same time: memory that is handed back to the system is dear to get again.
pub(super) struct Works<F> {
    new: F,
    idle: Mutex<Vec<Work>>,
}

impl<F: Fn() -> Work> Works<F> {
    /// None yet.
    pub(super) fn new(new: F) -> Self {
        Self { new, idle: Mutex::default() }
    }

    /// Does `act` with one that nobody else uses meanwhile.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Work) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle().pop();
        let mut work = found.unwrap_or_else(&self.new);
        let done = act(&mut work);
        idle().push(work);
        done
    }
}
