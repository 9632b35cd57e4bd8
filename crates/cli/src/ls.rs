//! `h5live ls`: the members of a group.

use std::io::Write;
use std::path::PathBuf;

use h5live::{File, Group, MemberKind, Object};
use serde_json::{Map, Value as Json, json};

use crate::describe;
use crate::failure::Failure;
use crate::output::{self, bytes, table};
use crate::place::{self, Place};

/// List the members of a file or group
///
/// Names of groups end in /. Soft and external links are not followed.
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// The file; an object's path may follow in the same word: run.h5/entry
    file: PathBuf,
    /// The group, or one object
    path: Option<String>,
    /// Groups below as well
    #[arg(short, long)]
    recursive: bool,
    /// Kind, shape, type, storage and stored bytes of each, attributes below
    #[arg(short, long)]
    long: bool,
    /// A JSON array of objects
    #[arg(long)]
    json: bool,
}

/// Which column of the long form is flush right.
const STORED_COLUMN: usize = 4;

/// One line.
struct Entry {
    name: String,
    kind: MemberKind,
    object: Option<Object>,
    target: Option<String>,
}

impl Ls {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.file, self.path.as_deref());
        let file = place.open()?;
        let entries = match place.object(&file)? {
            Object::Group(group) if self.recursive => below(&file, &group)?,
            Object::Group(group) => members(&group, self.long || self.json)?,
            object => {
                vec![Entry { name: object.path().to_owned(), kind: object.kind(), object: Some(object), target: None }]
            }
        };
        let mut out = output::stdout();
        if self.json {
            let entries = entries.iter().map(Entry::json).collect::<Result<Vec<_>, _>>()?;
            serde_json::to_writer_pretty(&mut out, &entries)?;
            writeln!(out)?;
        } else if self.long {
            let rows: Vec<Vec<String>> = entries.iter().map(Entry::columns).collect();
            let lines = table(&rows, &[STORED_COLUMN]);
            for (line, entry) in lines.lines().zip(&entries) {
                writeln!(out, "{line}")?;
                entry.write_attributes(&mut out)?;
            }
        } else {
            for entry in entries {
                writeln!(out, "{}", entry.shown())?;
            }
        }
        Ok(out.flush()?)
    }
}

fn members(group: &Group, open: bool) -> Result<Vec<Entry>, Failure> {
    let links = group.links()?.into_iter().zip(group.members()?);
    let entry = |(link, member): (h5live::Link, h5live::Member)| {
        let is_object = matches!(member.kind, MemberKind::Group | MemberKind::Dataset | MemberKind::Datatype);
        let object = if open && is_object { Some(group.get_raw(member.raw_name.as_bytes())?) } else { None };
        Ok(Entry { name: member.name, kind: member.kind, object, target: describe::target(&link.target) })
    };
    links.map(entry).collect()
}

fn below(file: &File, group: &Group) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    place::walk(group, &mut |path, kind, object| {
        let target = match (&object, path.rsplit_once('/')) {
            (None, Some((parent, name))) => describe::target(&file.group(parent)?.link(name)?.target),
            _ => None,
        };
        entries.push(Entry { name: path.to_owned(), kind, object, target });
        Ok(())
    })?;
    Ok(entries)
}

impl Entry {
    fn shown(&self) -> String {
        match (&self.target, self.kind) {
            (Some(target), _) => format!("{} -> {target}", self.name),
            (None, MemberKind::Group) => format!("{}/", self.name),
            (None, _) => self.name.clone(),
        }
    }

    fn columns(&self) -> Vec<String> {
        let [shape, datatype, storage, stored] = match &self.object {
            Some(Object::Dataset(dataset)) => {
                let grows = describe::max_shape(dataset).map(|max| format!(" of {max}")).unwrap_or_default();
                let shape = describe::extent(dataset) + &grows;
                let stored = dataset.storage_size().map_or_else(|_| "damaged".to_owned(), bytes);
                [shape, dataset.datatype().to_string(), describe::storage(dataset), stored]
            }
            Some(Object::Datatype(datatype)) => {
                [String::new(), datatype.datatype().to_string(), String::new(), String::new()]
            }
            Some(Object::Group(_)) | None => Default::default(),
        };
        vec![self.kind.to_string(), shape, datatype, storage, stored, self.shown()]
    }

    /// A line for each attribute, beneath the object's.
    fn write_attributes(&self, out: &mut impl Write) -> Result<(), Failure> {
        let Some(object) = &self.object else { return Ok(()) };
        for line in describe::attribute_lines(object)? {
            writeln!(out, "    {line}")?;
        }
        Ok(())
    }

    fn json(&self) -> Result<Json, Failure> {
        let mut map = match &self.object {
            Some(object) => {
                let mut map = describe::json(object)?;
                if let Object::Dataset(dataset) = object {
                    map.insert("stored_bytes".into(), json!(dataset.storage_size()?));
                }
                map.insert("attributes".into(), describe::attributes(object)?);
                map
            }
            None => Map::from_iter([("kind".to_owned(), json!(self.kind.to_string()))]),
        };
        if let Some(target) = &self.target {
            map.insert("target".into(), json!(target));
        }
        let mut named = Map::from_iter([("name".to_owned(), json!(self.name))]);
        named.append(&mut map);
        Ok(Json::Object(named))
    }
}
