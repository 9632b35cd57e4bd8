//! h5live's errors as the exceptions that programs written for h5py expect.
//!
//! The class and the words in parentheses are h5py's; what follows is h5live's own text: file, object, reason, next step.

use std::io;

use h5live::{Error, ErrorKind};
use pyo3::exceptions::{
    PyIndexError, PyKeyError, PyNotImplementedError, PyOSError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;

pyo3::create_exception!(
    h5live,
    WriterDied,
    PyOSError,
    "The writer of a followed file ended without closing it. Everything it published can be read."
);

/// The number that makes an `OSError` a `BlockingIOError`.
const EAGAIN: i32 = 11;

/// What was being done when an error came up, or when it turned out that the object is closed.
#[pyclass(frozen, eq, module = "h5live._h5live")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    OpenFile,
    CreateFile,
    OpenObject,
    OpenGroup,
    OpenDataset,
    OpenDatatype,
    CreateGroup,
    CreateDataset,
    CreateDatatype,
    CreateLink,
    CreateHardLink,
    CreateSoftLink,
    CreateExternalLink,
    DeleteLink,
    MoveLink,
    FindLink,
    ListLinks,
    LookAtLinks,
    CopyObject,
    OpenAttribute,
    FindAttribute,
    CreateAttribute,
    RenameAttribute,
    DeleteAttribute,
    LookAtAttribute,
    Read,
    Write,
    Resize,
    StartSwmr,
    Flush,
    FlushDataset,
    Refresh,
    Reopen,
    Look,
    LookAtSpace,
    LookAtDataset,
    LookAtGroup,
    LookAtFile,
    LookIntoFile,
    NameFile,
    FindFile,
    Dereference,
    TakeType,
    LookAtType,
    HashType,
    Identify,
    CountReferences,
    MakeScale,
    LookAtScales,
}

impl Doing {
    fn phrase(self) -> &'static str {
        match self {
            Self::OpenFile => "Unable to synchronously open file",
            Self::CreateFile => "Unable to synchronously create file",
            Self::OpenObject => "Unable to synchronously open object",
            Self::CreateGroup => "Unable to synchronously create group",
            Self::CreateDataset => "Unable to synchronously create dataset",
            Self::CreateDatatype => "Unable to commit datatype synchronously",
            Self::CreateLink | Self::CreateHardLink | Self::CreateSoftLink | Self::CreateExternalLink => {
                "Unable to create link"
            }
            Self::DeleteLink => "Couldn't delete link",
            Self::MoveLink => "Unable to move link",
            Self::OpenAttribute => "Unable to synchronously open attribute",
            Self::CreateAttribute => "Unable to synchronously create attribute",
            Self::RenameAttribute => "Unable to synchronously rename attribute",
            Self::DeleteAttribute => "Unable to synchronously delete attribute",
            Self::Read => "Can't synchronously read data",
            Self::Write => "Can't synchronously write data",
            Self::Resize => "Unable to synchronously change a dataset's dimensions",
            Self::StartSwmr => "Unable to start swmr writing",
            Self::Flush => "Unable to synchronously flush file",
            Self::Refresh => "Unable to synchronously refresh dataset",
            _ => "Unable to get information",
        }
    }

    /// The exception for an error that concerns what a program asked for, rather than the file.
    fn refusal(self, text: String) -> PyErr {
        match self {
            Self::OpenObject | Self::OpenAttribute | Self::DeleteAttribute | Self::DeleteLink => {
                PyKeyError::new_err(text)
            }
            Self::CreateGroup | Self::CreateDataset | Self::CreateDatatype | Self::MoveLink => {
                PyValueError::new_err(text)
            }
            Self::StartSwmr | Self::Resize => PyRuntimeError::new_err(text),
            _ => PyOSError::new_err(text),
        }
    }

    /// What h5py raises for this when the object is closed: the class, what it says, and the reason it gives in parentheses.
    ///
    /// The only place that knows. h5py has what its first call of libhdf5 says, so what is done to one object has many answers.
    fn when_closed(self) -> (Class, &'static str, &'static str) {
        use Class::{Key, Os, Runtime, Type, Value};
        const FUNCTION: &str = "invalid identifier type to function";
        const SPECIFIED: &str = "identifier is not of specified type";
        match self {
            Self::OpenObject => (Key, self.phrase(), FUNCTION),
            Self::OpenGroup => (Value, "Unable to synchronously open group", FUNCTION),
            Self::OpenDataset => (Key, "Unable to synchronously open dataset", FUNCTION),
            Self::OpenDatatype => (Key, "Unable to open named datatype synchronously", FUNCTION),
            Self::CreateGroup | Self::CreateDataset => (Value, self.phrase(), FUNCTION),
            Self::CreateDatatype => (Key, self.phrase(), FUNCTION),
            Self::CreateHardLink => (Os, "Unable to synchronously create hard link", SPECIFIED),
            Self::CreateSoftLink => (Os, "Unable to synchronously create soft link", SPECIFIED),
            Self::CreateExternalLink => (Value, "Invalid object identifier", SPECIFIED),
            Self::MoveLink | Self::LookAtLinks => (Value, "Invalid location identifier", SPECIFIED),
            Self::FindLink => (Runtime, "Unable to synchronously check link existence", SPECIFIED),
            Self::ListLinks => (Value, "Invalid group (or file) id", "invalid group (or file) ID"),
            Self::CopyObject => (Runtime, "Unable to synchronously copy object", FUNCTION),
            Self::OpenAttribute => (Key, self.phrase(), FUNCTION),
            // Before an attribute is set, h5py asks whether it is there.
            Self::FindAttribute => (Runtime, "Can't synchronously determine if attribute exists by name", FUNCTION),
            Self::CreateAttribute => (Os, self.phrase(), FUNCTION),
            Self::RenameAttribute => (Runtime, "Can't synchronously rename attribute", FUNCTION),
            Self::DeleteAttribute => (Value, "Invalid object identifier", FUNCTION),
            Self::LookAtAttribute => (Value, "Not an attribute", SPECIFIED),
            // The extent is what h5py asks for first when it reads.
            Self::Read | Self::LookAtSpace => (Runtime, "Unable to synchronously get dataspace", SPECIFIED),
            Self::Write | Self::Resize | Self::LookAtDataset => (Value, "Invalid dataset identifier", SPECIFIED),
            Self::FlushDataset | Self::Refresh => {
                (Value, "Dset_id parameter is not a valid dataset identifier", SPECIFIED)
            }
            Self::StartSwmr => (Value, "Hid_t identifier is not a file id", SPECIFIED),
            Self::Flush => (Runtime, self.phrase(), "not a file or file object"),
            Self::Reopen => (Os, "Unable to synchronously reopen file", SPECIFIED),
            Self::LookAtGroup => (Value, "Not a group id", SPECIFIED),
            Self::LookAtFile | Self::OpenFile | Self::CreateFile => (Value, "Invalid file identifier", SPECIFIED),
            Self::LookIntoFile => (Value, "Not a file id", SPECIFIED),
            Self::NameFile => (Value, "Not a file or file object", "not a file or file object"),
            Self::FindFile => (Value, "Not an id of a file object", "not an ID of a file object"),
            Self::Dereference => (Value, "Invalid file identifier", FUNCTION),
            Self::TakeType => (Type, "Not a datatype", "not a datatype"),
            Self::LookAtType => (Value, "Not a datatype", "not a datatype"),
            Self::HashType => (Type, "Only locked or committed types can be hashed", "not a datatype"),
            Self::Identify => (Runtime, "Unspecified error in H5Iget_type", "return value <0"),
            Self::CountReferences => (Runtime, "Can't get id ref count", "can't locate ID"),
            Self::MakeScale => (Runtime, "Unspecified error in H5DSset_scale", "return value <0"),
            Self::LookAtScales => (Runtime, "Unspecified error in H5DSiterate_scales", "return value <0"),
            Self::CreateLink | Self::DeleteLink | Self::Look => (Value, "Invalid location identifier", FUNCTION),
        }
    }
}

#[pymethods]
impl Doing {
    /// The exception for doing this with something that is closed.
    pub(crate) fn closed(&self) -> PyErr {
        let (class, words, reason) = self.when_closed();
        let text = format!("{words} ({reason}: the file or object is closed; open it again)");
        match class {
            Class::Key => PyKeyError::new_err(text),
            Class::Os => PyOSError::new_err(text),
            Class::Runtime => PyRuntimeError::new_err(text),
            Class::Type => PyTypeError::new_err(text),
            Class::Value => PyValueError::new_err(text),
        }
    }
}

/// Python's exception classes that h5py uses for closed objects.
enum Class {
    Key,
    Os,
    Runtime,
    Type,
    Value,
}

/// The exception for `error`, which came up while `doing`.
pub(crate) fn raise(doing: Doing, error: &Error) -> PyErr {
    let phrase = doing.phrase();
    let said = |reason: &str| format!("{phrase} ({reason}): {error}");
    match error.kind() {
        ErrorKind::Io { source, .. } => os_error(phrase, source, error),
        ErrorKind::Locked { .. } => {
            let reason = "unable to lock file, errno = 11, error message = 'Resource temporarily unavailable'";
            PyOSError::new_err((EAGAIN, said(reason)))
        }
        ErrorKind::NotHdf5 => PyOSError::new_err(said("file signature not found")),
        ErrorKind::Truncated { .. } => PyOSError::new_err(said("truncated file")),
        ErrorKind::NotFound { what: "file", name } => {
            let text = said(&format!("unable to open file: name = '{name}', errno = 2"));
            if doing == Doing::OpenObject { PyKeyError::new_err(text) } else { PyOSError::new_err((2, text)) }
        }
        ErrorKind::NotFound { what: "attribute", name } => {
            PyKeyError::new_err(said(&format!("can't locate attribute: '{name}'")))
        }
        ErrorKind::NotFound { name, .. } => {
            let last = name.rsplit('/').next().unwrap_or(name);
            doing.refusal(said(&format!("object '{last}' doesn't exist")))
        }
        ErrorKind::Exists { .. } => doing.refusal(said("name already exists")),
        ErrorKind::BadName { .. } => PyValueError::new_err(said("no name")),
        ErrorKind::WrongKind { .. } => doing.refusal(said("component not found")),
        ErrorKind::ReadOnly => {
            let path = error.file().map_or_else(|| "the file".to_owned(), |path| path.display().to_string());
            doing.refusal(format!("{phrase} (no write intent on file): open {path} with mode 'r+' to change it"))
        }
        ErrorKind::Type { .. } => match doing {
            Doing::Read | Doing::Write | Doing::CreateAttribute => PyTypeError::new_err(said("no conversion path")),
            _ => doing.refusal(said("type mismatch")),
        },
        ErrorKind::Shape { .. } => match doing {
            Doing::Resize => PyRuntimeError::new_err(said("dimension cannot exceed the existing maximal size")),
            Doing::CreateDataset => PyValueError::new_err(said("shapes do not fit")),
            _ => PyTypeError::new_err(said("shapes do not fit")),
        },
        ErrorKind::Selection { .. } => PyIndexError::new_err(said("selection out of range")),
        ErrorKind::WriterDied { .. } => WriterDied::new_err(error.to_string()),
        ErrorKind::Closed => doing.closed(),
        ErrorKind::NotLive { .. } => PyRuntimeError::new_err(said("not possible in this state")),
        ErrorKind::Unsupported(_) if doing == Doing::OpenObject => PyKeyError::new_err(said("not possible here")),
        ErrorKind::Unsupported(_) => PyNotImplementedError::new_err(said("not supported")),
        // Chunks are damaged when they are read; before there are any, it is the settings that do not fit.
        ErrorKind::Filter { .. } if doing == Doing::CreateDataset => {
            PyValueError::new_err(said("the filter's settings do not fit"))
        }
        _ => PyOSError::new_err(said("the file is damaged")),
    }
}

fn os_error(phrase: &str, source: &io::Error, error: &Error) -> PyErr {
    // A file object's own exception goes to the program as it is.
    if let Some(own) = source.get_ref().and_then(|own| own.downcast_ref::<PyErr>()) {
        return Python::attach(|py| own.clone_ref(py));
    }
    let path = error.file().map(|path| path.display().to_string()).unwrap_or_default();
    match source.raw_os_error() {
        Some(errno) => {
            let system = system_text(source);
            let reason = format!("unable to open file: name = '{path}', errno = {errno}, error message = '{system}'");
            // OSError picks its subclass by the number.
            PyOSError::new_err((errno, format!("{phrase} ({reason}): {error}")))
        }
        None => PyOSError::new_err(format!("{phrase} (file read failed): {error}")),
    }
}

/// The system's words, without the number that Rust appends.
fn system_text(source: &io::Error) -> String {
    let text = source.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Turns the error of a result into an exception.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, doing: Doing) -> PyResult<T>;
}

impl<T> OrRaise<T> for h5live::Result<T> {
    fn or_raise(self, doing: Doing) -> PyResult<T> {
        self.map_err(|error| raise(doing, &error))
    }
}
