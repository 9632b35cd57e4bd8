//! What must be found after a crash.

use std::sync::Arc;

use h5live::File;
use h5live::check::{Check, Severity};
use h5live_storage::sim::{CrashImage, Image};
use h5live_storage::{ReadAt, Storage};

use super::run::Run;
use crate::kinds::{Content, Kind};
use crate::workload::{Checked, Workload, open};

fn text(error: h5live::Error) -> String {
    error.to_string()
}

/// Judges one crash: the publication acknowledged last is seen, or the one under way.
#[must_use]
pub fn judge(workload: &dyn Workload, crash: &CrashImage) -> Option<Checked> {
    let judged = || {
        let file = File::open_with(Arc::new(crash.image.clone())).map_err(text)?;
        let done = crash.marked.unwrap_or(0);
        if let Err(why) = workload.check(&file, done)
            && let Err(also) = workload.check(&file, done + 1)
        {
            return Err(format!("neither publication {done} ({why}) nor the next ({also})"));
        }
        let file = File::open_with(Arc::new(without_trailer(crash)?)).map_err(text)?;
        workload.check_apart(&file, done).map_err(|why| format!("by the object headers alone: {why}"))
    };
    Some(judged())
}

/// Looks at every structure of what a crash left: there is no damage.
pub(super) fn check(crash: &CrashImage) -> Checked {
    let report = Check::new().data(true).storage(Arc::new(crash.image.clone())).map_err(text)?;
    match report.of(Severity::Error).next() {
        Some(finding) => Err(format!("check: {finding}")),
        None => Ok(()),
    }
}

/// The image up to the end-of-file that its superblock shows: as libhdf5 sees it.
fn without_trailer(crash: &CrashImage) -> Result<Image, String> {
    /// Where a version 3 superblock has its end-of-file.
    const END_OF_FILE: u64 = 28;
    let image = crash.image.clone();
    let mut end = [0; 8];
    image.read_exact_at(&mut end, END_OF_FILE).map_err(|error| error.to_string())?;
    let (end, size) = (u64::from_le_bytes(end), image.size().map_err(|error| error.to_string())?);
    if size < end {
        return Err(format!("the file has {size} bytes, and its superblock says {end}"));
    }
    image.set_len(end).map_err(|error| error.to_string())?;
    Ok(image)
}

/// Judges a loss of power after which only what was published durably is promised; none for workloads of which that cannot be said.
#[must_use]
pub fn judge_kept(workload: &dyn Workload, crash: &CrashImage, run: &Run) -> Option<Checked> {
    match File::open_with(Arc::new(crash.image.clone())) {
        Ok(file) => workload.check_kept(&file, run.kept(crash.marked.unwrap_or(0))),
        Err(error) => Some(Err(text(error))),
    }
}

/// Resumes after a loss of power: what was published durably stays, what is appended is read back.
pub(super) fn resume_kept(
    workload: &dyn Workload,
    storage: Arc<dyn Storage>,
    number: u64,
    crash: &CrashImage,
    run: &Run,
) -> Checked {
    let kept = run.kept(crash.marked.unwrap_or(0));
    let file = File::append_with(storage.clone()).map_err(text)?;
    let live = file.go_live().map_err(text)?;
    let mut appended = Vec::new();
    for (path, kind) in workload.datasets() {
        let dataset = open(&file, &path)?;
        let rows = dataset.shape()[0];
        // Of a grid, rows and columns may be of different publications.
        if kind.content == Content::Grid || kind.limit.is_some_and(|limit| rows + 5 > limit) {
            continue;
        }
        kind.append(&dataset, number, 5).map_err(|error| format!("{path} of {rows} rows: {error}"))?;
        appended.push((path, kind, rows));
    }
    live.publish().map_err(text)?;
    let reader: Arc<dyn ReadAt> = Arc::new(storage.clone());
    for closed in [false, true] {
        let look = File::open_with(reader.clone()).map_err(text)?;
        workload.check_kept(&look, kept).unwrap_or(Ok(()))?;
        for (path, kind, rows) in &appended {
            let checked = kind.check(&open(&look, path)?, number, *rows..rows + 5);
            checked.map_err(|why| format!("{path}, appended, closed: {closed}: {why}"))?;
        }
        if !closed {
            live.clone().close().map_err(text)?;
        }
    }
    Ok(())
}

/// Resumes after a crash on `storage`: what was there stays, what is appended is read back, what the crash left behind is never
/// seen. `published` is called after each publication.
///
/// # Errors
/// What is wrong.
pub fn resume(
    workload: &dyn Workload,
    storage: Arc<dyn Storage>,
    number: u64,
    mut published: impl FnMut(u64),
) -> Checked {
    let file = File::append_with(storage.clone()).map_err(text)?;
    let live = file.go_live().map_err(text)?;
    let mut stretches = Vec::new();
    for (path, kind) in workload.datasets() {
        let dataset = open(&file, &path)?;
        let before = dataset.read_values(..).map_err(text)?;
        let rows = dataset.shape()[0];
        if kind.limit.is_some_and(|limit| rows + 10 > limit) {
            continue;
        }
        kind.append(&dataset, number, 5).map_err(|error| format!("{path} of {rows} rows: {error}"))?;
        stretches.push((path, kind, rows, before));
    }
    live.publish().map_err(text)?;
    published(1);
    for (path, kind, _, _) in &stretches {
        kind.append(&open(&file, path)?, number, 2).map_err(text)?;
    }
    live.publish().map_err(text)?;
    published(2);
    let mut grown = Vec::new();
    for (path, _, rows, _) in &stretches {
        let dataset = open(&file, path)?;
        let mut shape = dataset.shape();
        shape[0] += 3;
        dataset.resize(shape.iter().copied()).map_err(text)?;
        grown.push((path.clone(), rows + 7, shape));
    }
    live.publish().map_err(text)?;
    let judge = |file: &File| -> Checked {
        for (path, kind, rows, before) in &stretches {
            let dataset = open(file, path)?;
            if let Some(at) =
                kept(kind, before, &dataset.read_values(0..*rows).map_err(text)?, dataset.shape()[1..].first())
            {
                return Err(format!("{path}: element {at} changed when the file was resumed"));
            }
            kind.check(&dataset, number, *rows..rows + 7).map_err(|why| format!("{path}, appended: {why}"))?;
        }
        for (path, rows, shape) in &grown {
            let dataset = open(file, path)?;
            if dataset.shape() != *shape {
                return Err(format!("{path} has {:?}, not {shape:?}", dataset.shape()));
            }
            let filled = dataset.read_raw(*rows..rows + 3).map_err(text)?;
            if filled.iter().any(|byte| *byte != 0) {
                return Err(format!(
                    "{path}: rows that nobody wrote after {rows} of {shape:?} are {:?}",
                    dataset.read_values(*rows..rows + 3)
                ));
            }
        }
        Ok(())
    };
    judge(&file).map_err(|why| format!("its writer sees {why}"))?;
    let reader: Arc<dyn ReadAt> = Arc::new(storage.clone());
    judge(&File::open_with(reader.clone()).map_err(text)?).map_err(|why| format!("while live, {why}"))?;
    drop(live);
    file.close().map_err(text)?;
    let closed = File::open_with(reader).map_err(text)?;
    judge(&closed).map_err(|why| format!("after closing, {why}"))?;
    Ok(())
}

/// The first element of `before` that is not the same in `after`, which may have more columns.
fn kept(kind: &Kind, before: &[h5live::Value], after: &[h5live::Value], columns: Option<&u64>) -> Option<usize> {
    if kind.content != Content::Grid {
        return (0..before.len()).find(|at| after.get(*at) != before.get(*at));
    }
    let now = *columns? as usize;
    let rows = after.len() / now;
    if rows == 0 {
        return None;
    }
    let then = before.len() / rows;
    (0..before.len()).find(|at| after.get(at / then * now + at % then) != before.get(*at))
}

/// After a second crash: rows of the first session, then at least those that the second one published.
///
/// # Errors
/// What is wrong.
pub fn judge_resumed(workload: &dyn Workload, crash: &CrashImage) -> Checked {
    let file = File::open_with(Arc::new(crash.image.clone())).map_err(|error| error.to_string())?;
    for (path, kind) in workload.datasets() {
        let dataset = open(&file, &path)?;
        let rows = dataset.shape()[0];
        let least = match crash.marked {
            None => 0,
            Some(1) => 5,
            Some(_) => 7,
        };
        if rows < least {
            return Err(format!("{path} has {rows} rows"));
        }
        // Somewhere a stretch of the second session's rows begins; its published rows are there, whole.
        let found = (least > 0).then(|| {
            (0..=rows - least).rev().any(|from| kind.check(&dataset, super::RESUMED, from..from + least).is_ok())
        });
        if found == Some(false) {
            return Err(format!("{path}: the {least} rows of the second session are not there"));
        }
        dataset.read_values(..).map_err(|error| error.to_string())?;
    }
    Ok(())
}
