//! The other side of h5live's tests.
//!
//! - [`H5py`]: a Python process with h5py, driven call by call, every call with a time limit;
//! - [`tool`]: h5dump, h5clear, h5repack, h5ls, and strace;
//! - [`process`]: child processes of a test, and the signals that stop, continue and kill them;
//! - [`formula`]: the values test data is made of, the same here and in Python;
//! - [`history`]: the judge of what a reader of a growing dataset may see;
//! - [`matrix`]: every kind of type, storage, filter and fill value, written and checked by the other side;
//! - [`corpus`]: directories of files of all kinds, each with a description that a reader is held against.
//!
//! What a test needs and the machine lacks is an error that names `cargo xtask setup`, never a skipped test. Nothing here knows
//! h5live: the judges must not share its mistakes.

pub mod corpus;
mod error;
pub mod formula;
mod h5py;
pub mod history;
pub mod matrix;
pub mod process;
mod python;
pub mod tool;

pub use error::{Error, Result};
pub use h5py::{
    Attribute, Copied, DatasetInfo, Difference, Followed, H5File, H5py, Mode, NewDataset, Node, Object, Select,
    Versions,
};
pub use python::{Libhdf5, python, python_1_14};

/// The SHA-256 digest of `bytes` in hexadecimal, as [`H5File::digest`] gives it.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(bytes))
}

/// A fresh directory, removed when dropped.
///
/// # Panics
/// When the system's directory for temporary files cannot be written: no test could run.
#[must_use]
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("h5live-").tempdir().expect("the directory for temporary files can be written")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let (pairs, odd) = digits.as_ref()?.as_chunks::<2>();
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
        assert_eq!(unhex("000fff"), Some(vec![0, 15, 255]));
        assert_eq!(unhex("000"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
