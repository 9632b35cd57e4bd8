//! `h5live record`: standard input into a live dataset.

mod binary;
mod input;
mod target;
mod text;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use h5live::Datatype;

use self::input::{Message, Rows};
use self::target::Target;
use crate::failure::Failure;
use crate::output::{self, thousands};
use crate::place::Place;

/// Rows gathered into one append at most, in bytes: enough to be fast, few enough to be seen soon.
const MOST_GATHERED: usize = 8 << 20;

/// Record standard input into a dataset that anyone can read meanwhile
///
/// A file that exists is appended to, and so is a dataset, if type and row shape are the same. Ctrl-C (or SIGTERM)
/// publishes what has come and closes the file.
///
/// csv: rows of numbers, with or without a line of names first: a dataset (rows, columns), or (rows,) for one column. jsonl: a
/// value per line: a number, an array, or an object, whose members each have a dataset of their own below PATH. npy: arrays
/// as numpy.save writes them, one after the other, whose first axis is rows. raw: the bytes of --dtype and --row-shape.
#[derive(Debug, clap::Args)]
pub(crate) struct Record {
    /// The file; the dataset's path may follow in the same word, if the file exists
    file: PathBuf,
    /// The dataset; with --columns, or JSON objects, the group of the datasets
    #[arg(default_value = "data")]
    path: String,
    /// What standard input is
    #[arg(long, value_enum, default_value = "csv")]
    format: InputFormat,
    /// Publish after so many rows, or so much time: 100, 50ms, 2s
    #[arg(long, value_name = "ROWS|TIME", default_value = "50ms")]
    publish_every: PublishEvery,
    /// Each publication survives a loss of power
    #[arg(long)]
    durable: bool,
    /// csv: a dataset per column, text as text; without names they are column_0, column_1 and so on
    #[arg(long)]
    columns: bool,
    /// Type of an element: f64, i32, u16, bool, or as NumPy says it: <f4, >i2. Needed for raw; otherwise f64, or what the
    /// input says
    #[arg(long, value_parser = crate::npy::parse_type)]
    dtype: Option<Datatype>,
    /// raw: shape of a row; without it, a row is one element
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    row_shape: Vec<u64>,
    /// Rows of a chunk
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    chunk: Option<u64>,
    /// Compress with gzip
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u32).range(0..=9), num_args = 0..=1, default_missing_value = "4")]
    gzip: Option<u32>,
    /// Shuffle bytes before compressing
    #[arg(long)]
    shuffle: bool,
    /// Start afresh, if the file exists
    #[arg(long)]
    overwrite: bool,
}

/// What standard input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// Comma-separated values
    Csv,
    /// A JSON value per line
    Jsonl,
    /// NumPy arrays
    Npy,
    /// Bytes
    Raw,
}

/// How often readers see what has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PublishEvery {
    /// As soon as there are so many rows.
    Rows(u64),
    /// So long after the first row that readers do not see yet.
    Time(Duration),
}

impl FromStr for PublishEvery {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "neither a number of rows, as 100, nor a time, as 50ms or 2s".to_owned();
        // "ms" before "s": every text that ends in the one ends in the other.
        for (unit, seconds) in [("ms", 1e-3), ("s", 1.0)] {
            if let Some(number) = text.strip_suffix(unit) {
                let number: f64 = number.parse().map_err(|_| wrong())?;
                return Duration::try_from_secs_f64(number * seconds)
                    .map(Self::Time)
                    .map_err(|error| error.to_string());
            }
        }
        text.parse().ok().filter(|rows| *rows > 0).map(Self::Rows).ok_or_else(wrong)
    }
}

impl Record {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.file, Some(&self.path));
        if self.format == InputFormat::Raw && self.dtype.is_none() {
            return Err(Failure::Usage(
                "raw input needs --dtype, and --row-shape where a row has several elements".into(),
            ));
        }
        // The file first: if it cannot be had, nothing is taken from the input.
        let mut target = Target::open(&place, &self)?;
        let messages = input::start(&self)?;
        let begun = Instant::now();
        let ended = self.pump(&messages, &mut target);
        let recorded = target.rows();
        // Whatever happened, what has come is published and the file closed.
        let closed = target.close();
        let summary = format!(
            "{}: recorded {} rows into {} in {:.1} s; the file is closed",
            place.file.display(),
            thousands(recorded),
            place.path,
            begun.elapsed().as_secs_f64()
        );
        let is_interrupted = ended?;
        closed?;
        if is_interrupted {
            return Err(Failure::Interrupted(format!("interrupted; {summary}")));
        }
        output::note(&summary);
        Ok(())
    }

    /// From the input to the file, until the input ends (false) or the user interrupts (true).
    fn pump(&self, messages: &Receiver<Message>, target: &mut Target) -> Result<bool, Failure> {
        let spinner = output::spinner();
        let mut unpublished = 0;
        let mut due: Option<Instant> = None;
        let mut held = None;
        loop {
            let message = match (held.take(), due) {
                (Some(message), _) => message,
                (None, None) => messages.recv().unwrap_or(Message::End),
                (None, Some(at)) => match messages.recv_timeout(at.saturating_duration_since(Instant::now())) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Disconnected) => Message::End,
                    Err(RecvTimeoutError::Timeout) => {
                        target.publish(self.durable)?;
                        (unpublished, due) = (0, None);
                        continue;
                    }
                },
            };
            let mut rows = match message {
                Message::Schema(schema) => {
                    target.begin(&schema, self)?;
                    continue;
                }
                Message::Rows(first) => gather(first, messages, &mut held),
                Message::End => return Ok(false),
                Message::Interrupted => return Ok(true),
                Message::Failed(why) => return Err(Failure::Other(format!("standard input: {why}"))),
            };
            while rows.count > 0 {
                let room = match self.publish_every {
                    PublishEvery::Rows(limit) => limit - unpublished,
                    PublishEvery::Time(_) => u64::MAX,
                };
                let next = rows.take(room);
                unpublished += next.count;
                target.append(next)?;
                let is_due = match self.publish_every {
                    PublishEvery::Rows(limit) => unpublished >= limit,
                    PublishEvery::Time(limit) => {
                        let now = Instant::now();
                        *due.get_or_insert(now + limit) <= now
                    }
                };
                if is_due {
                    target.publish(self.durable)?;
                    (unpublished, due) = (0, None);
                }
            }
            spinner.set_message(format!("{} rows", thousands(target.rows())));
        }
    }
}

/// Takes what else has come already, so that a fast input is appended in large pieces. What is no rows is left in `held`.
fn gather(mut rows: Rows, messages: &Receiver<Message>, held: &mut Option<Message>) -> Rows {
    while rows.bytes() < MOST_GATHERED {
        match messages.try_recv() {
            Ok(Message::Rows(more)) => rows.merge(more),
            Ok(other) => {
                *held = Some(other);
                break;
            }
            Err(_) => break,
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_or_time() {
        for (text, expected) in [
            ("100", PublishEvery::Rows(100)),
            ("50ms", PublishEvery::Time(Duration::from_millis(50))),
            ("2s", PublishEvery::Time(Duration::from_secs(2))),
            ("0.5s", PublishEvery::Time(Duration::from_millis(500))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["0", "-1", "ms", "5 m", "", "-2s", "infs"] {
            assert!(text.parse::<PublishEvery>().is_err(), "{text}");
        }
    }
}
