//! `ls`, `info`, `dump`, `tail` on files that nobody writes; what goes wrong, and how it is told.

mod common;

use std::fs;

use common::{LIMIT, example, output, run};
use h5live_testkit::{process::Program, python, scratch};
use serde_json::{Value as Json, json};

fn json_of(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn listing() {
    let directory = scratch();
    example(&directory.path().join("run.h5"));
    for (arguments, expected) in [
        (&["ls", "run.h5"][..], "entry/\nlatest -> /entry/signal\n"),
        (&["ls", "run.h5/entry"], "names\nnumber\nsignal\n"),
        (&["ls", "run.h5", "entry"], "names\nnumber\nsignal\n"),
        (
            &["ls", "-r", "--paths", "run.h5"],
            "/entry/\n/entry/names\n/entry/number\n/entry/signal\n/latest -> /entry/signal\n",
        ),
    ] {
        assert_eq!(output(&run(directory.path(), arguments)), expected, "{arguments:?}");
    }
    let tree = output(&run(directory.path(), &["ls", "-r", "run.h5"]));
    let lines: Vec<String> = tree.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[..2], ["run.h5/", "├─ entry/"], "{tree}");
    assert!(lines[2].starts_with("│ ├─ names (2,)") && lines[2].contains(" vlen str "), "{tree}");
    assert!(lines[3].starts_with("│ ├─ number scalar i32 ") && lines[3].ends_with(" = -7"), "{tree}");
    let signal = "│ └─ signal (10, 3) of (unlimited, 3) f64 chunked (4, 3), shuffle, gzip 4 ";
    assert!(lines[4].starts_with(signal) && lines[4].ends_with(" B 1 attribute"), "{tree}");
    assert_eq!(lines[5..], ["└─ latest -> /entry/signal"], "{tree}");
    let tree = output(&run(directory.path(), &["ls", "-rl", "run.h5"]));
    assert!(tree.contains("\n│        @units = \"mV\"  vlen str\n└─ latest"), "{tree}");
    assert!(tree.starts_with("run.h5/\n│  @title = \"an example\"  vlen str\n├─ entry/"), "{tree}");
    let long = output(&run(directory.path(), &["ls", "-l", "run.h5/entry"]));
    let signal = "dataset  (10, 3) of (unlimited, 3)  f64       chunked (4, 3), shuffle, gzip 4";
    assert!(long.contains(signal), "{long}");
    assert!(long.ends_with("signal\n    @units = \"mV\"  vlen str\n"), "{long}");
    let listed = json_of(&output(&run(directory.path(), &["ls", "--json", "run.h5/entry"])));
    assert_eq!(listed[2]["shape"], json!([10, 3]));
    assert_eq!(listed[2]["name"], "signal");
    assert_eq!(listed[2]["attributes"], json!({ "units": "mV" }));
    assert_eq!(listed[2]["pipeline"][1]["values"], json!([4]));
    assert!(listed[2]["stored_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn describing() {
    let directory = scratch();
    example(&directory.path().join("run.h5"));
    let told = output(&run(directory.path(), &["info", "run.h5"]));
    for words in ["nobody: it is closed", "2 groups, 3 datasets, 1 soft or external link", "an example"] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    let told = output(&run(directory.path(), &["info", "run.h5", "entry/signal"]));
    for words in [
        "(10, 3)",
        "(unlimited, 3)",
        "3 of (4, 3)\n",
        "extensible array\n",
        "96 B, stored as",
        "shuffle, gzip 4",
        "\"mV\"",
    ] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    let told = json_of(&output(&run(directory.path(), &["info", "--json", "run.h5"])));
    assert_eq!((&told["writer"]["state"], &told["datasets"]), (&json!("closed"), &json!(3)));
    let told = json_of(&output(&run(directory.path(), &["info", "--json", "run.h5/entry/signal"])));
    let chunks = &told["storage"]["chunks"];
    assert_eq!((&chunks["count"], &chunks["room"], &chunks["plain_bytes"]), (&json!(3), &json!(3), &json!(96)));
    let sizes = ["min_bytes", "mean_bytes", "max_bytes"].map(|name| chunks[name].as_f64().unwrap());
    assert!(sizes.is_sorted() && sizes[0] > 0.0 && sizes[2] < 96.0, "{told}");
    assert_eq!(told["storage"]["stored_bytes"].as_f64().unwrap(), sizes[1] * 3.0);
    assert_eq!(told["attributes"], json!({ "units": "mV" }));
    assert_eq!(told["attribute_types"]["units"], json!({ "type": "vlen str", "shape": [] }));
}

#[test]
fn dumping() {
    let directory = scratch();
    example(&directory.path().join("run.h5"));
    let told = output(&run(directory.path(), &["dump", "run.h5"]));
    for words in
        ["/entry/number  i32 scalar", "  -7\n", "@units  vlen str = \"mV\"", "  [9, 0] 13.5, 14.0, 14.5\n", "\"t, wo\""]
    {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    let told = output(&run(directory.path(), &["dump", "run.h5/entry/signal", "-s", "-2:,::2"]));
    assert!(told.ends_with("  [8, 0] 12.0, 13.0\n  [9, 0] 13.5, 14.5\n"), "{told}");
    let told = json_of(&output(&run(directory.path(), &["dump", "--json", "run.h5"])));
    let object =
        |path: &str| told["objects"].as_array().unwrap().iter().find(|object| object["path"] == path).unwrap().clone();
    assert_eq!(object("/entry/number")["data"], json!(-7));
    assert_eq!(object("/entry/names")["data"], json!(["one", "t, wo"]));
    assert_eq!(object("/entry/signal")["data"][9], json!([13.5, 14.0, 14.5]));
    assert_eq!(object("/")["attributes"]["title"], "an example");
    let told = json_of(&output(&run(directory.path(), &["dump", "--json", "-H", "run.h5/entry/signal"])));
    assert_eq!(told["objects"][0].get("data"), None);
}

/// References are shown by paths, virtual datasets with what they show, and of large datasets the first values.
#[test]
fn what_leads_elsewhere_and_what_is_large() {
    let directory = scratch();
    let script = "import h5py, numpy\n\
        f = h5py.File('all.h5', 'w', libver='latest')\n\
        d = f.create_dataset('a/data', data=numpy.arange(120).reshape(10, 12))\n\
        f['a'].attrs['to'] = d.ref\n\
        f['refs'] = [d.regionref[2:5, ::3]]\n\
        layout = h5py.VirtualLayout((2, 12), 'i8')\n\
        layout[1] = h5py.VirtualSource('other.h5', 'x', (30,))[3:15]\n\
        f.create_virtual_dataset('virtual', layout)\n\
        f['long'] = numpy.arange(20000, dtype='u2')\n\
        f['wide'] = numpy.zeros((3, 40, 700), 'i1')\n\
        f['type'] = numpy.dtype('f4'); f.create_dataset('typed', (2,), f['type'])\n";
    Program::new(python().unwrap()).args(["-c", script]).directory(directory.path()).output(LIMIT).unwrap();
    let told = |arguments: &[&str]| output(&run(directory.path(), arguments));
    assert!(told(&["ls", "-l", "all.h5"]).contains("@to = -> /a/data  object reference"));
    assert!(told(&["info", "all.h5/a"]).contains("-> /a/data  object reference"));
    assert!(told(&["dump", "all.h5/refs"]).contains("[0] -> /a/data[2:5, 0:10:3]\n"));
    let shown = told(&["info", "all.h5/virtual"]);
    assert!(shown.contains("[1, 0:12] <- other.h5:x[3:15]\n") && shown.contains("elsewhere: 192 B"), "{shown}");
    assert!(told(&["info", "all.h5/typed"]).contains("-> /type\n"));
    let cut = told(&["dump", "all.h5/long"]);
    assert!(cut.contains(" 9999\n  ... 10,000 more") && !cut.contains("10001"), "{cut}");
    assert!(told(&["dump", "--all", "all.h5/long"]).trim_end().ends_with(" 19999"));
    assert!(told(&["dump", "all.h5/long", "-s", "15000:"]).trim_end().ends_with(" 19999"));
    let wide = told(&["dump", "all.h5/wide"]);
    assert!(
        wide.contains("\n  [0, 13, ") && !wide.contains("\n  [0, 14, ") && wide.contains("... 74,200 more"),
        "{wide}"
    );
}

/// What is damaged is told and passed over: the rest is shown, and the program fails.
#[test]
fn damage_hides_nothing_else() {
    let directory = scratch();
    let script = "import h5py\n\
        f = h5py.File('cut.h5', 'w', libver='latest')\n\
        f['first'] = 1.5; f['lost'] = [2]; f['last'] = [3, 4]; at = h5py.h5o.get_info(f['lost'].id).addr; f.close()\n\
        f = open('cut.h5', 'r+b'); f.seek(at + 20); f.write(b'damage'); f.close()\n";
    Program::new(python().unwrap()).args(["-c", script]).directory(directory.path()).output(LIMIT).unwrap();
    for (arguments, words) in [
        (&["ls", "-r", "cut.h5"][..], ["first", "lost  (damaged", "last", "(2,)"]),
        (&["ls", "-l", "cut.h5"], ["first = 1.5", "lost  (damaged", "last", "(2,)"]),
        (&["dump", "cut.h5"], ["/first", "1.5", "/last", "[0] 3, 4"]),
        (&["info", "cut.h5"], ["contents", "1 group, 2 datasets, 1 unknown or damaged object", "size", "damage"]),
    ] {
        let ended = run(directory.path(), arguments);
        let (told, errors) = (String::from_utf8_lossy(&ended.output), String::from_utf8_lossy(&ended.errors));
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(words.iter().all(|words| told.contains(words)), "{arguments:?}: {told}");
        assert!(errors.contains("/lost: object header at address 0x"), "{arguments:?}: {errors}");
        assert!(errors.contains("1 thing is damaged") && errors.contains("h5live check cut.h5"), "{errors}");
    }
}

#[test]
fn the_last_rows_in_every_format() {
    let directory = scratch();
    example(&directory.path().join("run.h5"));
    let tail = |arguments: &[&str]| run(directory.path(), &[&["tail", "run.h5", "entry/signal"], arguments].concat());
    assert_eq!(output(&tail(&["-n", "2"])), "12.0 12.5 13.0\n13.5 14.0 14.5\n");
    assert_eq!(output(&tail(&["-n", "1", "--format", "csv"])), "13.5,14.0,14.5\n");
    assert_eq!(output(&tail(&["-n", "1", "--format", "jsonl"])), "[13.5,14.0,14.5]\n");
    assert_eq!(output(&tail(&["-n", "+9"])), "13.5 14.0 14.5\n");
    assert_eq!(output(&tail(&[])).lines().count(), 10);
    let raw: Vec<u8> = [13.5f64, 14.0, 14.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(tail(&["-n", "1", "--format", "raw"]).output, raw);
    let names = run(directory.path(), &["tail", "run.h5/entry/names", "--format", "csv"]);
    assert_eq!(output(&names), "one\n\"t, wo\"\n");
    fs::write(directory.path().join("tail.npy"), tail(&["-n", "4", "--format", "npy"]).output).unwrap();
    let script = "import numpy; a = numpy.load('tail.npy'); print(a.dtype.str, a.shape, a[3, 2])";
    let told = Program::new(python().unwrap()).args(["-c", script]).directory(directory.path()).output(LIMIT).unwrap();
    assert_eq!(String::from_utf8_lossy(&told), "<f8 (4, 3) 14.5\n");
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    let directory = scratch();
    let path = |name: &str| directory.path().join(name);
    example(&path("run.h5"));
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("text.h5"), "these are notes").unwrap();
    fs::write(path("empty.h5"), "").unwrap();
    let whole = fs::read(path("run.h5")).unwrap();
    fs::write(path("cut.h5"), &whole[..whole.len() / 2]).unwrap();
    for (arguments, code, words) in [
        (&["ls", "none.h5"][..], 3, "there is no such file"),
        (&["ls", "none/none.h5"], 3, "nor is there a directory"),
        (&["dump", "folder"], 1, "is a directory"),
        (&["info", "text.h5"], 1, "not an HDF5 file"),
        (&["tail", "empty.h5"], 1, "not an HDF5 file"),
        (&["ls", "cut.h5"], 1, "truncated"),
        (&["dump", "run.h5", "entry/nothing"], 3, "h5live ls -r"),
        (&["tail", "run.h5"], 2, "which of its 3 datasets"),
        (&["tail", "run.h5/entry/number"], 2, "has no rows"),
        (&["tail", "run.h5/entry"], 1, "is a group"),
        (&["tail", "run.h5/entry/names", "--format", "npy"], 1, "--format jsonl"),
        (&["dump", "run.h5/entry/signal", "-s", "99"], 2, "no element 99"),
        (&["dump", "run.h5/entry", "-s", "0"], 2, "nothing to select"),
        (&["watch", "run.h5", "entry/number"], 2, "no rows"),
        (&["record", "folder"], 1, "directory"),
        (&["record", "new.h5", "--format", "raw"], 2, "--dtype"),
    ] {
        let ended = run(directory.path(), arguments);
        let errors = String::from_utf8_lossy(&ended.errors);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(words) && errors.lines().count() == 1, "{arguments:?}: {errors}");
        assert!(ended.output.is_empty(), "{arguments:?}");
    }
    // Clap's own errors.
    for arguments in
        [&["nothing"][..], &[], &["ls"], &["tail", "run.h5", "-n", "x"], &["record", "x.h5", "--publish-every", "0"]]
    {
        assert_eq!(run(directory.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn every_truncation_is_an_error_and_no_panic() {
    let directory = scratch();
    let path = directory.path().join("run.h5");
    example(&path);
    let whole = fs::read(&path).unwrap();
    // Processes are slow: some lengths of every kind; the library's own tests try all.
    for end in [0, 1, 7, 8, 9, 40, 47, 48, 60, 100, 512, 1000, whole.len() / 3, whole.len() - 1] {
        fs::write(&path, &whole[..end]).unwrap();
        let ended = run(directory.path(), &["dump", "run.h5"]);
        let errors = String::from_utf8_lossy(&ended.errors);
        assert_eq!(ended.status.code(), Some(1), "{end} bytes: {errors}");
        assert!(!errors.contains("panicked") && errors.lines().count() == 1, "{end} bytes: {errors}");
    }
}

#[test]
fn whoever_reads_the_output_may_stop() {
    let directory = scratch();
    let file = h5live::File::create(directory.path().join("long.h5")).unwrap();
    let data = file.new_dataset::<u32>("data").shape([0]).unlimited().create().unwrap();
    data.append(&(0..500_000).collect::<Vec<u32>>()).unwrap();
    file.close().unwrap();
    for arguments in ["dump long.h5", "dump --json long.h5", "tail -n +0 long.h5", "tail -n +0 --format csv long.h5"] {
        let script = format!("({} {arguments}; echo $? >code) | head -n 1", env!("CARGO_BIN_EXE_h5live"));
        let ended = Program::new("sh").args(["-c", &script]).directory(directory.path()).run(LIMIT).unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("code")).unwrap().trim(), "0", "{arguments}");
        assert_eq!(String::from_utf8_lossy(&ended.errors), "", "{arguments}");
        assert_eq!(ended.output.iter().filter(|byte| **byte == b'\n').count(), 1, "{arguments}");
    }
}

#[test]
fn shells_and_manuals() {
    let directory = scratch();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&run(directory.path(), &["completions", shell]));
        assert!(script.contains("record") && !script.contains("\u{1b}"), "{shell}");
    }
    assert!(output(&run(directory.path(), &["man"])).contains(".TH h5live 1"));
    output(&run(directory.path(), &["man", "pages"]));
    let page = fs::read_to_string(directory.path().join("pages/h5live-tail.1")).unwrap();
    assert!(page.contains("h5live\\-tail") && page.contains("\\-\\-follow"), "{page}");
    assert!(!directory.path().join("pages/h5live-demo-writer.1").exists());
    let help = output(&run(directory.path(), &["--help"]));
    assert!(help.contains("130  interrupted") && help.contains("the writer of the followed file died"), "{help}");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let directory = scratch();
    example(&directory.path().join("run.h5"));
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let script = format!("{} dump run.h5 > /dev/full", env!("CARGO_BIN_EXE_h5live"));
    let ended = Program::new("sh").args(["-c", &script]).directory(directory.path()).run(LIMIT).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.errors).contains("cannot write the output"));
}
