//! `h5live ls`: the members of a group.

use std::io::Write;
use std::path::PathBuf;

use h5live::{Group, MemberKind, Object};
use serde_json::{Map, Value as Json, json};

use crate::describe::{self, cut};
use crate::failure::Failure;
use crate::looking::Looking;
use crate::output::{self, bytes, table};
use crate::place::{self, Met, Place};
use crate::tree::{Branch, branches};

/// List the members of a file or group
///
/// Names of groups end in /. Soft and external links are not followed.
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// The file; an object's path may follow in the same word: run.h5/entry
    file: PathBuf,
    /// The group, or one object
    path: Option<String>,
    /// Groups below as well: a tree with shape, type, storage and stored bytes of each
    #[arg(short, long)]
    recursive: bool,
    /// Kind, shape, type, storage and stored bytes of each, attributes below
    #[arg(short, long)]
    long: bool,
    /// Whole paths, a line each, and nothing else
    #[arg(short, long, conflicts_with_all = ["long", "json"])]
    paths: bool,
    /// A JSON array of objects
    #[arg(long)]
    json: bool,
}

/// How much of a type is shown in a column, in characters.
const TYPE_WIDTH: usize = 48;
/// Spaces in front of an attribute where there is no tree.
const INDENT: &str = "    ";

/// One line.
struct Entry {
    name: String,
    /// From the file's root group.
    path: String,
    /// Groups between it and the group that is listed.
    depth: usize,
    kind: MemberKind,
    object: Option<Object>,
    target: Option<String>,
}

impl Ls {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.file, self.path.as_deref());
        let file = place.open()?;
        let looking = Looking::new(&file, &place.file);
        let listed = place.object(&file)?;
        let entries = match &listed {
            Object::Group(group) if self.recursive => below(group, &looking)?,
            Object::Group(group) => members(group, self.long || self.json, &looking)?,
            object => vec![Entry::alone(object)],
        };
        let mut out = output::stdout();
        if self.json {
            // Of a recursive listing, names are paths.
            let name = |entry: &Entry| if self.recursive { entry.path.clone() } else { entry.name.clone() };
            let entries =
                entries.iter().map(|entry| entry.json(name(entry), &looking)).collect::<Result<Vec<_>, _>>()?;
            serde_json::to_writer_pretty(&mut out, &entries)?;
            writeln!(out)?;
        } else if self.paths {
            for entry in entries {
                writeln!(out, "{}", entry.shown(&entry.path))?;
            }
        } else if self.recursive && matches!(listed, Object::Group(_)) {
            let path = if place.path == "/" { "" } else { place.path.as_str() };
            writeln!(out, "{}{path}/", place.file.display())?;
            self.write_tree(&listed, &entries, &looking, &mut out)?;
        } else if self.long {
            let rows = entries.iter().map(|entry| {
                let [shape, datatype, storage, stored] = entry.columns();
                let value = entry.value(&looking)?;
                Ok(vec![entry.kind.to_string(), shape, datatype, storage, stored, entry.shown(&entry.name) + &value])
            });
            let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
            for (line, entry) in table(&rows, &[4]).lines().zip(&entries) {
                writeln!(out, "{line}")?;
                entry.write_attributes(INDENT, &looking, &mut out)?;
            }
        } else {
            for entry in entries {
                writeln!(out, "{}", entry.shown(&entry.name))?;
            }
        }
        out.flush()?;
        looking.end()
    }

    /// The members below a group; what belongs to it itself comes first.
    fn write_tree(
        &self,
        root: &Object,
        entries: &[Entry],
        looking: &Looking,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let depths: Vec<usize> = entries.iter().map(|entry| entry.depth).collect();
        let branches = branches(&depths);
        let row = |(entry, branch): (&Entry, &Branch)| {
            let [shape, datatype, storage, stored] = entry.columns();
            let name = format!("{}{}", branch.first, entry.shown(&entry.name));
            let value = entry.value(looking)?;
            let said = match (&entry.object, self.long) {
                (Some(object), false) => value + &attribute_count(object, looking)?,
                _ => value,
            };
            Ok(vec![name, shape, datatype, storage, stored, said.trim_start().to_owned()])
        };
        let rows = entries.iter().zip(&branches).map(row).collect::<Result<Vec<_>, Failure>>()?;
        if self.long {
            let below = if entries.is_empty() { "   " } else { "│  " };
            for line in describe::attribute_lines(root, looking)? {
                writeln!(out, "{below}{line}")?;
            }
        }
        for (line, (entry, branch)) in table(&rows, &[4]).lines().zip(entries.iter().zip(&branches)) {
            writeln!(out, "{line}")?;
            if self.long {
                entry.write_attributes(&branch.below, looking, out)?;
            }
        }
        Ok(())
    }
}

/// How many attributes an object has, where it has any.
fn attribute_count(object: &Object, looking: &Looking) -> Result<String, Failure> {
    let count = looking.pass(object.attributes())?.map_or(0, |attributes| attributes.len());
    Ok(match count {
        0 => String::new(),
        1 => "  1 attribute".to_owned(),
        count => format!("  {count} attributes"),
    })
}

fn members(group: &Group, open: bool, looking: &Looking) -> Result<Vec<Entry>, Failure> {
    let links = group.links()?.into_iter().zip(group.members()?);
    let entry = |(link, member): (h5live::Link, h5live::Member)| {
        let is_object = !place::is_link(member.kind);
        let object = match open && is_object {
            true => looking.pass(group.get_raw(member.raw_name.as_bytes()))?,
            false => None,
        };
        let kind = if open && is_object && object.is_none() { MemberKind::Unknown } else { member.kind };
        let path = format!("{}/{}", group.path().trim_end_matches('/'), member.name);
        Ok(Entry { name: member.name, path, depth: 0, kind, object, target: describe::target(&link.target) })
    };
    links.map(entry).collect()
}

fn below(group: &Group, looking: &Looking) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let level = |path: &str| path.trim_end_matches('/').matches('/').count();
    looking.walk(group, &mut |Met { path, kind, object, target }| {
        let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name).to_owned();
        let depth = level(&path) - level(group.path()) - 1;
        entries.push(Entry { name, path, depth, kind, object, target });
        Ok(())
    })?;
    Ok(entries)
}

impl Entry {
    /// One object that was named itself.
    fn alone(object: &Object) -> Self {
        let path = object.path().to_owned();
        Self { name: path.clone(), path, depth: 0, kind: object.kind(), object: Some(object.clone()), target: None }
    }

    /// Its name, or path, as it is shown.
    fn shown(&self, name: &str) -> String {
        match (&self.target, self.kind) {
            (Some(target), _) => format!("{name} -> {target}"),
            (None, MemberKind::Group) => format!("{name}/"),
            (None, MemberKind::Unknown) => format!("{name}  (damaged, or of an unknown kind)"),
            (None, _) => name.to_owned(),
        }
    }

    /// Shape, type, storage and stored bytes.
    fn columns(&self) -> [String; 4] {
        match &self.object {
            Some(Object::Dataset(dataset)) => {
                let grows = describe::max_shape(dataset).map(|max| format!(" of {max}")).unwrap_or_default();
                let shape = describe::extent(dataset) + &grows;
                let stored = dataset.storage_size().map_or_else(|_| "damaged".to_owned(), bytes);
                [shape, cut(dataset.datatype().to_string(), TYPE_WIDTH), describe::storage(dataset), stored]
            }
            Some(Object::Datatype(datatype)) => {
                let shown = cut(datatype.datatype().to_string(), TYPE_WIDTH);
                ["datatype".to_owned(), shown, String::new(), String::new()]
            }
            Some(Object::Group(_)) | None => Default::default(),
        }
    }

    /// The value of a single element.
    fn value(&self, looking: &Looking) -> Result<String, Failure> {
        let Some(Object::Dataset(dataset)) = &self.object else { return Ok(String::new()) };
        Ok(describe::scalar(dataset, looking)?.map_or_else(String::new, |value| format!(" = {value}")))
    }

    /// A line for each attribute, beneath the object's.
    fn write_attributes(&self, indent: &str, looking: &Looking, out: &mut impl Write) -> Result<(), Failure> {
        let Some(object) = &self.object else { return Ok(()) };
        for line in describe::attribute_lines(object, looking)? {
            writeln!(out, "{indent}{line}")?;
        }
        Ok(())
    }

    fn json(&self, name: String, looking: &Looking) -> Result<Json, Failure> {
        let mut map = match &self.object {
            Some(object) => {
                let mut map = describe::json(object)?;
                if let Object::Dataset(dataset) = object {
                    map.insert("stored_bytes".into(), json!(looking.pass(dataset.storage_size())?));
                }
                map.insert("attributes".into(), json!(looking.pass(describe::attributes(object))?));
                map
            }
            None => Map::from_iter([("kind".to_owned(), json!(self.kind.to_string()))]),
        };
        if let Some(target) = &self.target {
            map.insert("target".into(), json!(target));
        }
        let mut named = Map::from_iter([("name".to_owned(), json!(name))]);
        named.append(&mut map);
        Ok(Json::Object(named))
    }
}
