//! What is said of one object: its type and storage, its attributes, the digests of its elements.

use std::collections::HashMap;

use h5live::{Attribute, Dataset, Datatype, Layout, MemberKind, Object, Selection, Slab};

use super::digest::Digester;
use super::json::{Fields, list, quote};
use super::types::{memory_size, notation};
use super::{failed, nullable};

/// Bytes in memory of the largest dataset that is digested whole.
const MOST_BYTES: u64 = 64 << 20;
/// Elements along each axis that stand for a larger one, at both ends.
const SAMPLE: u64 = 8;

/// The word for a kind of object.
pub(super) fn kind(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Group => "group",
        MemberKind::Dataset => "dataset",
        MemberKind::Datatype => "datatype",
        _ => "unknown",
    }
}

/// An object as JSON; `links` is what was found out of a group's links.
pub(super) fn describe(object: &Object, links: Option<Fields>, digester: &Digester<'_>) -> String {
    let mut fields = Fields::of_kind(kind(object.kind()));
    if let Some(links) = links {
        fields.append(links);
    }
    if let Some(attributes) = attributes(object, digester) {
        fields.put("attrs", attributes);
    }
    match object {
        Object::Group(_) => {}
        Object::Datatype(datatype) => fields.put_text("h5type", notation(datatype.datatype()).as_bytes()),
        Object::Dataset(dataset) => {
            storage(dataset, &mut fields);
            values(dataset, digester, &mut fields);
        }
    }
    fields.done()
}

/// What is said of a dataset that an external link leads to.
pub(super) fn external_dataset(dataset: &Dataset, fields: &mut Fields) {
    fields.put("shape", shape(dataset));
    let (file, paths) = (dataset.file(), HashMap::new());
    let Ok(heap) = file.heap() else { return };
    let digester = Digester { file, heap: &heap, paths: &paths };
    let is_small = memory_bytes(dataset).is_some_and(|bytes| bytes < MOST_BYTES);
    if !dataset.is_null()
        && is_small
        && digester.is_numeric(dataset.datatype())
        && let Ok(digest) = digest(dataset, Selection::All, &digester)
    {
        fields.put_text("digest", digest.as_bytes());
    }
}

fn shape(dataset: &Dataset) -> String {
    if dataset.is_null() { "null".to_owned() } else { list(dataset.shape()) }
}

fn max_shape(dataset: &Dataset) -> String {
    if dataset.is_null() {
        return "null".to_owned();
    }
    // libhdf5 takes "unlimited" for a number where lengths have less than 8 bytes.
    let unlimited = match dataset.file().length_size() {
        bytes @ ..8 => Some((1u64 << (8 * u32::from(bytes))) - 1),
        _ => None,
    };
    let max: Vec<Option<u64>> = dataset.max_shape().iter().map(|max| max.or(unlimited)).collect();
    nullable(&max)
}

fn storage(dataset: &Dataset, fields: &mut Fields) {
    fields.put("shape", shape(dataset));
    fields.put("maxshape", max_shape(dataset));
    fields.put("chunks", dataset.chunk_shape().map_or_else(|| "null".to_owned(), list));
    fields.put_text("h5type", notation(dataset.datatype()).as_bytes());
    fields.put("committed", dataset.committed_datatype().is_some());
    let layout = match dataset.layout() {
        Layout::Compact => "compact",
        Layout::Contiguous | Layout::External => "contiguous",
        Layout::Chunked => "chunked",
        Layout::Virtual => "virtual",
    };
    fields.put_text("layout", layout.as_bytes());
    let filters = dataset.filters().into_iter().map(|filter| {
        let flags = u8::from(filter.optional);
        list([filter.id.to_string(), flags.to_string(), list(filter.values)])
    });
    fields.put("filters", list(filters));
    let files = dataset.external_files();
    if !files.is_empty() {
        let file = |(name, offset, size): (String, u64, Option<u64>)| {
            list([quote(name.as_bytes()), offset.to_string(), size.unwrap_or(u64::MAX).to_string()])
        };
        fields.put("external", list(files.into_iter().map(file)));
    }
    if dataset.layout() == Layout::Virtual {
        match dataset.virtual_sources() {
            Ok(sources) => {
                let source = |(file, path): (Option<String>, String)| {
                    list([quote(file.as_deref().unwrap_or(".").as_bytes()), quote(path.as_bytes())])
                };
                fields.put("sources", list(sources.into_iter().map(source)));
            }
            Err(error) => fields.put("sources", failed(&error)),
        }
    }
    let fill = match dataset.has_fill_value() {
        Some(true) => "user",
        Some(false) => "default",
        None => "undefined",
    };
    fields.put_text("fill", fill.as_bytes());
}

fn values(dataset: &Dataset, digester: &Digester<'_>, fields: &mut Fields) {
    let datatype = dataset.datatype();
    if let (Some(true), Some(bytes)) = (dataset.has_fill_value(), dataset.fill_bytes())
        && !is_object(datatype)
    {
        put_digest("fill_digest", digester.digest(bytes, datatype), fields);
    }
    if dataset.is_null() {
        fields.put_text("digest", b"null");
        return;
    }
    let shape = dataset.shape();
    let bytes = memory_bytes(dataset);
    if bytes.is_none_or(|bytes| bytes > MOST_BYTES) {
        let end = |from: fn(u64) -> u64, to: fn(u64) -> u64| {
            let slabs = shape.iter().map(|dim| Slab::range(from(*dim)..to(*dim))).collect();
            digest(dataset, Selection::Hyperslab(slabs), digester).map(|digest| quote(digest.as_bytes()))
        };
        let ends = end(|_| 0, |dim| dim.min(SAMPLE)).and_then(|first| {
            let last = end(|dim| dim.saturating_sub(SAMPLE), |dim| dim)?;
            Ok(list([first, last]))
        });
        match ends {
            Ok(ends) => {
                let mut sample = Fields::new();
                sample.put("sample", ends);
                fields.put("digest", sample.done());
            }
            Err(error) => fields.put("digest", failed(&error)),
        }
        return;
    }
    put_digest("digest", digest(dataset, Selection::All, digester), fields);
    if !shape.is_empty() && dataset.len() > 1 {
        put_digest("part", digest(dataset, Selection::Hyperslab(part(&shape)), digester), fields);
    }
}

/// The middle of every axis, every second element of the last one.
fn part(shape: &[u64]) -> Vec<Slab> {
    let middle = |dim: &u64| dim / 3..(dim / 3 + 1).max(dim - dim / 4);
    let mut slabs: Vec<Slab> = shape.iter().map(middle).map(Slab::range).collect();
    if let (Some(last), Some(dim)) = (slabs.last_mut(), shape.last()) {
        *last = Slab::step(middle(dim), 2);
    }
    slabs
}

fn digest(dataset: &Dataset, selection: Selection, digester: &Digester<'_>) -> h5live::Result<String> {
    digester.digest(&dataset.read_raw(selection)?, dataset.datatype())
}

fn put_digest(name: &str, digest: h5live::Result<String>, fields: &mut Fields) {
    match digest {
        Ok(digest) => fields.put_text(name, digest.as_bytes()),
        Err(error) => fields.put(name, failed(&error)),
    }
}

/// The attributes, unless there are none.
fn attributes(object: &Object, digester: &Digester<'_>) -> Option<String> {
    let mut attributes = match object.attributes() {
        Ok(attributes) => attributes,
        Err(error) => return Some(failed(&error)),
    };
    attributes.sort_by(|one, other| one.raw_name().as_bytes().cmp(other.raw_name().as_bytes()));
    let mut values = Fields::new();
    for attribute in &attributes {
        let told = value(attribute, digester).unwrap_or_else(|error| failed(&error));
        values.put_named(attribute.raw_name().as_bytes(), told);
    }
    let mut all = Fields::new();
    all.put("v", values.done());
    (!attributes.is_empty()).then(|| all.done())
}

fn value(attribute: &Attribute, digester: &Digester<'_>) -> h5live::Result<String> {
    let mut fields = Fields::new();
    fields.put_text("h5type", notation(attribute.datatype()).as_bytes());
    if attribute.is_null() {
        fields.put("shape", "null");
        fields.put_text("digest", b"null");
    } else {
        let digest = digester.digest(attribute.raw(), attribute.datatype())?;
        fields.put("shape", list(attribute.shape()));
        fields.put_text("digest", digest.as_bytes());
    }
    Ok(fields.done())
}

/// Bytes that the elements take in a numpy array.
fn memory_bytes(dataset: &Dataset) -> Option<u64> {
    dataset.len().checked_mul(numpy_size(dataset.datatype()).max(1))
}

fn numpy_size(datatype: &Datatype) -> u64 {
    match datatype {
        Datatype::VarLen(_) | Datatype::VarLenString(_) | Datatype::Reference(_) => 8,
        Datatype::Array(array) => {
            array.dims.iter().fold(numpy_size(&array.base), |size, dim| size.saturating_mul((*dim).into()))
        }
        other => memory_size(other),
    }
}

/// Whether numpy has elements of the type as Python objects.
fn is_object(datatype: &Datatype) -> bool {
    match datatype {
        Datatype::VarLen(_) | Datatype::VarLenString(_) | Datatype::Reference(_) => true,
        Datatype::Array(array) => is_object(&array.base),
        Datatype::Compound(compound) => compound.members.iter().any(|member| is_object(&member.datatype)),
        _ => false,
    }
}
