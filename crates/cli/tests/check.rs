//! `check` and `recover`: what they tell, in words and as JSON, and how they end.

mod common;

use std::fs;
use std::path::Path;

use common::{example, output, run};
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::{Value, json};

/// How a file that was damaged or recovered partly ends.
const DAMAGED: Option<i32> = Some(6);

#[track_caller]
fn json_of(directory: &Path, arguments: &[&str], code: Option<i32>) -> Value {
    let ended = run(directory, arguments);
    assert_eq!(ended.status.code(), code, "{arguments:?}: {}", String::from_utf8_lossy(&ended.errors));
    serde_json::from_slice(&ended.output).unwrap()
}

/// Flips a bit of the `number`th place with these bytes.
fn damage(path: &Path, signature: &[u8], number: usize, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    let places = bytes.windows(signature.len()).enumerate().filter(|(_, found)| *found == signature);
    let at = places.map(|(at, _)| at).nth(number).unwrap() + offset;
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_file_is_told_so() {
    let directory = scratch();
    example(&directory.path().join("run.h5"));
    let told = output(&run(directory.path(), &["check", "run.h5"]));
    assert!(told.starts_with("sound: 0 errors, 0 warnings, "), "{told}");
    assert!(told.contains(" dead in "), "{told}");
    assert_eq!(output(&run(directory.path(), &["check", "-q", "run.h5"])), "");
    let found = json_of(directory.path(), &["check", "--data", "--json", "run.h5"], Some(0));
    assert_eq!((&found["sound"], &found["findings"]), (&json!(true), &json!([])));
    assert!(found["decoded_chunks"].as_u64().unwrap() > 0 && found["objects"].as_u64().unwrap() >= 5, "{found}");
    let space = &found["space"];
    let sum: u64 = ["structure", "elements", "free", "dead"].iter().map(|part| space[part].as_u64().unwrap()).sum();
    assert_eq!(json!(sum), found["end_of_file"], "{found}");
    // The same figures in `info`.
    let info = json_of(directory.path(), &["info", "--json", "run.h5"], Some(0));
    assert_eq!((&info["dead_bytes"], &info["structure_bytes"]), (&space["dead"], &space["structure"]));
    assert!(output(&run(directory.path(), &["info", "run.h5"])).contains("dead space"));
}

#[test]
fn damage_is_told_with_its_place() {
    let directory = scratch();
    let path = directory.path().join("run.h5");
    example(&path);
    damage(&path, b"EAIB", 0, 20);
    let ended = run(directory.path(), &["check", "run.h5"]);
    let told = String::from_utf8(ended.output).unwrap();
    assert_eq!(ended.status.code(), DAMAGED, "{told}");
    assert!(told.contains("error: /entry/signal: extensible array index block at 0x"), "{told}");
    assert!(
        told.contains("checksum is ") && told.contains("can be saved") && told.contains("damaged: 1 error"),
        "{told}"
    );
    let found = json_of(directory.path(), &["check", "--json", "run.h5"], DAMAGED);
    let finding = &found["findings"][0];
    assert_eq!(finding["object"], "/entry/signal");
    assert_eq!((finding["severity"].as_str(), finding["address"].is_u64()), (Some("error"), true));
}

#[test]
fn what_cannot_be_checked_ends_otherwise() {
    let directory = scratch();
    fs::write(directory.path().join("text"), "not HDF5 ".repeat(100)).unwrap();
    for (arguments, code) in [
        (&["check", "text"][..], 1),
        (&["check", "missing.h5"], 3),
        (&["check"], 2),
        (&["recover", "text"], 1),
        (&["recover", "missing.h5"], 3),
        (&["recover", "text", "-o", "other", "--in-place"], 2),
    ] {
        assert_eq!(run(directory.path(), arguments).status.code(), Some(code), "{arguments:?}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn recovering_goes_to_a_copy_unless_told_otherwise() {
    let directory = scratch();
    let path = directory.path().join("run.h5");
    example(&path);
    damage(&path, b"EAIB", 0, 20);
    let before = fs::read(&path).unwrap();
    let ended = run(directory.path(), &["recover", "run.h5"]);
    let told = String::from_utf8(ended.output).unwrap();
    assert_eq!(ended.status.code(), DAMAGED, "{told}");
    assert!(told.contains("damaged: error: ") && told.contains("run.h5 -> run.recovered.h5: "), "{told}");
    assert_eq!(fs::read(&path).unwrap(), before, "the file is as it was");
    let listed = output(&run(directory.path(), &["ls", "-r", "run.recovered.h5"]));
    assert!(listed.contains("signal"), "{listed}");
    output(&run(directory.path(), &["check", "run.recovered.h5"]));
    // Never over what is there.
    let again = run(directory.path(), &["recover", "run.h5"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.errors).contains("exists already"));
    let found = json_of(directory.path(), &["recover", "--json", "run.h5", "-o", "other.h5"], DAMAGED);
    assert_eq!((&found["remedy"], &found["complete"]), (&json!("rebuild"), &json!(false)));
    assert!(!found["damage"].as_array().unwrap().is_empty(), "{found}");
    // In place, what was rebuilt takes the file's name.
    let ended = run(directory.path(), &["recover", "-q", "--in-place", "run.h5"]);
    assert_eq!(ended.status.code(), DAMAGED);
    output(&run(directory.path(), &["check", "run.h5"]));
    for version in Libhdf5::ALL {
        let code = "result = h5py.File(arguments[0], 'r')['entry/signal'][-1].tolist()\n";
        let found = H5py::start(version).unwrap().run(code, json!([path])).unwrap();
        assert_eq!(found, json!([13.5, 14.0, 14.5]));
    }
}

#[test]
fn a_sound_file_is_kept_byte_for_byte() {
    let directory = scratch();
    let path = directory.path().join("run.h5");
    example(&path);
    let found = json_of(directory.path(), &["recover", "--json", "run.h5"], Some(0));
    assert_eq!((&found["remedy"], &found["complete"]), (&json!("nothing"), &json!(true)));
    let bytes = fs::read(&path).unwrap();
    assert_eq!(fs::read(directory.path().join("run.recovered.h5")).unwrap(), bytes);
    output(&run(directory.path(), &["recover", "--in-place", "run.h5"]));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    // A superblock that alone is torn is set right.
    damage(&path, b"\x89HDF", 0, 44);
    let found = json_of(directory.path(), &["recover", "--json", "--in-place", "run.h5"], Some(0));
    assert_eq!(found["remedy"], "superblock");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
