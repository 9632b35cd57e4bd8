//! Being told of new rows.
//!
//! Being woken is a hint; [`Dataset::refresh`] is the truth. So nothing is missed when wakes come together, and nothing is
//! repeated when one comes for nothing.

use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use h5live_storage::{Wake, Woken};

use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, Role};
use crate::live::WriterState;

/// How often a waiting watch asks whether the writer still lives, in case nothing wakes it.
const PULSE: Duration = Duration::from_millis(500);
/// For how long a file nobody holds may still be between two states of its writer.
const SETTLING: Duration = Duration::from_millis(200);

/// Rows that have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The new rows, along the axis that is watched.
    pub rows: Range<u64>,
    /// The whole extent now.
    pub shape: Vec<u64>,
    /// The commit they came with; `None` for files that libhdf5 writes.
    pub commit: Option<u64>,
    /// When the writer published that commit.
    pub published: Option<SystemTime>,
}

/// Waits for rows of one dataset: an iterator that blocks until some arrive, ends when the writer closes the file, and
/// yields an error when it died.
///
/// Growth that came together is told together; every row is told once. If the dataset is made smaller, rows that come after
/// that are told again by their new numbers.
#[derive(Debug)]
pub struct Watch {
    dataset: Dataset,
    axis: usize,
    seen: u64,
    vigil: Vigil,
    timeout: Option<Duration>,
    ended: bool,
}

/// Waits for what a program looks for in a file, as long as someone writes it; made by [`File::vigil`].
#[derive(Debug)]
pub struct Vigil {
    file: File,
    waker: Waker,
    /// Since when nobody has held the file.
    unheld_since: Option<Instant>,
}

/// What a [`Vigil`] has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight<T> {
    /// This was found.
    Found(T),
    /// Nothing yet: the file may have changed, or the time is up.
    Nothing,
    /// Nothing, and nothing will come: the writer has closed the file, or there was none.
    Closed,
}

/// Waits for any change of one file.
#[derive(Debug)]
pub struct Waker {
    wake: Wake,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The file may have changed.
    Changed,
    /// A program that could write the file closed it or ended.
    Closed,
    /// Nothing happened in the given time.
    Idle,
}

impl Waker {
    /// Waits for a change, at most for `timeout`. A change since the last wait (or since the waker was made) ends it at once.
    ///
    /// # Errors
    /// The system refuses.
    pub fn wait(&self, timeout: Duration) -> Result<Wait> {
        match self.wake.wait(timeout) {
            Ok(Woken::Changed) => Ok(Wait::Changed),
            Ok(Woken::Closed) => Ok(Wait::Closed),
            Ok(Woken::Idle) => Ok(Wait::Idle),
            Err(source) => Err(Error::io("wait for the file to change", source)),
        }
    }

    /// Whether the system tells of changes. Otherwise they are noticed within 50 ms.
    #[must_use]
    pub fn is_notified(&self) -> bool {
        self.wake.is_notified()
    }
}

impl File {
    /// What waits for changes of this file; by the system's notification where there is one, by looking every 50 ms where not.
    #[must_use]
    pub fn waker(&self) -> Waker {
        let wake = match &self.inner.role {
            Role::Reader(follower) => follower.file().as_ref().map_or_else(Wake::polling, Wake::new),
            Role::Writer(_) => Wake::polling(),
        };
        Waker { wake }
    }

    /// What waits for something to appear in this file, as long as someone writes it.
    #[must_use]
    pub fn vigil(&self) -> Vigil {
        Vigil { file: self.clone(), waker: self.waker(), unheld_since: None }
    }
}

impl Dataset {
    /// Waits for rows that are new from now on, along the first axis.
    ///
    /// # Errors
    /// The dataset has no axis, or the file cannot be read.
    pub fn watch(&self) -> Result<Watch> {
        let rows = self.shape().first().copied().unwrap_or(0);
        self.watch_from(rows)
    }

    /// Waits for rows from row `first` on: those that are there already come at once.
    ///
    /// # Errors
    /// As [`Dataset::watch`].
    pub fn watch_from(&self, first: u64) -> Result<Watch> {
        if self.shape().is_empty() {
            let why = "a scalar has no rows to wait for".to_owned();
            let error = Error::new(ErrorKind::Shape { given: Vec::new(), why });
            return Err(self.file().inner.locate(error.at_object(self.path())));
        }
        let vigil = self.file().vigil();
        Ok(Watch { dataset: self.clone(), axis: 0, seen: first, vigil, timeout: None, ended: false })
    }
}

impl Watch {
    /// Watches another axis than the first.
    #[must_use]
    pub fn along(mut self, axis: usize) -> Self {
        self.axis = axis.min(self.dataset.shape().len().saturating_sub(1));
        self
    }

    /// Ends the iteration when nothing has come for so long.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The dataset.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Rows told so far.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What is new, without waiting.
    ///
    /// # Errors
    /// The file is damaged, or was truncated or replaced.
    pub fn poll(&mut self) -> Result<Option<Growth>> {
        look(&self.dataset, self.axis, &mut self.seen)
    }

    /// Whether the writer is known to have ended. Without this, an iteration that ended did so for want of time.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn await_growth(&mut self) -> Result<Option<Growth>> {
        let begun = Instant::now();
        loop {
            let left = self.timeout.map_or(PULSE, |timeout| timeout.saturating_sub(begun.elapsed()));
            let Self { dataset, axis, seen, vigil, .. } = &mut *self;
            match vigil.step(left.min(PULSE), || look(dataset, *axis, seen))? {
                Sight::Found(growth) => return Ok(Some(growth)),
                Sight::Nothing if left.is_zero() => return Ok(None),
                Sight::Nothing => {}
                Sight::Closed => {
                    self.ended = true;
                    return Ok(None);
                }
            }
        }
    }
}

/// What is new of a dataset of which `seen` rows were told.
fn look(dataset: &Dataset, axis: usize, seen: &mut u64) -> Result<Option<Growth>> {
    dataset.refresh()?;
    let shape = dataset.shape();
    let now = shape.get(axis).copied().unwrap_or(0);
    let rows = (*seen).min(now)..now;
    *seen = now;
    if rows.is_empty() {
        return Ok(None);
    }
    let (commit, published) = dataset.file().last_commit();
    Ok(Some(Growth { rows, shape, commit, published }))
}

impl Vigil {
    /// Looks once, and if nothing is found waits for the file to change, at most for `limit`.
    ///
    /// # Errors
    /// [`ErrorKind::WriterDied`] when nothing is found and the writer has died; [`ErrorKind::Changed`] when the file was
    /// replaced; whatever `look` says.
    pub fn step<T>(&mut self, limit: Duration, look: impl FnOnce() -> Result<Option<T>>) -> Result<Sight<T>> {
        // What the writer is, first: what it published before it ended is then seen by the look that follows.
        let state = self.file.writer_state()?;
        if let Some(found) = look()? {
            return Ok(Sight::Found(found));
        }
        let unheld = match &state {
            WriterState::Live(_) | WriterState::Foreign | WriterState::Unknown(_) => {
                self.unheld_since = None;
                None
            }
            // Between lease and trailer there is a moment in which a writer is neither dead nor alive.
            WriterState::Closed | WriterState::Died(_) => {
                Some(self.unheld_since.get_or_insert_with(Instant::now).elapsed())
            }
        };
        match (unheld, state) {
            (Some(unheld), WriterState::Died(writer)) if unheld >= SETTLING => {
                let commit = self.file.last_commit().0.unwrap_or(0);
                Err(ErrorKind::WriterDied { writer: writer.to_string(), commit }.into())
            }
            (Some(unheld), _) if unheld >= SETTLING => Ok(Sight::Closed),
            (unheld, _) => {
                let limit = if unheld.is_some() { limit.min(SETTLING / 4) } else { limit };
                if self.waker.wait(limit)? == Wait::Idle
                    && let Role::Reader(follower) = &self.file.inner.role
                {
                    follower.require_same()?;
                }
                Ok(Sight::Nothing)
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Iterator for Watch {
    type Item = Result<Growth>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.await_growth()
            .map_err(|error| {
                self.ended = true;
                self.dataset.file().inner.locate(error.at_object(self.dataset.path()))
            })
            .transpose()
    }
}
