//! What can go wrong, said so that the reader of the message knows which file, which object, why, and what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use h5live_format::Malformed;

/// The result of every operation on a file.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with the file and object it concerns.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    file: Option<PathBuf>,
    object: Option<String>,
}

/// The reason of an [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system said no.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done, as the rest of "cannot ...".
        doing: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// A structure of the file is damaged, or of a kind that cannot be read.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// A structure kept failing its checksum although it was read again and again.
    #[error("{structure} after {tries} tries in {waited_ms} ms; the file is damaged, or its writer keeps it in motion")]
    Unstable {
        /// The last failure.
        structure: Malformed,
        /// How often it was read.
        tries: u32,
        /// For how long.
        waited_ms: u64,
    },
    /// No HDF5 signature at any of the places where it may be.
    #[error("not an HDF5 file: no signature at offset 0, 512, 1024, 2048, ...")]
    NotHdf5,
    /// The file is one of several that make up one HDF5 file.
    #[error("the file is one of several, written with the file driver {driver}: they are to be opened together")]
    Part {
        /// As the file names it: "NCSAfami" for a family, "NCSAmult" for a split or multi file.
        driver: String,
        /// How the pieces of a family are called, as far as the name of this one tells.
        pattern: Option<String>,
    },
    /// The file ends before what its superblock counts.
    #[error("the file is truncated: it has {size} bytes and its superblock counts {end_of_file}")]
    Truncated {
        /// Bytes the file has.
        size: u64,
        /// Bytes its superblock counts.
        end_of_file: u64,
    },
    /// The file no longer is what was opened: shortened, or replaced under its name.
    #[error("the file was {what} while it was being followed")]
    Changed {
        /// "truncated" or "replaced".
        what: &'static str,
    },
    /// No object or attribute of that name.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// "object", "attribute", "link target" ...
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// A name that is taken already.
    #[error("{what} {name:?} exists already")]
    Exists {
        /// "link" or "attribute".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that cannot be one.
    #[error("{name:?} cannot be a name: {why}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The object is of another kind than the one asked for.
    #[error("is a {found}, not a {expected}")]
    WrongKind {
        /// "group", "dataset" or "committed datatype".
        expected: &'static str,
        /// The same.
        found: &'static str,
    },
    /// The element types do not fit.
    #[error("element type is {stored}, and {asked} was given")]
    Type {
        /// The dataset's or attribute's type.
        stored: String,
        /// The program's.
        asked: String,
    },
    /// The shapes do not fit.
    #[error("shape {given:?} does not fit: {why}")]
    Shape {
        /// The shape that was given.
        given: Vec<u64>,
        /// What would fit.
        why: String,
    },
    /// A selection that reaches outside the extent, or cannot be one.
    #[error("{why} (the extent is {extent:?})")]
    Selection {
        /// What is wrong.
        why: String,
        /// The dataset's extent.
        extent: Vec<u64>,
    },
    /// A chunk's filters could not be undone or applied.
    #[error("{}: {source}", where_filtered(chunk))]
    Filter {
        /// Offset of the chunk's first element; empty where it is about the filters themselves.
        chunk: Vec<u64>,
        /// The filter's own words.
        source: h5live_filter::Error,
    },
    /// Writing through a handle that was opened for reading.
    #[error("opened for reading; open it with `File::append` or `File::create` to write")]
    ReadOnly,
    /// Something that only makes sense on a live file, or only on one that is not.
    #[error("{reason}")]
    NotLive {
        /// What cannot be done and how to get there.
        reason: String,
    },
    /// Someone else writes the file.
    #[error("the file is open for writing {holder}")]
    Locked {
        /// Who holds it, as far as can be known: "by pid 12 on host x since ...".
        holder: String,
    },
    /// The filesystem cannot give the locks that exclusion rests on.
    #[error("the filesystem offers no file locks ({why}); set HDF5_USE_FILE_LOCKING=BEST_EFFORT to write without them")]
    NoLocks {
        /// What the system answered.
        why: String,
    },
    /// An earlier sync failed. The system does not remember that, and a later one that succeeds proves nothing: so there is no durable
    /// publication any more in this session. What was acknowledged as durable before is.
    #[error(
        "cannot publish durably: an earlier sync failed ({why}), and what it was to settle may never reach the medium; \
         visible publication goes on. Copy the file to another place, or close and check it"
    )]
    NotDurable {
        /// What the system answered then.
        why: String,
    },
    /// The writer of a followed file ended without closing it.
    #[error("the writer {writer} died at commit {commit}")]
    WriterDied {
        /// Who it was.
        writer: String,
        /// Its last commit.
        commit: u64,
    },
    /// The program asked for an end.
    #[error("interrupted")]
    Interrupted,
    /// The handle's file was closed.
    #[error("the file is closed")]
    Closed,
    /// Well-formed, and not possible here.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { inner: Box::new(Inner { kind, file: None, object: None }) }
    }

    pub(crate) fn io(doing: &'static str, source: io::Error) -> Self {
        Self::new(ErrorKind::Io { doing, source })
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported(what.into()))
    }

    /// Names the file, unless one is named.
    #[must_use]
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.inner.file.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Names the object, unless one is named.
    #[must_use]
    pub(crate) fn at_object(mut self, path: &str) -> Self {
        self.inner.object.get_or_insert_with(|| path.to_owned());
        self
    }

    /// The reason.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// The file, when known.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.inner.file.as_deref()
    }

    /// The object's path in the file, when known.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.inner.object.as_deref()
    }

    /// Whether reading again may help: only a torn read says so.
    pub(crate) fn may_be_torn(&self) -> bool {
        matches!(self.kind(), ErrorKind::Malformed(malformed) if malformed.may_be_torn())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.inner.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(object) = &self.inner.object {
            write!(f, "{object}: ")?;
        }
        self.inner.kind.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.inner.kind)
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(ErrorKind::Malformed(malformed))
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

fn where_filtered(chunk: &[u64]) -> String {
    if chunk.is_empty() { "filters".to_owned() } else { format!("chunk at {chunk:?}") }
}
