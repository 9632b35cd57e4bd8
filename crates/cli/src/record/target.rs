//! The file that is recorded into, and its datasets.

use h5live::{Dataset, ErrorKind, File};

use super::Record;
use super::input::{Cells, Column, Rows, Schema};
use crate::failure::Failure;
use crate::output::{self, shape};
use crate::place::Place;

/// What a chunk aims at, in bytes: small enough that a short recording is a small file, large enough to be read fast.
const CHUNK_BYTES: u64 = 64 << 10;

/// A file being recorded into.
pub(super) struct Target {
    file: File,
    path: String,
    datasets: Vec<Dataset>,
    rows: u64,
}

impl Target {
    /// Takes the file: a new one, or one that is there.
    pub(super) fn open(place: &Place, record: &Record) -> Result<Self, Failure> {
        let exists = place.file.exists();
        let file = if exists && !record.overwrite { File::append(&place.file)? } else { File::create(&place.file)? };
        if let Some(warning) = file.warning() {
            output::note(&format!("{}: {warning}", place.file.display()));
        }
        Ok(Self { file, path: place.path.clone(), datasets: Vec::new(), rows: 0 })
    }

    /// Makes or finds the datasets, and lets readers in.
    pub(super) fn begin(&mut self, schema: &Schema, record: &Record) -> Result<(), Failure> {
        for column in &schema.columns {
            let path = match &column.name {
                // A name with a slash would be a path, and one without characters none.
                Some(name) if name.is_empty() => format!("{}/column_{}", self.path, self.datasets.len()),
                Some(name) => format!("{}/{}", self.path.trim_end_matches('/'), name.replace('/', "_")),
                None => self.path.clone(),
            };
            let dataset = match self.file.dataset(&path) {
                Ok(dataset) => fitting(dataset, column)?,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => {
                    self.create(&path, column, record)?
                }
                Err(error) => return Err(error.into()),
            };
            if self.datasets.iter().any(|other| other.address() == dataset.address()) {
                return Err(Failure::Other(format!("two columns are called {path:?}")));
            }
            self.datasets.push(dataset);
        }
        self.file.go_live()?;
        Ok(())
    }

    fn create(&self, path: &str, column: &Column, record: &Record) -> Result<Dataset, Failure> {
        let row_bytes =
            column.row.iter().fold(u64::from(column.datatype.size()), |bytes, dim| bytes.saturating_mul(*dim));
        let rows = record.chunk.unwrap_or((CHUNK_BYTES / row_bytes.max(1)).max(1));
        let with_rows = |rows: u64| std::iter::once(rows).chain(column.row.iter().copied());
        let mut builder = self.file.new_dataset_of(path, column.datatype.clone());
        builder = builder.shape(with_rows(0)).unlimited().chunks(with_rows(rows));
        if record.shuffle {
            builder = builder.shuffle();
        }
        if let Some(level) = record.gzip {
            builder = builder.gzip(level);
        }
        Ok(builder.create()?)
    }

    /// Adds rows; nobody sees them yet.
    pub(super) fn append(&mut self, rows: Rows) -> Result<(), Failure> {
        for (dataset, cells) in self.datasets.iter().zip(&rows.columns) {
            match cells {
                Cells::Floats(cells) => dataset.append(cells)?,
                Cells::Signed(cells) => dataset.append(cells)?,
                Cells::Unsigned(cells) => dataset.append(cells)?,
                Cells::Bools(cells) => dataset.append(cells)?,
                Cells::Texts(cells) => dataset.append(cells)?,
                Cells::Raw(bytes) => dataset.append_raw(bytes)?,
            }
        }
        self.rows += rows.count;
        Ok(())
    }

    /// Lets readers see what was added.
    pub(super) fn publish(&self, durable: bool) -> Result<(), Failure> {
        let published = if durable { self.file.publish_durably() } else { self.file.publish() };
        Ok(published?)
    }

    /// Rows added.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Publishes and closes.
    pub(super) fn close(self) -> Result<(), Failure> {
        Ok(self.file.close()?)
    }
}

/// A dataset that is there, if rows of the column can be added to it.
fn fitting(dataset: Dataset, column: &Column) -> Result<Dataset, Failure> {
    let (path, found) = (dataset.path(), dataset.shape());
    let wrong = |why: String| Err(Failure::Other(format!("{path} is there already, and {why}")));
    if found.is_empty() || dataset.max_shape()[0] == Some(found[0]) {
        return wrong("cannot grow".to_owned());
    }
    if found[1..] != column.row {
        return wrong(format!("has rows of shape {}, not {}", shape(&found[1..]), shape(&column.row)));
    }
    if *dataset.datatype() != column.datatype {
        return wrong(format!("is of {}, not {} (--dtype says what is recorded)", dataset.datatype(), column.datatype));
    }
    Ok(dataset)
}
