//! Virtual datasets over files whose addresses and lengths have other sizes than their own, and heaps of their own.

use h5live::{File, Value};
use h5live_testkit::{python, scratch};

/// Makes `source-O-L.h5` for each pair of sizes, and `virtual.h5` over all of them; says what h5py reads of each dataset.
const MAKE: &str = r#"
import h5py, json, numpy as np
SIZES = [(4, 4), (8, 4), (4, 8), (8, 8)]
words = ["", "a", "b" * 300, "dre\u00ed"]
def create(name, sizes):
    fcpl = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    fcpl.set_sizes(*sizes)
    return h5py.File(h5py.h5f.create(name.encode(), h5py.h5f.ACC_TRUNC, fcpl))
rows = h5py.vlen_dtype("i4")
pair = np.dtype([("name", h5py.string_dtype()), ("n", "i2")])
for offset, length in SIZES:
    with create(f"source-{offset}-{length}.h5", (offset, length)) as f:
        tag = f"{offset}{length}"
        f.create_dataset("words", data=[word + tag for word in words], dtype=h5py.string_dtype())
        f.create_dataset("rows", (4,), rows)[:] = np.array([np.arange(n, dtype="i4") + offset for n in range(4)], dtype=object)
        f.create_dataset("pairs", data=np.array([(word + tag, offset) for word in words], dtype=pair))
        f.create_dataset("numbers", data=np.arange(4) * offset + length)
types = {"words": h5py.string_dtype(), "rows": rows, "pairs": pair, "numbers": "i8"}
over = [("virtual.h5", (8, 8), list(types)), ("narrow.h5", (4, 4), ["numbers"]), ("wide.h5", (16, 8), list(types))]
for name, sizes, members in over:
    with create(name, sizes) as f:
        for member in members:
            layout = h5py.VirtualLayout((len(SIZES), 4), types[member])
            for row, (offset, length) in enumerate(SIZES):
                layout[row] = h5py.VirtualSource(f"source-{offset}-{length}.h5", member, (4,), types[member])
            f.create_virtual_dataset(member, layout)
plain = lambda value: value.decode() if isinstance(value, bytes) else value.tolist() if hasattr(value, "tolist") else value
told = {}
for name, _, _ in over:
    with h5py.File(name) as f:
        for member in f:
            values = f[member][()].ravel()
            told[f"{name}/{member}"] = [
                [plain(part) for part in value] if member == "pairs" else plain(value) for value in values]
print(json.dumps(told))
"#;

/// A value as the script writes it.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Int(value) => (*value).into(),
        Value::Str(text) => text.as_str().into(),
        Value::VarLen(values) => values.iter().map(json).collect(),
        Value::Compound(members) => members.iter().map(|(_, value)| json(value)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sources_of_every_size_are_read_as_h5py_reads_them() {
    let directory = scratch();
    let made = std::process::Command::new(python().unwrap())
        .args(["-c", MAKE])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told: serde_json::Map<_, _> = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(told.len(), 9);
    for (name, expected) in told {
        let (file, member) = name.split_once('/').unwrap();
        let dataset = File::open(directory.path().join(file)).unwrap().dataset(member).unwrap();
        assert_eq!(dataset.shape(), [4, 4]);
        let values: serde_json::Value = dataset.read_values(..).unwrap().iter().map(json).collect();
        assert_eq!(values, expected, "{name}");
        // A part, from one source alone.
        let part: serde_json::Value = dataset.read_values([2..3, 1..3]).unwrap().iter().map(json).collect();
        assert_eq!(part.as_array().unwrap()[..], expected.as_array().unwrap()[9..11], "{name}");
    }
    let words = File::open(directory.path().join("virtual.h5")).unwrap().dataset("words").unwrap();
    assert_eq!(words.read_vec::<String>([1..2, 3..4]).unwrap(), ["dre\u{ed}84"]);
}
