//! What a check tells.

use std::fmt;

use crate::live::WriterState;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Some program may stumble over it, or a count is not what it says; everything can be read.
    Warning,
    /// Damage: something cannot be read, or is not what was written.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The structure, as the specification names it ("extensible array index block").
    pub structure: &'static str,
    /// Its address, relative to the superblock's base address; none for what is not stored at one place.
    pub address: Option<u64>,
    /// The path of the object it belongs to.
    pub object: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What `recover` can save of a damaged structure.
    pub salvage: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(self.structure)?;
        if let Some(address) = self.address {
            write!(f, " at {address:#x}")?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.salvage {
            Some(salvage) => write!(f, " ({salvage})"),
            None => Ok(()),
        }
    }
}

/// A stretch of the file that nothing owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where it starts, relative to the superblock's base address.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// What comes before it: structure and object.
    pub after: Option<String>,
}

/// Who owns the bytes of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpaceUse {
    /// Bytes of structure.
    pub metadata: u64,
    /// Bytes of elements: chunks, contiguous data and what lies in global heaps.
    pub raw: u64,
    /// Bytes that the file's own free-space managers know to be free.
    pub free: u64,
    /// Bytes below the end-of-file address that nothing owns.
    pub dead: u64,
    /// The number of stretches these dead bytes are in.
    pub gaps: u64,
    /// The largest of them, largest first.
    pub largest: Vec<Gap>,
    /// Bytes behind the last one that something owns, up to the end of the file: room that a writer made ahead of need.
    pub ahead: u64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What is not as it should be, in the order it was met.
    pub findings: Vec<Finding>,
    /// Findings that are not in the list, because there are too many.
    pub omitted: u64,
    /// Objects that were looked at.
    pub objects: u64,
    /// Chunks that were found in indexes.
    pub chunks: u64,
    /// Chunks that were passed through their filters.
    pub decoded: u64,
    /// Bytes of the file.
    pub size: u64,
    /// The superblock's end-of-file address, counted from the start of the file; none when it cannot be read.
    pub end_of_file: Option<u64>,
    /// libhdf5's file consistency flags.
    pub consistency_flags: u8,
    /// Who writes the file, or wrote it and died.
    pub writer: WriterState,
    /// Who owns its bytes.
    pub space: SpaceUse,
}

impl Report {
    /// The findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }

    /// Whether there is no damage. There may be warnings.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.of(Severity::Error).next().is_none()
    }
}

/// How far a check or a recovery is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, about.
    pub total: u64,
    /// The object under way.
    pub object: &'a str,
}
