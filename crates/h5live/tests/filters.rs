//! Filters, with h5py and the plugins of hdf5plugin on the other side: what they write is read, what is written here they read, with the
//! settings they would have stored.

use std::collections::BTreeSet;
use std::path::Path;

use h5live::{Dataset, ErrorKind, File, FilterId};
use h5live_testkit::{H5py, Libhdf5, digest, scratch};
use serde_json::{Value, json};

/// Filters with the values a program gives them.
struct Case {
    name: String,
    filters: Vec<(FilterId, Vec<u32>)>,
    /// Whether what is read is not what was written.
    lossy: bool,
}

fn case(name: impl Into<String>, filters: &[(FilterId, &[u32])]) -> Case {
    let filters = filters.iter().map(|(id, values)| (*id, values.to_vec())).collect();
    Case { name: name.into(), filters, lossy: false }
}

fn lossy(name: impl Into<String>, filters: &[(FilterId, &[u32])]) -> Case {
    Case { lossy: true, ..case(name, filters) }
}

fn double(mode: u32, value: f64) -> [u32; 6] {
    [mode, 0, value.to_bits() as u32, (value.to_bits() >> 32) as u32, 0, 0]
}

fn cases() -> Vec<Case> {
    const SHUFFLE: (FilterId, &[u32]) = (FilterId::SHUFFLE, &[]);
    let mut cases = vec![
        case("nbit", &[(FilterId::NBIT, &[])]),
        case("scale-offset", &[(FilterId::SCALE_OFFSET, &[2, 0])]),
        lossy("scale-offset digits", &[(FilterId::SCALE_OFFSET, &[0, 2])]),
        lossy("scale-offset bits", &[(FilterId::SCALE_OFFSET, &[2, 6])]),
        case("bzip2", &[(FilterId::BZIP2, &[9])]),
        case("bzip2 1", &[SHUFFLE, (FilterId::BZIP2, &[1])]),
        case("lz4", &[(FilterId::LZ4, &[])]),
        case("lz4 blocks", &[(FilterId::LZ4, &[200])]),
        case("shuffle lz4", &[SHUFFLE, (FilterId::LZ4, &[0])]),
        case("zstd", &[(FilterId::ZSTANDARD, &[])]),
        case("zstd 1", &[SHUFFLE, (FilterId::ZSTANDARD, &[1])]),
        case("zstd 19", &[SHUFFLE, (FilterId::ZSTANDARD, &[19])]),
        case("bitshuffle", &[(FilterId::BITSHUFFLE, &[0, 0])]),
        case("bitshuffle lz4", &[(FilterId::BITSHUFFLE, &[0, 2])]),
        case("bitshuffle lz4 blocks", &[(FilterId::BITSHUFFLE, &[64, 2])]),
        case("bitshuffle zstd", &[(FilterId::BITSHUFFLE, &[0, 3, 3])]),
        case("bitshuffle deflate", &[(FilterId::BITSHUFFLE, &[0, 0]), (FilterId::DEFLATE, &[4])]),
        case("zfp reversible", &[(FilterId::ZFP, &[5, 0, 0, 0, 0, 0])]),
        lossy("zfp", &[(FilterId::ZFP, &[])]),
        lossy("zfp rate", &[(FilterId::ZFP, &double(1, 7.0))]),
        lossy("zfp precision", &[(FilterId::ZFP, &[2, 0, 20, 0, 0, 0])]),
        lossy("zfp accuracy", &[(FilterId::ZFP, &double(3, 1e-3))]),
        lossy("zfp expert", &[(FilterId::ZFP, &[4, 0, 10, 3000, 30, -20_i32 as u32])]),
    ];
    for (mask, what) in [(0x85, "values"), (0xa1, "differences")] {
        for block in [2, 8, 16, 32] {
            cases.push(case(format!("szip {what} {block}"), &[(FilterId::SZIP, &[mask, block])]));
        }
    }
    for (codec, what) in ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"].iter().enumerate() {
        for (level, shuffle) in [(1, 0), (9, 1), (5, 2)] {
            let values = [0, 0, 0, 0, level, shuffle, codec as u32];
            cases.push(case(format!("blosc {what} {level} {shuffle}"), &[(FilterId::BLOSC, &values)]));
        }
        if *what == "snappy" {
            continue;
        }
        for (level, shuffle) in [(1, 0), (9, 1), (5, 2), (5, 3)] {
            let values = [0, 0, 0, 0, level, shuffle, codec as u32];
            cases.push(case(format!("blosc2 {what} {level} {shuffle}"), &[(FilterId::BLOSC2, &values)]));
        }
    }
    cases
}

fn described(cases: &[Case]) -> Value {
    let filters = |case: &Case| case.filters.iter().map(|(id, values)| json!([id.0, values])).collect::<Vec<_>>();
    cases.iter().map(|case| json!({ "name": case.name, "lossy": case.lossy, "filters": filters(case) })).collect()
}

/// Runs a function of `filters.py`.
fn python(side: &H5py, call: &str, arguments: Value) -> Value {
    let code = format!("{}\nresult = {call}", include_str!("filters.py"));
    side.run(&code, arguments).unwrap()
}

fn start() -> H5py {
    H5py::start(Libhdf5::V2_0).unwrap().with_limit(std::time::Duration::from_secs(300))
}

fn template(side: &H5py, directory: &Path) -> std::path::PathBuf {
    let path = directory.join("plain.h5");
    python(side, "plain(arguments['path'])", json!({ "path": path }));
    path
}

#[test]
fn what_libhdf5_and_its_plugins_write_is_read() {
    let (side, scratch, cases) = (start(), scratch(), cases());
    let path = scratch.path().join("theirs.h5");
    let arguments = json!({ "path": path, "plain": template(&side, scratch.path()), "cases": described(&cases) });
    let made = python(&side, "filtered(arguments['path'], arguments['plain'], arguments['cases'])", arguments);
    let file = File::open(&path).unwrap();
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    for entry in made.as_array().unwrap() {
        let (name, wanted) = (entry[0].as_str().unwrap(), entry[1].as_str().unwrap());
        match file.dataset(name).unwrap().read_raw(..) {
            Ok(found) if digest(&found) == wanted => {}
            Ok(_) => faults.push(format!("{name}: other values")),
            Err(error) => faults.push(format!("{name}: {error}")),
        }
        if entry[2].as_array().unwrap().iter().any(|mask| mask == 0) {
            used.insert(name.split(':').next().unwrap().to_owned());
        }
    }
    assert_eq!(faults, [""; 0], "of {}", made.as_array().unwrap().len());
    // Every filter had a part in it.
    let idle: Vec<_> = cases.iter().filter(|case| !used.contains(&case.name)).map(|case| &case.name).collect();
    assert_eq!(idle, [""; 0]);
}

fn chunks_of(like: &Dataset) -> Vec<u64> {
    like.attribute("chunks").unwrap().read_vec::<u64>().unwrap()
}

#[test]
fn what_is_written_libhdf5_and_its_plugins_read() {
    let (side, scratch, cases) = (start(), scratch(), cases());
    let template = template(&side, scratch.path());
    let path = scratch.path().join("ours.h5");
    let (source, file) = (File::open(&template).unwrap(), File::create(&path).unwrap());
    let mut written = 0;
    let mut used = BTreeSet::new();
    for case in &cases {
        for link in source.root().links().unwrap() {
            let like = source.dataset(&link.name).unwrap();
            let name = format!("{}: {}", case.name, link.name);
            let new = file.new_dataset_of(&name, like.datatype().clone()).shape(like.shape()).chunks(chunks_of(&like));
            let new = case.filters.iter().fold(new, |new, (id, values)| new.optional_filter(*id, values));
            let data = match new.create() {
                Ok(data) => data,
                // Python says whether libhdf5 thinks so too.
                Err(error) if matches!(error.kind(), ErrorKind::Filter { .. }) => continue,
                Err(error) => panic!("{name}: {error}"),
            };
            let bytes = like.read_raw(..).unwrap();
            data.write_raw(.., &bytes).unwrap();
            let read = data.read_raw(..).unwrap();
            if case.lossy {
                let twin = file.new_dataset_of(&format!("read {name}"), like.datatype().clone()).shape(like.shape());
                twin.create().unwrap().write_raw(.., &read).unwrap();
            } else {
                assert!(read == bytes, "{name}");
            }
            if data.chunks().unwrap().iter().any(|chunk| chunk.filter_mask == 0) {
                used.insert(&case.name);
            }
            written += 1;
        }
    }
    file.close().unwrap();
    let idle: Vec<_> = cases.iter().filter(|case| !used.contains(&case.name)).map(|case| &case.name).collect();
    assert_eq!(idle, [""; 0]);
    let arguments = json!({ "path": path, "plain": template, "cases": described(&cases) });
    let judged = python(&side, "judge(arguments['path'], arguments['plain'], arguments['cases'])", arguments);
    let faults: Vec<&str> = judged[1].as_array().unwrap().iter().map(|fault| fault.as_str().unwrap()).collect();
    assert_eq!(faults, [""; 0], "of {written}");
    assert_eq!(judged[0], written);
}
