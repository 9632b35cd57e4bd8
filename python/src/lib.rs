//! The Rust side of h5live for Python: few classes that do the work. The package around them has h5py's shape.

mod attributes;
mod dataset;
mod datatype;
mod elements;
mod errors;
mod file;
mod file_object;
mod follow;
mod group;
mod handle;
mod lists;
mod masks;
mod memory;
mod selection;

/// What the package is made on.
#[pyo3::pymodule(gil_used = false)]
mod _h5live {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::attributes::Attributes;
    #[pymodule_export]
    use crate::dataset::{Dataset, PySelection};
    #[pymodule_export]
    use crate::datatype::Datatype;
    #[pymodule_export]
    use crate::errors::{Doing, WriterDied};
    #[pymodule_export]
    use crate::file::File;
    #[pymodule_export]
    use crate::follow::Follow;
    #[pymodule_export]
    use crate::group::{CommittedDatatype, Group};

    /// What can be done with the filter `id`: 1 encode, 2 decode, or both; `None` if it is not known.
    #[pyfunction]
    fn filter_config(id: u16) -> Option<u8> {
        const ENCODE: u8 = 1;
        const DECODE: u8 = 2;
        let registry = h5live::filter::Registry::default();
        registry.find(h5live::FilterId(id)).map(|_| ENCODE | DECODE)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
