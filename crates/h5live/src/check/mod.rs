//! Is a file sound? [`Check`] walks every structure that can be reached and tells what is not as it should be: signatures,
//! checksums, bounds, counts, order, chunks against the extent, links and their counts, bytes with two owners and bytes
//! with none.
//!
//! A file that is being written can be checked too. What does not fit together for a moment is looked at again: only what
//! is found each time, in the same words, is told.

mod attributes;
mod btree_v1;
mod btree_v2;
mod chunks;
mod dataset;
mod extensible_array;
mod file_level;
mod fixed_array;
mod fractal_heap;
mod global_heap;
mod group;
mod header;
mod orphans;
mod owners;
mod report;
#[cfg(test)]
mod tests;
mod walk;

use std::path::Path;
use std::sync::Arc;

use h5live_storage::ReadAt;

pub use self::report::{Finding, Gap, Progress, Report, Severity, SpaceUse};
use self::walk::{Purpose, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::live::WriterState;
use h5live_storage::Overlay;

/// Times a file that is being written is looked at, at most, until nothing is left that was found every time.
const MOST_ROUNDS: u32 = 8;

/// A check of a file.
///
/// ```no_run
/// # fn main() -> h5live::Result<()> {
/// let report = h5live::check::Check::new().data(true).file("run.h5")?;
/// for finding in &report.findings {
///     println!("{finding}");
/// }
/// assert!(report.is_sound());
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Check<'a> {
    data: bool,
    on_progress: Option<OnProgress<'a>>,
}

type OnProgress<'a> = Box<dyn FnMut(Progress<'_>) + 'a>;

impl<'a> Check<'a> {
    /// A check of all structure. Elements are read only where they refer to global heaps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every chunk is passed through its filters, too.
    #[must_use]
    pub fn data(mut self, data: bool) -> Self {
        self.data = data;
        self
    }

    /// Calls `act` now and then with how far the check is.
    #[must_use]
    pub fn on_progress(mut self, act: impl FnMut(Progress<'_>) + 'a) -> Self {
        self.on_progress = Some(Box::new(act));
        self
    }

    /// Checks the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is no HDF5 file, or one of a kind that cannot be read at all. Damage is no error but a finding.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Report> {
        let path = path.as_ref();
        let check = || {
            let file = h5live_storage::File::open(path).map_err(|source| Error::io("open the file", source))?;
            self.run(Arc::new(file.clone()), Some(&file), path)
        };
        check().map_err(|error| error.in_file(path))
    }

    /// Checks bytes that are no file of the operating system.
    ///
    /// # Errors
    /// As [`Check::file`].
    pub fn storage(self, storage: Arc<dyn ReadAt>) -> Result<Report> {
        self.run(storage, None, Path::new(""))
    }

    fn run(self, storage: Arc<dyn ReadAt>, file: Option<&h5live_storage::File>, path: &Path) -> Result<Report> {
        let purpose = Purpose { data: self.data, rebuild: false };
        let mut on_progress = self.on_progress.unwrap_or_else(|| Box::new(|_| {}));
        let mut report = look(storage.clone(), file, path, purpose, &mut *on_progress)?;
        let mut round = 1;
        while may_move(&report.writer) && has_more_than_notes(&report) && round < MOST_ROUNDS {
            let again = look(storage.clone(), file, path, purpose, &mut *on_progress)?;
            let findings = report.findings;
            report = Report {
                findings: again.findings.iter().filter(|finding| findings.contains(finding)).cloned().collect(),
                omitted: again.omitted.min(report.omitted),
                ..again
            };
            round += 1;
        }
        Ok(report)
    }
}

fn has_more_than_notes(report: &Report) -> bool {
    report.findings.iter().any(|finding| finding.severity > Severity::Note)
}

/// Whether somebody may be writing to the file.
fn may_move(writer: &WriterState) -> bool {
    !matches!(writer, WriterState::Closed | WriterState::Died(_))
}

/// One walk through a file.
fn look(
    storage: Arc<dyn ReadAt>,
    file: Option<&h5live_storage::File>,
    path: &Path,
    purpose: Purpose,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report> {
    let size = storage.size().map_err(|source| Error::io("find the file's size", source))?;
    let overlay = Arc::new(Overlay::new(storage));
    match File::open_damaged(overlay.clone(), file.cloned(), path.to_owned(), false) {
        Ok(file) => walk(&file, &overlay, purpose, size, on_progress).map(|walked| walked.report),
        Err(error) => match error.kind() {
            ErrorKind::Malformed(found) if found.what == file_level::SUPERBLOCK => {
                let finding = Finding {
                    severity: Severity::Error,
                    structure: found.what,
                    address: Some(0),
                    object: None,
                    problem: found.why.to_string(),
                    salvage: None,
                };
                Ok(Report {
                    findings: vec![finding],
                    omitted: 0,
                    objects: 0,
                    chunks: 0,
                    decoded: 0,
                    size,
                    end_of_file: None,
                    consistency_flags: 0,
                    writer: WriterState::Closed,
                    space: SpaceUse { dead: size, gaps: 1, ..SpaceUse::default() },
                })
            }
            _ => Err(error),
        },
    }
}

/// What a walk found, for recovering.
pub(crate) struct Walked {
    pub(crate) report: Report,
    /// Errors that mean that structure is damaged, not only that chunks cannot be decoded or that ends are out of date.
    pub(crate) structural: u64,
    /// Errors that are ends which do not fit together.
    pub(crate) misplaced_ends: u64,
    /// The addresses of objects that nothing leads to any more.
    pub(crate) orphans: Vec<u64>,
    /// The end of what is named, from address 0.
    pub(crate) highest: u64,
}

/// Walks through a file that nobody writes, decodes everything, and mends what can be mended.
pub(crate) fn walk_mending(
    file: &File,
    overlay: &Overlay,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Walked> {
    let size = file.inner.source.size()? + file.inner.source.base();
    walk(file, overlay, Purpose { data: true, rebuild: true }, size, on_progress)
}

fn walk(
    file: &File,
    overlay: &Overlay,
    purpose: Purpose,
    size: u64,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Walked> {
    let inner = &file.inner;
    let writer = file.writer_state()?;
    let overlay = (!may_move(&writer) || purpose.rebuild).then_some(overlay);
    let mut walk = Walk::new(inner, purpose, overlay, on_progress)?;
    walk.everything()?;
    let superblock = &inner.superblock;
    let errors = walk.findings.iter().filter(|finding| finding.severity == Severity::Error).count() as u64;
    let (misplaced_ends, highest) = (walk.misplaced_ends, walk.highest.end);
    let orphans = walk.orphans.iter().map(|addr| addr.0).collect();
    let structural = (errors + walk.omitted).saturating_sub(walk.undecodable + misplaced_ends);
    let size = if may_move(&writer) && !purpose.rebuild { inner.source.size()? + inner.source.base() } else { size };
    let within = size.saturating_sub(inner.source.base());
    let end = superblock.end_of_file.saturating_sub(superblock.base);
    let space = walk.owners.sum(end.max(walk.highest.end), within, writer != WriterState::Closed);
    if walk.omitted > 0 {
        let problem = format!("{} more findings are not listed", walk.omitted);
        walk.find(Severity::Note, file_level::SUPERBLOCK, None, problem);
    }
    let report = Report {
        findings: walk.findings,
        omitted: walk.omitted,
        objects: walk.objects,
        chunks: walk.chunks,
        decoded: walk.decoded,
        size,
        end_of_file: Some(end + inner.source.base()),
        consistency_flags: superblock.flags.0,
        writer,
        space,
    };
    Ok(Walked { report, structural, misplaced_ends, orphans, highest })
}
