//! Files that h5py made, as h5live goes on writing them; and h5py after h5live; and so on.

use std::fs;
use std::ops::Range;
use std::path::Path;

use h5live::{ErrorKind, File, Slab};
use h5live_storage::sim::Random;
use h5live_testkit::{H5File, H5py, Libhdf5, Mode, Select, scratch};
use serde_json::{Value as Json, json};

/// Creates the datasets as told; `written` rows of each hold 1, 2, 3 and so on.
const CREATE: &str = r#"
from h5py import h5d, h5p, h5s, h5t
options = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments["options"].items()}
with h5py.File(arguments["path"], "w", **options) as file:
    for new in arguments["datasets"]:
        made = h5p.create(h5p.DATASET_CREATE)
        if new["chunks"]:
            made.set_chunk(tuple(new["chunks"]))
            for name in new["filters"]:
                {"shuffle": made.set_shuffle, "gzip": lambda: made.set_deflate(4), "fletcher32": made.set_fletcher32}[name]()
        if new["kind"] == "compact":
            made.set_layout(h5d.COMPACT)
        if new["kind"] in ("implicit", "early"):
            made.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        if new["fill"]:
            made.set_fill_value(np.array(new["fill"], dtype="i4"))
        limits = tuple(h5s.UNLIMITED if limit is None else limit for limit in new["max"])
        space = h5s.create_simple(tuple(new["shape"]), limits)
        h5d.create(file.id, new["name"].encode(), h5t.STD_I32LE, space, made)
        rows = new["written"]
        if rows:
            part = [rows, *new["shape"][1:]]
            file[new["name"]][:rows] = 1 + np.arange(np.prod(part), dtype="i4").reshape(part)
    file.create_group("more/groups")
    file.attrs["title"] = "made by h5py"
"#;

/// A dataset as it should be.
struct Model {
    name: String,
    max: Vec<Option<u64>>,
    dims: Vec<u64>,
    fill: i32,
    data: Vec<i32>,
}

impl Model {
    fn resize(&mut self, dims: &[u64]) {
        let inside = |point: &[u64], dims: &[u64]| point.iter().zip(dims).all(|(at, dim)| at < dim);
        let all: Vec<Range<u64>> = dims.iter().map(|dim| 0..*dim).collect();
        let kept = |point: &Vec<u64>| {
            if inside(point, &self.dims) { self.data[number(point, &self.dims)] } else { self.fill }
        };
        self.data = points(&all).iter().map(kept).collect();
        self.dims = dims.to_vec();
    }

    fn write(&mut self, part: &[Range<u64>], values: &[i32]) {
        for (point, value) in points(part).iter().zip(values) {
            self.data[number(point, &self.dims)] = *value;
        }
    }

    fn compare(&self, found: &[i32], when: &str) {
        let all: Vec<Range<u64>> = self.dims.iter().map(|dim| 0..*dim).collect();
        let wrong =
            points(&all).into_iter().zip(found.iter().zip(&self.data)).find(|(_, (found, wanted))| found != wanted);
        assert_eq!(wrong, None, "{} of {:?}, {when}", self.name, self.dims);
        assert_eq!(found.len(), self.data.len(), "{}, {when}", self.name);
    }
}

fn number(point: &[u64], dims: &[u64]) -> usize {
    point.iter().zip(dims).fold(0, |sum, (at, dim)| sum * *dim as usize + *at as usize)
}

fn points(ranges: &[Range<u64>]) -> Vec<Vec<u64>> {
    ranges.iter().fold(vec![Vec::new()], |points, range| {
        let longer = |point: Vec<u64>| range.clone().map(move |at| [point.clone(), vec![at]].concat());
        points.into_iter().flat_map(longer).collect()
    })
}

/// The datasets of a file, every index and what else there is; and how h5py is told to make them.
fn datasets() -> (Vec<Model>, Json) {
    /// Kind, extent, maximum, chunks.
    type Shape = (&'static str, &'static [u64], &'static [Option<u64>], &'static [u64]);
    let shapes: [Shape; 9] = [
        ("extensible", &[10, 5], &[None, Some(5)], &[4, 3]),
        ("columns", &[5, 10], &[Some(5), None], &[3, 4]),
        ("long", &[130], &[None], &[2]),
        ("btree", &[9, 7], &[None, None], &[4, 3]),
        ("fixed", &[9, 7], &[Some(30), Some(7)], &[4, 3]),
        ("single", &[6, 7], &[Some(6), Some(7)], &[6, 7]),
        ("implicit", &[9, 7], &[Some(9), Some(7)], &[4, 3]),
        ("contiguous", &[9, 7], &[Some(9), Some(7)], &[]),
        ("compact", &[5, 7], &[Some(5), Some(7)], &[]),
    ];
    let pipelines: [&[&str]; 3] = [&[], &["shuffle", "gzip"], &["fletcher32"]];
    let (mut models, mut told) = (Vec::new(), Vec::new());
    for (kind, shape, max, chunks) in shapes {
        for filters in pipelines {
            // All written; some, so that the last chunk is partial; nothing; no row at all.
            for (state, rows) in [("full", shape[0]), ("part", shape[0] / 2), ("none", 0), ("empty", 0)] {
                let can_be_empty = max[0] != Some(shape[0]);
                let can_filter = !matches!(kind, "implicit" | "contiguous" | "compact");
                if (!filters.is_empty() && !can_filter) || (state == "empty" && !can_be_empty) {
                    continue;
                }
                let mut dims = shape.to_vec();
                if state == "empty" {
                    dims[0] = 0;
                }
                let name = format!("{kind}-{}-{state}", filters.join("-"));
                let fill = if state == "part" { -3 } else { 0 };
                told.push(json!({
                    "name": name, "kind": kind, "shape": dims, "max": max, "chunks": chunks, "filters": filters, "fill": fill,
                    "written": rows,
                }));
                let written = (rows * dims[1..].iter().product::<u64>()) as usize;
                let mut data: Vec<i32> = (1..=written as i32).collect();
                data.resize(dims.iter().product::<u64>() as usize, fill);
                models.push(Model { name, max: max.to_vec(), dims, fill, data });
            }
        }
    }
    (models, Json::Array(told))
}

/// Who writes.
enum Side<'a> {
    H5live(&'a File),
    H5py(&'a H5File<'a>),
}

impl Side<'_> {
    fn resize(&self, name: &str, dims: &[u64]) {
        match self {
            Self::H5live(file) => file.dataset(name).unwrap().resize(dims.iter().copied()).unwrap(),
            Self::H5py(file) => file.resize(name, dims).unwrap(),
        }
    }

    fn write(&self, name: &str, part: &[Range<u64>], values: &[i32]) {
        match self {
            Self::H5live(file) => {
                let slabs: Vec<Slab> = part.iter().cloned().map(Slab::range).collect();
                file.dataset(name).unwrap().write(slabs, values).unwrap();
            }
            Self::H5py(file) => {
                let values: Vec<Json> = values.iter().map(|value| json!(value)).collect();
                file.write(name, Select::Block(part), &values).unwrap();
            }
        }
    }

    fn append(&self, model: &Model, values: &[i32]) {
        match self {
            Self::H5live(file) => file.dataset(&model.name).unwrap().append(values).unwrap(),
            Self::H5py(_) => {
                let mut dims = model.dims.clone();
                let rows = values.len() as u64 / dims[1..].iter().product::<u64>();
                dims[0] += rows;
                self.resize(&model.name, &dims);
                let mut part: Vec<Range<u64>> = dims.iter().map(|dim| 0..*dim).collect();
                part[0].start = dims[0] - rows;
                self.write(&model.name, &part, values);
            }
        }
    }
}

/// One change of a dataset, made by the side and in the model.
fn change(side: &Side<'_>, model: &mut Model, random: &mut Random) {
    let some = |count: u64, random: &mut Random| -> Vec<i32> { (0..count).map(|_| random.number() as i32).collect() };
    let growing: Vec<usize> =
        (0..model.dims.len()).filter(|axis| model.max[*axis] != Some(model.dims[*axis])).collect();
    let row: u64 = model.dims[1..].iter().product();
    match random.below(4) {
        0 if growing.contains(&0) && row > 0 => {
            let room = model.max[0].map_or(9, |max| max - model.dims[0]);
            let rows = 1 + random.below(room.min(9) as usize) as u64;
            let values = some(rows * row, random);
            side.append(model, &values);
            let mut dims = model.dims.clone();
            dims[0] += rows;
            let start = dims[0] - rows;
            let mut part: Vec<Range<u64>> = dims.iter().map(|dim| 0..*dim).collect();
            part[0].start = start;
            model.resize(&dims);
            model.write(&part, &values);
        }
        1 if !growing.is_empty() => {
            let mut dims = model.dims.clone();
            for axis in growing {
                let most = model.max[axis].unwrap_or(dims[axis] + 6);
                // Seldom smaller, or little would be left to look at.
                let least = if random.chance(1, 4) { dims[axis] / 2 } else { dims[axis] };
                dims[axis] = least + random.below((most - least) as usize + 1) as u64;
            }
            side.resize(&model.name, &dims);
            model.resize(&dims);
        }
        _ if model.dims.contains(&0) => {}
        _ => {
            let part: Vec<Range<u64>> = model
                .dims
                .iter()
                .map(|dim| {
                    let start = random.below(*dim as usize) as u64;
                    start..start + 1 + random.below((dim - start) as usize) as u64
                })
                .collect();
            let values = some(part.iter().map(|range| range.end - range.start).product(), random);
            side.write(&model.name, &part, &values);
            model.write(&part, &values);
        }
    }
}

fn compare_h5py(python: &H5py, path: &Path, models: &[Model], when: &str) {
    let file = python.open(path, Mode::Read).unwrap();
    for model in models {
        assert_eq!(file.shape(&model.name).unwrap(), Some(model.dims.clone()), "{}, {when}", model.name);
        if !model.data.is_empty() {
            let raw = file.read_raw(&model.name, Select::All).unwrap();
            let found: Vec<i32> = raw.as_chunks().0.iter().map(|value| i32::from_le_bytes(*value)).collect();
            model.compare(&found, &format!("h5py, {when}"));
        }
    }
}

fn compare_h5live(file: &File, models: &[Model], when: &str) {
    for model in models {
        let data = file.dataset(&model.name).unwrap();
        assert_eq!(data.shape(), model.dims, "{}, {when}", model.name);
        model.compare(&data.read_vec(..).unwrap(), &format!("h5live, {when}"));
    }
}

/// Takes turns on a file that h5py made with these options.
fn take_turns(maker: Libhdf5, options: &Json, seed: u64) {
    let (scratch, mut random) = (scratch(), Random::new(seed));
    let (new, old) = (H5py::start(Libhdf5::V2_0).unwrap(), H5py::start(Libhdf5::V1_14).unwrap());
    let path = scratch.path().join("turns.h5");
    // HDF5 2.0 can use what earlier versions cannot read.
    let old_reads = options["libver"] != "latest" || maker == Libhdf5::V1_14;
    let (mut models, told) = datasets();
    let made_by = if maker == Libhdf5::V2_0 { &new } else { &old };
    made_by.run(CREATE, json!({ "path": path, "options": options, "datasets": told })).unwrap();
    compare_h5py(&new, &path, &models, "made by h5py");
    // Before HDF5 1.10 no file could be followed: such a one is changed while nobody looks.
    let can_be_live = !matches!(options["libver"][0].as_str(), Some("earliest" | "v108"));

    for turn in 0..6 {
        let when = format!("{maker:?}, {options}, turn {turn}");
        match turn {
            _ if turn % 2 == 0 && !can_be_live || matches!(turn, 0 | 4) => {
                let file = File::append(&path).unwrap();
                if !can_be_live {
                    assert!(matches!(file.go_live().unwrap_err().kind(), ErrorKind::NotLive { .. }));
                }
                for _ in 0..4 {
                    models.iter_mut().for_each(|model| change(&Side::H5live(&file), model, &mut random));
                }
                compare_h5live(&file, &models, &format!("{when}, before closing"));
                file.close().unwrap();
            }
            2 | 5 if can_be_live => {
                let file = File::append(&path).unwrap();
                let live = file.go_live().unwrap();
                for round in 0..4 {
                    models.iter_mut().for_each(|model| change(&Side::H5live(&file), model, &mut random));
                    live.publish().unwrap();
                    compare_h5py(&new, &path, &models, &format!("{when}, live, round {round}"));
                }
                compare_h5live(&File::follow(&path).unwrap(), &models, &format!("{when}, live"));
                // And what closing publishes.
                models.iter_mut().for_each(|model| change(&Side::H5live(&file), model, &mut random));
                live.close().unwrap();
            }
            _ => {
                let latest = if old_reads { &old } else { &new };
                let (python, mode) =
                    if matches!(turn, 1 | 5) { (&new, Mode::ReadWrite) } else { (latest, Mode::ReadWriteLatest) };
                let file = python.open(&path, mode).unwrap();
                for _ in 0..2 {
                    models.iter_mut().for_each(|model| change(&Side::H5py(&file), model, &mut random));
                }
                file.close().unwrap();
            }
        }
        compare_h5py(&new, &path, &models, &when);
        if old_reads {
            compare_h5py(&old, &path, &models, &when);
        }
        compare_h5live(&File::open(&path).unwrap(), &models, &when);
    }
    let file = File::open(&path).unwrap();
    assert_eq!(file.attribute("title").unwrap().read_scalar::<String>().unwrap(), "made by h5py");
    assert!(file.contains("more/groups").unwrap());
}

#[test]
fn turns_on_files_of_hdf5_1_10() {
    take_turns(Libhdf5::V2_0, &json!({ "libver": ["v110", "v110"] }), 1);
}

/// Version 1 object headers and B-trees, symbol tables: what h5py makes unless it is told otherwise.
#[test]
fn turns_on_files_of_the_earliest_format() {
    take_turns(Libhdf5::V2_0, &json!({ "libver": ["earliest", "v110"] }), 6);
    take_turns(Libhdf5::V1_14, &json!({ "libver": ["earliest", "v110"], "userblock_size": 512 }), 7);
}

/// Version 2 object headers, and chunks in version 1 B-trees.
#[test]
fn turns_on_files_of_hdf5_1_8() {
    take_turns(Libhdf5::V2_0, &json!({ "libver": ["v108", "v110"] }), 8);
}

#[test]
fn turns_on_files_of_an_older_library() {
    take_turns(Libhdf5::V1_14, &json!({ "libver": ["v110", "v110"], "userblock_size": 1024 }), 2);
}

#[test]
fn turns_on_files_in_the_newest_format() {
    take_turns(Libhdf5::V2_0, &json!({ "libver": "latest" }), 3);
}

#[test]
fn turns_on_files_with_managed_free_space() {
    let options =
        json!({ "libver": ["v110", "v110"], "fs_strategy": "page", "fs_persist": true, "fs_page_size": 4096 });
    take_turns(Libhdf5::V1_14, &options, 4);
    let options = json!({ "libver": ["v110", "v110"], "fs_strategy": "fsm", "fs_persist": true });
    take_turns(Libhdf5::V2_0, &options, 5);
}

/// Text and sequences: the new rows refer to another heap collection than the old ones.
#[test]
fn turns_on_data_of_variable_length() {
    let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch());
    let path = scratch.path().join("text.h5");
    let code = r#"
with h5py.File(arguments["path"], "w", libver=("v110", "v110")) as file:
    for name, kind, row in (("text", h5py.string_dtype(), "py 0"), ("lists", h5py.vlen_dtype("i2"), np.array([0], "i2"))):
        for filters in ({}, {"compression": "gzip", "shuffle": True}):
            path = name + ("-packed" if filters else "")
            made = file.create_dataset(path, (1,), maxshape=(None,), chunks=(4,), dtype=kind, **filters)
            made[0] = row
"#;
    python.run(code, json!({ "path": path })).unwrap();
    let names = ["text", "text-packed", "lists", "lists-packed"];
    let mut rows = 1;
    for turn in 0..4 {
        let file = File::append(&path).unwrap();
        if turn % 2 == 1 {
            file.go_live().unwrap();
        }
        for number in rows..rows + 3 {
            for name in names {
                let data = file.dataset(name).unwrap();
                if name.starts_with("text") {
                    data.append(&[format!("live {number}")]).unwrap();
                } else {
                    data.append(&[vec![number as i16; number % 5]]).unwrap();
                }
            }
            file.publish().unwrap();
        }
        file.close().unwrap();
        let code = r#"
with h5py.File(arguments["path"], "r+") as file:
    for name in arguments["names"]:
        at = len(file[name])
        file[name].resize((at + 2,))
        file[name][at] = f"py {at}" if name.startswith("text") else np.full(at % 5, at, "i2")
"#;
        python.run(code, json!({ "path": path, "names": names })).unwrap();
        rows += 5;
    }
    // In each turn three rows of ours, one of h5py's, and one that nobody wrote.
    let writer = |at: usize| {
        if at == 0 { Some("py") } else { [Some("live"), Some("live"), Some("live"), Some("py"), None][(at - 1) % 5] }
    };
    let text: Vec<String> = (0..rows).map(|at| writer(at).map_or(String::new(), |who| format!("{who} {at}"))).collect();
    let list = |at: usize| match at {
        0 => vec![0],
        _ => vec![at as i16; if writer(at).is_some() { at % 5 } else { 0 }],
    };
    let lists: Vec<Vec<i16>> = (0..rows).map(list).collect();
    let (file, other) = (File::open(&path).unwrap(), python.open(&path, Mode::Read).unwrap());
    for name in names {
        let (data, found) = (file.dataset(name).unwrap(), other.read(name, Select::All).unwrap());
        if name.starts_with("text") {
            assert_eq!(data.read_vec::<String>(..).unwrap(), text, "{name}");
            assert_eq!(json!(found), json!(text), "{name}");
        } else {
            assert_eq!(data.read_vec::<Vec<i16>>(..).unwrap(), lists, "{name}");
            assert_eq!(json!(found), json!(lists), "{name}");
        }
    }
}

/// Superblock 0, version 1 headers, version 1 B-trees: going live is refused before anything is changed.
#[test]
fn old_formats_cannot_be_live_and_are_left_alone() {
    let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch());
    let (_, told) = datasets();
    let path = scratch.path().join("old.h5");
    python.run(CREATE, json!({ "path": path, "options": {}, "datasets": told })).unwrap();
    let before = fs::read(&path).unwrap();
    let file = File::append(&path).unwrap();
    let error = file.go_live().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotLive { .. }), "{error:?}");
    assert!(error.to_string().contains("h5live repack"), "{error}");
    assert_eq!(error.file(), Some(path.as_path()));
    file.close().unwrap();
    let after = fs::read(&path).unwrap();
    let changed = before.iter().zip(&after).position(|(one, other)| one != other);
    assert_eq!((changed, after.len()), (None, before.len()), "{} was changed", path.display());
}
