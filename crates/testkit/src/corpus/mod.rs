//! The judge of reading: many files of all kinds, each with a description of what is in it (its *golden*), and a program
//! that describes them.
//!
//! A corpus is a directory: `files/X` is described by `golden/X.json`, and `tags.json` says of each file its category and
//! what it has. Files whose names hold `%05d` or end in `@split` are made of several. The form of the descriptions is that
//! of `h5live describe`.
//!
//! - [`run`](run()) has a program describe each file, in a process of its own with limits of time and memory;
//! - [`compare`](compare()) holds a description against the golden one;
//! - [`Summary`] counts, by category and by tag.

mod compare;
mod json;
mod run;
mod summary;

pub use compare::{Comparison, Difference, Verdict, compare};
pub use run::{Job, Limits, run};
pub use summary::Summary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;

use crate::{Error, Result};

/// A directory of files and descriptions.
#[derive(Debug)]
pub struct Corpus {
    directory: PathBuf,
    /// The files' names, relative to `files`, in order.
    pub names: Vec<String>,
    tags: BTreeMap<String, Tags>,
}

/// What `tags.json` says of a file.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Tags {
    /// `valid`, `damaged`, `unopenable`, `not-hdf5` or `corrupt`.
    #[serde(default)]
    pub category: String,
    /// What the file has in it.
    #[serde(default)]
    pub tags: Vec<String>,
}

#[derive(Deserialize)]
struct TagFile {
    files: BTreeMap<String, Tags>,
}

impl Corpus {
    /// Finds the descriptions in `directory`.
    ///
    /// # Errors
    /// There is no such directory, or no `golden` in it.
    pub fn open(directory: &Path) -> Result<Self> {
        let golden = directory.join("golden");
        let mut names = Vec::new();
        collect(&golden, &golden, &mut names)?;
        names.sort();
        let tags = match fs::read_to_string(directory.join("tags.json")) {
            Ok(text) => {
                serde_json::from_str::<TagFile>(&text)
                    .map_err(|error| Error::io("reading tags.json")(error.into()))?
                    .files
            }
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { directory: directory.to_owned(), names, tags })
    }

    /// Where a file is.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join("files").join(name)
    }

    /// The golden description of a file.
    ///
    /// # Errors
    /// It cannot be read, or is no JSON.
    pub fn golden(&self, name: &str) -> Result<Json> {
        let path = self.directory.join("golden").join(format!("{name}.json"));
        let text = fs::read(&path).map_err(Error::io("reading a golden description"))?;
        json::parse(&text).map_err(|error| Error::io(format!("reading {}", path.display()))(error.into()))
    }

    /// What is known of a file.
    #[must_use]
    pub fn tags(&self, name: &str) -> Tags {
        self.tags.get(name).cloned().unwrap_or_default()
    }
}

fn collect(root: &Path, directory: &Path, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(Error::io("listing a corpus"))? {
        let path = entry.map_err(Error::io("listing a corpus"))?.path();
        if path.is_dir() {
            collect(root, &path, names)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(|path| path.to_str())
            && let Some(name) = name.strip_suffix(".json")
        {
            names.push(name.to_owned());
        }
    }
    Ok(())
}
