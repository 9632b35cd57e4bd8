//! `h5live info`: what a file and its objects are, without their elements.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use h5live::check::{Check, Report, Severity, SpaceUse};
use h5live::{Attribute, Dataset, File, Object, VirtualMapping, WriterState};
use serde_json::{Map, Value as Json, json};

use crate::check::show;
use crate::describe;
use crate::failure::Failure;
use crate::looking::{Looking, region};
use crate::output::{self, bytes, size_of, table, thousands};
use crate::place::{Met, Place};
use crate::storage::StorageUse;

/// Parts of other datasets that are told of a virtual one.
const MAPPINGS: usize = 20;

/// Tell what a file or object is: size, who writes it, shapes, types, storage, attributes
#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// The file; an object's path may follow in the same word
    file: PathBuf,
    /// The object; without one, the file
    path: Option<String>,
    /// A JSON object
    #[arg(long)]
    json: bool,
}

impl Info {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.file, self.path.as_deref());
        let file = place.open()?;
        let mut out = output::stdout();
        let looking = Looking::new(&file, &place.file);
        let (map, rows) = match place.is_explicit {
            true => object(&place.object(&file)?, &looking)?,
            false => whole(&place, &file, &looking)?,
        };
        if self.json {
            serde_json::to_writer_pretty(&mut out, &Json::Object(map))?;
            writeln!(out)?;
        } else {
            out.write_all(table(&rows, &[]).as_bytes())?;
        }
        out.flush()?;
        looking.end()
    }
}

/// What is said: for programs, and for people.
type Said = (Map<String, Json>, Vec<Vec<String>>);

fn row(name: &str, value: impl Into<String>) -> Vec<String> {
    vec![name.to_owned(), value.into()]
}

/// Numbers of the things in a file.
#[derive(Default)]
struct Counts {
    groups: u64,
    datasets: u64,
    datatypes: u64,
    links: u64,
    damaged: u64,
    stored: u64,
}

fn whole(place: &Place, file: &File, looking: &Looking) -> Result<Said, Failure> {
    let size =
        fs::metadata(&place.file).map_err(|error| Failure::Other(format!("{}: {error}", place.file.display())))?;
    let size = size.len();
    let state = file.writer_state()?;
    let commit = file.commit()?;
    let counts = count(file, looking)?;
    let writer = written_by(&state);
    let mut rows = vec![
        row("file", place.file.display().to_string()),
        row("size", size_of(size)),
        row("superblock", format!("version {}{}", file.superblock_version(), flags_note(file.consistency_flags()))),
        row("written by", writer.clone()),
    ];
    if let Some(commit) = commit {
        rows.push(row("commits", thousands(commit)));
    }
    if file.userblock_size() > 0 {
        rows.push(row("user block", size_of(file.userblock_size())));
    }
    let parts = [
        (counts.groups, "group"),
        (counts.datasets, "dataset"),
        (counts.datatypes, "committed datatype"),
        (counts.links, "soft or external link"),
        (counts.damaged, "unknown or damaged object"),
    ];
    let contents: Vec<String> = parts
        .iter()
        .filter(|(count, what)| *count > 0 || *what == "dataset")
        .map(|(count, what)| format!("{} {what}{}", thousands(*count), if *count == 1 { "" } else { "s" }))
        .collect();
    rows.push(row("contents", contents.join(", ")));
    rows.push(row("elements", size_of(counts.stored)));
    let space = space(&place.file);
    match &space {
        Some((report, space)) => {
            rows.push(row("structure", size_of(space.metadata)));
            let free =
                if space.free > 0 { format!(", and {} known to be free", size_of(space.free)) } else { String::new() };
            let dead = match space.dead {
                0 => "none".to_owned(),
                dead => format!("{}; `h5live repack` reclaims it", size_of(dead)),
            };
            rows.push(row("dead space", dead + &free));
            if space.ahead > 0 {
                rows.push(row("room ahead", size_of(space.ahead)));
            }
            let errors = report.of(Severity::Error).count() as u64;
            if errors > 0 {
                let told = format!("{} errors; `h5live check` tells them", thousands(errors));
                rows.push(row("damage", told));
            }
        }
        None => {
            let other = size.saturating_sub(counts.stored).saturating_sub(file.userblock_size());
            rows.push(row("all else", format!("{}: structure, and space not or no longer used", size_of(other))));
        }
    }
    let root = looking.pass(file.get("/"))?;
    let attributes = match &root {
        Some(root) => {
            rows.extend(attribute_rows(root, looking)?);
            looking.pass(describe::attributes(root))?
        }
        None => None,
    };
    let map = json!({
        "file": place.file.to_string_lossy(),
        "size": size,
        "writer": writer_json(&state, commit),
        "superblock": { "version": file.superblock_version(), "consistency_flags": file.consistency_flags() },
        "user_block": file.userblock_size(),
        "groups": counts.groups,
        "datasets": counts.datasets,
        "datatypes": counts.datatypes,
        "links": counts.links,
        "damaged": counts.damaged,
        "element_bytes": counts.stored,
        "structure_bytes": space.as_ref().map(|(_, space)| space.metadata),
        "dead_bytes": space.as_ref().map(|(_, space)| space.dead),
        "free_bytes": space.as_ref().map(|(_, space)| space.free),
        "errors": space.as_ref().map(|(report, _)| report.of(Severity::Error).count()),
        "attributes": attributes,
    });
    Ok((as_map(map), rows))
}

/// Who owns the file's bytes; none for files that cannot be looked through.
fn space(path: &Path) -> Option<(Report, SpaceUse)> {
    let bar = output::byte_progress(0);
    let report = Check::new().on_progress(|progress| show(&bar, progress)).file(path);
    bar.finish_and_clear();
    let report = report.ok()?;
    let space = report.space.clone();
    Some((report, space))
}

/// Who writes a file, for people.
pub(crate) fn written_by(state: &WriterState) -> String {
    match state {
        WriterState::Live(writer) => format!("{writer}"),
        WriterState::Died(writer) => format!("nobody: its writer, {writer}, died; what it published is there"),
        WriterState::Closed => "nobody: it is closed".to_owned(),
        WriterState::Foreign => "libhdf5, in SWMR mode, or one that died without closing it".to_owned(),
        WriterState::Unknown(writer) => format!("{writer}, or nobody: this filesystem cannot tell"),
        other => format!("{other:?}"),
    }
}

/// Who writes a file, for programs.
pub(crate) fn writer_json(state: &WriterState, commit: Option<u64>) -> Json {
    let who = match state {
        WriterState::Live(_) => "live",
        WriterState::Died(_) => "died",
        WriterState::Closed => "closed",
        WriterState::Foreign => "foreign",
        _ => "unknown",
    };
    json!({
        "state": who,
        "host": state.writer().map(|writer| writer.host.clone()),
        "pid": state.writer().map(|writer| writer.pid),
        "commit": commit,
    })
}

fn flags_note(flags: u8) -> String {
    match flags {
        0 => String::new(),
        0x05 => ", flagged as open for SWMR writing".to_owned(),
        flags => format!(", consistency flags {flags:#04x}: open for writing, or not closed"),
    }
}

fn count(file: &File, looking: &Looking) -> Result<Counts, Failure> {
    use h5live::MemberKind::{Dataset, Datatype, ExternalLink, Group, SoftLink, Unknown, UserDefinedLink};
    let mut counts = Counts { groups: 1, ..Counts::default() };
    let mut met = std::collections::HashSet::from([file.root().address()]);
    looking.walk(&file.root(), &mut |Met { kind, object, .. }| {
        if object.as_ref().is_some_and(|object| !met.insert(object.address())) {
            return Ok(());
        }
        match kind {
            Group => counts.groups += 1,
            Dataset => counts.datasets += 1,
            Datatype => counts.datatypes += 1,
            SoftLink | ExternalLink | UserDefinedLink => counts.links += 1,
            Unknown => counts.damaged += 1,
        }
        if let Some(Object::Dataset(dataset)) = object {
            let stored = looking.pass(dataset.storage_size())?.unwrap_or(0);
            counts.stored = counts.stored.saturating_add(stored);
        }
        Ok(())
    })?;
    Ok(counts)
}

fn object(object: &Object, looking: &Looking) -> Result<Said, Failure> {
    let mut map = describe::json(object)?;
    let mut rows = vec![row(&object.kind().to_string(), object.path())];
    match object {
        Object::Group(group) => {
            let members = group.members()?;
            let by_creation = group.tracks_creation_order()?;
            rows.push(row("members", members.len().to_string()));
            rows.push(row("order", if by_creation { "of creation" } else { "by name" }));
            map.insert("members".into(), json!(members.iter().map(|member| &member.name).collect::<Vec<_>>()));
            map.insert("tracks_creation_order".into(), json!(by_creation));
        }
        Object::Datatype(datatype) => rows.push(row("type", datatype.datatype().to_string())),
        Object::Dataset(dataset) => {
            rows.push(row("shape", describe::extent(dataset)));
            rows.extend(describe::max_shape(dataset).map(|max| row("may grow to", max)));
            rows.push(row("type", dataset.datatype().to_string()));
            if let Some(address) = dataset.committed_datatype() {
                rows.push(row("type is", looking.named(address)));
            }
            rows.push(row("layout", describe::layout(dataset.layout())));
            let storage = StorageUse::of(dataset)?;
            rows.extend(storage.rows(dataset));
            if let Some(value) = describe::scalar(dataset, looking)? {
                rows.push(row("value", value));
            }
            let fill = match dataset.fill_value()? {
                Some(value) if dataset.has_fill_value() == Some(true) => looking.text(&value),
                Some(value) => format!("{value} (the default)"),
                None => "undefined".to_owned(),
            };
            rows.push(row("fill value", fill));
            for (name, offset, size) in dataset.external_files() {
                let size = size.map_or_else(|| "all".to_owned(), bytes);
                rows.push(row("external file", format!("{name}: {size} from byte {offset}")));
            }
            rows.extend(shown_rows(dataset)?);
            map.insert("storage".into(), storage.json());
        }
    }
    rows.push(row("header at", format!("{:#x}", object.address())));
    rows.extend(attribute_rows(object, looking)?);
    map.insert("address".into(), json!(object.address()));
    map.insert("attributes".into(), describe::attributes(object)?);
    map.insert("attribute_types".into(), describe::attribute_types(object)?);
    Ok((map, rows))
}

/// The parts of other datasets that a virtual one shows: where, and which.
fn shown_rows(dataset: &Dataset) -> Result<Vec<Vec<String>>, Failure> {
    let mappings = dataset.virtual_mappings()?;
    let shown = |mapping: &VirtualMapping| {
        let file = mapping.file.as_ref().map_or_else(String::new, |file| format!("{file}:"));
        let (target, source) = (region(&mapping.target), region(&mapping.source));
        row("shows", format!("{target} <- {file}{}{source}", mapping.dataset))
    };
    let mut rows: Vec<_> = mappings.iter().take(MAPPINGS).map(shown).collect();
    if mappings.len() > MAPPINGS {
        rows.push(row("shows", format!("... {} mappings in all", thousands(mappings.len() as u64))));
    }
    Ok(rows)
}

fn attribute_rows(object: &Object, looking: &Looking) -> Result<Vec<Vec<String>>, Failure> {
    let told = |attribute: &Attribute| {
        let [value, datatype] = describe::attribute_words(attribute, looking)?;
        Ok(row(&format!("@{}", attribute.name()), format!("{value}  {datatype}")))
    };
    looking.pass(object.attributes())?.unwrap_or_default().iter().map(told).collect()
}

fn as_map(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
