//! `h5live repack`: the same contents in a new file, in the form that can be written while readers look.
//!
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use h5live::File;
use h5live::copy::Copy;
use indicatif::ProgressBar;

use crate::failure::Failure;
use crate::output;
use crate::place::Place;

/// Write everything in a file to a new one, in the form that can be written while readers look
///
/// Old files become ones that h5live can append to, and space that nothing uses any more is reclaimed. Chunks are copied as
/// they are stored. A file that is being written can be copied too: as it is now.
#[derive(Debug, clap::Args)]
pub(crate) struct Repack {
    /// The file to copy
    from: PathBuf,
    /// The new file: it is there once it is complete
    to: PathBuf,
    /// Replace the new file if there is one of that name
    #[arg(long)]
    overwrite: bool,
    /// Tell only what goes wrong or could not be kept
    #[arg(short, long)]
    quiet: bool,
}

impl Repack {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.from, None);
        if place.is_explicit {
            return Err(Failure::Usage(format!("{}: name a file, not an object in it", self.from.display())));
        }
        let from = place.open()?;
        self.refuse_taken()?;
        let directory = self.to.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let partial = tempfile::Builder::new()
            .prefix(".h5live-repack-")
            .suffix(".partial")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(|error| cannot_write(&self.to, &error))?;

        let objects = copy(&from, partial.path(), self.quiet)?;

        let copied = fs::File::open(partial.path());
        copied.and_then(|file| file.sync_all()).map_err(|error| cannot_write(&self.to, &error))?;
        if self.overwrite {
            partial.persist(&self.to).map_err(|error| cannot_write(&self.to, &error.error))?;
        } else {
            partial.persist_noclobber(&self.to).map_err(|error| cannot_write(&self.to, &error.error))?;
        }
        if !self.quiet {
            output::note(&format!(
                "{} ({}) -> {} ({}), {} {}",
                self.from.display(),
                size(&self.from),
                self.to.display(),
                size(&self.to),
                output::thousands(objects),
                if objects == 1 { "object" } else { "objects" }
            ));
        }
        Ok(())
    }

    fn refuse_taken(&self) -> Result<(), Failure> {
        let Ok(to) = fs::metadata(&self.to) else {
            // A symbolic link that leads nowhere is a name too.
            return match self.to.symlink_metadata() {
                Ok(_) if !self.overwrite => Err(self.exists()),
                _ => Ok(()),
            };
        };
        let same = fs::metadata(&self.from).is_ok_and(|from| (from.dev(), from.ino()) == (to.dev(), to.ino()));
        if same {
            let (from, to) = (self.from.display(), self.to.display());
            return Err(Failure::Usage(format!("{from} and {to} are the same file; name another to write to")));
        }
        if to.is_dir() {
            return Err(Failure::Other(format!("{}: is a directory; name a file in it", self.to.display())));
        }
        if self.overwrite { Ok(()) } else { Err(self.exists()) }
    }

    fn exists(&self) -> Failure {
        Failure::Other(format!("{}: exists already; --overwrite replaces it", self.to.display()))
    }
}

pub(crate) fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("{}: cannot write it: {error}", path.display()))
}

fn size(path: &Path) -> String {
    fs::metadata(path).map_or_else(|_| "?".to_owned(), |found| output::bytes(found.len()))
}

/// Copies a file to a new one at `to`, and tells how many objects that are.
fn copy(from: &File, to: &Path, quiet: bool) -> Result<u64, Failure> {
    let interrupted = interruption()?;
    let bar = if quiet { ProgressBar::hidden() } else { output::byte_progress(0) };
    let copied = Copy::new(from)
        .on_note(|note| bar.suspend(|| output::note(note)))
        .on_progress(|progress| {
            crate::check::show(&bar, progress);
            !interrupted.load(Ordering::Relaxed)
        })
        .to(to);
    bar.finish_and_clear();
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::Interrupted("interrupted; there is no new file".to_owned()));
    }
    Ok(copied?.objects)
}

/// Set by Ctrl-C: what was written until then is removed.
pub(crate) fn interruption() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::Other(format!("cannot wait for Ctrl-C: {error}")))?;
    Ok(interrupted)
}
