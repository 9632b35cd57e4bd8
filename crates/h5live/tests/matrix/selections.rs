//! Hyperslabs, lists of points and boolean masks of every kind of storage, against numpy.

use std::sync::Arc;

use h5live::{Dataset, File, Selection, Slab};
use h5live_storage::sim::Random;
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::{Value as Json, json};

/// What a selection selects in numpy, step by step: writes change the array, reads must find what it holds.
const REPLAY: &str = r#"
def index(select, shape):
    match select:
        case {"slabs": slabs}:
            along = [[s + k * stride + i for k in range(count) for i in range(block)] for s, stride, count, block in slabs]
            return np.ix_(*[np.array(one, dtype=np.int64) for one in along])
        case {"points": points}:
            return tuple(np.array(points, dtype=np.int64).reshape(-1, len(shape)).T)
        case {"mask": mask}:
            return np.array(mask, dtype=bool).reshape(shape)
        case _:
            return ...

def replay(name, array, steps):
    for number, (action, select, values) in enumerate(steps):
        place = index(select, array.shape)
        if action == "write":
            array[place] = np.array(values, dtype=array.dtype).reshape(array[place].shape)
        elif array[place].reshape(-1).tolist() != values:
            raise AssertionError(f"{name}: step {number} reads {select} otherwise than numpy")
    return array

with h5py.File(arguments["path"], "r+") as file:
    for name, steps in arguments["steps"].items():
        data = file[name]
        start = np.full(data.shape, -1, dtype="i4") if arguments["fresh"] else data[...]
        array = replay(name, start, steps)
        assert np.array_equal(data[...], array), name
        if arguments["fresh"]:
            data[...] = np.random.default_rng(7).integers(-1000, 1000, data.shape)
"#;

/// How a dataset is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Compact,
    Contiguous,
    Single,
    Implicit,
    Fixed,
    Extensible,
    BTree,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Compact, Self::Contiguous, Self::Single, Self::Implicit, Self::Fixed, Self::Extensible, Self::BTree];

    fn create(self, file: &File, name: &str, dims: &[u64], filtered: bool, random: &mut Random) -> Dataset {
        let rank = dims.len();
        let chunk: Vec<u64> = dims.iter().map(|dim| 1 + random.below(*dim as usize) as u64).collect();
        let mut max: Vec<Option<u64>> = dims.iter().map(|dim| Some(*dim)).collect();
        let unlimited = random.below(rank);
        let mut new = file.new_dataset::<i32>(name).shape(dims.to_vec()).fill_value(&-1).unwrap();
        match self {
            Self::Compact => return new.compact().create().unwrap(),
            Self::Contiguous => return new.contiguous().create().unwrap(),
            Self::Implicit => return new.chunks_allocated_early(chunk).create().unwrap(),
            Self::Single => new = new.chunks(dims.to_vec()),
            Self::Fixed => new = new.chunks(chunk),
            Self::Extensible => {
                max[unlimited] = None;
                new = new.chunks(chunk).resizable(max);
            }
            Self::BTree => {
                max[unlimited] = None;
                max[(unlimited + 1) % rank] = None;
                new = new.chunks(chunk).resizable(max);
            }
        }
        if filtered {
            new = new.shuffle().gzip(1);
        }
        new.create().unwrap()
    }

    fn can_filter(self) -> bool {
        !matches!(self, Self::Compact | Self::Contiguous | Self::Implicit)
    }
}

/// A selection, and the same as the other side is told of it.
fn any_selection(dims: &[u64], random: &mut Random) -> (Selection, Json) {
    let count: u64 = dims.iter().product();
    match random.below(8) {
        0 => (Selection::All, json!({ "all": true })),
        1 => {
            let mut point = || dims.iter().map(|dim| random.below(*dim as usize) as u64).collect();
            let points: Vec<Vec<u64>> = (0..12).map(|_| point()).collect();
            (Selection::Points(points.clone()), json!({ "points": points }))
        }
        2 => {
            let mask: Vec<bool> = (0..count).map(|_| random.chance(1, 3)).collect();
            (Selection::mask(dims, &mask).unwrap(), json!({ "mask": mask }))
        }
        _ => {
            let slabs: Vec<Slab> = dims.iter().map(|dim| any_slab(*dim, random)).collect();
            let told: Vec<_> = slabs.iter().map(|slab| [slab.start, slab.stride, slab.count, slab.block]).collect();
            (Selection::Hyperslab(slabs), json!({ "slabs": told }))
        }
    }
}

fn any_slab(dim: u64, random: &mut Random) -> Slab {
    let start = random.below(dim as usize) as u64;
    let left = dim - start;
    match random.below(6) {
        0 => Slab::range(0..dim),
        1 | 2 => Slab::range(start..start + random.below(left as usize + 1) as u64),
        _ => {
            let block = 1 + random.below(left.min(3) as usize) as u64;
            let stride = block + random.below(3) as u64;
            let count = 1 + (left - block) / stride;
            Slab { start, stride, block, count: 1 + random.below(count as usize) as u64 }
        }
    }
}

fn read_step(data: &Dataset, random: &mut Random) -> Json {
    let (selection, told) = any_selection(&data.shape(), random);
    json!(["read", told, data.read_vec::<i32>(selection).unwrap()])
}

fn write_step(data: &Dataset, random: &mut Random) -> Json {
    let (selection, told) = any_selection(&data.shape(), random);
    let count: u64 = selection.shape(&data.shape()).unwrap().iter().product();
    let values: Vec<i32> = (0..count).map(|_| random.number() as i32 >> 8).collect();
    data.write(selection, &values).unwrap();
    json!(["write", told, values])
}

fn compare(seed: u64, live: bool) {
    let (python, scratch, mut random) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch(), Random::new(seed));
    let path = scratch.path().join("selections.h5");
    let file = File::create(&path).unwrap();
    if live {
        file.go_live().unwrap();
    }
    let mut steps = serde_json::Map::new();
    for rank in 1..=4usize {
        for kind in Kind::ALL {
            for filtered in [false, true] {
                if (filtered && !kind.can_filter()) || (kind == Kind::BTree && rank == 1) {
                    continue;
                }
                let most = [60, 12, 7, 5][rank - 1];
                let dims: Vec<u64> = (0..rank).map(|_| 1 + random.below(most) as u64).collect();
                let name = format!("{kind:?}-{rank}-{filtered}");
                let data = kind.create(&file, &name, &dims, filtered, &mut random);
                let mut taken = vec![read_step(&data, &mut random)];
                for _ in 0..6 {
                    taken.push(write_step(&data, &mut random));
                    if random.chance(1, 3) {
                        file.publish().unwrap();
                    }
                    taken.push(read_step(&data, &mut random));
                }
                steps.insert(name, Json::Array(taken));
            }
        }
    }
    file.close().unwrap();
    python.run(REPLAY, json!({ "path": path, "steps": steps, "fresh": true })).unwrap();

    // Now all that numpy wrote instead.
    let file = File::open(&path).unwrap();
    for (name, taken) in &mut steps {
        let data = file.dataset(name).unwrap();
        *taken = (0..8).map(|_| read_step(&data, &mut random)).collect();
    }
    python.run(REPLAY, json!({ "path": path, "steps": steps, "fresh": false })).unwrap();
}

#[test]
fn selections_agree_with_numpy() {
    for seed in 1..=3 {
        compare(seed, false);
    }
}

#[test]
fn selections_agree_with_numpy_while_readers_may_look() {
    for seed in 4..=6 {
        compare(seed, true);
    }
}

/// The other side condemns a step that reads something else.
#[test]
fn a_wrong_element_is_found() {
    let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), scratch());
    let path = scratch.path().join("selections.h5");
    let file = File::create(&path).unwrap();
    let data = file.new_dataset::<i32>("d").shape([4, 5]).fill_value(&-1).unwrap().create().unwrap();
    data.write([1..2, 1..3], &[7, 8]).unwrap();
    file.close().unwrap();
    let write = json!(["write", { "slabs": [[1, 1, 1, 1], [1, 1, 2, 1]] }, [7, 8]]);
    for (step, wrong) in [
        (json!(["read", { "points": [[1, 2], [0, 0]] }, [8, -1]]), false),
        (json!(["read", { "points": [[1, 2], [0, 0]] }, [8, 0]]), true),
        (json!(["write", { "points": [[0, 0]] }, [5]]), true),
    ] {
        let steps = json!({ "d": [write, step] });
        let judged = python.run(REPLAY, json!({ "path": path, "steps": steps, "fresh": true }));
        assert_eq!(judged.is_err(), wrong, "{step}");
        let restore =
            "import h5py\nwith h5py.File(arguments['path'], 'r+') as f: f['d'][...] = -1; f['d'][1, 1:3] = [7, 8]";
        python.run(restore, json!({ "path": path })).unwrap();
    }
}

/// Reading through other storage than a file takes the same ways.
#[test]
fn selections_of_bytes_in_memory() {
    let storage = Arc::new(h5live_storage::Memory::new());
    let file = File::create_with(storage.clone()).unwrap();
    let data = file.new_dataset::<u16>("d").shape([6, 7]).chunks([4, 3]).create().unwrap();
    data.write(.., &(0..42).collect::<Vec<u16>>()).unwrap();
    file.close().unwrap();
    let data = File::open_with(storage).unwrap().dataset("d").unwrap();
    assert_eq!(data.read_vec::<u16>([2..4, 5..7]).unwrap(), [19, 20, 26, 27]);
    assert_eq!(data.read_vec::<u16>(5..).unwrap(), [35, 36, 37, 38, 39, 40, 41]);
    assert_eq!(data.read_vec::<u16>(Selection::Points(vec![vec![5, 6], vec![0, 1]])).unwrap(), [41, 1]);
}
