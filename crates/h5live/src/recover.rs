//! Saving what can be saved of a file that was left behind by a writer that died, or that is damaged.
//!
//! Where all structure is sound and only the superblock is not up to date, the file is kept byte for byte, with its ends set
//! right: that is what libhdf5's SWMR writers leave when they are killed. (`h5clear -s` cuts such a file at the end-of-file
//! address of long ago.) Where structure is damaged, what still makes sense of it is laid over the damage, and everything
//! that can be read so is copied to a new file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use h5live_format::superblock::{ConsistencyFlags, Superblock, SuperblockVersion};
use h5live_format::{Addr, Widths, lookup3};
use h5live_storage::{LockMode, Locking, ReadAt, Storage};

use crate::check::{Check, Finding, Progress, Severity, Walked, walk_mending};
use crate::copy::{Copy, Lost};
use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::live::WriterState;
use crate::live::session::locked;
use crate::object::header::ObjectHeader;
use crate::source::{Patience, Source};
use h5live_storage::Overlay;

/// Bytes copied at once.
const BLOCK: usize = 1 << 20;
/// Places where a superblock is looked for: offset 0, 512, 1024 and so on.
const MOST_PLACES: u32 = 32;

/// What there is to do for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: it is sound, and closed.
    Nothing,
    /// Its superblock is set right: its end-of-file address, its consistency flags, its checksum.
    Superblock,
    /// Everything that can be read is copied to a new file.
    Rebuild,
}

/// A file that was examined, to be recovered.
pub struct Recover {
    path: PathBuf,
    storage: h5live_storage::File,
    overlay: Arc<Overlay>,
    walked: Walked,
    superblock: Superblock,
    base: u64,
    superblock_damage: Option<Finding>,
    remedy: Remedy,
}

/// What was recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// What was done.
    pub remedy: Remedy,
    /// Damaged structures, with what could be saved of each.
    pub damage: Vec<Finding>,
    /// What is not in the recovered file, or cannot be read in it.
    pub lost: Vec<Lost>,
    /// What is in it in another way than before.
    pub notes: Vec<String>,
    /// Objects in it.
    pub objects: u64,
    /// Bytes of it.
    pub size: u64,
}

impl Recovered {
    /// Whether nothing is lost, as far as can be known.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.damage.is_empty() && self.lost.is_empty()
    }
}

impl Recover {
    /// Looks at a file, all of it; `on_progress` is called now and then with how far that is. Nothing is written.
    ///
    /// # Errors
    /// The file cannot be read, has no superblock that could be mended, or is being written by a program that uses this library.
    pub fn examine(path: impl AsRef<Path>, on_progress: impl FnMut(Progress<'_>)) -> Result<Self> {
        let path = path.as_ref();
        Self::examine_path(path, on_progress).map_err(|error| error.in_file(path))
    }

    fn examine_path(path: &Path, mut on_progress: impl FnMut(Progress<'_>)) -> Result<Self> {
        let storage = h5live_storage::File::open(path).map_err(|source| Error::io("open the file", source))?;
        let overlay = Arc::new(Overlay::new(Arc::new(storage.clone())));
        let superblock_damage = mend_superblock(&overlay)?;
        let file = File::open_damaged(overlay.clone(), Some(storage.clone()), path.to_owned(), true)?;
        if let WriterState::Live(writer) = file.writer_state()? {
            return Err(ErrorKind::Locked { holder: format!("by {writer}") }.into());
        }
        let walked = walk_mending(&file, &overlay, &mut on_progress)?;
        let (superblock, base) = (file.inner.superblock.clone(), file.inner.source.base());
        let report = &walked.report;
        let is_closed = report.writer == WriterState::Closed && (is_old(&superblock) || report.consistency_flags == 0);
        let remedy = if walked.structural > 0 {
            Remedy::Rebuild
        } else if superblock_damage.is_none() && is_closed && walked.misplaced_ends == 0 {
            Remedy::Nothing
        } else {
            Remedy::Superblock
        };
        Ok(Self { path: path.to_owned(), storage, overlay, walked, superblock, base, superblock_damage, remedy })
    }

    /// What there is to do.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        self.remedy
    }

    /// Writes what can be saved to a new file at `to`, which replaces one that is there. `on_progress` is called now and then;
    /// when it returns `false`, that is the end.
    ///
    /// # Errors
    /// The new file cannot be written; it is then incomplete.
    pub fn to(&self, to: impl AsRef<Path>, mut on_progress: impl FnMut(Progress<'_>) -> bool) -> Result<Recovered> {
        let to = to.as_ref();
        if self.remedy != Remedy::Rebuild {
            self.keep(to, &mut on_progress).map_err(|error| error.in_file(to))?;
            // What libhdf5 would not open is no recovery: then the other way.
            if Check::new().file(to)?.is_sound() {
                return Ok(self.kept());
            }
        }
        self.rebuild(to, on_progress)
    }

    /// Sets the superblock right in the file itself. Not for files that have to be rebuilt.
    ///
    /// # Errors
    /// Somebody has the file open, it has to be rebuilt, or it cannot be written.
    pub fn in_place(&self) -> Result<Recovered> {
        self.mend_in_place().map_err(|error| error.in_file(&self.path))?;
        Ok(self.kept())
    }

    fn mend_in_place(&self) -> Result<()> {
        match self.remedy {
            Remedy::Nothing => return Ok(()),
            Remedy::Rebuild => return Err(Error::unsupported("its structure is damaged; recover it into a copy")),
            Remedy::Superblock => {}
        }
        let open = h5live_storage::File::open_read_write(&self.path);
        let file = open.map_err(|source| Error::io("open the file for writing", source))?;
        let _lock = file.lock(LockMode::Exclusive, Locking::from_env()).map_err(|error| locked(error, &self.path))?;
        let io = |source| Error::io("write the file", source);
        let (end, at, bytes) = self.right_superblock();
        // The superblock first: the file is never shorter than it says.
        file.write_all_at(&bytes, at).map_err(io)?;
        file.set_len(end).map_err(io)?;
        file.barrier(h5live_storage::Barrier::Durable).map_err(io)
    }

    /// Copies the file byte for byte, with another superblock.
    fn keep(&self, to: &Path, on_progress: &mut impl FnMut(Progress<'_>) -> bool) -> Result<()> {
        let io = |source| Error::io("write the copy", source);
        let (copy, _lock) = h5live_storage::File::create(to, Locking::from_env()).map_err(|error| locked(error, to))?;
        let (end, at, bytes) = match self.remedy {
            Remedy::Nothing => (self.walked.report.size, 0, Vec::new()),
            _ => self.right_superblock(),
        };
        copy.set_len(end).map_err(io)?;
        let mut block = vec![0; BLOCK];
        let mut done = 0;
        while done < end {
            let len = (end - done).min(BLOCK as u64) as usize;
            let part = &mut block[..len];
            self.storage.read_exact_at(part, done).map_err(|source| Error::io("read the file", source))?;
            // Zeros are there already, and take no room.
            if part.iter().any(|byte| *byte != 0) {
                copy.write_all_at(part, done).map_err(io)?;
            }
            done += len as u64;
            if !on_progress(Progress { done, total: end, object: "" }) {
                return Err(ErrorKind::Interrupted.into());
            }
        }
        copy.write_all_at(&bytes, at).map_err(io)?;
        copy.barrier(h5live_storage::Barrier::Durable).map_err(io)
    }

    /// The file's end, and where which bytes make its superblock right.
    fn right_superblock(&self) -> (u64, u64, Vec<u8>) {
        let report = &self.walked.report;
        let end = match report.writer {
            // Behind what is named there is only room made ahead, and the trailer.
            WriterState::Died(_) | WriterState::Unknown(_) => (self.base + self.walked.highest).min(report.size),
            _ => report.size,
        };
        // The superblock counts from the base address it states, wherever it lies.
        let end_of_file = (end - self.base).saturating_add(self.superblock.base);
        let widths = self.superblock.widths;
        if !is_old(&self.superblock) {
            let right = Superblock { end_of_file, flags: ConsistencyFlags::NONE, ..self.superblock.clone() };
            return (end, self.base, right.encode());
        }
        // Those of versions 0 and 1 have fields that are not kept, and no checksum: only the one address changes.
        let versions = if self.superblock.version == SuperblockVersion::V0 { 24 } else { 28 };
        let at = self.base + versions + 2 * u64::from(widths.offset);
        (end, at, end_of_file.to_le_bytes()[..usize::from(widths.offset).min(8)].to_vec())
    }

    fn kept(&self) -> Recovered {
        let report = &self.walked.report;
        let lost = report
            .of(Severity::Error)
            .filter(|finding| finding.structure == "chunk")
            .map(|finding| Lost { object: finding.object.clone().unwrap_or_default(), what: finding.problem.clone() });
        Recovered {
            remedy: self.remedy,
            damage: Vec::new(),
            lost: lost.collect(),
            notes: Vec::new(),
            objects: report.objects,
            size: if self.remedy == Remedy::Nothing { report.size } else { self.right_superblock().0 },
        }
    }

    fn rebuild(&self, to: &Path, on_progress: impl FnMut(Progress<'_>) -> bool) -> Result<Recovered> {
        // Opened again: nothing of what was read before it was mended is kept.
        let file = File::open_damaged(self.overlay.clone(), Some(self.storage.clone()), self.path.clone(), true)?;
        let mut notes = Vec::new();
        let copied = Copy::new(&file)
            .leave_out_unreadable()
            .orphans(&self.walked.orphans)
            .on_note(|note| notes.push(note.to_owned()))
            .on_progress(on_progress)
            .to(to)?;
        if !self.walked.orphans.is_empty() {
            let count = self.walked.orphans.len();
            notes.push(format!("objects that nothing led to any more are in the group lost+found: {count}"));
        }
        let is_damage = |finding: &&Finding| finding.severity == Severity::Error && finding.structure != "chunk";
        let mut damage: Vec<Finding> = self.superblock_damage.iter().cloned().collect();
        damage.extend(self.walked.report.findings.iter().filter(is_damage).cloned());
        let size = std::fs::metadata(to).map_err(|source| Error::io("look at the copy", source))?.len();
        Ok(Recovered { remedy: Remedy::Rebuild, damage, lost: copied.lost, notes, objects: copied.objects, size })
    }
}

fn is_old(superblock: &Superblock) -> bool {
    superblock.version < SuperblockVersion::V2
}

/// Lays a superblock with a right checksum over one with a wrong one, if it leads to a root group.
fn mend_superblock(overlay: &Arc<Overlay>) -> Result<Option<Finding>> {
    let io = |source| Error::io("read the file", source);
    let size = overlay.size().map_err(io)?;
    for place in 0..MOST_PLACES {
        let base = if place == 0 { 0 } else { 256u64 << place };
        let mut bytes = vec![0; (Superblock::MAX_SIZE as u64).min(size.saturating_sub(base)) as usize];
        if bytes.len() < 16 {
            break;
        }
        overlay.read_exact_at(&mut bytes, base).map_err(io)?;
        if bytes[..8] != Superblock::SIGNATURE {
            continue;
        }
        let error = match Superblock::decode(&bytes, base) {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        let widths = Widths { offset: bytes[9], length: bytes[10] };
        let len = Superblock::size(widths);
        if !matches!(bytes[8], 2 | 3) || !error.may_be_torn() || len > bytes.len() {
            return Err(error.into());
        }
        bytes.truncate(len);
        let sum = lookup3(&bytes[..len - 4]);
        bytes[len - 4..].copy_from_slice(&sum.to_le_bytes());
        let superblock = Superblock::decode(&bytes, base)?;
        let source = Source::new(overlay.clone(), base, superblock.widths, Patience::NONE);
        let Addr(root) = superblock.root.header();
        let leads_to_root = ObjectHeader::read(&source, Addr(root)).is_ok()
            || root != 0 && {
                let start = source.bytes("object header", Addr(root), 4);
                start.is_ok_and(|start| start == *b"OHDR")
            };
        if !leads_to_root {
            return Err(error.into());
        }
        overlay.patch(base, bytes);
        return Ok(Some(Finding {
            severity: Severity::Error,
            structure: "superblock",
            address: Some(0),
            object: None,
            problem: error.why.to_string(),
            salvage: Some("the root group is known".to_owned()),
        }));
    }
    Ok(None)
}
