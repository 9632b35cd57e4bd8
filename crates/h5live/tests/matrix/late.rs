//! Elements take room when they are written, as libhdf5 has it: contiguous datasets are allocated with the first write, before the file is
//! live, while it is, and by whoever comes first; and datasets of any extent cost what is stored of them.

use h5live::{File, FillTime};
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::json;

/// What h5py sees of each dataset: its elements, its bytes in the file, and where they are.
const LOOK: &str = r#"
result = {}
with h5py.File(arguments, "r") as file:
    for name, ds in file.items():
        result[name] = [ds[...].tolist(), ds.id.get_storage_size(), ds.id.get_offset() is not None]
"#;

#[test]
fn contiguous_datasets_are_allocated_when_first_written_to() {
    let scratch = scratch();
    let path = scratch.path().join("late.h5");
    let pythons = Libhdf5::ALL.map(|version| H5py::start(version).unwrap());
    let file = File::create(&path).unwrap();
    let new = |name: &str| file.new_dataset::<i32>(name).shape([5]).fill_value(&7).unwrap();
    for name in ["untouched", "written live", "written later", "written by h5py"] {
        new(name).create().unwrap();
    }
    new("early").contiguous_allocated_early().create().unwrap();
    new("not filled").fill_time(FillTime::Never).create().unwrap();
    let huge = file.new_dataset::<u8>("huge").shape([1 << 60]).create().unwrap();
    assert_eq!(huge.storage_size().unwrap(), 0);
    new("written at once").create().unwrap().write(1..3, &[1, 2]).unwrap();
    assert_eq!(file.dataset("written at once").unwrap().storage_size().unwrap(), 20);
    file.root().unlink("huge").unwrap();

    let live = file.go_live().unwrap();
    let follower = File::follow(&path).unwrap();
    let seen = follower.dataset("written live").unwrap();
    let one = file.dataset("written live").unwrap();
    let other = file.dataset("written live").unwrap();
    let arriving = new("arriving").create().unwrap();
    live.publish().unwrap();
    follower.refresh().unwrap();
    let arrived = follower.dataset("arriving").unwrap();
    assert_eq!(seen.read_vec::<i32>(..).unwrap(), [7; 5]);
    assert_eq!(arrived.read_vec::<i32>(..).unwrap(), [7; 5]);
    one.write(4..5, &[-1]).unwrap();
    arriving.write(0..1, &[-2]).unwrap();
    assert_eq!(other.read_vec::<i32>(..).unwrap(), [7, 7, 7, 7, -1]);
    // Not before it is published: its elements lie where nothing leads to.
    follower.refresh().unwrap();
    assert_eq!(seen.read_vec::<i32>(..).unwrap(), [7; 5]);
    live.publish().unwrap();
    follower.refresh().unwrap();
    assert_eq!(seen.read_vec::<i32>(..).unwrap(), [7, 7, 7, 7, -1]);
    assert_eq!(arrived.read_vec::<i32>(..).unwrap(), [-2, 7, 7, 7, 7]);
    file.dataset("not filled").unwrap().write(0..2, &[1, 2]).unwrap();
    live.publish().unwrap();
    live.close().unwrap();

    for python in &pythons {
        let found = python.run(LOOK, json!(path)).unwrap();
        assert_eq!(found["untouched"], json!([[7, 7, 7, 7, 7], 0, false]));
        assert_eq!(found["early"], json!([[7, 7, 7, 7, 7], 20, true]));
        assert_eq!(found["written at once"], json!([[7, 1, 2, 7, 7], 20, true]));
        assert_eq!(found["written live"], json!([[7, 7, 7, 7, -1], 20, true]));
        assert_eq!(found["arriving"], json!([[-2, 7, 7, 7, 7], 20, true]));
        assert_eq!(found["not filled"], json!([[1, 2, 0, 0, 0], 20, true]));
    }
    let write = r#"
with h5py.File(arguments, "r+") as file:
    file["written by h5py"][2:] = 3
"#;
    pythons[0].run(write, json!(path)).unwrap();
    let file = File::append(&path).unwrap();
    file.dataset("written later").unwrap().write(.., &[1, 2, 3, 4, 5]).unwrap();
    file.close().unwrap();
    let found = pythons[1].run(LOOK, json!(path)).unwrap();
    assert_eq!(found["written by h5py"], json!([[7, 7, 3, 3, 3], 20, true]));
    assert_eq!(found["written later"], json!([[1, 2, 3, 4, 5], 20, true]));
}

#[test]
fn datasets_of_any_number_of_chunks_cost_what_is_stored() {
    let scratch = scratch();
    let path = scratch.path().join("sparse.h5");
    let file = File::create(&path).unwrap();
    let long = file.new_dataset::<u8>("long").shape([1 << 60]).chunks([1024]).create().unwrap();
    let cube = file.new_dataset::<u8>("cube").shape([1 << 30; 3]).chunks([32; 3]).gzip(1).create().unwrap();
    let live = file.go_live().unwrap();
    let (at, corner) = ((1 << 59) + 7, (1 << 30) - 2);
    long.write(at..at + 2, &[1, 2]).unwrap();
    cube.write([corner..corner + 2, 0..1, corner..corner + 1], &[3, 4]).unwrap();
    live.publish().unwrap();
    let look = r#"
with h5py.File(arguments[0], "r", swmr=arguments[1]) as file:
    long, cube, at, corner = file["long"], file["cube"], (1 << 59) + 7, (1 << 30) - 2
    result = [
        long[at - 1 : at + 3].tolist(), cube[corner - 1 :, 0, corner].tolist(), cube[0, 0, 0].item(),
        long.id.get_num_chunks(), cube.id.get_num_chunks(), cube.shape == (1 << 30,) * 3,
    ]
"#;
    let wanted = json!([[0, 1, 2, 0], [0, 3, 4], 0, 1, 1, true]);
    for version in Libhdf5::ALL {
        let python = H5py::start(version).unwrap();
        for swmr in [false, true] {
            assert_eq!(python.run(look, json!([path, swmr])).unwrap(), wanted, "{version:?}, swmr={swmr}");
        }
    }
    live.close().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    let write = r#"
with h5py.File(arguments, "r+") as file:
    file["long"][:2] = [5, 6]
"#;
    python.run(write, json!(path)).unwrap();
    assert_eq!(File::open(&path).unwrap().dataset("long").unwrap().read_vec::<u8>(0..3).unwrap(), [5, 6, 0]);
}
