//! `h5live describe`: all that a file holds, in a form that another reader of HDF5 can be held against.
//!
//! One JSON object: `objects` maps each path to what is there. Values are digests: SHA-256 over numbers in little-endian
//! order, over a JSON list of anything else. What cannot be read is `{"error": TEXT}` in its place, with the number of a
//! `missing_filter` if that is why.

mod digest;
mod json;
mod object;
mod types;
mod walk;

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use h5live::filter::Error as FilterError;
use h5live::{Error, ErrorKind, File};
use sha2::{Digest, Sha256};

use self::json::{Fields, list};
use self::walk::Walk;
use crate::failure::Failure;
use crate::output;

/// Describe all of a file for comparison with other readers: structure, types and digests of values
#[derive(Debug, clap::Args)]
pub(crate) struct Describe {
    /// The file
    file: PathBuf,
}

impl Describe {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut out = output::stdout();
        let mut fields = Fields::new();
        fields.put_text("file", self.file.as_os_str().as_encoded_bytes());
        if self.file.is_file() {
            let (size, digest) =
                whole_file(&self.file).map_err(|error| Failure::Other(format!("{}: {error}", self.file.display())))?;
            fields.put("size", size);
            fields.put_text("sha256", digest.as_bytes());
        }
        // A name that ends so stands for the two parts of a split file.
        let name = self.file.to_string_lossy();
        let opened = match name.strip_suffix("@split") {
            Some(base) => File::open_multi(format!("{base}-m.h5")),
            None if name.contains('%') => File::open_family(&self.file),
            None => File::open(&self.file),
        };
        let opened = match opened {
            Ok(file) => {
                fields.put_text("open", b"ok");
                Some(file)
            }
            Err(error) => {
                fields.put("open", failed(&error));
                let followed = File::follow(&self.file).ok();
                let followed = followed.filter(|file| can_be_followed(file, &error));
                if followed.is_some() {
                    fields.put_text("open_swmr", b"ok");
                }
                followed
            }
        };
        if let Some(file) = opened {
            fields.put("userblock", file.userblock_size());
            let walk = Walk::new(&file);
            if walk.is_truncated {
                fields.put("truncated", true);
            }
            fields.put("objects", walk.describe(&file)?);
        }
        writeln!(out, "{}", fields.done())?;
        Ok(out.flush()?)
    }
}

/// Whether libhdf5 lets readers open the file that allow for a writer, when `error` keeps others from it: by its superblock, one
/// may be at work, or none. Only with a writer may the file be shorter than its superblock says.
fn can_be_followed(file: &File, error: &Error) -> bool {
    let is_short = matches!(error.kind(), ErrorKind::Truncated { .. });
    file.superblock_version() >= 3
        && match file.consistency_flags() & 0x05 {
            0x00 => !is_short,
            0x05 => true,
            _ => false,
        }
}

/// An error in the place of a value. Where all that is wrong is a filter that is not available, its number is there as well.
fn failed(error: &Error) -> String {
    let mut fields = Fields::new();
    fields.put_text("error", error.to_string().as_bytes());
    if let ErrorKind::Filter { source: FilterError::Unknown { id, .. }, .. } = error.kind() {
        fields.put("missing_filter", id.0);
    }
    fields.done()
}

/// Numbers, with `null` for those that are not.
fn nullable(numbers: &[Option<u64>]) -> String {
    list(numbers.iter().map(|number| number.map_or_else(|| "null".to_owned(), |number| number.to_string())))
}

/// Bytes of a file, and their digest.
fn whole_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = BufReader::with_capacity(1 << 20, fs::File::open(path)?);
    let (mut sha, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, digest::hex(&sha.finalize()))),
            read => {
                size += read as u64;
                sha.update(&buffer[..read]);
            }
        }
    }
}

/// The path of a group's member.
fn path_of(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let parent = parent.strip_suffix(b"/").unwrap_or(parent);
    [parent, b"/", name].concat()
}
