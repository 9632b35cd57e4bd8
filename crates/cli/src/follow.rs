//! Waiting for rows of several datasets of one file.

use std::time::{Duration, Instant};

use h5live::{Dataset, File, Growth, Sight, Vigil, WriterState};

use crate::failure::Failure;
use crate::output;
use crate::place::Place;

/// How often the writer's pulse is felt while nothing happens.
const PULSE: Duration = Duration::from_millis(500);
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
    vigil: Vigil,
    followed: Vec<Followed>,
}

struct Followed {
    dataset: Dataset,
    seen: u64,
}

impl Follow {
    pub(crate) fn new(file: &File) -> Self {
        Self { vigil: file.vigil(), followed: Vec::new() }
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
        let file = self.vigil.file().clone();
        let followed = &mut self.followed;
        let sight = self.vigil.step(PULSE, || {
            file.refresh()?;
            let grown: Vec<_> = followed.iter_mut().filter_map(|followed| followed.grown(&file)).collect();
            Ok((!grown.is_empty()).then_some(grown))
        })?;
        Ok(match sight {
            Sight::Found(grown) => Event::Grown(grown),
            Sight::Nothing => Event::Idle,
            Sight::Closed => Event::Closed,
        })
    }
}

impl Followed {
    /// What is new, as of the last refresh.
    fn grown(&mut self, file: &File) -> Option<(Dataset, Growth)> {
        let shape = self.dataset.shape();
        let now = shape.first().copied().unwrap_or(0);
        // Rows that were cut off are told again if they come again.
        let rows = self.seen.min(now)..now;
        self.seen = now;
        let (commit, published) = file.last_commit();
        (!rows.is_empty()).then(|| (self.dataset.clone(), Growth { rows, shape, commit, published }))
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
