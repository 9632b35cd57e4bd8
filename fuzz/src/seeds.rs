//! Inputs to start from, cut out of HDF5 files.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{Seeds, TARGETS};

/// Files larger than this are not taken whole.
const LARGEST_FILE: usize = 100_000;

/// Writes seeds into a directory for each target below `directory`, from the files below each of `sources`.
pub fn write(directory: &Path, sources: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
    let mut files = Vec::new();
    for source in sources {
        read_all(&source, &mut files)?;
    }
    for target in TARGETS {
        let place = directory.join(target.name);
        fs::create_dir_all(&place)?;
        match target.seeds {
            Seeds::Files => {
                files.iter().filter(|file| file.len() <= LARGEST_FILE).try_for_each(|file| put(&place, file))?
            }
            Seeds::Made(make) => make().iter().try_for_each(|seed| put(&place, seed))?,
            Seeds::Signatures(signatures, length) => {
                for file in &files {
                    for signature in signatures {
                        let starts = file.windows(signature.len()).enumerate().filter(|(_, bytes)| bytes == signature);
                        for (start, _) in starts.take(20) {
                            put(&place, &file[start..file.len().min(start + length)])?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Adds the content of all files below `place`.
fn read_all(place: &Path, files: &mut Vec<Vec<u8>>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(place)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        match entry.is_dir() {
            true => read_all(&entry, files)?,
            false => files.push(fs::read(entry)?),
        }
    }
    Ok(())
}

/// Writes a seed under a name of its own.
fn put(place: &Path, seed: &[u8]) -> io::Result<()> {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    fs::write(place.join(format!("seed-{:016x}", hasher.finish())), seed)
}
