//! `h5live tail`: the last rows of a dataset, and those that follow.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use h5live::{Dataset, File};

use crate::failure::Failure;
use crate::follow::{Event, Follow, Patience};
use crate::output;
use crate::place::Place;
use crate::render::{RowFormat, RowWriter};
use crate::rows::whole_rows;

/// Print the last rows of a dataset, and with -f those that a writer adds
///
/// With -f it ends when the writer closes the file (code 0) or died (code 5). A file that nobody writes has no more rows.
#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// The file; the dataset's path may follow in the same word
    file: PathBuf,
    /// The dataset; not needed when there is only one
    path: Option<String>,
    /// How many rows to begin with; with +, the number of the first: +0 for all
    #[arg(short = 'n', long = "rows", default_value = "10", value_name = "[+]NUMBER")]
    rows: Begin,
    /// Go on with the rows that arrive
    #[arg(short, long)]
    follow: bool,
    /// How rows are written
    #[arg(long, value_enum, default_value = "text")]
    format: RowFormat,
    #[command(flatten)]
    patience: Patience,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// So many rows before the end.
    Last(u64),
    /// At this row.
    At(u64),
}

impl FromStr for Begin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, make): (_, fn(u64) -> Self) = match text.strip_prefix('+') {
            Some(rest) => (rest, Self::At),
            None => (text, Self::Last),
        };
        text.parse().map(make).map_err(|_| "not a number of rows".to_owned())
    }
}

impl Begin {
    fn row(self, rows: u64) -> u64 {
        match self {
            Self::Last(count) => rows.saturating_sub(count),
            Self::At(row) => row,
        }
    }
}

impl Tail {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.file, self.path.as_deref());
        let (file, dataset) = self.patience.follow(&place, |file| place.dataset(file))?;
        let shape = dataset.shape();
        let Some(rows) = shape.first().copied() else {
            let path = dataset.path();
            return Err(Failure::Usage(format!("{path} has no rows; `h5live dump` shows its value")));
        };
        let mut writer = RowWriter::new(self.format, dataset.clone())?;
        let mut out = output::stdout();
        let begin = self.rows.row(rows);
        if begin < rows {
            writer.write(whole_rows(begin..rows, &shape), &mut out)?;
        }
        out.flush()?;
        if self.follow { follow(file, dataset, begin.max(rows), &mut writer, &mut out) } else { Ok(()) }
    }
}

fn follow(
    file: File,
    dataset: Dataset,
    seen: u64,
    writer: &mut RowWriter,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let path = file.path().display().to_string();
    let mut follow = Follow::new(&file);
    follow.add(dataset, seen);
    loop {
        match follow.next()? {
            Event::Grown(grown) => {
                for (_, growth) in grown {
                    writer.write(whole_rows(growth.rows, &growth.shape), out)?;
                }
                out.flush()?;
            }
            Event::Idle if output::is_abandoned() => return Err(Failure::OutputClosed),
            Event::Idle => {}
            Event::Closed => {
                output::note(&format!("{path}: nobody writes it any more"));
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_begin() {
        for (text, rows, expected) in [("10", 100, 90), ("10", 3, 0), ("+0", 100, 0), ("+7", 3, 7), ("0", 5, 5)] {
            assert_eq!(text.parse::<Begin>().unwrap().row(rows), expected, "{text}");
        }
        assert!("-3".parse::<Begin>().is_err());
        assert!("many".parse::<Begin>().is_err());
    }
}
