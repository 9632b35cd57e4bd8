//! Files: opening, closing, going live.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use h5live::{LockWarning, WriterState};
use h5live_storage::{LockError, LockMode, Locking, Memory, Storage};
use pyo3::exceptions::{PyFileExistsError, PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::datatype::Datatype;
use crate::elements::{self, TextAs};
use crate::errors::{Doing, OrRaise, raise};
use crate::file_object::FileObject;
use crate::follow::seconds;
use crate::group::Group;
use crate::handle::{self, Elsewhere, Handle, Opened};
use crate::memory;

/// One opening of a file.
#[pyclass(frozen, module = "h5live._h5live")]
pub(crate) struct File {
    pub(crate) handle: Arc<Handle>,
}

impl File {
    fn file(&self, doing: Doing) -> PyResult<&h5live::File> {
        self.handle.check(doing)?;
        Ok(&self.handle.opened.file)
    }

    fn of(opened: Arc<Opened>) -> Self {
        let writable = opened.writable;
        Self { handle: Handle::new(opened, writable) }
    }

    /// Writes bytes that are elsewhere to where they belong, if an opening ended.
    fn write_out(&self, ended: bool) -> PyResult<()> {
        match &self.handle.opened.elsewhere {
            Some(what) if ended => Ok(what.write_out()?),
            _ => Ok(()),
        }
    }
}

#[pymethods]
impl File {
    /// Opens a file; `mode` is r, r+, w or x.
    #[staticmethod]
    #[pyo3(signature = (path, mode, swmr=false, track_order=false, locking=true, userblock=0, locking_as=None))]
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn open(
        py: Python<'_>,
        path: PathBuf,
        mode: &str,
        swmr: bool,
        track_order: bool,
        locking: bool,
        userblock: u64,
        locking_as: Option<String>,
    ) -> PyResult<Self> {
        let locks = locking_as.as_deref().and_then(locking_of);
        let doing = if matches!(mode, "w" | "x") { Doing::CreateFile } else { Doing::OpenFile };
        if let Some(opened) = handle::find(&path) {
            let refuse = |why: &str| Err(PyOSError::new_err(format!("{} ({why}): {}", phrase(doing), path.display())));
            return match mode {
                "w" => refuse("unable to truncate a file which is already open"),
                "x" => refuse("file exists"),
                _ if opened.locking.is_some() && locking_as.is_some() && opened.locking != locking_as => {
                    refuse("file locking flag values don't match")
                }
                "r+" if !opened.writable => refuse("file is already open for read-only"),
                _ => Ok(Self::of(opened)),
            };
        }
        let file = py.detach(|| -> Result<h5live::File, Failure> {
            let builder = || {
                let builder = h5live::File::builder().userblock(userblock);
                let builder = if track_order { builder.track_order() } else { builder };
                match locks {
                    Some(locks) => builder.locking(locks),
                    None => builder,
                }
            };
            Ok(match mode {
                "w" => builder().create(&path)?,
                "x" if path.exists() => return Err(Failure::Exists),
                "x" => builder().create(&path)?,
                "r+" => builder().append(&path)?,
                _ if swmr => h5live::File::follow(&path)?,
                _ => {
                    if locking {
                        refuse_unfinished(&path)?;
                    }
                    h5live::File::open(&path)?
                }
            })
        });
        let file = file.map_err(|failure| match failure {
            Failure::Library(error) => raise(doing, &error),
            Failure::Exists => PyFileExistsError::new_err((
                17,
                format!(
                    "{} (unable to open file: name = '{}', errno = 17, error message = 'File exists')",
                    phrase(doing),
                    path.display()
                ),
            )),
            Failure::Locked => PyOSError::new_err((
                11,
                format!(
                    "{} (unable to lock file, errno = 11, error message = 'Resource temporarily unavailable'): {}: \
                     a program is writing it and has not let readers in; h5live.follow() opens it in any state",
                    phrase(doing),
                    path.display()
                ),
            )),
        })?;
        Ok(Self::of(Opened::new(file, Some(path), mode != "r", swmr && mode == "r", None, locking_as)))
    }

    /// Opens bytes in memory; `mode` as for `open`, and `image` what is there already. `path` is what the file is called; with
    /// `store` it is written there when it is flushed or closed.
    #[staticmethod]
    #[pyo3(signature = (mode, image=None, track_order=false, path=None, store=false))]
    fn open_memory(
        py: Python<'_>,
        mode: &str,
        image: Option<&[u8]>,
        track_order: bool,
        path: Option<PathBuf>,
        store: bool,
    ) -> PyResult<Self> {
        let bytes = Arc::new(Memory::new());
        if let Some(image) = image {
            bytes.write_all_at(image, 0)?;
        }
        let path = path.unwrap_or_default();
        let what = Elsewhere { memory: Some(bytes.clone()), object: None, path, store };
        Self::open_storage(py, mode, bytes, what, track_order)
    }

    /// Opens a Python file object.
    #[staticmethod]
    #[pyo3(signature = (mode, object, track_order=false, path=None))]
    fn open_object(
        py: Python<'_>,
        mode: &str,
        object: Py<PyAny>,
        track_order: bool,
        path: Option<PathBuf>,
    ) -> PyResult<Self> {
        let object = Arc::new(FileObject::new(object));
        let path = path.unwrap_or_default();
        let what = Elsewhere { memory: None, object: Some(object.clone()), path, store: false };
        Self::open_storage(py, mode, object, what, track_order)
    }

    /// Ends this opening, and closes all that came from it; the last one publishes and closes the file.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let ended = py.detach(|| self.handle.end()).or_raise(Doing::Flush)?;
        self.write_out(ended)
    }

    /// Closes this identifier of the file; what came from it stays open, and the opening ends with the last of it.
    fn close_identifier(&self, py: Python<'_>) -> PyResult<()> {
        let ended = py.detach(|| self.handle.close()).or_raise(Doing::Flush)?;
        self.write_out(ended)
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    #[getter]
    fn writable(&self) -> bool {
        self.handle.writable
    }

    /// Whether its bytes are in no file of the system.
    #[getter]
    fn is_elsewhere(&self) -> bool {
        self.handle.opened.elsewhere.is_some()
    }

    /// Remembers what this opening was asked for.
    fn ask(&self, asked: Py<PyAny>) {
        self.handle.ask(asked);
    }

    /// What this opening was asked for.
    fn asked(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.handle.asked(py)
    }

    /// The same for all openings of one file, and for no other file.
    #[getter]
    fn number(&self) -> usize {
        self.handle.opened.number
    }

    #[getter]
    fn path(&self) -> PathBuf {
        match &self.handle.opened.elsewhere {
            Some(what) => what.path.clone(),
            None => self.handle.opened.file.path().to_owned(),
        }
    }

    #[getter]
    fn userblock_size(&self) -> PyResult<u64> {
        Ok(self.file(Doing::LookAtFile)?.userblock_size())
    }

    #[getter]
    fn superblock_version(&self) -> PyResult<u8> {
        Ok(self.file(Doing::LookAtFile)?.superblock_version())
    }

    /// Whether the file is live here: readers were let in, or it was opened as one of them.
    #[getter]
    fn is_live(&self) -> bool {
        self.handle.opened.swmr.load(Ordering::Acquire)
    }

    /// Lets readers in.
    #[pyo3(signature = (strict=false))]
    fn go_live(&self, py: Python<'_>, strict: bool) -> PyResult<()> {
        let file = self.file(Doing::StartSwmr)?;
        if !self.handle.writable {
            return Err(PyRuntimeError::new_err(
                "Unable to start swmr writing (no write intent on file): open it with mode 'r+' or 'w'",
            ));
        }
        if self.is_live() {
            return Err(PyRuntimeError::new_err("Unable to start swmr writing (file already in SWMR writing mode)"));
        }
        py.detach(|| if strict { file.go_live_strict() } else { file.go_live() }).or_raise(Doing::StartSwmr)?;
        self.handle.opened.swmr.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes all changes visible, as one commit; not while the program is inside of one of its own.
    #[pyo3(signature = (durable=false))]
    fn publish(&self, py: Python<'_>, durable: bool) -> PyResult<()> {
        self.handle.check(Doing::Flush)?;
        self.handle.publish(py, durable)
    }

    /// From now on nothing is published until `end_commit`. Commits may lie within others.
    fn begin_commit(&self) -> PyResult<()> {
        self.handle.check(Doing::Flush)?;
        self.handle.begin_commit();
        Ok(())
    }

    /// Publishes what was changed, if `publish` says so and this is the outermost of commits within each other.
    fn end_commit(&self, py: Python<'_>, publish: bool, durable: bool) -> PyResult<()> {
        if self.handle.end_commit() && publish { self.publish(py, durable) } else { Ok(()) }
    }

    /// Shows what was published since the last look, in all datasets together. Tells whether anything changed.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        let file = self.file(Doing::LookAtFile)?;
        py.detach(|| file.refresh()).or_raise(Doing::Refresh)
    }

    /// Number of the last commit; `None` unless the file is live.
    fn last_commit(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let file = self.file(Doing::LookAtFile)?;
        py.detach(|| file.commit()).or_raise(Doing::Look)
    }

    /// Who writes the file: state, host, process, start.
    fn writer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let file = self.file(Doing::LookAtFile)?;
        let state = py.detach(|| file.writer_state()).or_raise(Doing::Look)?;
        let name = match &state {
            WriterState::Live(_) => "live",
            WriterState::Died(_) => "died",
            WriterState::Closed => "closed",
            WriterState::Foreign => "foreign",
            _ => "unknown",
        };
        let writer = state.writer();
        let host = writer.map(|writer| writer.host.clone());
        (name, host, writer.map(|writer| writer.pid), writer.map(|writer| seconds(writer.since))).into_pyobject(py)
    }

    /// What a user should know of the locks of this filesystem; that locking is turned off, who did so knows.
    fn warning(&self) -> Option<String> {
        let warning = self.handle.opened.file.warning().filter(|warning| *warning != LockWarning::TurnedOff);
        warning.map(|warning| warning.to_string())
    }

    fn root(&self) -> PyResult<Group> {
        let group = self.file(Doing::OpenObject)?.root();
        Ok(Group { handle: self.handle.another(), group })
    }

    /// The bytes of a file in memory.
    fn image<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.handle.check(Doing::LookIntoFile)?;
        self.publish(py, false)?;
        match &self.handle.opened.elsewhere {
            Some(Elsewhere { memory: Some(bytes), .. }) => Ok(PyBytes::new(py, &bytes.to_vec())),
            _ => Ok(PyBytes::new(py, &std::fs::read(self.file(Doing::LookIntoFile)?.path())?)),
        }
    }

    /// The texts that elements of a string type of variable length refer to, as an object array of one axis.
    #[pyo3(signature = (raw, element_size, as_str=false))]
    fn decode_texts<'py>(
        &self,
        py: Python<'py>,
        raw: &Bound<'py, PyAny>,
        element_size: usize,
        as_str: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let file = self.file(Doing::Read)?;
        let text_as = if as_str { TextAs::Str } else { TextAs::Bytes };
        memory::with_bytes(raw, |raw| elements::decode_texts(py, file, raw, element_size, text_as))
    }

    /// The data that elements of a sequence type refer to: a `bytearray` for each.
    fn fetch_sequences<'py>(
        &self,
        py: Python<'py>,
        datatype: &Bound<'py, Datatype>,
        raw: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, pyo3::types::PyByteArray>>> {
        let file = self.file(Doing::Read)?;
        memory::with_bytes(raw, |raw| elements::fetch_sequences(py, file, datatype.get(), raw))
    }

    /// Stores texts; the elements that refer to them, as bytes.
    #[pyo3(signature = (texts, ascii=false))]
    fn store_texts<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<Bound<'py, PyAny>>,
        ascii: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(elements::byte_array(py, elements::store_texts(py, self.file(Doing::Write)?, &texts, ascii)?))
    }

    /// Stores sequences of elements of `unit` bytes; the elements that refer to them, as bytes.
    fn store_sequences<'py>(
        &self,
        py: Python<'py>,
        sequences: Vec<Vec<u8>>,
        unit: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(elements::byte_array(py, elements::store_sequences(py, self.file(Doing::Write)?, &sequences, unit)?))
    }

    /// Stores a region reference; its bytes. `parts` as `fetch_region` gives them.
    fn store_region<'py>(
        &self,
        py: Python<'py>,
        dataset: u64,
        kind: &str,
        parts: Vec<Vec<u64>>,
        rank: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let file = self.file(Doing::Look)?;
        let selection = crate::dataset::parse_region(kind, &parts, rank)?;
        let bytes = py.detach(|| file.store_region(dataset, &selection)).or_raise(Doing::Write)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// What a region reference refers to: the dataset's address, and a kind with its parts. `None` for nothing.
    fn fetch_region<'py>(&self, py: Python<'py>, reference: &[u8]) -> PyResult<Option<Bound<'py, PyTuple>>> {
        use h5live::HeapRead;
        let file = self.file(Doing::Dereference)?;
        let found = py.detach(|| file.heap()?.region(reference)).or_raise(Doing::Read)?;
        crate::dataset::region(py, found)
    }
}

impl File {
    fn open_storage(
        py: Python<'_>,
        mode: &str,
        storage: Arc<dyn Storage>,
        what: Elsewhere,
        track_order: bool,
    ) -> PyResult<Self> {
        let doing = if matches!(mode, "w" | "x") { Doing::CreateFile } else { Doing::OpenFile };
        let file = py.detach(|| match mode {
            "w" | "x" => {
                let builder = h5live::File::builder();
                if track_order { builder.track_order() } else { builder }.create_with(storage)
            }
            "r+" => h5live::File::append_with(storage),
            _ => h5live::File::open_with(Arc::new(storage)),
        });
        Ok(Self::of(Opened::new(file.or_raise(doing)?, None, mode != "r", false, Some(what), None)))
    }
}

/// Why a file was not opened.
enum Failure {
    Library(h5live::Error),
    Exists,
    Locked,
}

impl From<h5live::Error> for Failure {
    fn from(error: h5live::Error) -> Self {
        Self::Library(error)
    }
}

/// Refuses a file that someone has locked against readers: it is being created, or changed by libhdf5.
fn refuse_unfinished(path: &std::path::Path) -> Result<(), Failure> {
    let Ok(file) = h5live_storage::File::open(path) else { return Ok(()) };
    match file.lock(LockMode::Shared, Locking::from_env()) {
        Err(LockError::Conflict { .. }) => Err(Failure::Locked),
        _ => Ok(()),
    }
}

/// What h5py's `locking=` asks for; the environment decides where it was not given.
fn locking_of(asked: &str) -> Option<Locking> {
    match asked {
        "true" => Some(Locking::On),
        "false" => Some(Locking::Off),
        "best-effort" => Some(Locking::BestEffort),
        _ => None,
    }
}

fn phrase(doing: Doing) -> &'static str {
    match doing {
        Doing::CreateFile => "Unable to synchronously create file",
        _ => "Unable to synchronously open file",
    }
}
