//! `repack`: old files become ones that can be live, with everything that was in them.

mod common;

use std::fs;
use std::path::Path;

use common::{LIMIT, example, output, run};
use h5live_testkit::{process::Program, python, scratch};

/// A file in the oldest form, of everything that forms part of such files.
const MAKE_OLD: &str = r#"
import h5py, numpy as np
with h5py.File("old.h5", "w", libver="earliest") as f:
    f.attrs["title"] = "old: grün"
    f.attrs["numbers"] = np.arange(6, dtype=">i4").reshape(2, 3)
    f.attrs["none"] = h5py.Empty("f8")
    f.attrs["words"] = np.array(["a", "bcd", ""], dtype=h5py.string_dtype())
    entry = f.create_group("entry", track_order=True)
    for name in ["zeta", "alpha", "mid"]:
        entry.create_group(name).attrs["name"] = name
    f.create_group("many")
    for i in range(100):
        f["many"].create_dataset(f"d{i}", data=np.int16(i))
    signal = entry.create_dataset("signal", data=np.arange(1000.0).reshape(100, 10), maxshape=(None, 10), chunks=(7, 10),
                                  compression="gzip", shuffle=True, fletcher32=True, fillvalue=-1.5)
    signal.attrs["units"] = "mV"
    sparse = entry.create_dataset("sparse", (1000, 50), "u2", maxshape=(None, None), chunks=(10, 20), fillvalue=9)
    sparse[995:, 3] = 4
    entry.create_dataset("lossy", data=np.linspace(0, 1, 500).reshape(50, 10), chunks=(20, 4), scaleoffset=3)
    entry.create_dataset("fixed", data=np.arange(60).reshape(5, 12), chunks=(2, 5), compression="lzf")
    entry.create_dataset("words", data=["one", "", "dre\u00ed"] * 20, maxshape=(None,), chunks=(16,),
                         dtype=h5py.string_dtype(), compression="gzip")
    entry.create_dataset("text", data=np.array([b"ab", b"cde"], dtype="S4"))
    points = np.zeros(3, dtype=[("x", "<f4"), ("name", h5py.string_dtype()), ("at", "i2", (2,))])
    points["x"], points["name"], points["at"] = [1, 2.5, 3], ["p", "q", "r"], [[1, 2], [3, 4], [5, 6]]
    entry.create_dataset("points", data=points)
    entry.create_dataset("bits", data=np.array([True, False]))
    entry.create_dataset("colour", data=np.array([0, 1], "i1"), dtype=h5py.enum_dtype({"red": 0, "blue": 1}, basetype="i1"))
    lists = entry.create_dataset("lists", (2,), dtype=h5py.vlen_dtype("i4"))
    lists[0], lists[1] = [1, 2, 3], [4]
    entry.create_dataset("scalar", data="text")
    entry.create_dataset("nothing", data=h5py.Empty("i4"))
    entry.create_dataset("long", data=np.array([1, 3], np.longdouble) / 3)
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((4,))
    h5py.Dataset(h5py.h5d.create(entry.id, b"compact", h5py.h5t.STD_I32LE, space, compact))[...] = [4, 3, 2, 1]
    entry.create_dataset("outside", data=np.arange(8), external=[("outside.raw", 0, h5py.h5f.UNLIMITED)])
    f["latest"] = h5py.SoftLink("/entry/signal")
    f["dangling"] = h5py.SoftLink("nowhere")
    f["other"] = h5py.ExternalLink("other.h5", "/x")
    f["hard"] = signal
    f["entry/mid/up"] = f["entry"]
    f["kind"] = np.dtype("<f8")
    f["kind"].attrs["why"] = "shared"
    f.create_dataset("of_kind", data=[1.0, 2.0], dtype=f["kind"])
    f.create_dataset("refs", data=[signal.ref, f["kind"].ref, entry.ref, h5py.Reference()], dtype=h5py.ref_dtype)
    f.attrs["to"] = signal.ref
    f.attrs["part"] = signal.regionref[3:5, 2:4]
    f.create_dataset("regions", (2,), dtype=h5py.regionref_dtype)[0] = sparse.regionref[990:, 3]
"#;

/// Compares two files value for value; objects that are one in the first are one in the second.
const COMPARE: &str = r#"
import h5py, numpy as np, sys
a, b = h5py.File(sys.argv[1]), h5py.File(sys.argv[2])

def same(x, y, at):
    if isinstance(x, h5py.Empty):
        assert isinstance(y, h5py.Empty) and x.dtype == y.dtype, at
    elif isinstance(x, h5py.RegionReference):
        assert bool(x) == bool(y), at
        if x:
            assert a[x].name == b[y].name, at
            np.testing.assert_array_equal(a[x][x], b[y][y], at)
    elif isinstance(x, h5py.Reference):
        assert bool(x) == bool(y), at
        if x:
            assert a[x].name == b[y].name, at
    elif isinstance(x, (np.ndarray, np.void)):
        assert x.dtype == y.dtype and x.shape == y.shape, (at, x.dtype, y.dtype)
        if x.dtype.names:
            for name in x.dtype.names:
                same(x[name], y[name], f"{at}.{name}")
        elif x.dtype == object:
            for number, (p, q) in enumerate(zip(x.flat, y.flat)):
                same(p, q, f"{at}[{number}]")
        else:
            np.testing.assert_array_equal(x, y, at)
    else:
        assert type(x) is type(y) and np.array_equal(x, y), (at, x, y)

def attributes(x, y):
    assert list(x.attrs) == list(y.attrs), x.name
    for name in x.attrs:
        p, q = x.attrs.get_id(name), y.attrs.get_id(name)
        assert p.dtype == q.dtype and p.shape == q.shape, (x.name, name)
        same(x.attrs[name], y.attrs[name], f"{x.name}@{name}")

seen, back = {}, {}
key = lambda o: h5py.h5o.get_info(o.id).addr

def compare(x, y):
    assert seen.setdefault(key(x), key(y)) == key(y) and back.setdefault(key(y), key(x)) == key(x), x.name
    attributes(x, y)
    assert type(x) is type(y), x.name
    if isinstance(x, h5py.Dataset):
        for what in ["shape", "dtype", "chunks", "scaleoffset", "shuffle", "fletcher32", "compression", "compression_opts"]:
            assert getattr(x, what) == getattr(y, what), (x.name, what, getattr(x, what), getattr(y, what))
        if x.shape is not None:
            assert x.maxshape == y.maxshape, x.name
            p, q = x.id.get_create_plist(), y.id.get_create_plist()
            if x.chunks:
                assert x.id.get_num_chunks() == y.id.get_num_chunks(), x.name
                assert [p.get_filter(i) for i in range(p.get_nfilters())] == [q.get_filter(i) for i in range(q.get_nfilters())], x.name
            if not x.external:
                assert p.get_layout() == q.get_layout(), x.name
            assert p.fill_value_defined() == q.fill_value_defined(), x.name
            if x.dtype.kind in "iuf":
                assert x.fillvalue == y.fillvalue, x.name
        same(x[()], y[()], x.name)
    elif isinstance(x, h5py.Datatype):
        assert x.dtype == y.dtype, x.name
    else:
        orders = [g.id.get_create_plist().get_link_creation_order() for g in (x, y)]
        assert orders[0] == orders[1] and list(x) == list(y), (x.name, orders, list(x), list(y))
        for name in x:
            p, q = x.get(name, getlink=True), y.get(name, getlink=True)
            assert type(p) is type(q) and vars(p) == vars(q), (x.name, name)
            if isinstance(p, h5py.HardLink):
                fresh = key(x[name]) not in seen
                if fresh:
                    compare(x[name], y[name])
                else:
                    assert seen[key(x[name])] == key(y[name]), (x.name, name)

compare(a, b)
print(len(seen))
"#;

#[track_caller]
fn in_python(directory: &Path, script: &str, arguments: &[&str]) -> String {
    let program = Program::new(python().unwrap()).args(["-c", script]).args(arguments).directory(directory);
    let ended = program.run(LIMIT).unwrap();
    output(&ended)
}

#[test]
fn an_old_file_becomes_one_that_can_be_live() {
    let directory = scratch();
    in_python(directory.path(), MAKE_OLD, &[]);
    let ended = run(directory.path(), &["repack", "old.h5", "new.h5"]);
    assert_eq!(output(&ended), "");
    let told = String::from_utf8_lossy(&ended.errors).into_owned();
    let objects = in_python(directory.path(), COMPARE, &["old.h5", "new.h5"]);
    assert!(told.contains("-> new.h5 (") && told.contains(&format!("{} objects", objects.trim())), "{told}");
    assert!(told.contains("committed datatype") && told.contains("/entry/outside"), "{told}");
    assert_eq!(told.lines().count(), 3, "{told}");

    let file = h5live::File::append(directory.path().join("new.h5")).unwrap();
    assert_eq!(file.superblock_version(), 3);
    let signal = file.dataset("entry/signal").unwrap();
    let words = file.dataset("entry/words").unwrap();
    let live = file.go_live().unwrap();
    signal.append(&[7.5; 30]).unwrap();
    words.append(&["more".to_owned()]).unwrap();
    file.set_attribute("title", "new").unwrap();
    file.group("entry").unwrap().create_group("later").unwrap();
    live.publish().unwrap();
    // A copy of what is being written.
    output(&run(directory.path(), &["repack", "--quiet", "new.h5", "snapshot.h5"]));
    live.close().unwrap();
    in_python(directory.path(), COMPARE, &["new.h5", "snapshot.h5"]);
    let script = "import h5py; f = h5py.File('snapshot.h5'); print(f['hard'][-3:].sum(), f['entry/words'][-1], list(f['entry'])[-1])";
    assert_eq!(in_python(directory.path(), script, &[]).trim(), "225.0 b'more' later");
}

#[test]
fn space_that_nothing_uses_is_reclaimed() {
    let directory = scratch();
    let path = directory.path().join("run.h5");
    let file = h5live::File::create(&path).unwrap();
    let signal = file.new_dataset::<f64>("signal").shape([0]).unlimited().chunks([20_000]).gzip(1).create().unwrap();
    let live = file.go_live().unwrap();
    for number in 0..200u32 {
        let rows: Vec<f64> = (0..301).map(|at| f64::from(number * 1000 + at).sin()).collect();
        signal.append(&rows).unwrap();
        live.publish().unwrap();
    }
    live.close().unwrap();
    let ended = run(directory.path(), &["repack", "run.h5", "small.h5", "-q"]);
    assert_eq!((output(&ended).as_str(), ended.errors.len()), ("", 0));
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let small = directory.path().join("small.h5");
    assert!(size(&small) < size(&path), "{} {}", size(&small), size(&path));
    in_python(directory.path(), COMPARE, &["run.h5", "small.h5"]);
}

#[test]
fn nothing_is_lost_by_mistake() {
    let directory = scratch();
    let path = directory.path().join("run.h5");
    example(&path);
    fs::write(directory.path().join("taken.h5"), "something").unwrap();
    std::os::unix::fs::symlink("run.h5", directory.path().join("same.h5")).unwrap();
    let before = fs::read(&path).unwrap();
    for (arguments, code, words) in [
        (&["run.h5", "run.h5"][..], 2, "are the same file"),
        (&["run.h5", "./same.h5", "--overwrite"], 2, "are the same file"),
        (&["run.h5", "taken.h5"], 1, "exists already; --overwrite replaces it"),
        (&["run.h5", "."], 1, "is a directory"),
        (&["run.h5", "missing/new.h5"], 1, "cannot write it"),
        (&["missing.h5", "new.h5"], 3, "there is no such file"),
        (&["taken.h5", "new.h5"], 1, "taken.h5"),
        (&["run.h5/entry", "new.h5"], 2, "name a file"),
    ] {
        let ended = run(directory.path(), &[&["repack"], arguments].concat());
        let told = String::from_utf8_lossy(&ended.errors);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
    // A file that turns out damaged on the way leaves nothing behind.
    fs::write(directory.path().join("cut.h5"), &before[..before.len() - 1]).unwrap();
    assert_eq!(run(directory.path(), &["repack", "cut.h5", "new.h5"]).status.code(), Some(1));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read(directory.path().join("taken.h5")).unwrap(), b"something");
    let mut names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cut.h5", "run.h5", "same.h5", "taken.h5"]);

    output(&run(directory.path(), &["repack", "run.h5", "taken.h5", "--overwrite"]));
    in_python(directory.path(), COMPARE, &["run.h5", "taken.h5"]);
}

/// References of HDF5 1.12's kinds lead in the copy where they led before: libhdf5 says so.
#[test]
fn references_of_every_kind_come_along() {
    let directory = scratch();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references.py");
    let python = |role: &str, file: &str| {
        let program = Program::new(python().unwrap()).arg(&script).args([role, file]).directory(directory.path());
        String::from_utf8(program.output(LIMIT).unwrap()).unwrap()
    };
    python("make", "run.h5");
    let before = python("show", "run.h5");
    assert_eq!(before.lines().count(), 6, "{before}");
    let ended = run(directory.path(), &["repack", "run.h5", "copy.h5"]);
    assert!(!String::from_utf8_lossy(&ended.errors).contains("null"), "{}", String::from_utf8_lossy(&ended.errors));
    output(&ended);
    assert_eq!(python("show", "copy.h5"), before);
    let address = |file: &str| {
        let described = output(&run(directory.path(), &["info", "--json", &format!("{file}/g/d")]));
        serde_json::from_str::<serde_json::Value>(&described).unwrap()["address"].as_u64().unwrap()
    };
    assert_ne!(address("run.h5"), address("copy.h5"), "or references that stay as they are would be right, too");
    let dumped = output(&run(directory.path(), &["dump", "copy.h5/refs"]));
    for words in ["-> /g/d,", "-> /g/d[1:3, 0:3]", "-> /g/d@unit", "-> /g, ", "in \"run.h5.other\"", "null reference"] {
        assert!(dumped.contains(words), "{words:?} in {dumped}");
    }
}
