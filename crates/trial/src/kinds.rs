//! Datasets that grow, in every form in which they can: made, appended to and judged by a formula, so that whoever reads one knows
//! what belongs there without asking its writer.

use std::ops::Range;

use h5live::{Dataset, File, Result};
use h5live_testkit::formula::{Formula, values};
use serde_json::{Value, json};

/// Columns a grid has at first; one more comes with every [`GRID_STEP`] rows.
const GRID_COLUMNS: u64 = 3;
const GRID_STEP: u64 = 16;
/// What the index of an element grows by from one row of a grid to the next.
pub const GRID_STRIDE: u64 = 4096;

/// A form of dataset that grows along its first axis, if not along others.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What its elements are.
    pub content: Content,
    /// The shape of a row; the columns of a grid come by themselves.
    pub row: &'static [u64],
    /// The shape of a chunk.
    pub chunk: &'static [u64],
    /// The most rows it can have.
    pub limit: Option<u64>,
    /// What its chunks go through.
    pub filter: Filter,
    /// Rows that come with one publication.
    pub step: u64,
}

/// What its elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Numbers, in rows of fixed length.
    Numbers,
    /// Numbers, growing along two axes.
    Grid,
    /// Text of any length.
    Text,
}

/// What chunks go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing.
    None,
    /// Shuffle and deflate.
    Gzip,
    /// A checksum.
    Fletcher32,
}

const PLAIN: Kind =
    Kind { name: "", content: Content::Numbers, row: &[], chunk: &[1], limit: None, filter: Filter::None, step: 1 };
const GRID: Kind = Kind { content: Content::Grid, chunk: &[4, 2], ..PLAIN };

/// Every index that can grow, with and without filters, with whole and with partial chunks.
pub const KINDS: &[Kind] = &[
    Kind { name: "chunk of 1", ..PLAIN },
    Kind { name: "chunk of 4", chunk: &[4], step: 3, ..PLAIN },
    Kind { name: "chunk of 1024", chunk: &[1024], ..PLAIN },
    Kind { name: "gzip, parts of chunks", chunk: &[8], filter: Filter::Gzip, step: 3, ..PLAIN },
    Kind { name: "gzip, whole chunks", chunk: &[8], filter: Filter::Gzip, step: 8, ..PLAIN },
    Kind { name: "fletcher32", chunk: &[64], filter: Filter::Fletcher32, step: 5, ..PLAIN },
    Kind { name: "grid", ..GRID },
    Kind { name: "gzip grid", filter: Filter::Gzip, ..GRID },
    Kind { name: "limited", chunk: &[4], limit: Some(4000), ..PLAIN },
    Kind { name: "gzip limited", chunk: &[4], limit: Some(4000), filter: Filter::Gzip, ..PLAIN },
    Kind { name: "one chunk", chunk: &[500], limit: Some(500), ..PLAIN },
    Kind { name: "gzip one chunk", chunk: &[500], limit: Some(500), filter: Filter::Gzip, ..PLAIN },
    Kind { name: "frames", row: &[3, 5], chunk: &[1, 3, 5], ..PLAIN },
    Kind { name: "gzip frames", row: &[3, 5], chunk: &[2, 2, 5], filter: Filter::Gzip, ..PLAIN },
    Kind { name: "text", content: Content::Text, chunk: &[16], step: 2, ..PLAIN },
];

/// The kind of that name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn kind(name: &str) -> Kind {
    *KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no kind is called {name:?}"))
}

/// Code for `H5py::run`: follows datasets.
pub const FOLLOW: &str = concat!(include_str!("../python/rows.py"), include_str!("../python/follow.py"));
/// Code for `H5py::run`: writes datasets in SWMR mode.
pub const WRITE: &str = include_str!("../python/write.py");
/// Code for `H5py::run`: judges what crashes left behind.
pub const JUDGE: &str = concat!(include_str!("../python/rows.py"), include_str!("../python/judge.py"));

/// The text in row `row` of dataset number `number`.
#[must_use]
pub fn text(number: u64, row: u64) -> String {
    format!("row {row} of {number}{}", "·".repeat((row % 40) as usize))
}

/// Rows of a grid, only the columns given, in row-major order.
fn grid(number: u64, rows: Range<u64>, columns: Range<u64>) -> Vec<f64> {
    rows.flat_map(|row| columns.clone().map(move |column| f64::value(number, row * GRID_STRIDE + column))).collect()
}

impl Kind {
    /// Creates an empty dataset.
    ///
    /// # Errors
    /// h5live's.
    pub fn create(&self, file: &File, path: &str) -> Result<Dataset> {
        let builder = match self.content {
            Content::Text => file.new_dataset::<String>(path),
            Content::Numbers | Content::Grid => file.new_dataset::<f64>(path),
        };
        let builder = match self.content {
            Content::Grid => builder.shape([0, GRID_COLUMNS]).resizable([None, None]),
            Content::Numbers | Content::Text => {
                let shape = std::iter::once(0).chain(self.row.iter().copied());
                let most = std::iter::once(self.limit).chain(self.row.iter().map(|dim| Some(*dim)));
                builder.shape(shape).resizable(most)
            }
        };
        let builder = builder.chunks(self.chunk.iter().copied());
        match self.filter {
            Filter::None => builder,
            Filter::Gzip => builder.shuffle().gzip(4),
            Filter::Fletcher32 => builder.fletcher32(),
        }
        .create()
    }

    /// Appends `rows` rows of dataset number `number`, numbered on from those that are there.
    ///
    /// # Errors
    /// h5live's.
    pub fn append(&self, dataset: &Dataset, number: u64, rows: u64) -> Result<()> {
        let shape = dataset.shape();
        let new = shape[0]..shape[0] + rows;
        match self.content {
            Content::Numbers => {
                let length = self.row.iter().product::<u64>();
                dataset.append(&values::<f64>(number, new.start * length, (rows * length) as usize))
            }
            Content::Text => dataset.append(&new.map(|row| text(number, row)).collect::<Vec<_>>()),
            Content::Grid => {
                dataset.append(&grid(number, new.clone(), 0..shape[1]))?;
                if new.end / GRID_STEP > new.start / GRID_STEP {
                    dataset.append_along(1, &grid(number, 0..new.end, shape[1]..shape[1] + 1))?;
                }
                Ok(())
            }
        }
    }

    /// What `follow.py` and `write.py` must know of dataset number `number` at `path`.
    #[must_use]
    pub fn in_python(&self, path: &str, number: u64) -> Value {
        let content = match self.content {
            Content::Numbers => "numbers",
            Content::Grid => "grid",
            Content::Text => "text",
        };
        let filter = match self.filter {
            Filter::None => "none",
            Filter::Gzip => "gzip",
            Filter::Fletcher32 => "fletcher32",
        };
        json!({
            "path": path, "number": number, "content": content, "row": self.row, "chunk": self.chunk, "filter": filter, "step": self.step,
        })
    }

    /// Judges rows of the dataset as it was looked at last: they must be those of dataset number `number`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, dataset: &Dataset, number: u64, rows: Range<u64>) -> std::result::Result<(), String> {
        let shape = dataset.shape();
        let cannot = |error: h5live::Error| format!("rows {rows:?} of {shape:?} cannot be read: {error}");
        let different = match self.content {
            Content::Text => {
                let found = dataset.read_vec::<String>(rows.clone()).map_err(cannot)?;
                let wanted: Vec<_> = rows.clone().map(|row| text(number, row)).collect();
                first_difference(&found, &wanted)
            }
            Content::Numbers => {
                let length = self.row.iter().product::<u64>();
                let found = dataset.read_vec::<f64>(rows.clone()).map_err(cannot)?;
                let count = (rows.end - rows.start) * length;
                first_difference(&found, &values(number, rows.start * length, count as usize))
            }
            Content::Grid => {
                let found = dataset.read_vec::<f64>(rows.clone()).map_err(cannot)?;
                first_difference(&found, &grid(number, rows.clone(), 0..shape[1]))
            }
        };
        match different {
            None => Ok(()),
            Some(different) => Err(format!("from row {} of {shape:?}: {different}", rows.start)),
        }
    }

    /// Judges the first `rows` rows, whatever comes after them; of a grid, the columns that it had when it had so many rows.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_first(&self, dataset: &Dataset, number: u64, rows: u64) -> std::result::Result<(), String> {
        if self.content != Content::Grid {
            return self.check(dataset, number, 0..rows);
        }
        let columns = GRID_COLUMNS + rows / GRID_STEP;
        let found = dataset.read_vec::<f64>([0..rows, 0..columns]).map_err(|error| error.to_string())?;
        match first_difference(&found, &grid(number, 0..rows, 0..columns)) {
            None => Ok(()),
            Some(different) => Err(format!("of {:?}: {different}", dataset.shape())),
        }
    }

    /// Whether a dataset of this kind shows a state that was published: its columns belong to its rows.
    ///
    /// # Errors
    /// That they do not.
    pub fn check_shape(&self, shape: &[u64]) -> std::result::Result<(), String> {
        let columns = GRID_COLUMNS + shape[0] / GRID_STEP;
        if self.content == Content::Grid && shape[1] != columns {
            return Err(format!("{shape:?} has rows and columns of different publications"));
        }
        Ok(())
    }
}

fn first_difference<T: PartialEq + std::fmt::Debug>(found: &[T], wanted: &[T]) -> Option<String> {
    if found.len() != wanted.len() {
        return Some(format!("{} elements instead of {}", found.len(), wanted.len()));
    }
    let at = found.iter().zip(wanted).position(|(found, wanted)| found != wanted)?;
    Some(format!("element {at} is {:?} instead of {:?}", found[at], wanted[at]))
}
