//! Reading files that h5py wrote in three versions of the format; `data/make.py` says what is in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use h5live::{
    Attribute, Complex, Dataset, ErrorKind, File, Layout, MemberKind, Object, Reference, Selection, Slab, Target,
    Value, f16,
};
use h5live_storage::{Memory, Metered};

const ALL: [&str; 3] = ["old.h5", "new.h5", "other.h5"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn open(name: &str) -> File {
    File::open(path(name)).unwrap()
}

#[test]
fn numbers_of_every_layout_are_what_was_written() {
    for name in ALL {
        let file = open(name);
        let entry = file.group("entry").unwrap();
        let signal = entry.dataset("signal").unwrap();
        assert_eq!((signal.shape(), signal.layout()), (vec![10, 6], Layout::Chunked), "{name}");
        assert_eq!(signal.filters().iter().map(|filter| filter.id).collect::<Vec<_>>(), [2, 1]);
        let expected: Vec<f64> = (0..60).map(f64::from).collect();
        assert_eq!(signal.read_vec::<f64>(..).unwrap(), expected, "{name}");
        let contiguous = entry.dataset("contiguous").unwrap();
        assert_eq!(contiguous.layout(), Layout::Contiguous);
        assert_eq!(contiguous.read_vec::<i16>(..).unwrap(), (0..1000).collect::<Vec<i16>>(), "{name}");
        assert_eq!(entry.dataset("scalar").unwrap().read_scalar::<i64>().unwrap(), -7);
        let empty = entry.dataset("empty").unwrap();
        assert!(empty.is_null() && empty.read_vec::<f32>(..).unwrap().is_empty());
        let grow = entry.dataset("grow").unwrap();
        assert_eq!(grow.max_shape(), [None, Some(3)]);
        let mut expected: Vec<i32> = (0..15).collect();
        expected.extend([-1; 6]);
        assert_eq!(grow.read_vec::<i32>(..).unwrap(), expected, "{name}");
        assert_eq!(grow.fill_value().unwrap(), Some(Value::Int(-1)));
        let both = entry.dataset("both").unwrap();
        assert_eq!(both.read_vec::<u8>(..).unwrap(), (0..25).collect::<Vec<u8>>(), "{name}: {:?}", both.chunk_index());
        for many in ["long", "fixed"] {
            let dataset = entry.dataset(many).unwrap();
            assert_eq!(dataset.read_vec::<u64>(..).unwrap(), (0..100).collect::<Vec<u64>>(), "{name} {many}");
            assert_eq!(dataset.read_vec::<u64>(97..).unwrap(), [97, 98, 99]);
            assert_eq!(dataset.chunks().unwrap().len(), 100);
        }
    }
}

/// What was looked up in a file that nobody wrote is looked up again once somebody has.
#[test]
fn what_is_kept_is_forgotten_by_a_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kept.h5");
    let file = File::create(&path).unwrap();
    let first = file.new_dataset::<i32>("x").shape([4]).chunks([2]).gzip(4).create().unwrap();
    first.write(.., &[1, 2, 3, 4]).unwrap();
    file.close().unwrap();
    let reader = File::open(&path).unwrap();
    let read = |reader: &File| {
        let dataset = reader.dataset("x").unwrap();
        let parts = [0..1, 1..2, 3..4].map(|part| dataset.read_vec::<i32>(part).unwrap()[0]);
        (dataset.address(), parts)
    };
    let before = read(&reader);
    assert_eq!((before.1, read(&reader)), ([1, 2, 4], before));
    let writer = File::append(&path).unwrap();
    writer.root().unlink("x").unwrap();
    let second = writer.new_dataset::<i32>("x").shape([4]).chunks([2]).gzip(4).create().unwrap();
    second.write(.., &[5, 6, 7, 8]).unwrap();
    writer.close().unwrap();
    reader.refresh().unwrap();
    let after = read(&reader);
    assert_eq!(after.1, [5, 6, 8]);
    assert_ne!(after.0, before.0);
}

/// A chunk of which a part was read is decoded once, and its other elements are those it has.
#[test]
fn chunks_are_decoded_once_for_all_their_parts() {
    let bytes = Arc::new(Memory::new());
    let file = File::create_with(bytes.clone()).unwrap();
    let rows: Vec<i64> = (0..6000).collect();
    let written = file.new_dataset::<i64>("x").shape([60, 100]).chunks([10, 50]).gzip(1).create().unwrap();
    written.write(.., &rows).unwrap();
    file.close().unwrap();
    let metered = Arc::new(Metered::new(bytes));
    let dataset = File::open_with(metered.clone()).unwrap().dataset("x").unwrap();
    let row = |at: u64| dataset.read_vec::<i64>(at..at + 1).unwrap();
    assert_eq!(row(0), rows[..100]);
    metered.take();
    for at in 1..10 {
        assert_eq!(row(at), rows[at as usize * 100..][..100]);
    }
    let column: Vec<i64> = dataset.read_vec([0..10, 7..8]).unwrap();
    assert_eq!(column, (0..10).map(|row| row * 100 + 7).collect::<Vec<i64>>());
    let points = Selection::Points(vec![vec![3, 99], vec![0, 0]]);
    assert_eq!(dataset.read_vec::<i64>(points).unwrap(), [399, 0]);
    assert_eq!(metered.counts().reads, 0);
    row(10);
    assert_eq!(metered.counts().reads, 1, "chunks that were not read before are, together");
}

#[test]
fn a_closed_file_is_closed_for_all_its_handles() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("closed.h5");
    let file = File::create(&path).unwrap();
    let written = file.new_dataset::<i32>("x").shape([4]).create().unwrap();
    written.write(.., &[1, 2, 3, 4]).unwrap();
    let other = file.clone();
    assert!(file.is_same(&other));
    file.close().unwrap();
    assert!(matches!(written.read_vec::<i32>(..).unwrap_err().kind(), ErrorKind::Closed));
    assert!(other.publish().is_err());
    let reader = File::open(&path).unwrap();
    let read = reader.dataset("x").unwrap();
    assert!(!reader.is_same(&other));
    assert_eq!(read.read_vec::<i32>(..).unwrap(), [1, 2, 3, 4]);
    reader.clone().close().unwrap();
    assert!(matches!(read.read_vec::<i32>(..).unwrap_err().kind(), ErrorKind::Io { .. }));
}

/// Every way to select, against the same taken from all elements.
#[test]
fn a_part_is_that_part_of_the_whole() {
    for name in ALL {
        let file = open(name);
        for object in ["entry/signal", "entry/contiguous", "entry/grow", "entry/both", "entry/long"] {
            let dataset = file.dataset(object).unwrap();
            let shape = dataset.shape();
            let whole: Vec<f64> = dataset.read_vec(..).unwrap();
            let axes = |make: &dyn Fn(u64) -> Slab| -> Selection {
                Selection::Hyperslab(shape.iter().map(|dim| make(*dim)).collect())
            };
            let selections = [
                axes(&|dim| Slab::range(0..dim)),
                axes(&|dim| Slab::range(dim / 3..dim - dim / 4)),
                axes(&|dim| Slab::step(0..dim, 2)),
                axes(&|dim| Slab { start: 0, stride: 3, count: dim / 3, block: 2 }),
                axes(&|dim| Slab::range(dim..dim)),
                Selection::Points(vec![
                    shape.iter().map(|dim| dim - 1).collect(),
                    vec![0; shape.len()],
                    shape.iter().map(|dim| dim / 2).collect(),
                    shape.iter().map(|dim| dim - 1).collect(),
                ]),
            ];
            for selection in selections {
                let expected: Vec<f64> = chosen(&selection, &shape).into_iter().map(|at| whole[at]).collect();
                assert_eq!(dataset.read_vec::<f64>(&selection).unwrap(), expected, "{name} {object} {selection:?}");
                let mut out = vec![f32::NAN; expected.len()];
                dataset.read_into(&selection, &mut out).unwrap();
                assert!(out.iter().zip(&expected).all(|(one, other)| f64::from(*one) == *other));
            }
        }
    }
}

/// The positions of selected elements in row-major order.
fn chosen(selection: &Selection, shape: &[u64]) -> Vec<usize> {
    let linear = |point: &[u64]| point.iter().zip(shape).fold(0, |sum, (at, dim)| sum * dim + at) as usize;
    match selection {
        Selection::All => (0..shape.iter().product::<u64>() as usize).collect(),
        Selection::Points(points) => points.iter().map(|point| linear(point)).collect(),
        Selection::Hyperslab(slabs) => {
            let mut points = vec![Vec::new()];
            for slab in slabs {
                let along: Vec<u64> = (0..slab.count)
                    .flat_map(|block| (0..slab.block).map(move |at| slab.start + block * slab.stride + at))
                    .collect();
                points = points
                    .iter()
                    .flat_map(|point: &Vec<u64>| along.iter().map(|at| [point.as_slice(), &[*at]].concat()))
                    .collect();
            }
            points.iter().map(|point| linear(point)).collect()
        }
    }
}

#[test]
fn elements_of_every_type() {
    for name in ALL {
        let file = open(name);
        let dataset = |path: &str| file.dataset(path).unwrap();
        let texts = |path| dataset(path).read_vec::<String>(..).unwrap();
        assert_eq!(texts("text/variable"), ["one", "", "drei \u{e4}"], "{name}");
        assert_eq!(texts("text/fixed"), ["ab", "abcd", ""], "{name}");
        assert_eq!(dataset("text/sequences").read_vec::<Vec<i64>>(..).unwrap(), [vec![1, 2, 3], vec![], vec![4]]);
        assert_eq!(dataset("kinds/bool").read_vec::<bool>(..).unwrap(), [true, false, true]);
        assert_eq!(
            dataset("kinds/complex").read_vec::<Complex<f64>>(..).unwrap(),
            [Complex::new(1.0, 2.0), Complex::new(0.0, -0.5)]
        );
        assert_eq!(dataset("kinds/complex").read_vec::<Complex<f32>>(1..).unwrap(), [Complex::new(0.0, -0.5)]);
        assert_eq!(dataset("kinds/array").read_vec::<[i32; 2]>(..).unwrap(), [[1, 2], [3, 4], [5, 6]]);
        assert_eq!(dataset("kinds/array").read_vec::<[f64; 2]>(1..2).unwrap(), [[3.0, 4.0]]);
        assert_eq!(dataset("kinds/half").read_vec::<f16>(..).unwrap(), [f16::from_f32(0.5), f16::from_f32(-2.0)]);
        let shown = |path: &str| -> Vec<String> {
            dataset(path).read_values(..).unwrap().iter().map(Value::to_string).collect()
        };
        assert_eq!(shown("kinds/compound"), ["{a: 1, b: 2.5, c: \"x\"}", "{a: -3, b: 4.0, c: \"yz\"}"]);
        assert_eq!(shown("kinds/enum"), ["ON", "OFF", "7"]);
        assert_eq!(shown("kinds/complex"), ["1.0+2.0i", "-0.0-0.5i"]);
        let Value::Reference(Reference::Object(address)) = dataset("named").read_values(..).unwrap().remove(0) else {
            panic!("{name}: no object reference")
        };
        assert_eq!(address, dataset("entry/signal").address());
        assert!(matches!(file.object_at(address).unwrap(), Object::Dataset(_)));
        let region = dataset("region").read_values(..).unwrap().remove(0);
        assert!(matches!(region, Value::Reference(Reference::Region { dataset, .. }) if dataset == address), "{name}");
        assert_eq!(file.datatype("type").unwrap().datatype().to_string(), "i32");
        let error = dataset("text/fixed").read_vec::<f64>(..).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error}");
    }
}

#[test]
fn links_lead_where_they_say() {
    for name in ALL {
        let file = open(name);
        let signal = file.dataset("/entry/signal").unwrap().address();
        for path in ["links/hard", "links/soft", "/links/relative", "links//./soft"] {
            assert_eq!(file.dataset(path).unwrap().address(), signal, "{name} {path}");
        }
        let links = file.group("links").unwrap();
        assert_eq!(links.link("soft").unwrap().target, Target::Soft("/entry/signal".into()));
        assert!(!links.contains("nowhere").unwrap() && !links.contains("no").unwrap());
        assert!(matches!(links.get("nowhere").unwrap_err().kind(), ErrorKind::NotFound { .. }));
        assert!(matches!(links.get("circle").unwrap_err().kind(), ErrorKind::Unsupported(_)));
        assert!(matches!(links.group("hard").unwrap_err().kind(), ErrorKind::WrongKind { .. }));
        assert!(matches!(file.get("entry/signal/x").unwrap_err().kind(), ErrorKind::WrongKind { .. }));
        let other = links.dataset("other").unwrap();
        assert_eq!(other.file().path(), path("other.h5"));
        assert_eq!(other.read_vec::<i32>(0..1).unwrap(), [0, 1, 2]);
        let kinds: Vec<_> = links.members().unwrap().into_iter().map(|member| (member.name, member.kind)).collect();
        let expected = [
            ("circle", MemberKind::SoftLink),
            ("hard", MemberKind::Dataset),
            ("nowhere", MemberKind::SoftLink),
            ("other", MemberKind::ExternalLink),
            ("relative", MemberKind::SoftLink),
            ("soft", MemberKind::SoftLink),
        ];
        assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)), "{name}");
        let many = file.group("many").unwrap();
        let names: Vec<String> = many.links().unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(names, (0..40).map(|i| format!("member{i:02}")).collect::<Vec<_>>(), "{name}");
        assert!(many.contains("member39/signal").unwrap() && !many.contains("member40").unwrap());
    }
    let created: Vec<String> = open("other.h5").links().unwrap().into_iter().map(|link| link.name).collect();
    assert_eq!(created, ["entry", "text", "kinds", "type", "named", "region", "links", "many", "virtual"]);
}

#[test]
fn attributes_are_found_in_both_forms() {
    for name in ALL {
        let file = open(name);
        let units = file.dataset("entry/signal").unwrap().attribute("units").unwrap();
        assert_eq!(
            (units.read_scalar::<String>().unwrap(), units.value().unwrap()),
            ("mV".into(), Value::Str("mV".into()))
        );
        let many = file.group("many").unwrap();
        let all = many.attributes().unwrap();
        assert_eq!(
            all.iter().map(Attribute::name).collect::<Vec<_>>(),
            (0..40).map(|i| format!("attribute{i:02}")).collect::<Vec<_>>()
        );
        for (number, attribute) in (0..).zip(&all) {
            assert_eq!(attribute.read_scalar::<i32>().unwrap(), number, "{name}");
            let found = many.attribute(attribute.name()).unwrap();
            assert_eq!(found.read_scalar::<f32>().unwrap(), number as f32);
        }
        assert!(many.find_attribute("attribute40").unwrap().is_none());
        assert!(matches!(many.attribute("no").unwrap_err().kind(), ErrorKind::NotFound { what: "attribute", .. }));
    }
}

#[test]
fn virtual_datasets_show_their_sources() {
    for name in ["new.h5", "other.h5"] {
        let dataset = open(name).dataset("virtual").unwrap();
        assert_eq!((dataset.layout(), dataset.shape()), (Layout::Virtual, vec![4, 6]));
        let mut expected = vec![-5.0; 24];
        for (at, value) in expected.iter_mut().take(12).enumerate() {
            *value = 18.0 + at as f64;
        }
        for (at, value) in [(19, 54.0), (20, 56.0), (21, 58.0)] {
            expected[at] = value;
        }
        assert_eq!(dataset.read_vec::<f64>(..).unwrap(), expected, "{name}");
        assert_eq!(
            dataset.read_vec::<f64>([1..4, 2..5]).unwrap(),
            [26.0, 27.0, 28.0, -5.0, -5.0, -5.0, 56.0, 58.0, -5.0]
        );
        let points = Selection::Points(vec![vec![3, 3], vec![2, 0], vec![0, 0]]);
        assert_eq!(dataset.read_vec::<f64>(points).unwrap(), [58.0, -5.0, 18.0]);
    }
}

#[test]
fn handles_of_one_dataset_share_their_view() {
    let file = open("new.h5");
    let (one, other): (Dataset, Dataset) = (file.dataset("entry/grow").unwrap(), file.dataset("/entry/grow").unwrap());
    assert_eq!((one.path(), one.address()), ("/entry/grow", other.address()));
    assert_eq!(file.userblock_size(), 0);
    assert_eq!(open("old.h5").userblock_size(), 512);
}

#[cfg(feature = "ndarray")]
#[test]
fn arrays_have_the_shape_of_the_selection() {
    let signal = open("new.h5").dataset("entry/signal").unwrap();
    let array = signal.read_as::<f32, ndarray::Ix2>([2..5, 1..3]).unwrap();
    assert_eq!(array, ndarray::array![[13.0, 14.0], [19.0, 20.0], [25.0, 26.0]]);
    assert_eq!(signal.read::<u8>(4..).unwrap().shape(), [6, 6]);
    assert!(matches!(signal.read_as::<f32, ndarray::Ix1>(..).unwrap_err().kind(), ErrorKind::Shape { .. }));
}

/// Whatever is done to the bytes: an answer or an error, never a panic.
#[test]
fn damaged_files_are_errors() {
    for name in ALL {
        let bytes = std::fs::read(path(name)).unwrap();
        for cut in (0..bytes.len()).step_by(bytes.len() / 40) {
            let file = File::open_with(Arc::new(Memory::from(bytes[..cut].to_vec())));
            assert!(matches!(
                file.unwrap_err().kind(),
                ErrorKind::NotHdf5 | ErrorKind::Truncated { .. } | ErrorKind::Malformed(_)
            ));
        }
        let mut state = 1u64;
        for _ in 0..150 {
            let mut bytes = bytes.clone();
            for _ in 0..20 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 16) as usize % bytes.len();
                bytes[at] = (state >> 56) as u8;
            }
            if let Ok(file) = File::open_with(Arc::new(Memory::from(bytes))) {
                walk(&Object::Group(file.root()), 0);
            }
        }
    }
}

fn walk(object: &Object, depth: u32) {
    if let Ok(attributes) = object.attributes() {
        for attribute in attributes {
            let _ = attribute.value();
        }
    }
    match object {
        Object::Group(group) => {
            for link in group.links().unwrap_or_default().iter().take(12) {
                if let (true, Ok(member)) = (depth < 3, group.get(&link.name)) {
                    walk(&member, depth + 1);
                }
            }
        }
        Object::Dataset(dataset) => {
            let _ = (dataset.storage_size(), dataset.fill_value());
            if dataset.len() < 100_000
                && dataset.chunk_shape().is_none_or(|chunk| chunk.iter().product::<u64>() < 1 << 20)
            {
                let _ = dataset.read_values(..);
            }
        }
        Object::Datatype(_) => {}
    }
}

/// A file of external data is opened when a byte of it is wanted, as by libhdf5: that one of several is missing matters to its own
/// elements only.
#[test]
fn a_missing_external_file_stands_in_the_way_of_its_own_elements_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("external.h5");
    let file = File::create(&path).unwrap();
    // The last begins where the elements end.
    let parts = ["first.raw", "second.raw", "spare.raw"].map(|name| (name.to_owned(), 0, Some(16)));
    let dataset = file.new_dataset::<i32>("x").shape([8]).external(parts).create().unwrap();
    dataset.write(.., &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    file.close().unwrap();
    assert!(!directory.path().join("spare.raw").exists());
    let read = |elements| File::open(&path).unwrap().dataset("x").unwrap().read_vec::<i32>(elements);
    assert_eq!(read(0..8).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    std::fs::remove_file(directory.path().join("second.raw")).unwrap();
    assert_eq!(read(1..4).unwrap(), [2, 3, 4]);
    assert!(read(3..5).unwrap_err().to_string().contains("second.raw"));
}
