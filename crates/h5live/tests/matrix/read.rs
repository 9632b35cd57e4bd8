//! What h5py wrote, h5live reads.

use std::path::Path;

use h5live::{Attribute, Dataset, File, Target};
use h5live_testkit::matrix::{Case, Expected, FillTime, Filter, Format, Layout, Matrix, Target as Leads, Tree};
use h5live_testkit::{Libhdf5, scratch};
use serde_json::Value as Json;

use crate::case;
use crate::plain::{described, plain};

/// Equality that tells 0.0 from -0.0.
fn same(found: &[Json], wanted: &[Json], what: &str) {
    if let Some(at) = (0..found.len().max(wanted.len()))
        .find(|at| found.get(*at).map(Json::to_string) != wanted.get(*at).map(Json::to_string))
    {
        panic!("{what}: element {at} is {:?} instead of {:?}", found.get(at), wanted.get(at));
    }
}

fn check_case(path: &Path, case: &Case, expected: &Expected, format: Format) {
    let name = &case.name;
    let file = File::open(path).unwrap();
    let data = file.dataset("data").unwrap();
    assert_eq!(described(data.datatype()), case.kind, "{name}");
    assert_eq!(data.is_null(), case.shape.is_none(), "{name}");
    assert_eq!(data.shape(), case.shape.clone().unwrap_or_default(), "{name}");
    assert_eq!(data.max_shape(), case.maxshape.clone().unwrap_or_default(), "{name}");
    check_storage(&data, case, format);

    let values = |found: Vec<h5live::Value>| -> Vec<Json> {
        found.iter().map(|found| plain(&case.kind, found, &file)).collect()
    };
    if let Some(raw) = expected.raw() {
        assert_eq!(data.read_raw(..).unwrap(), raw, "{name}");
    }
    if let Some(wanted) = &expected.values {
        same(&values(data.read_values(..).unwrap()), wanted, name);
    }
    if case.shape.is_none() {
        assert_eq!(data.read_values(..).unwrap(), []);
    }
    if case.attribute {
        let twin = data.attribute("twin").unwrap();
        assert_eq!(described(twin.datatype()), case.kind, "{name}");
        assert_eq!((twin.is_null(), twin.shape()), (case.shape.is_none(), case.shape.as_deref().unwrap_or_default()));
        same(&values(twin.read_values().unwrap()), expected.values.as_deref().unwrap_or_default(), name);
    }
}

fn check_storage(data: &Dataset, case: &Case, format: Format) {
    let name = &case.name;
    let (layout, chunks) = match &case.layout {
        Layout::Compact => (h5live::Layout::Compact, None),
        Layout::Contiguous => (h5live::Layout::Contiguous, None),
        Layout::Chunked { chunks, .. } => (h5live::Layout::Chunked, Some(chunks.as_slice())),
    };
    assert_eq!((data.layout(), data.chunk_shape()), (layout, chunks), "{name}");
    let index = match format {
        Format::Earliest => case::index(case).map(|_| "version 1 B-tree"),
        Format::V110 | Format::Latest => case::index(case),
    };
    assert_eq!(data.chunk_index(), index, "{name}");
    let filters = data.filters();
    assert_eq!(filters.len(), case.filters.len(), "{name}");
    for (found, filter) in filters.iter().zip(&case.filters) {
        let (number, first) = match filter {
            Filter::Deflate { level } => (1, Some(*level)),
            Filter::Shuffle => (2, None),
            Filter::Fletcher32 => (3, None),
            Filter::Lzf => (32000, None),
        };
        assert_eq!(found.id, number, "{name}");
        assert!(first.is_none_or(|first| found.values.first() == Some(&first)), "{name}");
    }
    if let Some(masks) = &case.masks {
        let mut chunks = data.chunks().unwrap();
        chunks.sort_by(|one, other| one.offset.cmp(&other.offset));
        let found: Vec<u32> = chunks.iter().map(|chunk| chunk.filter_mask).collect();
        assert_eq!(found, *masks, "{name}");
    }
    if let Some(fill) = &case.fill {
        let found = data.fill_value().unwrap().unwrap();
        same(&[plain(&case.kind, &found, data.file())], std::slice::from_ref(fill), name);
    }
    let time = match case.fill_time {
        // libhdf5 leaves nothing undefined that could be taken for an address.
        FillTime::IfSet if data.datatype().uses_global_heap() => h5live::FillTime::OnAllocation,
        FillTime::IfSet => h5live::FillTime::IfSet,
        FillTime::Alloc => h5live::FillTime::OnAllocation,
        FillTime::Never => h5live::FillTime::Never,
    };
    assert_eq!((data.has_fill_value(), data.fill_time()), (Some(case.fill.is_some()), Some(time)), "{name}");
}

fn check_tree(path: &Path, tree: &Tree) {
    let file = File::open(path).unwrap();
    let parent = |path: &str| match path.rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
    };
    let paths = || {
        let groups = tree.objects.iter().map(|object| object.path.as_str()).filter(|path| *path != "/");
        groups.chain(tree.links.iter().map(|link| link.path.as_str()))
    };
    for object in &tree.objects {
        let group = file.group(&object.path).unwrap();
        assert_eq!(group.tracks_creation_order().unwrap(), object.creation_order, "{}", object.path);
        let mut wanted: Vec<&str> =
            paths().filter(|path| parent(path) == object.path).filter_map(|path| path.rsplit('/').next()).collect();
        if !object.creation_order {
            wanted.sort_unstable();
        }
        let links = group.links().unwrap();
        let found: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
        assert_eq!(found, wanted, "{}", object.path);
        let attributes = group.attributes().unwrap();
        assert_eq!(attributes.len(), object.attributes.len(), "{}", object.path);
        for wanted in &object.attributes {
            let found: Attribute = group.attribute(&wanted.name).unwrap();
            assert_eq!((described(found.datatype()), found.shape()), (wanted.kind.clone(), wanted.shape.as_slice()));
            let values: Vec<Json> =
                found.read_values().unwrap().iter().map(|value| plain(&wanted.kind, value, &file)).collect();
            same(&values, &wanted.values, &wanted.name);
        }
    }
    for link in &tree.links {
        let name = link.path.rsplit('/').next().unwrap();
        let found = file.group(&parent(&link.path)).unwrap().link(name).unwrap().target;
        let wanted = match &link.target {
            Leads::Hard { target } => Target::Hard(file.get(target).unwrap().address()),
            Leads::Soft { target } => Target::Soft(target.clone()),
            Leads::External { file, target } => Target::External { file: file.clone(), path: target.clone() },
        };
        assert_eq!(found, wanted, "{}", link.path);
    }
}

fn read_all(version: Libhdf5, format: Format) {
    let (matrix, scratch) = (Matrix::load(version).unwrap(), scratch());
    matrix.write_as(format, scratch.path(), &[]).unwrap();
    let expected = matrix.expected(&[]).unwrap();
    for case in &matrix.cases {
        check_case(&case.file(scratch.path()), case, &expected[&case.name], format);
    }
    for tree in &matrix.trees {
        check_tree(&tree.file(scratch.path()), tree);
    }
}

#[test]
fn files_of_hdf5_2_0_in_the_format_of_1_10() {
    read_all(Libhdf5::V2_0, Format::V110);
}

#[test]
fn files_of_hdf5_2_0_in_the_oldest_format() {
    read_all(Libhdf5::V2_0, Format::Earliest);
}

#[test]
fn files_of_hdf5_2_0_in_the_newest_format() {
    read_all(Libhdf5::V2_0, Format::Latest);
}

#[test]
fn files_of_hdf5_1_14() {
    read_all(Libhdf5::V1_14, Format::V110);
    read_all(Libhdf5::V1_14, Format::Latest);
}
