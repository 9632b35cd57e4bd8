//! Where the Python interpreters are.

use std::env;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// One of the two versions of libhdf5 that h5py brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Libhdf5 {
    /// HDF5 2.0.0, in h5py 3.16.
    V2_0,
    /// HDF5 1.14.6, in h5py 3.13.
    V1_14,
}

impl Libhdf5 {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V2_0, Self::V1_14];

    /// The Python interpreter that has it.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] when it is neither where the environment says nor in the workspace's `.venv`.
    pub fn python(self) -> Result<PathBuf> {
        let (variable, environment) = match self {
            Self::V2_0 => ("H5LIVE_PYTHON", "h5py-3.16"),
            Self::V1_14 => ("H5LIVE_PYTHON_1_14", "h5py-3.13"),
        };
        let at = match env::var_os(variable) {
            Some(given) => PathBuf::from(given),
            None => workspace().join(".venv").join(environment).join("bin/python"),
        };
        if at.exists() { Ok(at) } else { Err(Error::NotInstalled { what: "the Python environment with h5py", at }) }
    }
}

/// The Python interpreter with h5py 3.16 and HDF5 2.0.0: `$H5LIVE_PYTHON`, or the one that `cargo xtask setup` made.
///
/// # Errors
/// [`Error::NotInstalled`].
pub fn python() -> Result<PathBuf> {
    Libhdf5::V2_0.python()
}

/// The Python interpreter with h5py 3.13 and HDF5 1.14.6: `$H5LIVE_PYTHON_1_14`, or the one that `cargo xtask setup` made.
///
/// # Errors
/// [`Error::NotInstalled`].
pub fn python_1_14() -> Result<PathBuf> {
    Libhdf5::V1_14.python()
}

/// A script of this crate's `python` directory.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
