//! Files in the form that h5py gives them unless told otherwise, changed: each object that changes gets the present form where it is,
//! and everything else of the file is as it was, for h5py, h5dump and ourselves.

use std::path::Path;

use h5live::check::{Check, Severity};
use h5live::{ErrorKind, File};
use h5live_testkit::{H5py, Libhdf5, scratch, tool};
use serde_json::{Value, json};

/// Groups of few and of many links and of none, links of every kind, attributes few and many, every layout.
const CREATE: &str = r#"
with h5py.File(arguments["path"], "w", libver=tuple(arguments["libver"])) as file:
    file.attrs["title"] = "old"
    for count in (0, 1, 7, 8, 9, 40, 700):
        group = file.create_group(f"groups/{count:03}")
        for at in range(count):
            group.create_group(f"link {at}") if at % 7 == 0 else group.__setitem__(f"link {at}", h5py.SoftLink(f"/nowhere/{at}"))
    file["groups/one more name"] = file["groups/008"]
    file["groups/elsewhere"] = h5py.ExternalLink("other.h5", "/data")
    file["type"] = np.dtype([("a", "i4"), ("b", "f8")])
    file["small type"] = np.dtype("i4")
    for count in (0, 3, 60):
        group = file.create_group(f"attributes/{count:02}")
        group.attrs["kept"] = "since the beginning"
        for at in range(count):
            group.attrs[f"number {at}"] = np.arange(at, dtype="i2")
    data = file.create_group("data")
    data["contiguous"] = np.arange(50, dtype="f4")
    data["scalar"] = 7
    data["text"] = "some text"
    data.create_dataset("typed", (3,), dtype=file["type"])
    data.create_dataset("strings", data=[f"string {at}" for at in range(30)], dtype=h5py.string_dtype(), maxshape=(None,))
    data.create_dataset("references", data=[file["groups/008"].ref, data["contiguous"].ref], dtype=h5py.ref_dtype)
    data.create_dataset("empty", shape=(0,), maxshape=(None,), dtype="i8", chunks=(16,))
    data.create_dataset("fill", shape=(10,), maxshape=(None,), dtype="i4", chunks=(4,), fillvalue=-3)
    data.create_dataset("plain", data=np.arange(9000), maxshape=(None,), chunks=(3,))
    data.create_dataset("fixed", data=np.arange(900), chunks=(7,), compression="gzip", shuffle=True)
    data.create_dataset("gzip", data=np.arange(900), maxshape=(None,), chunks=(64,), compression="gzip", fletcher32=True)
    data.create_dataset("grid", data=np.arange(400).reshape(20, 20), maxshape=(None, None), chunks=(3, 7))
    data["contiguous"].attrs["unit"] = "m"
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    made = h5py.h5d.create(data.id, b"compact", h5py.h5t.NATIVE_INT32, h5py.h5s.create_simple((6,)), compact)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(6, dtype="i4"))
    file.id.set_comment(b"data", b"a comment")
"#;

/// Everything of the file, in words that can be compared.
const TELL: &str = r#"
def value(item):
    item = np.asarray(item)
    return [str(item.dtype), list(item.shape), [str(one) for one in item.ravel()[:10000]]]

def tell(file):
    told = {}
    def one(path, group):
        told[path + "@"] = {name: value(group.attrs[name]) for name in sorted(group.attrs)}
        if isinstance(group, h5py.Dataset):
            told[path] = [str(group.maxshape), str(group.chunks), group.compression, str(group.fillvalue), value(group[()])]
        if not isinstance(group, h5py.Group):
            return
        for name in sorted(group):
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.HardLink):
                one(f"{path}/{name}", group[name])
            else:
                told[f"{path}/{name}"] = [type(link).__name__, link.path]
    one("", file)
    return told

with h5py.File(arguments["path"], "r") as file:
    result = tell(file)
    assert [file[at] for at in file["data/references"]] == [file["groups/008"], file["data/contiguous"]]
    assert file.id.get_comment(b"data") == b"a comment"
    result["links"] = h5py.h5o.get_info(file["groups/008"].id).rc
    result["changed"] = h5py.h5o.get_info(file["data/contiguous"].id).mtime
"#;

/// What h5py tells of the file.
fn told(python: &H5py, path: &Path) -> serde_json::Map<String, Value> {
    match python.run(TELL, json!({ "path": path })).unwrap() {
        Value::Object(told) => told,
        other => panic!("{other}"),
    }
}

/// Changes what `paths` name in every way, and tells with the keys of [`TELL`] what of the file is then new.
fn change(file: &File) -> Vec<String> {
    let mut changed = Vec::new();
    for count in ["000", "001", "008", "009", "700"] {
        file.group(&format!("groups/{count}")).unwrap().create_group("new").unwrap();
        changed.push(format!("/groups/{count}/new@"));
    }
    // It has a second name.
    changed.push("/groups/one more name/new@".to_owned());
    file.root().unlink("groups/040/link 3").unwrap();
    file.root().rename("groups/040/link 4", "groups/007/from elsewhere").unwrap();
    changed.extend(["040/link 3", "040/link 4", "007/from elsewhere"].map(|path| format!("/groups/{path}")));
    for count in ["00", "03", "60"] {
        let group = file.group(&format!("attributes/{count}")).unwrap();
        group.set_attribute("new", 5_i32).unwrap();
        group.set_attribute("kept", "no longer than this is long").unwrap();
        changed.push(format!("/attributes/{count}@"));
    }
    for name in ["type", "small type"] {
        for number in 0..12_i32 {
            file.datatype(name).unwrap().set_attribute(&format!("number {number}"), number).unwrap();
        }
        changed.push(format!("/{name}@"));
    }
    file.set_attribute("title", "new").unwrap();
    changed.push("@".to_owned());
    let data = |name: &str| {
        let dataset = file.dataset(&format!("data/{name}")).unwrap();
        (dataset, format!("/data/{name}"))
    };
    for (name, at) in [("plain", 4), ("gzip", 130), ("fixed", 8), ("grid", 5)] {
        let (dataset, path) = data(name);
        match name {
            "grid" => dataset.write(at..at + 2, &vec![-1_i64; 40]).unwrap(),
            _ => dataset.write(at..at + 2, &[-1_i64, -2]).unwrap(),
        }
        changed.push(path);
    }
    for name in ["plain", "gzip", "empty"] {
        data(name).0.append(&(0..100).collect::<Vec<i64>>()).unwrap();
    }
    changed.push("/data/empty".to_owned());
    let (fill, path) = data("fill");
    fill.resize([13]).unwrap();
    fill.write(11..12, &[1_i32]).unwrap();
    changed.push(path);
    let (strings, path) = data("strings");
    strings.append(&["one more".to_owned()]).unwrap();
    changed.push(path);
    let (contiguous, path) = data("contiguous");
    contiguous.write(0..1, &[9_f32]).unwrap();
    contiguous.set_attribute("unit", "km").unwrap();
    changed.extend([path.clone() + "@", path]);
    let (compact, path) = data("compact");
    compact.write(0..1, &[9_i32]).unwrap();
    changed.push(path);
    file.new_dataset::<f64>("data/new").shape([3]).create().unwrap().write(.., &[1.0, 2.0, 3.0]).unwrap();
    changed.extend(["/data/new", "/data/new@"].map(str::to_owned));
    changed
}

fn changed_in_place(libver: [&str; 2], made_by: Libhdf5) {
    let (new, old) = (H5py::start(Libhdf5::V2_0).unwrap(), H5py::start(Libhdf5::V1_14).unwrap());
    let scratch = scratch();
    let path = scratch.path().join("old.h5");
    let maker = if made_by == Libhdf5::V2_0 { &new } else { &old };
    maker.run(CREATE, json!({ "path": path, "libver": libver })).unwrap();
    let before = told(&new, &path);

    let file = File::append(&path).unwrap();
    assert!(matches!(file.go_live().unwrap_err().kind(), ErrorKind::NotLive { .. }), "nobody can follow it");
    let changed = change(&file);
    file.close().unwrap();

    let after = told(&new, &path);
    assert_eq!(after, told(&old, &path), "both libraries read the same");
    for (key, value) in &before {
        if !changed.contains(key) {
            assert_eq!(after.get(key), Some(value), "{key} was not to change");
        }
    }
    let is_known = |key: &&String| changed.contains(key) || before.contains_key(*key);
    assert_eq!(after.keys().find(|key| !is_known(key)), None, "nothing else is new");
    let unchanged = changed.iter().find(|key| before.get(*key) == after.get(*key));
    assert_eq!(unchanged, None, "everything that was changed shows");
    let value = |key: &str, at: usize| after[key][4][2][at].as_str().unwrap().to_owned();
    assert_eq!([value("/data/plain", 4), value("/data/plain", 9099)], ["-1", "99"]);
    assert_eq!([value("/data/gzip", 131), value("/data/gzip", 999)], ["-2", "99"]);
    assert_eq!([0, 1, 5].map(|at| value("/data/compact", at)), ["9", "1", "5"]);
    assert_eq!([10, 11, 12].map(|at| value("/data/fill", at)), ["-3", "1", "-3"]);
    assert_eq!(after["/attributes/60@"].as_object().unwrap().len(), 62);

    let report = Check::new().data(true).file(&path).unwrap();
    assert_eq!(report.of(Severity::Error).next(), None);
    assert!(tool::h5dump(&path, None).unwrap().contains("one more"));

    // And libhdf5 goes on with it.
    let more = r#"
with h5py.File(arguments["path"], "r+") as file:
    for name in ("plain", "gzip", "empty"):
        data = file[f"data/{name}"]
        data.resize(len(data) + 500, axis=0)
        data[-500:] = np.arange(500)
    file["groups/700/newer"] = 1
    del file["groups/009/link 1"]
    for at in range(20):
        file["attributes/03"].attrs[f"newer {at}"] = at
"#;
    old.run(more, json!({ "path": path })).unwrap();
    let last = told(&new, &path);
    assert_eq!(last["/data/gzip"][4][1], json!([1500]));
    let file = File::open(&path).unwrap();
    let expected: Vec<i64> = (0..500).collect();
    assert_eq!(file.dataset("data/gzip").unwrap().read_vec::<i64>(1000..1500).unwrap(), expected);
    assert!(!file.contains("groups/009/link 1").unwrap() && file.contains("groups/700/newer").unwrap());
}

#[test]
fn files_of_the_earliest_format() {
    changed_in_place(["earliest", "v110"], Libhdf5::V2_0);
    changed_in_place(["earliest", "latest"], Libhdf5::V1_14);
}

/// Not old, but with no more room in some headers than their messages need.
#[test]
fn types_without_room() {
    let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch());
    for libver in ["v110", "latest"] {
        let path = scratch.path().join(format!("{libver}.h5"));
        let code = r#"
with h5py.File(arguments["path"], "w", libver=(arguments["libver"], arguments["libver"])) as file:
    for kind in ("i1", "i4", "f8", "S3", "V5"):
        file[kind] = np.dtype(kind)
"#;
        python.run(code, json!({ "path": path, "libver": libver })).unwrap();
        let file = File::append(&path).unwrap();
        file.go_live().unwrap();
        for kind in ["i1", "i4", "f8", "S3", "V5"] {
            for number in 0..12_i32 {
                file.datatype(kind).unwrap().set_attribute(&format!("number {number}"), number).unwrap();
                file.publish().unwrap();
            }
        }
        file.close().unwrap();
        let code = r#"
with h5py.File(arguments["path"], "r") as file:
    result = [[file[kind].dtype.str] + [int(value) for value in file[kind].attrs.values()] for kind in file]
"#;
        let found = python.run(code, json!({ "path": path })).unwrap();
        let expected = [("V5", "|V5"), ("S3", "|S3"), ("f8", "<f8"), ("i1", "|i1"), ("i4", "<i4")];
        let mut expected = expected.map(|(name, kind)| (name, kind.to_owned()));
        expected.sort();
        let numbers =
            |found: &Value| found.as_array().unwrap()[1..].iter().map(|one| one.as_i64().unwrap()).sum::<i64>();
        for ((name, kind), found) in expected.iter().zip(found.as_array().unwrap()) {
            assert_eq!((found[0].as_str(), numbers(found)), (Some(kind.as_str()), 66), "{name}");
        }
        assert_eq!(Check::new().file(&path).unwrap().of(Severity::Error).next(), None);
    }
}

/// Chunks at the edge that libhdf5 was told to leave unfiltered, which then are no longer at the edge, or are written to.
#[test]
fn edge_chunks_without_filters() {
    let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch());
    let code = r#"
import ctypes, glob, os
folder = os.path.join(os.path.dirname(os.path.dirname(h5py.__file__)), "h5py.libs")
library = ctypes.CDLL(glob.glob(os.path.join(folder, "libhdf5-*"))[0])
with h5py.File(arguments["path"], "w", libver=("v110", "v110")) as file:
    for name, limit in (("fixed", None), ("growing", (None, 25)), ("grid", (None, None))):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((10, 10))
        plist.set_deflate(4)
        assert library.H5Pset_chunk_opts(ctypes.c_int64(plist.id), ctypes.c_uint(2)) == 0
        space = h5py.h5s.create_simple((25, 25), tuple(h5py.h5s.UNLIMITED if one is None else one for one in limit) if limit else (25, 25))
        made = h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_INT32, space, plist)
        h5py.Dataset(made)[...] = np.arange(625).reshape(25, 25)
"#;
    for live in [false, true] {
        let path = scratch.path().join(format!("edges-{live}.h5"));
        python.run(code, json!({ "path": path })).unwrap();
        let file = File::append(&path).unwrap();
        if live {
            file.go_live().unwrap();
        }
        for name in ["fixed", "growing", "grid"] {
            let data = file.dataset(name).unwrap();
            assert_eq!(data.read_vec::<i32>(..).unwrap(), (0..625).collect::<Vec<i32>>());
            data.write([24..25, 0..25], &[-1_i32; 25]).unwrap();
            if name != "fixed" {
                data.append(&vec![7_i32; 15 * 25]).unwrap();
            }
        }
        file.close().unwrap();
        let read = r#"
with h5py.File(arguments["path"], "r") as file:
    result = [[int(file[name][:24].sum()), int(file[name][24].sum()), int(file[name][25:].sum()), len(file[name])] for name in file]
"#;
        let kept = (0..600).sum::<i32>();
        let expected = json!([[kept, -25, 0, 25], [kept, -25, 15 * 25 * 7, 40], [kept, -25, 15 * 25 * 7, 40]]);
        assert_eq!(python.run(read, json!({ "path": path })).unwrap(), expected, "live: {live}");
        assert_eq!(Check::new().data(true).file(&path).unwrap().of(Severity::Error).next(), None);
    }
}

/// The flags of old superblocks were never given a meaning, and some writers left something there.
#[test]
fn flags_of_old_superblocks_mean_nothing() {
    let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch());
    let path = scratch.path().join("flags.h5");
    let code = r#"
with h5py.File(arguments["path"], "w") as file:
    file["x"] = 1
with open(arguments["path"], "r+b") as file:
    file.seek(20)
    file.write(bytes([3]))
h5py.File(arguments["path"], "r+").close()
with open(arguments["path"], "r+b") as file:
    file.seek(20)
    file.write(bytes([3]))
"#;
    python.run(code, json!({ "path": path })).unwrap();
    let file = File::append(&path).unwrap();
    file.set_attribute("new", 1_i32).unwrap();
    file.close().unwrap();
    let read = r#"
with h5py.File(arguments["path"], "r+") as file:
    result = [int(file["x"][()]), int(file.attrs["new"])]
"#;
    assert_eq!(python.run(read, json!({ "path": path })).unwrap(), json!([1, 1]));
}

#[test]
fn files_of_hdf5_1_8() {
    changed_in_place(["v108", "v110"], Libhdf5::V2_0);
}
