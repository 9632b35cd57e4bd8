//! Waiting for rows of several datasets of one file.

use std::time::{Duration, Instant};

use h5live::{Dataset, ErrorKind, File, Growth, Waker, WriterState};

use crate::failure::Failure;
use crate::output;
use crate::place::Place;

/// How often the writer's pulse is felt while nothing happens.
const PULSE: Duration = Duration::from_millis(500);
/// For how long a file nobody holds may still be between two states of its writer.
const SETTLING: Duration = Duration::from_millis(200);
/// How often something that is not there yet is looked for.
const RETRY: Duration = Duration::from_millis(50);

/// What happened.
pub(crate) enum Event {
    /// Rows arrived: dataset by dataset.
    Grown(Vec<(Dataset, Growth)>),
    /// Something else may have changed, or a pulse has passed.
    Idle,
    /// The writer closed the file, or there never was one; everything has been told.
    Closed,
}

/// Follows datasets of one file.
pub(crate) struct Follow {
    file: File,
    waker: Waker,
    followed: Vec<Followed>,
    unheld_since: Option<Instant>,
}

struct Followed {
    dataset: Dataset,
    seen: u64,
}

impl Follow {
    pub(crate) fn new(file: File) -> Self {
        let waker = file.waker();
        Self { file, waker, followed: Vec::new(), unheld_since: None }
    }

    /// Follows one more dataset, from row `seen` on.
    pub(crate) fn add(&mut self, dataset: Dataset, seen: u64) {
        self.followed.push(Followed { dataset, seen });
    }

    /// Whether the dataset with this address is followed.
    pub(crate) fn has(&self, address: u64) -> bool {
        self.followed.iter().any(|followed| followed.dataset.address() == address)
    }

    /// Waits for something to happen, at most for half a second.
    pub(crate) fn next(&mut self) -> Result<Event, Failure> {
        // The writer's state first: what it published before it ended is then seen by the look that follows.
        let state = self.file.writer_state()?;
        self.file.refresh()?;
        let grown = self.grown()?;
        if !grown.is_empty() {
            return Ok(Event::Grown(grown));
        }
        let is_over = match &state {
            WriterState::Closed | WriterState::Died(_) => {
                self.unheld_since.get_or_insert_with(Instant::now).elapsed() >= SETTLING
            }
            _ => {
                self.unheld_since = None;
                false
            }
        };
        if is_over {
            return match state {
                WriterState::Died(writer) => {
                    let commit = self.file.commit()?.unwrap_or(0);
                    let died = ErrorKind::WriterDied { writer: writer.to_string(), commit };
                    Err(Failure::File(died.into()))
                }
                _ => Ok(Event::Closed),
            };
        }
        self.waker.wait(if self.unheld_since.is_some() { SETTLING / 4 } else { PULSE })?;
        Ok(Event::Idle)
    }

    fn grown(&mut self) -> Result<Vec<(Dataset, Growth)>, Failure> {
        let mut grown = Vec::new();
        for followed in &mut self.followed {
            let rows = followed.dataset.shape().first().copied().unwrap_or(0);
            if rows > followed.seen
                && let Some(growth) = followed.dataset.watch_from(followed.seen)?.poll()?
            {
                followed.seen = growth.rows.end;
                grown.push((followed.dataset.clone(), growth));
            }
            // Rows that were cut off are told again if they come again.
            followed.seen = followed.seen.min(followed.dataset.shape().first().copied().unwrap_or(0));
        }
        Ok(grown)
    }
}

/// Options of the subcommands that follow a file.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Patience {
    /// Wait so long for the file, the object and its writer, if they are not there yet
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    wait: Option<Duration>,
}

impl Patience {
    /// Tries until it succeeds, patience ends, or nobody wants the output any more.
    pub(crate) fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let begun = Instant::now();
        loop {
            match attempt() {
                Err(_) if self.wait.is_some_and(|wait| begun.elapsed() < wait) => {
                    if output::is_abandoned() {
                        return Err(Failure::OutputClosed);
                    }
                    std::thread::sleep(RETRY);
                }
                done => return done,
            }
        }
    }

    /// Opens a file that someone writes; without patience, one that nobody writes will do.
    pub(crate) fn follow<T>(
        &self,
        place: &Place,
        mut look: impl FnMut(&File) -> Result<T, Failure>,
    ) -> Result<(File, T), Failure> {
        let begun = Instant::now();
        self.retry(|| {
            let file = place.follow()?;
            let found = look(&file)?;
            let is_closed = file.writer_state()? == WriterState::Closed;
            if is_closed && self.wait.is_some_and(|wait| begun.elapsed() < wait) {
                return Err(Failure::Other(format!("{}: nobody writes it", place.file.display())));
            }
            if is_closed {
                // What nobody writes is whole, or an error.
                place.open()?;
            }
            Ok((file, found))
        })
    }
}

/// A duration given in seconds, with or without a fraction.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
