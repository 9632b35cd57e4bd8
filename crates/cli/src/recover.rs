//! `h5live recover`: saves what can be saved of a damaged file, or of one whose writer died.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use h5live::recover::{Recover as Library, Recovered, Remedy};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::check::{json_of_finding, show};
use crate::failure::Failure;
use crate::output::{self, bytes, thousands};
use crate::place::Place;
use crate::repack::{cannot_write, interruption};

/// Save everything that can be read of a damaged file, or of one that a writer left open when it died
///
/// The file itself is not touched unless asked for: what was saved is in a new file. Where only the superblock is out of date, as
/// libhdf5's writers leave it when they are killed, everything is kept byte for byte. Exits with 6 when something was lost.
#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    /// The file
    file: PathBuf,
    /// The new file; without it, FILE with `.recovered.h5` in place of its extension
    #[arg(short, long, conflicts_with = "in_place")]
    output: Option<PathBuf>,
    /// Change the file itself, or replace it where it has to be made anew
    #[arg(long)]
    in_place: bool,
    /// A JSON object
    #[arg(long)]
    json: bool,
    /// Tell only what was lost
    #[arg(short, long)]
    quiet: bool,
}

impl Recover {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if Place::new(&self.file, None).is_explicit {
            return Err(Failure::Usage(format!("{}: name a file, not an object in it", self.file.display())));
        }
        let to = match (&self.output, self.in_place) {
            (Some(output), _) => output.clone(),
            (None, true) => self.file.clone(),
            (None, false) => self.file.with_extension("recovered.h5"),
        };
        if !self.in_place && to.symlink_metadata().is_ok() {
            return Err(Failure::Other(format!("{}: exists already; name another with -o", to.display())));
        }
        let bar = output::byte_progress(0);
        let examined = Library::examine(&self.file, |progress| show(&bar, progress));
        bar.finish_and_clear();
        let examined = examined?;
        let recovered = if self.in_place && examined.remedy() != Remedy::Rebuild {
            examined.in_place()?
        } else {
            self.write(&examined, &to)?
        };
        self.tell(&recovered, &to)?;
        if recovered.is_complete() { Ok(()) } else { Err(Failure::Damaged) }
    }

    /// Writes a new file, which has its name once it is complete.
    fn write(&self, examined: &Library, to: &Path) -> Result<Recovered, Failure> {
        let directory = to.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let mode = fs::metadata(&self.file).map_or(0o666, |found| found.permissions().mode());
        let partial = tempfile::Builder::new()
            .prefix(".h5live-recover-")
            .suffix(".partial")
            .permissions(Permissions::from_mode(mode | 0o600))
            .tempfile_in(directory)
            .map_err(|error| cannot_write(to, &error))?;
        let interrupted = interruption()?;
        let bar = output::byte_progress(0);
        let recovered = examined.to(partial.path(), |progress| {
            show(&bar, progress);
            !interrupted.load(Ordering::Relaxed)
        });
        bar.finish_and_clear();
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted("interrupted; there is no new file".to_owned()));
        }
        let recovered = recovered?;
        self.settle(partial, to)?;
        Ok(recovered)
    }

    fn settle(&self, partial: NamedTempFile, to: &Path) -> Result<(), Failure> {
        fs::File::open(partial.path()).and_then(|file| file.sync_all()).map_err(|error| cannot_write(to, &error))?;
        let settled = if self.in_place { partial.persist(to) } else { partial.persist_noclobber(to) };
        settled.map(|_| ()).map_err(|error| cannot_write(to, &error.error))
    }

    fn tell(&self, recovered: &Recovered, to: &Path) -> Result<(), Failure> {
        let Recovered { damage, lost, notes, objects, size, .. } = recovered;
        let remedy = match recovered.remedy {
            Remedy::Nothing => "nothing",
            Remedy::Superblock => "superblock",
            _ => "rebuild",
        };
        let mut out = output::stdout();
        if self.json {
            let lost: Vec<_> = lost.iter().map(|lost| json!({ "object": lost.object, "what": lost.what })).collect();
            let told = json!({
                "file": self.file.to_string_lossy(),
                "recovered": to.to_string_lossy(),
                "remedy": remedy,
                "complete": recovered.is_complete(),
                "damage": damage.iter().map(json_of_finding).collect::<Vec<_>>(),
                "lost": lost,
                "notes": notes,
                "objects": objects,
                "size": size,
            });
            serde_json::to_writer_pretty(&mut out, &told)?;
            writeln!(out)?;
            return Ok(out.flush()?);
        }
        for finding in damage {
            writeln!(out, "damaged: {finding}")?;
        }
        for lost in lost {
            writeln!(out, "lost: {}: {}", lost.object, lost.what)?;
        }
        if !self.quiet {
            for note in notes {
                writeln!(out, "note: {note}")?;
            }
            let done = match recovered.remedy {
                Remedy::Nothing => "it is sound; there was nothing to do but copy it",
                Remedy::Superblock => "its superblock is set right, all else kept as it was",
                _ => "its structure is damaged; what can be read is in a new file",
            };
            let (count, plural) = (thousands(*objects), if *objects == 1 { "" } else { "s" });
            let (from, to) = (self.file.display(), to.display());
            writeln!(out, "{from} -> {to}: {done} ({count} object{plural}, {})", bytes(*size))?;
        }
        Ok(out.flush()?)
    }
}
