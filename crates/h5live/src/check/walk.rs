//! The walk through a file: every structure that can be reached is read once, its bytes noted as owned, and what is wrong
//! with it told. A damaged structure is mended where that can be (over the file, not in it), so that what lies behind it
//! is seen too.

use std::collections::{HashMap, HashSet};

use h5live_format::{Addr, Malformed, Why, Widths};

use super::owners::{Owners, Use};
use super::report::{Finding, Progress, Severity};
use crate::error::{Error, ErrorKind, Result};
use crate::file::Inner;
use crate::source::Source;
use h5live_storage::Overlay;

/// Findings kept at most.
const MOST_FINDINGS: usize = 10_000;

/// What is done with what a walk meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purpose {
    /// Pass every chunk through its filters.
    pub(super) data: bool,
    /// Lay whole name indexes and chunk trees over damaged ones, so that the file can be read.
    pub(super) rebuild: bool,
}

/// A damaged structure as it should be, and what of it was saved.
pub(super) struct Mended {
    pub(super) bytes: Vec<u8>,
    pub(super) saved: String,
}

/// An object that something leads to.
pub(super) struct Met {
    pub(super) path: String,
    /// Hard links, and messages shared from it.
    pub(super) links: u64,
    /// The count in its header.
    pub(super) stored: Option<u64>,
}

/// The highest byte that something names.
#[derive(Default)]
pub(super) struct Highest {
    pub(super) end: u64,
    pub(super) who: String,
}

type OnProgress<'a> = &'a mut dyn FnMut(Progress<'_>);

/// A walk under way.
pub(super) struct Walk<'a> {
    pub(super) file: &'a Inner,
    pub(super) source: Source,
    pub(super) widths: Widths,
    pub(super) purpose: Purpose,
    /// Where damage is mended; none while somebody may be writing.
    pub(super) overlay: Option<&'a Overlay>,
    pub(super) findings: Vec<Finding>,
    pub(super) omitted: u64,
    pub(super) owners: Owners,
    pub(super) highest: Highest,
    /// Bytes from address 0 to the end of the file.
    pub(super) physical: u64,
    /// Objects by address of their headers.
    pub(super) met: HashMap<Addr, Met>,
    pub(super) waiting: Vec<Addr>,
    /// Global heap collections that were looked at.
    pub(super) collections: HashSet<Addr>,
    pub(super) objects: u64,
    pub(super) chunks: u64,
    pub(super) decoded: u64,
    /// Whether links may be lost: a header or the links of a group could not be read, or not all of them.
    pub(super) links_lost: bool,
    /// Objects that nothing leads to any more.
    pub(super) orphans: Vec<Addr>,
    /// Errors that are chunks which cannot be decoded.
    pub(super) undecodable: u64,
    /// Errors that are ends which do not fit together.
    pub(super) misplaced_ends: u64,
    object: Option<String>,
    on_progress: OnProgress<'a>,
    /// What ends the walk: the system refuses to read.
    failed: Option<Error>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        file: &'a Inner,
        purpose: Purpose,
        overlay: Option<&'a Overlay>,
        on_progress: OnProgress<'a>,
    ) -> Result<Self> {
        let source = file.source.clone();
        let physical = source.size()?;
        Ok(Self {
            file,
            widths: source.widths(),
            source,
            purpose,
            overlay,
            findings: Vec::new(),
            omitted: 0,
            owners: Owners::new(),
            highest: Highest::default(),
            physical,
            met: HashMap::new(),
            waiting: Vec::new(),
            collections: HashSet::new(),
            objects: 0,
            chunks: 0,
            decoded: 0,
            links_lost: false,
            orphans: Vec::new(),
            undecodable: 0,
            misplaced_ends: 0,
            object: None,
            on_progress,
            failed: None,
        })
    }

    /// Walks through everything.
    pub(super) fn everything(&mut self) -> Result<()> {
        self.superblock();
        let root = self.file.superblock.root.header();
        self.lead_to(root, "/".to_owned());
        self.objects()?;
        if self.links_lost && self.purpose.rebuild {
            self.look_for_orphans()?;
        }
        self.object = None;
        self.reference_counts();
        self.end_of_file();
        self.fail()
    }

    /// Looks at all objects that are waiting, and those that these lead to.
    pub(super) fn objects(&mut self) -> Result<()> {
        while let Some(addr) = self.waiting.pop() {
            self.object = self.met.get(&addr).map(|met| met.path.clone());
            (self.on_progress)(Progress {
                done: self.owners.owned().min(self.physical),
                total: self.physical,
                object: self.object.as_deref().unwrap_or_default(),
            });
            self.objects += 1;
            self.object_at(addr);
            self.fail()?;
        }
        Ok(())
    }

    fn fail(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Tells of progress through a large object.
    pub(super) fn tick(&mut self) {
        let done = self.owners.owned().min(self.physical);
        (self.on_progress)(Progress { done, total: self.physical, object: self.object.as_deref().unwrap_or_default() });
    }

    /// The path of the object under way.
    pub(super) fn object_path(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// Something leads to the object whose header lies at `addr`.
    pub(super) fn lead_to(&mut self, addr: Addr, path: String) {
        match self.met.get_mut(&addr) {
            Some(met) => met.links += 1,
            None => {
                self.met.insert(addr, Met { path, links: 1, stored: None });
                self.waiting.push(addr);
            }
        }
    }

    /// Errors told so far.
    pub(super) fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// Tells what is wrong.
    pub(super) fn find(
        &mut self,
        severity: Severity,
        structure: &'static str,
        at: Option<Addr>,
        problem: impl Into<String>,
    ) {
        let address = at.map(|at| at.0);
        let object = self.object.clone();
        self.add(Finding { severity, structure, address, object, problem: problem.into(), salvage: None });
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.omitted += 1;
        }
    }

    /// Tells of a structure that could not be read.
    pub(super) fn unreadable(&mut self, structure: &'static str, at: Addr, error: Error) {
        self.damaged(structure, at, error, None);
    }

    /// Tells of a structure that could not be decoded.
    pub(super) fn malformed(&mut self, malformed: Malformed) {
        self.damaged(malformed.what, Addr(malformed.at), malformed.into(), None);
    }

    pub(super) fn damaged(&mut self, structure: &'static str, at: Addr, error: Error, salvage: Option<String>) {
        let (severity, structure, address, problem) = match error.kind() {
            ErrorKind::Io { .. } => {
                self.failed.get_or_insert(error);
                return;
            }
            ErrorKind::Malformed(found) | ErrorKind::Unstable { structure: found, .. } => {
                let severity = match found.why {
                    Why::Unsupported(_) => Severity::Warning,
                    _ => Severity::Error,
                };
                (severity, found.what, found.at, found.why.to_string())
            }
            ErrorKind::Unsupported(what) => (Severity::Warning, structure, at.0, format!("cannot be checked: {what}")),
            other => (Severity::Error, structure, at.0, other.to_string()),
        };
        let object = self.object.clone();
        self.add(Finding { severity, structure, address: Some(address), object, problem, salvage });
    }

    /// Notes bytes as owned by the object under way; tells when the file does not have them, or another owner does.
    /// Returns whether the file has them.
    pub(super) fn claim(&mut self, structure: &'static str, at: Addr, len: u64, purpose: Use) -> bool {
        let Some(end) = at.0.checked_add(len).filter(|end| self.has(*end)) else {
            let size = self.physical;
            let problem = format!("its {len} bytes reach over the end of the file, which has {size}");
            self.find(Severity::Error, structure, Some(at), problem);
            return false;
        };
        if end > self.highest.end && purpose != Use::Free {
            let object = self.object.as_deref().map_or_else(String::new, |object| format!(" of {object}"));
            self.highest = Highest { end, who: format!("{structure}{object} at {at}") };
        }
        let owner = self.owners.owner(structure, self.object.as_deref(), purpose);
        if let Some(overlap) = self.owners.claim(at.0..end, owner) {
            let (from, to) = (overlap.bytes.start, overlap.bytes.end);
            let problem = format!("its bytes from {from:#x} to {to:#x} are also those of: {}", overlap.other);
            self.find(Severity::Error, structure, Some(at), problem);
        }
        true
    }

    /// Whether the file reaches to `end`: it may have grown since it was looked at.
    fn has(&mut self, end: u64) -> bool {
        if end > self.physical && self.source.is_patient() {
            self.physical = self.source.size().unwrap_or(self.physical);
        }
        end <= self.physical
    }

    /// Reads the structure of `len` bytes at `at`, and mends it if it must and can be.
    pub(super) fn block<T>(
        &mut self,
        what: &'static str,
        at: Addr,
        len: u64,
        decode: impl Fn(&[u8]) -> h5live_format::Result<T>,
        mend: impl FnOnce(&Self, Vec<u8>) -> Option<Mended>,
    ) -> Option<T> {
        if !self.claim(what, at, len, Use::Metadata) {
            return None;
        }
        match self.source.block(what, at, len, &decode) {
            Ok(decoded) => Some(decoded),
            Err(error) => {
                let mended = self.mend(what, at, len, mend);
                let salvage = mended.as_ref().map(|mended| mended.saved.clone());
                self.damaged(what, at, error, salvage);
                decode(&mended?.bytes).ok()
            }
        }
    }

    fn mend(
        &self,
        what: &'static str,
        at: Addr,
        len: u64,
        mend: impl FnOnce(&Self, Vec<u8>) -> Option<Mended>,
    ) -> Option<Mended> {
        let overlay = self.overlay?;
        let mended = mend(self, self.source.bytes(what, at, len).ok()?)?;
        overlay.patch(self.source.base() + at.0, mended.bytes.clone());
        Some(mended)
    }

    /// Whether `len` bytes at `addr` can be what a damaged structure named: they are in the file and nobody's.
    pub(super) fn is_plausible(&self, addr: Addr, len: u64) -> bool {
        addr.checked_add(len).is_some_and(|end| end.0 <= self.physical && self.owners.is_free(addr.0..end.0))
    }

    /// Whether a structure with this signature begins at `addr`.
    pub(super) fn has_signature(&self, addr: Addr, signature: &str) -> bool {
        let found = self.source.bytes("signature", addr, signature.len() as u64);
        found.is_ok_and(|found| found == signature.as_bytes())
    }

    fn reference_counts(&mut self) {
        let mut met: Vec<_> = self.met.iter().map(|(addr, met)| (*addr, met.links, met.stored)).collect();
        met.sort_unstable();
        for (addr, links, stored) in met {
            let Some(stored) = stored.filter(|stored| *stored != links) else { continue };
            self.object = self.met.get(&addr).map(|met| met.path.clone());
            // With too small a count, deleting one link takes the object from under the others.
            let severity = if stored < links { Severity::Warning } else { Severity::Note };
            let problem = format!("its reference count is {stored}, and {links} links lead to it");
            self.find(severity, "object header", Some(addr), problem);
        }
        self.object = None;
    }
}
