//! What can be said of an object without reading its elements.

use h5live::{Attribute, Dataset, Layout, Object, Target};
use serde_json::{Map, Value as Json, json};

use crate::failure::Failure;
use crate::filters;
use crate::looking::Looking;
use crate::output::shape;
use crate::render;

/// How much of an attribute's value is shown, in characters.
const SHOWN: usize = 60;
/// Bytes of an element that is shown beside its dataset.
const SMALL: u32 = 4096;

/// How far it may grow, where it may.
pub(crate) fn max_shape(dataset: &Dataset) -> Option<String> {
    let shape = dataset.shape();
    let max = dataset.max_shape();
    let can_grow = max.iter().zip(&shape).any(|(max, dim)| *max != Some(*dim));
    can_grow.then(|| {
        let dims: Vec<String> =
            max.iter().map(|max| max.map_or_else(|| "unlimited".to_owned(), |max| max.to_string())).collect();
        if let [only] = dims.as_slice() { format!("({only},)") } else { format!("({})", dims.join(", ")) }
    })
}

/// Its shape; `null` and `scalar` where it has none.
pub(crate) fn extent(dataset: &Dataset) -> String {
    match dataset.shape().as_slice() {
        [] if dataset.is_null() => "null".to_owned(),
        [] => "scalar".to_owned(),
        dims => shape(dims),
    }
}

/// How it is stored, in a few words: `chunked (64, 512), shuffle, gzip 4`.
pub(crate) fn storage(dataset: &Dataset) -> String {
    let mut words = match (layout(dataset.layout()), dataset.chunk_shape()) {
        (name, Some(chunk)) => format!("{name} {}", shape(chunk)),
        (name, None) => name.to_owned(),
    };
    for filter in filters::notation(dataset) {
        words.push_str(", ");
        words.push_str(&filter);
    }
    words
}

/// The name of a layout.
pub(crate) fn layout(layout: Layout) -> &'static str {
    match layout {
        Layout::Compact => "compact",
        Layout::Contiguous => "contiguous",
        Layout::External => "external files",
        Layout::Chunked => "chunked",
        Layout::Virtual => "virtual",
    }
}

/// Where a link leads, if it does not lead to an object by itself.
pub(crate) fn target(target: &Target) -> Option<String> {
    match target {
        Target::Hard(_) => None,
        Target::Soft(path) => Some(path.clone()),
        Target::External { file, path } => Some(format!("{file}:{path}")),
        Target::UserDefined { class, .. } => Some(format!("user-defined link of class {class}")),
    }
}

/// What a program wants to know of an object.
pub(crate) fn json(object: &Object) -> Result<Map<String, Json>, Failure> {
    let mut map = Map::new();
    map.insert("path".into(), json!(object.path()));
    map.insert("kind".into(), json!(object.kind().to_string()));
    match object {
        Object::Group(_) => {}
        Object::Datatype(datatype) => {
            map.insert("type".into(), json!(datatype.datatype().to_string()));
        }
        Object::Dataset(dataset) => {
            let shape = if dataset.is_null() { Json::Null } else { json!(dataset.shape()) };
            map.insert("shape".into(), shape);
            map.insert("max_shape".into(), json!(dataset.max_shape()));
            map.insert("type".into(), json!(dataset.datatype().to_string()));
            map.insert("layout".into(), json!(layout(dataset.layout())));
            map.insert("chunk_shape".into(), json!(dataset.chunk_shape()));
            map.insert("chunk_index".into(), json!(dataset.chunk_index()));
            map.insert("filters".into(), json!(filters::notation(dataset)));
            map.insert("pipeline".into(), filters::json(dataset));
        }
    }
    Ok(map)
}

/// The attributes of an object, a line for each: name, value (as much as fits a line) and type.
pub(crate) fn attribute_lines(object: &Object, looking: &Looking) -> Result<Vec<String>, Failure> {
    let attributes = looking.pass(object.attributes())?.unwrap_or_default();
    let line = |attribute: &Attribute| {
        let [value, datatype] = attribute_words(attribute, looking)?;
        Ok(format!("@{} = {value}  {datatype}", attribute.name()))
    };
    attributes.iter().map(line).collect()
}

/// An attribute's value, cut where it is long, and its type and shape.
pub(crate) fn attribute_words(attribute: &Attribute, looking: &Looking) -> Result<[String; 2], Failure> {
    let value = looking.pass(attribute.value())?.map_or_else(|| "damaged".to_owned(), |value| looking.text(&value));
    let dims = if attribute.shape().is_empty() { String::new() } else { format!(" {}", shape(attribute.shape())) };
    Ok([cut(value, SHOWN), format!("{}{dims}", attribute.datatype())])
}

/// The value of a dataset that is a single element of few bytes, cut where it is long.
pub(crate) fn scalar(dataset: &Dataset, looking: &Looking) -> Result<Option<String>, Failure> {
    if !dataset.shape().is_empty() || dataset.is_null() || dataset.datatype().size() > SMALL {
        return Ok(None);
    }
    let values = looking.pass(dataset.read_values(..))?;
    Ok(values.and_then(|values| values.first().map(|value| cut(looking.text(value), SHOWN))))
}

/// Text of at most so many characters.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if let Some((cut, _)) = text.char_indices().nth(most) {
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

/// The types and shapes of an object's attributes as one JSON object.
pub(crate) fn attribute_types(object: &Object) -> Result<Json, Failure> {
    let described = |attribute: Attribute| {
        let shape = if attribute.is_null() { Json::Null } else { json!(attribute.shape()) };
        (attribute.name().to_owned(), json!({ "type": attribute.datatype().to_string(), "shape": shape }))
    };
    Ok(Json::Object(object.attributes()?.into_iter().map(described).collect()))
}

/// The attributes of an object as one JSON object.
pub(crate) fn attributes(object: &Object) -> Result<Json, Failure> {
    let mut map = Map::new();
    for attribute in object.attributes()? {
        let value = match attribute.is_null() {
            true => Json::Null,
            false => render::nested(&attribute.read_values()?, attribute.shape()),
        };
        map.insert(attribute.name().to_owned(), value);
    }
    Ok(Json::Object(map))
}
