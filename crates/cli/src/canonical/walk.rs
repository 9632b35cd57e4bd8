//! Which objects there are: depth first, the members of a group in the order of their names' bytes.

use std::collections::HashMap;

use h5live::{File, Group, Link, MemberKind, Object, Target};

use super::digest::{Digester, sha256};
use super::json::{Fields, list, quote};
use super::{failed, object, path_of};

/// Objects described at most.
const MOST_OBJECTS: usize = 20_000;

/// What was found: all objects by their paths, nothing read of them yet.
pub(super) struct Walk {
    found: Vec<(Vec<u8>, Found)>,
    /// The path by which each object was reached first.
    paths: HashMap<u64, Vec<u8>>,
    /// Whether there are more objects than are described.
    pub(super) is_truncated: bool,
}

/// What is at a path.
enum Found {
    /// An object that was met before, at that path.
    Again(Vec<u8>),
    /// An object, and what its group says of its links if it is one.
    Object(Object, Option<Fields>),
    /// One too many: only its kind is told.
    Last(MemberKind),
    /// A link that is not entered.
    Link(Fields),
    /// What cannot be opened, and why.
    Failed(String),
}

impl Walk {
    /// Finds the objects of a file.
    pub(super) fn new(file: &File) -> Self {
        let mut walk = Self { found: Vec::new(), paths: HashMap::new(), is_truncated: false };
        let mut waiting = vec![(b"/".to_vec(), Object::Group(file.root()))];
        while let Some((path, object)) = waiting.pop() {
            if let Some(first) = walk.paths.get(&object.address()) {
                let first = first.clone();
                walk.found.push((path, Found::Again(first)));
                continue;
            }
            walk.paths.insert(object.address(), path.clone());
            if walk.found.len() >= MOST_OBJECTS {
                walk.found.push((path, Found::Last(object.kind())));
                walk.is_truncated = true;
                break;
            }
            let Object::Group(group) = &object else {
                walk.found.push((path, Found::Object(object, None)));
                continue;
            };
            let mut fields = Fields::new();
            let links = group.links();
            match &links {
                Ok(links) => {
                    fields.put("nlinks", links.len());
                    if let Ok(true) = group.tracks_creation_order() {
                        let names = links.iter().map(|link| quote(link.raw_name.as_bytes()));
                        fields.put_text("link_order", sha256(list(names).as_bytes()).as_bytes());
                    }
                }
                Err(error) => fields.put("links", failed(error)),
            }
            let mut links = links.unwrap_or_default();
            links.sort_by(|one, other| one.raw_name.as_bytes().cmp(other.raw_name.as_bytes()));
            let mut members = Vec::new();
            let mut others = Vec::new();
            for link in links {
                let member = path_of(&path, link.raw_name.as_bytes());
                match member_of(group, &link) {
                    Ok(Ok(object)) => members.push((member, object)),
                    Ok(Err(fields)) => others.push((member, Found::Link(fields))),
                    Err(error) => others.push((member, Found::Failed(error.to_string()))),
                }
            }
            walk.found.push((path, Found::Object(object, Some(fields))));
            walk.found.append(&mut others);
            waiting.extend(members.into_iter().rev());
        }
        walk
    }

    /// All of them, as one JSON object.
    pub(super) fn describe(self, file: &File) -> h5live::Result<String> {
        let heap = file.heap()?;
        let digester = Digester { file, heap: &heap, paths: &self.paths };
        let mut objects = Fields::new();
        for (path, found) in self.found {
            let told = match found {
                Found::Again(first) => {
                    let mut fields = Fields::of_kind("hardlink");
                    fields.put_text("same_as", &first);
                    fields.done()
                }
                Found::Object(object, links) => object::describe(&object, links, &digester),
                Found::Last(kind) => Fields::of_kind(object::kind(kind)).done(),
                Found::Link(fields) => fields.done(),
                Found::Failed(why) => {
                    let mut fields = Fields::of_kind("error");
                    fields.put_text("error", why.as_bytes());
                    fields.done()
                }
            };
            objects.put_named(&path, told);
        }
        Ok(objects.done())
    }
}

/// What a link leads to: an object, or what is said of a link that is not entered.
fn member_of(group: &Group, link: &Link) -> h5live::Result<Result<Object, Fields>> {
    let mut fields = match &link.target {
        Target::Hard(_) | Target::UserDefined { .. } => return group.open_link(link).map(Ok),
        Target::Soft(path) => {
            let mut fields = Fields::of_kind("soft");
            fields.put_text("path", path.as_bytes());
            fields
        }
        Target::External { file, path } => {
            let mut fields = Fields::of_kind("external");
            fields.put_text("file", file.as_bytes());
            fields.put_text("path", path.as_bytes());
            fields
        }
    };
    match group.open_link(link) {
        Ok(object) => {
            fields.put_text("resolves", object::kind(object.kind()).as_bytes());
            if let (Object::Dataset(dataset), Target::External { .. }) = (&object, &link.target) {
                object::external_dataset(dataset, &mut fields);
            }
        }
        Err(_) => fields.put_text("resolves", b"no"),
    }
    Ok(Err(fields))
}
