//! Naming a file and an object in it: `run.h5 /entry/signal`, or `run.h5/entry/signal` in one word.

use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use h5live::{Dataset, ErrorKind, File, Group, Link, MemberKind, Object, Target};

use crate::describe;
use crate::failure::Failure;

/// A file, and the path of an object in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: PathBuf,
    /// The object's path; `/` for the root group.
    pub(crate) path: String,
    /// Whether the user said any path.
    pub(crate) is_explicit: bool,
}

impl Place {
    /// The longest beginning of `word` that is a file is the file; what is left of it, and `path`, lead on inside.
    pub(crate) fn new(word: &Path, path: Option<&str>) -> Self {
        let mut file = word;
        let mut inside = Vec::new();
        // A path that goes through a file is no path of the filesystem: so what exists is the file.
        while !exists(file) {
            match (file.parent(), file.file_name()) {
                (Some(parent), Some(name)) if parent != Path::new("") => {
                    inside.push(name.to_string_lossy().into_owned());
                    file = parent;
                }
                _ => break,
            }
        }
        if fs::metadata(file).is_ok_and(|found| found.is_dir()) || !exists(file) {
            (file, inside) = (word, Vec::new());
        }
        let parts = inside.iter().rev().map(String::as_str).chain(path);
        let names: Vec<&str> = parts.flat_map(|part| part.split('/')).filter(|name| !name.is_empty()).collect();
        let is_explicit = path.is_some() || !inside.is_empty();
        Self { file: file.to_owned(), path: format!("/{}", names.join("/")), is_explicit }
    }

    /// Opens the file for reading. One that is not whole is refused.
    pub(crate) fn open(&self) -> Result<File, Failure> {
        open_file(&self.file)
    }

    /// Opens the file for reading while it is being written, in whatever state it is.
    pub(crate) fn follow(&self) -> Result<File, Failure> {
        check_file(&self.file)?;
        Ok(File::follow(&self.file)?)
    }

    /// The object.
    pub(crate) fn object(&self, file: &File) -> Result<Object, Failure> {
        Ok(file.get(&self.path)?)
    }

    /// The dataset; where no path was said, the only one there is.
    pub(crate) fn dataset(&self, file: &File) -> Result<Dataset, Failure> {
        if self.is_explicit {
            return Ok(file.dataset(&self.path)?);
        }
        let mut datasets = Vec::new();
        each_dataset(&file.root(), &mut |dataset| datasets.push(dataset))?;
        match datasets.len() {
            0 => Err(Failure::NotFound(format!("{}: there is no dataset in it", self.file.display()))),
            1 => Ok(datasets.remove(0)),
            count => {
                let names: Vec<&str> = datasets.iter().take(5).map(Dataset::path).collect();
                let more = if count > names.len() { ", ..." } else { "" };
                let (file, names) = (self.file.display(), names.join(", "));
                Err(Failure::Usage(format!(
                    "{file}: which of its {count} datasets ({names}{more})? name one after the file"
                )))
            }
        }
    }
}

/// Opens a file for reading. One that is not whole is refused. One of several is opened together with the others.
fn open_file(path: &Path) -> Result<File, Failure> {
    if let Some(file) = several(path) {
        return Ok(file?);
    }
    check_file(path)?;
    File::open(path).or_else(|error| match error.kind() {
        ErrorKind::Part { pattern: Some(pattern), .. } => Ok(File::open_family(pattern)?),
        ErrorKind::Part { pattern: None, .. } => Ok(File::open_multi(path)?),
        _ => Err(error.into()),
    })
}

/// Opens the files that a path which is none itself stands for: the pieces of a family, whose names it is the pattern of, or
/// the parts of a split or multi file, whose names begin with it.
fn several(path: &Path) -> Option<h5live::Result<File>> {
    if fs::metadata(path).is_ok() {
        return None;
    }
    let ends = ["-m.h5", "-s.h5", ".meta"];
    let mut parts = ends.iter().map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    });
    if let Some(first) = parts.find(|first| first.is_file()) {
        return Some(File::open_multi(first));
    }
    let is_missing = |error: &h5live::Error| matches!(error.kind(), ErrorKind::Io { .. } | ErrorKind::BadName { .. });
    let family = path.to_string_lossy().contains('%').then(|| File::open_family(path))?;
    (!family.as_ref().is_err_and(is_missing)).then_some(family)
}

/// Whether a path leads to something that may be a file.
fn exists(path: &Path) -> bool {
    fs::metadata(path).is_ok() || several(path).is_some()
}

/// Explains what the system would only refuse.
fn check_file(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Failure::Other(format!("{shown}: is a directory; name an HDF5 file in it"))),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => {
            let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
            let next = match directory.is_dir() {
                true => format!("`ls {}` shows what there is", directory.display()),
                false => format!("nor is there a directory {}", directory.display()),
            };
            Err(Failure::NotFound(format!("{shown}: there is no such file; {next}")))
        }
        Err(error) => Err(Failure::Other(format!("{shown}: {error}"))),
    }
}

/// Hands the datasets of a group and the groups below it to `visit`, each once, however many links lead to it.
pub(crate) fn each_dataset(group: &Group, visit: &mut impl FnMut(Dataset)) -> Result<(), Failure> {
    let each = &mut |met: Met| {
        if let Some(Object::Dataset(dataset)) = met.object {
            visit(dataset);
        }
        Ok(())
    };
    walk(group, each, &mut Err)
}

/// What a walk meets.
pub(crate) struct Met {
    /// From the file's root group.
    pub(crate) path: String,
    /// What it is; unknown if it is damaged.
    pub(crate) kind: MemberKind,
    /// The object, unless it is a link that is not followed, or damaged.
    pub(crate) object: Option<Object>,
    /// Where such a link leads.
    pub(crate) target: Option<String>,
}

/// Hands all members of a group and the groups below it to `visit`. A group that is met again is told and not entered again.
/// Objects and groups that cannot be read are `damage`, which says whether to go on: then they are of unknown kind, or empty.
pub(crate) fn walk(
    group: &Group,
    visit: &mut impl FnMut(Met) -> Result<(), Failure>,
    damage: &mut impl FnMut(Failure) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut seen = std::collections::HashSet::from([group.address()]);
    // Groups to enter, the next one last: files nest deeper than stacks do.
    let mut groups = vec![(group.clone(), links(group, damage)?)];
    while let Some((group, pending)) = groups.last_mut() {
        let Some(link) = pending.pop() else {
            groups.pop();
            continue;
        };
        let path = format!("{}/{}", group.path().trim_end_matches('/'), link.name);
        let (kind, object) = match &link.target {
            Target::Hard(_) => match group.open_link(&link) {
                Ok(object) => (object.kind(), Some(object)),
                Err(error) => {
                    damage(error.into())?;
                    (MemberKind::Unknown, None)
                }
            },
            Target::Soft(_) => (MemberKind::SoftLink, None),
            Target::External { .. } => (MemberKind::ExternalLink, None),
            Target::UserDefined { .. } => (MemberKind::UserDefinedLink, None),
        };
        let is_new = object.as_ref().is_none_or(|object| seen.insert(object.address()));
        visit(Met { path, kind, object: object.clone(), target: describe::target(&link.target) })?;
        if let (Some(Object::Group(inner)), true) = (object, is_new) {
            let pending = links(&inner, damage)?;
            groups.push((inner, pending));
        }
    }
    Ok(())
}

/// The links of a group, last first; none of one that is damaged.
fn links(group: &Group, damage: &mut impl FnMut(Failure) -> Result<(), Failure>) -> Result<Vec<Link>, Failure> {
    let mut links = group.links().or_else(|error| damage(error.into()).map(|()| Vec::new()))?;
    links.reverse();
    Ok(links)
}

/// Whether a member is a link that is not followed.
pub(crate) fn is_link(kind: MemberKind) -> bool {
    matches!(kind, MemberKind::SoftLink | MemberKind::ExternalLink | MemberKind::UserDefinedLink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_may_name_both() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("run.h5");
        fs::write(&file, b"").unwrap();
        for (word, path, expected, is_explicit) in [
            ("run.h5", None, "/", false),
            ("run.h5/", None, "/", false),
            ("run.h5", Some("entry/signal"), "/entry/signal", true),
            ("run.h5", Some("/entry"), "/entry", true),
            ("run.h5/entry/signal", None, "/entry/signal", true),
            ("run.h5/entry", Some("signal"), "/entry/signal", true),
        ] {
            let place = Place::new(&directory.path().join(word), path);
            assert_eq!((place.path.as_str(), place.is_explicit), (expected, is_explicit), "{word}");
            assert_eq!(place.file.file_name().unwrap(), "run.h5", "{word}");
        }
        for missing in ["none.h5", "none/run.h5", "nowhere.h5/entry"] {
            let word = directory.path().join(missing);
            assert_eq!(Place::new(&word, None).file, word);
        }
    }
}
