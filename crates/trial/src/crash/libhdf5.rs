//! The other judge: a sample of what crashes leave behind, opened by h5py.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use h5live_storage::ReadAt;
use h5live_storage::sim::{CrashImage, Image, PAGE};
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::run::Run;
use super::tally::Tally;
use crate::kinds::JUDGE;
use crate::workload::Workload;

/// Files shown to one process together.
const TOGETHER: usize = 32;
/// For so many files. libhdf5 may hang on what is torn: that is a verdict too.
const LIMIT: Duration = Duration::from_secs(60);

/// Shows one state of many to h5py, plain and with `swmr=True`.
#[derive(Debug)]
pub struct Court {
    every: u64,
    seen: u64,
    directory: Option<TempDir>,
    waiting: Vec<Value>,
    workload: String,
}

impl Court {
    /// Of `every` states one is shown, none if that is 0; `first` of them have been seen already.
    #[must_use]
    pub fn new(every: u64, first: u64) -> Self {
        Self { every, seen: first, directory: None, waiting: Vec::new(), workload: String::new() }
    }

    /// No court.
    #[must_use]
    pub fn none() -> Self {
        Self::new(0, 0)
    }

    pub(super) fn show(
        &mut self,
        workload: &dyn Workload,
        crash: &CrashImage,
        run: &Run,
        kept: bool,
        what: &dyn Fn() -> String,
        tally: &mut Tally,
    ) {
        self.seen += 1;
        if self.every == 0 || !self.seen.is_multiple_of(self.every) {
            return;
        }
        let marked = crash.marked.unwrap_or(0);
        let step = if kept { run.kept(marked) } else { marked };
        let directory = self.directory.get_or_insert_with(scratch);
        let path: PathBuf = directory.path().join(format!("{}.h5", self.waiting.len()));
        if let Err(error) = write_sparse(&crash.image, &path) {
            tally.complain(format!("an image cannot be written: {error}"));
            return;
        }
        let datasets: Vec<Value> = workload
            .datasets()
            .iter()
            .enumerate()
            .filter_map(|(at, (path, kind))| {
                let mut spec = kind.in_python(path, at as u64);
                spec["least"] = workload.rows(at, step)?.into();
                Some(spec)
            })
            .collect();
        self.waiting.push(json!({"path": path, "what": what(), "datasets": datasets, "least_only": kept}));
        self.workload = workload.name();
        if self.waiting.len() >= TOGETHER {
            self.hear(tally);
        }
    }

    /// Judges what still waits.
    pub fn close(mut self, tally: &mut Tally) {
        self.hear(tally);
    }

    fn hear(&mut self, tally: &mut Tally) {
        let files = std::mem::take(&mut self.waiting);
        if files.is_empty() {
            return;
        }
        tally.count_more(&self.workload, "opened by h5py, plain", files.len() as u64);
        tally.count_more(&self.workload, "opened by h5py, swmr=True", files.len() as u64);
        let version = Libhdf5::ALL[(self.seen / self.every) as usize % 2];
        let verdict =
            H5py::start(version).and_then(|python| python.with_limit(LIMIT).run(JUDGE, json!({ "files": files })));
        match verdict {
            Ok(complaints) => {
                for complaint in complaints.as_array().into_iter().flatten() {
                    tally.complain(format!("{version:?}: {}", complaint.as_str().unwrap_or_default()));
                }
            }
            Err(error) => tally.complain(format!("{version:?}, one of {}: {error}", files.len())),
        }
    }
}

/// Writes an image to a file, without the pages that are nothing but zeros.
fn write_sparse(image: &Image, path: &Path) -> std::io::Result<()> {
    let file = File::create(path)?;
    let size = image.size()?;
    file.set_len(size)?;
    for (at, page) in image.held() {
        let len = PAGE.min((size - at) as usize);
        file.write_all_at(&page[..len], at)?;
    }
    Ok(())
}
