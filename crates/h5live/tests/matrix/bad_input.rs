//! What cannot be: a typed error that names file, object and reason, and a file that stays as it was.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fs, io};

use h5live::{Dataset, Datatype, Error, ErrorKind, File, FillTime, Result, Selection, Slab, Value};
use h5live_storage::{Barrier, Memory, ReadAt, Storage};
use h5live_testkit::{H5py, Libhdf5, Mode, Select, scratch};
use serde_json::json;

/// A kind of error, for tables.
macro_rules! is {
    ($kind:pat) => {
        |error: &ErrorKind| matches!(error, $kind)
    };
}

/// What the record of a live file starts with.
const TRAILER: &str = "h5live\r\n";

type Judge = fn(&ErrorKind) -> bool;

/// What nobody stored is not made because a type says how large it is.
#[test]
fn an_element_larger_than_the_file_has_no_fill_value() {
    let directory = scratch();
    let path = directory.path().join("large.h5");
    let file = File::create(&path).unwrap();
    for (name, size) in [("small", 1000), ("large", 1 << 31)] {
        file.new_dataset_of(name, Datatype::opaque(size, "")).shape([0]).create().unwrap();
    }
    file.close().unwrap();
    let file = File::open(&path).unwrap();
    assert!(file.dataset("small").unwrap().fill_value().unwrap().is_some());
    let error = file.dataset("large").unwrap().fill_value().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");
}

/// Puts `after` in the place of `before` in a structure of `length` bytes that ends in its checksum.
fn replace(image: &mut [u8], start: usize, length: usize, before: &[u8], after: &[u8]) {
    let structure = &mut image[start..start + length];
    let at = structure.windows(before.len()).position(|found| found == before).unwrap();
    structure[at..at + after.len()].copy_from_slice(after);
    let sum = h5live_format::lookup3(&structure[..length - 4]);
    structure[length - 4..].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn an_extent_beyond_all_numbers_is_an_error() {
    let storage = Arc::new(Memory::new());
    let file = File::create_with(storage.clone() as Arc<dyn Storage>).unwrap();
    let data = file.new_dataset::<u8>("data").shape([3, 5]).create().unwrap();
    data.write(.., &[1; 15]).unwrap();
    let at = data.address() as usize;
    file.close().unwrap();
    let mut image = storage.to_vec();
    let prefix = h5live_format::object_header::ObjectHeaderPrefix::decode(&image[at..], 0).unwrap();
    let dims = |numbers: [u64; 2]| numbers.map(u64::to_le_bytes).concat();
    replace(&mut image, at, prefix.first_chunk_size() as usize, &dims([3, 5]), &dims([1 << 40, 1 << 40]));
    let file = File::open_with(Arc::new(Memory::from(image))).unwrap();
    let data = file.dataset("data").unwrap();
    assert_eq!(data.shape(), [1 << 40, 1 << 40]);
    for row in [0, (1 << 40) - 1] {
        let error = data.read_raw([row..row + 1, 0..2]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");
    }
}

/// A live file whose trailer gives a dataset another rank than it has: the object header counts.
#[test]
fn an_extent_of_another_rank_is_none() {
    let storage = Arc::new(Memory::new());
    let file = File::create_with(storage.clone() as Arc<dyn Storage>).unwrap();
    let data = file.new_dataset::<u8>("data").shape([0, 5]).unlimited().chunks([2, 5]).create().unwrap();
    file.go_live().unwrap();
    data.append(&[1_u8; 10]).unwrap();
    file.publish().unwrap();
    let mut image = storage.to_vec();
    let magic = TRAILER.as_bytes();
    let start = image.windows(magic.len()).rposition(|found| found == magic).unwrap();
    let length = u32::from_le_bytes(image[start + 12..start + 16].try_into().unwrap()) as usize;
    let rank_and_dims = |rank: u8| [&[rank][..], &2_u64.to_le_bytes(), &5_u64.to_le_bytes()].concat();
    replace(&mut image, start, length, &rank_and_dims(2), &rank_and_dims(1));
    let read = File::open_with(Arc::new(Memory::from(image))).unwrap();
    let data = read.dataset("data").unwrap();
    assert_eq!(data.shape(), [2, 5]);
    assert_eq!(data.chunks().unwrap().len(), 1);
    assert_eq!(data.read_vec::<u8>(..).unwrap(), [1; 10]);
}

/// A file with one of each, closed.
fn sample(directory: &Path) -> PathBuf {
    let path = directory.join("sample.h5");
    let file = File::create(&path).unwrap();
    let grows =
        file.new_dataset::<i32>("entry/grows").shape([4, 3]).unlimited().chunks([4, 3]).gzip(1).create().unwrap();
    grows.write(.., &(0..12).collect::<Vec<i32>>()).unwrap();
    file.new_dataset::<f64>("entry/fixed").shape([5]).create().unwrap().write(.., &[1.5; 5]).unwrap();
    let capped = file.new_dataset::<u8>("entry/capped").shape([2]).resizable([Some(6)]).chunks([2]).create().unwrap();
    capped.write(.., &[1, 2]).unwrap();
    file.new_dataset::<String>("entry/text").shape([2]).unlimited().chunks([4]).create().unwrap();
    file.new_dataset_of("entry/point", Datatype::compound([("x", Datatype::i16())])).create().unwrap();
    file.new_dataset::<i32>("entry/null").null().create().unwrap();
    file.root().link_soft("dangling", "/nowhere").unwrap();
    file.set_attribute("title", "sample").unwrap();
    file.close().unwrap();
    path
}

fn expect<T>(what: &str, object: Option<&str>, path: &Path, done: Result<T>, judge: Judge) {
    let Err(error) = done else { panic!("{what} was done") };
    assert!(judge(error.kind()), "{what}: {error:?}");
    assert_eq!(error.file(), Some(path), "{what}: {error}");
    assert_eq!(error.object(), object, "{what}: {error}");
    assert!(error.to_string().starts_with(&path.display().to_string()), "{what}: {error}");
}

#[test]
fn wrong_types_and_shapes_change_nothing() {
    for live in [false, true] {
        let scratch = scratch();
        let path = sample(scratch.path());
        let before = fs::read(&path).unwrap();
        let file = File::append(&path).unwrap();
        if live {
            file.go_live().unwrap();
        }
        type Act = fn(&Dataset) -> Result<()>;
        let acts: &[(&str, &str, Act, Judge)] = &[
            ("text into numbers", "grows", |d| d.append(&vec![String::from("x"); 3]), is!(ErrorKind::Type { .. })),
            ("numbers into text", "text", |d| d.append(&[1.0, 2.0]), is!(ErrorKind::Type { .. })),
            ("numbers into a compound", "point", |d| d.write_scalar(&7i16), is!(ErrorKind::Type { .. })),
            (
                "a value of another type",
                "grows",
                |d| d.append_values(&vec![Value::Str("x".into()); 3]),
                is!(ErrorKind::Type { .. }),
            ),
            ("text from numbers", "grows", |d| d.read_vec::<String>(..).map(drop), is!(ErrorKind::Type { .. })),
            ("numbers from text", "text", |d| d.read_vec::<f64>(..).map(drop), is!(ErrorKind::Type { .. })),
            ("part of a row", "grows", |d| d.append(&[1i32, 2]), is!(ErrorKind::Shape { .. })),
            ("part of an element", "grows", |d| d.append_raw(&[0; 13]), is!(ErrorKind::Shape { .. })),
            ("too few elements", "grows", |d| d.write(0..1, &[1i32, 2]), is!(ErrorKind::Shape { .. })),
            ("too many elements", "fixed", |d| d.write(0..2, &[1.0; 3]), is!(ErrorKind::Shape { .. })),
            ("too small a buffer", "fixed", |d| d.read_into(.., &mut [0.0; 4]), is!(ErrorKind::Shape { .. })),
            ("all as one", "fixed", |d| d.read_scalar::<f64>().map(drop), is!(ErrorKind::Shape { .. })),
            ("one of none", "null", |d| d.read_scalar::<i32>().map(drop), is!(ErrorKind::Shape { .. })),
            ("rows outside", "grows", |d| d.write(3..5, &[0i32; 6]), is!(ErrorKind::Selection { .. })),
            ("columns outside", "grows", |d| d.write([0..1, 2..4], &[0i32; 2]), is!(ErrorKind::Selection { .. })),
            (
                "a point outside",
                "fixed",
                |d| d.write(Selection::Points(vec![vec![5]]), &[0.0]),
                is!(ErrorKind::Selection { .. }),
            ),
            ("rows read outside", "grows", |d| d.read_vec::<i32>(4..5).map(drop), is!(ErrorKind::Selection { .. })),
            ("another rank", "fixed", |d| d.read_vec::<f64>([0..1, 0..1]).map(drop), is!(ErrorKind::Selection { .. })),
            (
                "blocks that overlap",
                "fixed",
                |d| d.read_vec::<f64>(vec![Slab { start: 0, stride: 1, count: 2, block: 2 }]).map(drop),
                is!(ErrorKind::Selection { .. }),
            ),
            (
                "a count that overflows",
                "fixed",
                |d| d.read_vec::<f64>(vec![Slab { start: 1, stride: u64::MAX, count: u64::MAX, block: 1 }]).map(drop),
                is!(ErrorKind::Selection { .. }),
            ),
            ("growing what is fixed", "fixed", |d| d.append(&[1.0]), is!(ErrorKind::Shape { .. })),
            ("resizing what is fixed", "fixed", |d| d.resize([6]), is!(ErrorKind::Shape { .. })),
            ("shrinking what is contiguous", "fixed", |d| d.resize([4]), is!(ErrorKind::Shape { .. })),
            ("growing a fixed axis", "grows", |d| d.append_along(1, &[1i32; 4]), is!(ErrorKind::Shape { .. })),
            ("resizing a fixed axis", "grows", |d| d.resize([4, 4]), is!(ErrorKind::Shape { .. })),
            ("growing too far", "capped", |d| d.append(&[0u8; 5]), is!(ErrorKind::Shape { .. })),
            ("resizing too far", "capped", |d| d.resize([7]), is!(ErrorKind::Shape { .. })),
            ("an axis that is not there", "grows", |d| d.append_along(2, &[1i32; 12]), is!(ErrorKind::Shape { .. })),
            ("resizing to another rank", "grows", |d| d.resize([4]), is!(ErrorKind::Shape { .. })),
            ("appending to a scalar", "point", |d| d.append_raw(&[0, 0]), is!(ErrorKind::Shape { .. })),
            (
                "a chunk off the grid",
                "grows",
                |d| d.write_chunk(&[1, 0], 0, &[0; 48]),
                is!(ErrorKind::Selection { .. }),
            ),
            ("a chunk outside", "grows", |d| d.write_chunk(&[4, 0], 0, &[0; 48]), is!(ErrorKind::Selection { .. })),
            (
                "a chunk of what has none",
                "fixed",
                |d| d.write_chunk(&[0], 0, &[0; 40]),
                is!(ErrorKind::Selection { .. }),
            ),
            ("a chunk of another size", "capped", |d| d.write_chunk(&[0], 0, &[0; 3]), is!(ErrorKind::Shape { .. })),
            (
                "too few bytes for an attribute",
                "fixed",
                |d| d.set_attribute_raw("a", &Datatype::i32(), Some(&[2]), &[0; 7]),
                is!(ErrorKind::Shape { .. }),
            ),
            (
                "too few values for an attribute",
                "fixed",
                |d| d.set_attribute_values("a", &Datatype::i32(), Some(&[2]), &[Value::Int(1)]),
                is!(ErrorKind::Shape { .. }),
            ),
            ("an attribute without a name", "fixed", |d| d.set_attribute("", 1i32), is!(ErrorKind::BadName { .. })),
            (
                "an attribute with a NUL in its name",
                "fixed",
                |d| d.set_attribute("a\0b", 1i32),
                is!(ErrorKind::BadName { .. }),
            ),
            ("deleting what is not there", "fixed", |d| d.delete_attribute("none"), is!(ErrorKind::NotFound { .. })),
        ];
        for (what, name, act, judge) in acts {
            let object = format!("/entry/{name}");
            let dataset = file.dataset(&object).unwrap();
            expect(what, Some(&object), &path, act(&dataset), *judge);
        }
        file.close().unwrap();
        // What was looked at for writing may have been made ready for it, and says the same.
        unchanged(&path, &before);
    }
}

/// The sample is, to h5py and to h5live, what it was.
fn unchanged(path: &Path, before: &[u8]) {
    if fs::read(path).unwrap() == before {
        return;
    }
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    let scratch = scratch();
    let original = scratch.path().join("original.h5");
    fs::write(&original, before).unwrap();
    let trees = [path, &original].map(|path| {
        let file = python.open(path, Mode::Read).unwrap();
        let tree = file.tree().unwrap();
        let values: Vec<_> = ["grows", "fixed", "capped", "text", "point"]
            .map(|name| file.read(&format!("entry/{name}"), Select::All).unwrap())
            .into();
        (tree, values)
    });
    assert_eq!(trees[0], trees[1]);
}

#[test]
fn names_and_forms_that_cannot_be() {
    let scratch = scratch();
    let path = sample(scratch.path());
    let before = fs::read(&path).unwrap();
    let file = File::append(&path).unwrap();
    let root = file.root();
    type Act = fn(&File) -> Result<()>;
    let acts: &[(&str, &str, Act, Judge)] = &[
        (
            "a dataset's name",
            "/entry/grows",
            |f| f.new_dataset::<i32>("entry/grows").shape([1]).create().map(drop),
            is!(ErrorKind::Exists { .. }),
        ),
        ("a group's name", "/entry", |f| f.create_group("entry").map(drop), is!(ErrorKind::Exists { .. })),
        ("a link's name", "/dangling", |f| f.root().link_soft("dangling", "/x"), is!(ErrorKind::Exists { .. })),
        (
            "a hard link's name",
            "/entry/fixed",
            |f| f.root().link_object("entry/fixed", &f.get("entry/grows")?),
            is!(ErrorKind::Exists { .. }),
        ),
        (
            "a name to move to",
            "/entry/grows",
            |f| f.root().rename("entry/grows", "entry/fixed"),
            is!(ErrorKind::Exists { .. }),
        ),
        (
            "a member of a dataset",
            "/entry/fixed",
            |f| f.create_group("entry/fixed/x").map(drop),
            is!(ErrorKind::WrongKind { .. }),
        ),
        (
            "a dataset as a group",
            "/entry/fixed",
            |f| f.group("entry/fixed").map(drop),
            is!(ErrorKind::WrongKind { .. }),
        ),
        ("a group as a dataset", "/entry", |f| f.dataset("entry").map(drop), is!(ErrorKind::WrongKind { .. })),
        ("what is not there", "/entry/none", |f| f.dataset("entry/none").map(drop), is!(ErrorKind::NotFound { .. })),
        (
            "where a link leads nowhere",
            "/dangling",
            |f| f.dataset("dangling").map(drop),
            is!(ErrorKind::NotFound { .. }),
        ),
        (
            "unlinking what is not there",
            "/entry/none",
            |f| f.root().unlink("entry/none"),
            is!(ErrorKind::NotFound { .. }),
        ),
        ("a name with a NUL", "/a\0b", |f| f.create_group("a\0b").map(drop), is!(ErrorKind::BadName { .. })),
        (
            "a dataset's name with a NUL",
            "/a\0b",
            |f| f.new_dataset::<i32>("a\0b").create().map(drop),
            is!(ErrorKind::BadName { .. }),
        ),
        (
            "chunks of another rank",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).chunks([2, 2]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "empty chunks",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).chunks([0]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "chunks that are too large",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).chunks([5]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "chunks of 4 GiB",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([0]).unlimited().chunks([1 << 30]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "chunks of a scalar",
            "/x",
            |f| f.new_dataset::<i32>("x").chunks([1]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "filters without chunks",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).contiguous().gzip(1).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "growth without chunks",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).contiguous().unlimited().create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "compact data that are too large",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([1 << 14]).compact().create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "an extent above its maximum",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).resizable([Some(3)]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "a maximum of another rank",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).resizable([None, None]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "33 axes",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([1; 33]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "more than there can be",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([1 << 40, 1 << 40]).create().map(drop),
            is!(ErrorKind::Shape { .. }),
        ),
        (
            "more than a file can have",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([1 << 60]).contiguous_allocated_early().create().map(drop),
            is!(ErrorKind::Unsupported(_)),
        ),
        (
            "another fill value",
            "/x",
            |f| f.new_dataset::<i32>("x").shape([4]).fill_bytes(&[1; 3]).create().map(drop),
            is!(ErrorKind::Type { .. }),
        ),
        (
            "text without a fill value",
            "/x",
            |f| f.new_dataset::<String>("x").shape([4]).fill_time(FillTime::Never).create().map(drop),
            is!(ErrorKind::Unsupported(_)),
        ),
    ];
    for (what, object, act, judge) in acts {
        expect(what, Some(object), &path, act(&file), *judge);
    }
    for name in ["", "/", "//", "."] {
        expect(name, None, &path, root.create_group(name), is!(ErrorKind::BadName { .. }));
    }
    assert!(file.new_dataset::<i32>("x").fill_value(&7).is_ok());
    assert!(file.new_dataset::<i32>("x").fill_value(&String::new()).is_err());
    file.close().unwrap();
    unchanged(&path, &before);
}

#[test]
fn what_is_open_for_reading_is_not_written() {
    let scratch = scratch();
    let path = sample(scratch.path());
    let before = fs::read(&path).unwrap();
    let file = File::open(&path).unwrap();
    let (data, root) = (file.dataset("entry/grows").unwrap(), file.root());
    let refused: Vec<(&str, Result<()>)> = vec![
        ("append", data.append(&[1i32; 3])),
        ("append values", data.append_values(&vec![Value::Int(1); 3])),
        ("write", data.write(0..1, &[1i32; 3])),
        ("resize", data.resize([5, 3])),
        ("write a chunk", data.write_chunk(&[0, 0], 0, &[0; 48])),
        ("set an attribute", data.set_attribute("a", 1i32)),
        ("delete an attribute", root.delete_attribute("title")),
        ("rename an attribute", root.rename_attribute("title", "t")),
        ("create a group", root.create_group("g").map(drop)),
        ("create a dataset", file.new_dataset::<i32>("d").shape([1]).create().map(drop)),
        ("commit a datatype", root.commit_datatype("t", &Datatype::i32()).map(drop)),
        ("link", root.link_soft("s", "/entry")),
        ("unlink", root.unlink("entry")),
        ("rename", root.rename("entry", "e")),
        ("publish", file.publish()),
        ("go live", file.go_live().map(drop)),
    ];
    for (what, done) in refused {
        let error = done.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ReadOnly), "{what}: {error:?}");
        assert_eq!(error.file(), Some(path.as_path()), "{what}: {error}");
    }
    file.close().unwrap();
    assert!(fs::read(&path).unwrap() == before);

    let file = File::append(&path).unwrap();
    let data = file.dataset("entry/grows").unwrap();
    file.clone().close().unwrap();
    for done in
        [data.append(&[1i32; 3]), data.set_attribute("a", 1i32), file.create_group("g").map(drop), file.publish()]
    {
        assert!(matches!(done.unwrap_err().kind(), ErrorKind::Closed));
    }
}

#[test]
fn what_is_no_hdf5_file() {
    let scratch = scratch();
    let write = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let signature = b"\x89HDF\r\n\x1a\n";
    let unknown_version = [&signature[..], &[9; 40]].concat();
    for (path, judge) in [
        (write("empty", b""), is!(ErrorKind::NotHdf5) as Judge),
        (write("text", &b"no HDF5 at all\n".repeat(1000)), is!(ErrorKind::NotHdf5)),
        (write("signature", signature), is!(ErrorKind::Malformed(_))),
        (write("version", &unknown_version), is!(ErrorKind::Malformed(_))),
        (scratch.path().join("missing"), is!(ErrorKind::Io { .. })),
        (scratch.path().to_owned(), is!(ErrorKind::Io { .. })),
    ] {
        let before = fs::read(&path).ok();
        for done in [File::open(&path), File::append(&path), File::follow(&path)] {
            expect(&path.display().to_string(), None, &path, done, judge);
        }
        assert_eq!(fs::read(&path).ok(), before, "{}", path.display());
    }
    let directory = scratch.path();
    expect("creating a directory", None, directory, File::create(directory), is!(ErrorKind::Io { .. }));
    let nowhere = directory.join("no/such/directory/file.h5");
    expect("creating nowhere", None, &nowhere, File::create(&nowhere), is!(ErrorKind::Io { .. }));
}

/// A file cut at any length is refused, or an object of it is, and it is never changed or read wrongly.
#[test]
fn truncated_files() {
    let scratch = scratch();
    let path = sample(scratch.path());
    let whole = fs::read(&path).unwrap();
    let cut = scratch.path().join("cut.h5");
    let lengths = (0..whole.len()).filter(|length| *length < 200 || length % 37 == 0 || whole.len() - length < 20);
    for length in lengths {
        fs::write(&cut, &whole[..length]).unwrap();
        let judge: Judge = is!(ErrorKind::NotHdf5 | ErrorKind::Malformed(_) | ErrorKind::Truncated { .. });
        expect(&format!("opening {length} bytes"), None, &cut, File::open(&cut), judge);
        expect(&format!("appending to {length} bytes"), None, &cut, File::append(&cut), judge);
        assert!(fs::read(&cut).unwrap() == whole[..length], "{length} bytes were changed");
    }
}

/// A file that someone writes is neither written, nor emptied, by anyone else.
#[test]
fn a_file_has_one_writer() {
    let scratch = scratch();
    let path = sample(scratch.path());
    let file = File::append(&path).unwrap();
    file.go_live().unwrap();
    let before = fs::read(&path).unwrap();
    let here = format!("pid {}", std::process::id());
    for done in [File::append(&path), File::create(&path)] {
        let error = done.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error:?}");
        assert!(error.to_string().contains(&here), "{error}");
    }
    assert!(fs::read(&path).unwrap() == before);
    file.close().unwrap();

    let python = H5py::start(Libhdf5::V2_0).unwrap();
    let other = python.open(&path, Mode::ReadWrite).unwrap();
    for done in [File::append(&path), File::create(&path)] {
        assert!(matches!(done.unwrap_err().kind(), ErrorKind::Locked { .. }));
    }
    other.close().unwrap();
    File::append(&path).unwrap().close().unwrap();
}

/// A disk with room for so many pages. A write that needs more does what it can, and fails as a full disk does.
struct SmallDisk {
    memory: Memory,
    used: Mutex<HashSet<u64>>,
    room: AtomicUsize,
}

const PAGE: u64 = 4096;

impl SmallDisk {
    fn new(room: usize) -> Arc<Self> {
        Arc::new(Self { memory: Memory::new(), used: Mutex::default(), room: AtomicUsize::new(room) })
    }

    fn give(&self, pages: usize) {
        self.room.fetch_add(pages, Ordering::Relaxed);
    }
}

impl ReadAt for SmallDisk {
    fn size(&self) -> io::Result<u64> {
        self.memory.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.memory.read_exact_at(buf, at)
    }
}

impl Storage for SmallDisk {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        let mut used = self.used.lock().unwrap();
        let end = at + buf.len() as u64;
        for page in at / PAGE..end.div_ceil(PAGE) {
            if used.len() >= self.room.load(Ordering::Relaxed) && !used.contains(&page) {
                let done = (page * PAGE).saturating_sub(at) as usize;
                self.memory.write_all_at(&buf[..done], at)?;
                return Err(io::ErrorKind::StorageFull.into());
            }
            used.insert(page);
        }
        self.memory.write_all_at(buf, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // As on real disks, a longer file takes no room yet.
        self.memory.set_len(len)
    }

    fn barrier(&self, barrier: Barrier) -> io::Result<()> {
        self.memory.barrier(barrier)
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
}

/// Until there is space again readers see what was published before, and then everything that was accepted.
#[test]
fn publishing_on_a_full_disk() {
    let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch());
    for room in [12, 15, 18, 21, 27, 40] {
        let disk = SmallDisk::new(room);
        let file = File::create_with(disk.clone()).unwrap();
        let plain = file.new_dataset::<i32>("plain").shape([0, 40]).unlimited().chunks([8, 40]).create().unwrap();
        let packed =
            file.new_dataset::<i32>("packed").shape([0, 40]).unlimited().chunks([8, 40]).gzip(4).create().unwrap();
        let text = file.new_dataset::<String>("text").shape([0]).unlimited().chunks([16]).create().unwrap();
        file.go_live().unwrap();

        let look = |when: &str| -> Vec<u64> {
            let path = scratch.path().join("full.h5");
            fs::write(&path, disk.memory.to_vec()).unwrap();
            let seen = python.open(&path, Mode::Read).unwrap();
            let rows = |name: &str| {
                let rows = seen.shape(name).unwrap().unwrap()[0];
                let found = seen.read(name, Select::All).unwrap();
                for (at, value) in found.iter().enumerate() {
                    let wanted = if name == "text" {
                        json!(format!("row {at}"))
                    } else {
                        json!(1 + at as u64 / 40 * 1000 + at as u64 % 40)
                    };
                    assert_eq!(*value, wanted, "{name}[{at}], {room} pages, {when}");
                }
                rows
            };
            ["plain", "packed", "text"].map(rows).into()
        };
        let (mut accepted, mut published, mut failures) = ([0u64; 3], vec![0; 3], 0);
        for turn in 0..400 {
            let row = |at: u64| (0..40).map(|column| (1 + at * 1000 + column) as i32).collect::<Vec<_>>();
            let outcome = [
                plain.append(&row(accepted[0])),
                packed.append(&row(accepted[1])),
                text.append(&[format!("row {}", accepted[2])]),
            ];
            for (accepted, done) in accepted.iter_mut().zip(&outcome) {
                match done {
                    Ok(()) => *accepted += 1,
                    Err(error) => assert!(is_full(error) && error.object().is_some(), "{error:?}"),
                }
            }
            match file.publish() {
                Ok(()) => published = accepted.to_vec(),
                Err(error) => {
                    assert!(is_full(&error), "{error:?}");
                    let seen = look("when the disk was full");
                    for ((seen, published), accepted) in seen.iter().zip(&published).zip(accepted) {
                        assert!(*seen >= *published && *seen <= accepted, "{seen} of {published} to {accepted} rows");
                    }
                    failures += 1;
                }
            }
            if failures > 3 || turn == 399 {
                break;
            }
        }
        assert!(failures > 0 || room > 27, "with {room} pages nothing failed");
        disk.give(1000);
        file.publish().unwrap();
        assert_eq!(look("with space again"), accepted);
        file.close().unwrap();
        assert_eq!(look("closed"), accepted);
    }
}
