//! Files whose bytes a Python object holds: anything with `seek`, `readinto`, `write`, `truncate` and `flush`.

use std::io;
use std::sync::{Mutex, PoisonError};

use h5live_storage::{Barrier, ReadAt, Storage};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

pyo3::import_exception!(io, UnsupportedOperation);

/// A Python file object as storage.
pub(crate) struct FileObject {
    /// None once the file is closed. The object has one position: seeking and what follows belong together, under this lock.
    object: Mutex<Option<Py<PyAny>>>,
}

impl FileObject {
    pub(crate) fn new(object: Py<PyAny>) -> Self {
        Self { object: Mutex::new(Some(object)) }
    }

    fn with<T>(&self, act: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> io::Result<T> {
        // Before the interpreter's lock, so that no thread holds that one and waits for this.
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(object) = object.as_ref() else { return Err(io::Error::other("the file is closed")) };
        Python::attach(|py| act(object.bind(py)).map_err(io::Error::from))
    }

    /// Refuses an object that says it cannot be read: what is written is read again sooner or later, as when the rest of a chunk comes.
    pub(crate) fn require_readable(&self) -> PyResult<()> {
        let is_readable = self.with(|object| match object.getattr("readable") {
            Ok(readable) => readable.call0()?.is_truthy(),
            Err(_) => Ok(true),
        });
        match is_readable {
            Ok(true) => Ok(()),
            Ok(false) => Err(UnsupportedOperation::new_err(
                "the file object cannot be read, as writing elements needs; open it for both",
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go of the object.
    pub(crate) fn release(&self) {
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(object);
    }
}

impl ReadAt for FileObject {
    fn size(&self) -> io::Result<u64> {
        self.with(|object| object.call_method1("seek", (0, 2))?.extract())
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let whole = self.with(|object| {
            // A new file is looked at beyond its end, which needs nothing of the object but where that is.
            let size: u64 = object.call_method1("seek", (0, 2))?.extract()?;
            if at.checked_add(buf.len() as u64).is_none_or(|end| end > size) {
                return Ok(false);
            }
            object.call_method1("seek", (at,))?;
            let mut filled = 0;
            while filled < buf.len() {
                let room = PyByteArray::new(object.py(), &buf[filled..]);
                let read: usize = object.call_method1("readinto", (&room,))?.extract()?;
                if read == 0 {
                    return Ok(false);
                }
                let end = (filled + read).min(buf.len());
                buf[filled..end].copy_from_slice(&room.to_vec()[..end - filled]);
                filled = end;
            }
            Ok(true)
        })?;
        if whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Storage for FileObject {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.with(|object| {
            object.call_method1("seek", (at,))?;
            object.call_method1("write", (PyBytes::new(object.py(), buf),)).map(drop)
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|object| {
            let size: u64 = object.call_method1("seek", (0, 2))?.extract()?;
            if size < len {
                // Not every object extends itself by `truncate`.
                object.call_method1("seek", (len - 1,))?;
                return object.call_method1("write", (PyBytes::new(object.py(), &[0]),)).map(drop);
            }
            object.call_method1("truncate", (len,)).map(drop)
        })
    }

    fn barrier(&self, barrier: Barrier) -> io::Result<()> {
        match barrier {
            Barrier::Visible => Ok(()),
            Barrier::Durable => self.with(|object| object.call_method0("flush").map(drop)),
        }
    }
}
