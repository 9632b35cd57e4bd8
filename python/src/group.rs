//! Groups: finding and making what is in them.

use std::sync::Arc;

use h5live::{ErrorKind, FillTime, FilterId, Object, Target, VirtualMapping};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::attributes::Attributes;
use crate::dataset::{Dataset, parse_region};
use crate::datatype::Datatype;
use crate::errors::{Doing, OrRaise, raise};
use crate::handle::Handle;

/// A group.
#[pyclass(frozen, module = "h5live._h5live")]
pub(crate) struct Group {
    pub(crate) handle: Arc<Handle>,
    pub(crate) group: h5live::Group,
}

/// A committed datatype.
#[pyclass(frozen, module = "h5live._h5live")]
pub(crate) struct CommittedDatatype {
    handle: Arc<Handle>,
    datatype: h5live::CommittedDatatype,
}

/// The Python object for an object of the file, whose own file it may not be: then that is opened.
pub(crate) fn object<'py>(py: Python<'py>, handle: &Arc<Handle>, object: Object) -> PyResult<Bound<'py, PyAny>> {
    let own = &handle.opened.file;
    let found_in = match &object {
        Object::Group(group) => group.file(),
        Object::Dataset(dataset) => dataset.file(),
        Object::Datatype(datatype) => datatype.file(),
    };
    if !found_in.is_same(own) {
        // As libhdf5 does: for writing if the file that leads there is.
        let path = found_in.path().to_owned();
        let mode = if handle.writable { "r+" } else { "r" };
        let other = crate::file::File::open(py, path.clone(), mode, false, false, true, 0, None)
            .or_else(|_| crate::file::File::open(py, path, "r", false, false, true, 0, None))?;
        if let Some(asked) = handle.asked(py) {
            other.handle.ask(asked);
        }
        let file = other.handle.opened.file.clone();
        let found = py.detach(|| file.get(object.path())).or_raise(Doing::OpenObject)?;
        return self::object(py, &other.handle, found);
    }
    let handle = handle.another();
    Ok(match object {
        Object::Group(group) => Bound::new(py, Group { handle, group })?.into_any(),
        Object::Dataset(dataset) => Bound::new(py, Dataset::new(handle, dataset))?.into_any(),
        Object::Datatype(datatype) => Bound::new(py, CommittedDatatype { handle, datatype })?.into_any(),
    })
}

impl Group {
    fn has(&self, path: &str) -> h5live::Result<bool> {
        let trimmed = path.trim_end_matches(['/', '.']);
        let (head, last) = trimmed.rsplit_once('/').map_or((None, trimmed), |(head, last)| (Some(head), last));
        if last.is_empty() {
            return Ok(true);
        }
        let absolute = path.starts_with('/');
        let group = match head {
            None => Ok(self.group.clone()),
            Some(head) if absolute => self.group.file().group(&format!("/{head}")),
            Some(head) => self.group.group(head),
        };
        let found = group.and_then(|group| group.link(last).map(drop));
        match found {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::NotFound { .. } | ErrorKind::WrongKind { .. } | ErrorKind::Unsupported(_) => Ok(false),
                _ => Err(error),
            },
        }
    }

    fn refuse_reader(&self, doing: Doing) -> PyResult<()> {
        self.handle.check(doing)?;
        if self.handle.writable { Ok(()) } else { Err(raise(doing, &ErrorKind::ReadOnly.into())) }
    }
}

#[pymethods]
impl Group {
    /// The object at `path`.
    fn open<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
        self.handle.check(Doing::OpenObject)?;
        let found = py.detach(|| self.group.get(path)).or_raise(Doing::OpenObject)?;
        object(py, &self.handle, found)
    }

    /// The object whose header is at `address`.
    fn open_at<'py>(&self, py: Python<'py>, address: u64) -> PyResult<Bound<'py, PyAny>> {
        self.handle.check(Doing::Dereference)?;
        let found = py.detach(|| self.handle.opened.file.object_at(address)).or_raise(Doing::OpenObject)?;
        if self.handle.opened.is_deleted(address) {
            return Err(PyKeyError::new_err("Unable to synchronously open object (the object was deleted)"));
        }
        object(py, &self.handle, found)
    }

    /// Whether there is something at `path`: an object, or a link that may lead nowhere.
    fn __contains__(&self, py: Python<'_>, path: &str) -> PyResult<bool> {
        if !self.handle.is_open() || path.is_empty() {
            return Ok(false);
        }
        py.detach(|| self.has(path)).or_raise(Doing::Look)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.handle.check(Doing::ListLinks)?;
        Ok(py.detach(|| self.group.links()).or_raise(Doing::Look)?.len())
    }

    /// The links: names with what `link` tells.
    fn links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.handle.check(Doing::LookAtLinks)?;
        let links = py.detach(|| self.group.links()).or_raise(Doing::Look)?;
        let each =
            links.into_iter().map(|link| (link.name, target(py, link.target)?, link.creation_order).into_pyobject(py));
        PyList::new(py, each.collect::<PyResult<Vec<_>>>()?)
    }

    /// The names of the links.
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.handle.check(Doing::ListLinks)?;
        let links = py.detach(|| self.group.links()).or_raise(Doing::Look)?;
        PyList::new(py, links.into_iter().map(|link| link.name))
    }

    /// Where the link `name` (one name, no path) leads: its kind, and address, path, or file and path.
    fn link<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyTuple>> {
        self.handle.check(Doing::LookAtLinks)?;
        let link = py.detach(|| self.group.link(name)).or_raise(Doing::OpenObject)?;
        target(py, link.target)
    }

    #[getter]
    fn tracks_order(&self, py: Python<'_>) -> PyResult<bool> {
        self.handle.check(Doing::LookAtGroup)?;
        py.detach(|| self.group.tracks_creation_order()).or_raise(Doing::Look)
    }

    #[pyo3(signature = (path, track_order=false))]
    fn create_group(&self, py: Python<'_>, path: &str, track_order: bool) -> PyResult<Self> {
        self.refuse_reader(Doing::CreateGroup)?;
        let builder = self.group.new_group(path);
        let builder = if track_order { builder.track_order() } else { builder };
        let group = py.detach(|| builder.create()).or_raise(Doing::CreateGroup)?;
        Ok(Self { handle: self.handle.another(), group })
    }

    /// Creates a dataset. `how` has the optional properties.
    fn create_dataset(
        &self,
        py: Python<'_>,
        path: &str,
        datatype: &Bound<'_, Datatype>,
        shape: Option<Vec<u64>>,
        how: &Bound<'_, PyDict>,
    ) -> PyResult<Dataset> {
        self.refuse_reader(Doing::CreateDataset)?;
        let mut builder = self.group.new_dataset_of(path, datatype.get().0.clone());
        builder = match shape {
            Some(shape) => builder.shape(shape),
            None => builder.null(),
        };
        for (key, value) in how.iter() {
            if value.is_none() {
                continue;
            }
            let key: String = key.extract()?;
            builder = match key.as_str() {
                "maxshape" => builder.resizable(value.extract::<Vec<Option<u64>>>()?),
                "chunks" => builder.chunks(value.extract::<Vec<u64>>()?),
                "early_chunks" => builder.chunks_allocated_early(value.extract::<Vec<u64>>()?),
                "early" if value.is_truthy()? => builder.contiguous_allocated_early(),
                "compact" if value.is_truthy()? => builder.compact(),
                "filters" => {
                    for (id, optional, values) in value.extract::<Vec<(u16, bool, Vec<u32>)>>()? {
                        let id = FilterId(id);
                        builder = match id {
                            FilterId::LZF => builder.lzf(),
                            _ if optional => builder.optional_filter(id, &values),
                            _ => builder.filter(id, &values),
                        };
                    }
                    builder
                }
                "fill" => crate::memory::with_bytes(&value, |bytes| Ok(builder.fill_bytes(bytes)))?,
                "no_fill" if value.is_truthy()? => builder.no_fill_value(),
                "fill_time" => builder.fill_time(match value.extract::<u8>()? {
                    0 => FillTime::OnAllocation,
                    1 => FillTime::Never,
                    _ => FillTime::IfSet,
                }),
                "committed" => {
                    let object = self.handle.opened.file.object_at(value.extract()?).or_raise(Doing::CreateDataset)?;
                    match object {
                        Object::Datatype(datatype) => builder.committed_datatype(&datatype),
                        _ => return Err(PyTypeError::new_err("the object is no committed datatype")),
                    }
                }
                "external" => builder.external(value.extract::<Vec<(String, u64, Option<u64>)>>()?),
                "virtual" => builder.virtual_dataset(mappings(&value)?),
                "track_order" if value.is_truthy()? => builder.track_attribute_order(),
                "compact" | "no_fill" | "track_order" => builder,
                _ => return Err(PyTypeError::new_err(format!("datasets have no property {key:?}"))),
            };
        }
        let dataset = py.detach(|| builder.create()).or_raise(Doing::CreateDataset)?;
        Ok(Dataset::new(self.handle.another(), dataset))
    }

    fn commit_datatype(
        &self,
        py: Python<'_>,
        path: &str,
        datatype: &Bound<'_, Datatype>,
    ) -> PyResult<CommittedDatatype> {
        self.refuse_reader(Doing::CreateDatatype)?;
        let stored = &datatype.get().0;
        let datatype = py.detach(|| self.group.commit_datatype(path, stored)).or_raise(Doing::CreateDatatype)?;
        Ok(CommittedDatatype { handle: self.handle.another(), datatype })
    }

    /// Gives the object at `address` another name.
    fn link_hard(&self, py: Python<'_>, path: &str, address: u64) -> PyResult<()> {
        self.refuse_reader(Doing::CreateLink)?;
        py.detach(|| {
            let object = self.handle.opened.file.object_at(address)?;
            self.group.link_object(path, &object)
        })
        .or_raise(Doing::CreateLink)
    }

    fn link_soft(&self, py: Python<'_>, path: &str, target: &str) -> PyResult<()> {
        self.refuse_reader(Doing::CreateSoftLink)?;
        py.detach(|| self.group.link_soft(path, target)).or_raise(Doing::CreateLink)
    }

    fn link_external(&self, py: Python<'_>, path: &str, file: &str, target: &str) -> PyResult<()> {
        self.refuse_reader(Doing::CreateExternalLink)?;
        py.detach(|| self.group.link_external(path, file, target)).or_raise(Doing::CreateLink)
    }

    /// Takes a name away. `keep`: what it led to may still be opened by its address.
    #[pyo3(signature = (path, keep=false))]
    fn unlink(&self, py: Python<'_>, path: &str, keep: bool) -> PyResult<()> {
        self.refuse_reader(Doing::DeleteLink)?;
        let file = &self.handle.opened.file;
        let last = py.detach(|| {
            let address = self.group.get(path).ok().map(|object| object.address());
            let last = address.filter(|address| file.link_count(*address).is_ok_and(|count| count == 1));
            self.group.unlink(path).map(|()| last)
        });
        if let Some(address) = last.or_raise(Doing::DeleteLink)?
            && !keep
        {
            self.handle.opened.delete(address);
        }
        Ok(())
    }

    fn rename(&self, py: Python<'_>, from: &str, to: &str) -> PyResult<()> {
        self.refuse_reader(Doing::MoveLink)?;
        py.detach(|| self.group.rename(from, to)).or_raise(Doing::MoveLink)
    }

    fn attributes(&self) -> PyResult<Attributes> {
        Ok(Attributes::new(self.handle.clone(), Object::Group(self.group.clone())))
    }

    #[getter]
    fn path(&self) -> &str {
        self.group.path()
    }

    #[getter]
    fn address(&self) -> u64 {
        self.group.address()
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    /// Closes this object, and no other.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.handle.close()).or_raise(Doing::Flush).map(drop)
    }

    /// The file it is in, as this opening of it.
    #[getter]
    fn file(&self) -> crate::file::File {
        crate::file::File { handle: self.handle.another() }
    }
}

#[pymethods]
impl CommittedDatatype {
    #[getter]
    fn datatype(&self) -> PyResult<Datatype> {
        self.handle.check(Doing::LookAtType)?;
        Ok(Datatype(self.datatype.datatype().clone()))
    }

    fn attributes(&self) -> PyResult<Attributes> {
        Ok(Attributes::new(self.handle.clone(), Object::Datatype(self.datatype.clone())))
    }

    #[getter]
    fn path(&self) -> &str {
        self.datatype.path()
    }

    #[getter]
    fn address(&self) -> u64 {
        self.datatype.address()
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    /// Closes this object, and no other.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.handle.close()).or_raise(Doing::Flush).map(drop)
    }

    /// The file it is in, as this opening of it.
    #[getter]
    fn file(&self) -> crate::file::File {
        crate::file::File { handle: self.handle.another() }
    }
}

/// The mappings of a virtual dataset, as `h5d` gives them: of target and source, kind and parts; file and path between them.
fn mappings(given: &Bound<'_, PyAny>) -> PyResult<Vec<VirtualMapping>> {
    type Given = (String, Vec<Vec<u64>>, usize, String, String, String, Vec<Vec<u64>>, usize);
    let each = given.extract::<Vec<Given>>()?.into_iter().map(
        |(target, target_parts, target_rank, file, dataset, source, source_parts, source_rank)| {
            Ok(VirtualMapping {
                file: Some(file).filter(|file| file != "."),
                dataset,
                source: parse_region(&source, &source_parts, source_rank)?,
                target: parse_region(&target, &target_parts, target_rank)?,
            })
        },
    );
    each.collect()
}

fn target<'py>(py: Python<'py>, target: Target) -> PyResult<Bound<'py, PyTuple>> {
    match target {
        Target::Hard(address) => ("hard", address).into_pyobject(py),
        Target::Soft(path) => ("soft", path).into_pyobject(py),
        Target::External { file, path } => ("external", file, path).into_pyobject(py),
        Target::UserDefined { class, data } => ("user", class, data).into_pyobject(py),
    }
}
