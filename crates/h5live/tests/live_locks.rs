//! One writer, any number of readers: who is refused, who is not, and what the refusal says.

use std::path::Path;
use std::time::Duration;

use h5live::{ErrorKind, File, WriterState};
use h5live_testkit::process::{self, Child, Program};
use h5live_testkit::{Error, H5py, Libhdf5, Mode, NewDataset, Select, scratch};
use h5live_trial::kinds::KINDS;

const LIMIT: Duration = Duration::from_secs(30);

/// A writer in a process of its own, at the path that is its role: live, with ten rows, until it is told to close.
fn hold(path: &str) {
    let file = File::create(path).unwrap();
    let dataset = KINDS[0].create(&file, "data").unwrap();
    let live = file.go_live().unwrap();
    KINDS[0].append(&dataset, 0, 10).unwrap();
    live.publish().unwrap();
    process::say("live");
    while process::hear().as_deref() == Some("append") {
        KINDS[0].append(&dataset, 0, 10).unwrap();
        live.publish().unwrap();
        process::say("appended");
    }
}

fn start_holder(test: &str, path: &Path) -> Child {
    let mut holder = Program::this_test(test, &path.display().to_string()).start().unwrap();
    holder.expect("live", LIMIT).unwrap();
    holder
}

/// Both ways of opening to write are refused; the error names whatever `says`, and the file stays as it is.
fn refused(path: &Path, says: &[&str]) {
    let before = std::fs::read(path).unwrap();
    for attempt in [File::append(path), File::create(path)] {
        let error = attempt.expect_err("a second writer is refused");
        assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
        let text = error.to_string();
        assert!(says.iter().all(|word| text.contains(word)), "{text} lacks one of {says:?}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    assert!(std::fs::read(path).unwrap() == before, "a refusal leaves the file as it is");
}

#[test]
fn a_second_writer_is_refused_and_told_by_whom() {
    const TEST: &str = "a_second_writer_is_refused_and_told_by_whom";
    if let Some(path) = process::role() {
        return hold(&path);
    }
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let mut holder = start_holder(TEST, &path);
    let pid = format!("pid {}", holder.id());
    refused(&path, &[&pid, &h5live_storage::host_name(), "ago"]);
    // Readers are not.
    let file = File::open(&path).unwrap();
    assert_eq!(file.dataset("data").unwrap().shape(), [10]);
    refused(&path, &[&pid]);
    // Who is suspended holds the file all the same; who died does not.
    holder.stop().unwrap();
    refused(&path, &[&pid]);
    holder.kill();
    assert!(matches!(file.writer_state().unwrap(), WriterState::Died(_)));
    let next = File::append(&path).unwrap();
    KINDS[0].append(&next.dataset("data").unwrap(), 0, 1).unwrap();
    // Before it is live, too, a file has one writer.
    refused(&path, &[]);
    next.close().unwrap();
    File::append(&path).unwrap().close().unwrap();
    let file = File::open(&path).unwrap();
    KINDS[0].check(&file.dataset("data").unwrap(), 0, 0..11).unwrap();
}

/// `w` is not tried: h5py empties a file before it asks for the lock.
#[test]
fn h5py_cannot_write_to_a_live_file() {
    const TEST: &str = "h5py_cannot_write_to_a_live_file";
    if let Some(path) = process::role() {
        return hold(&path);
    }
    let scratch = scratch();
    for version in Libhdf5::ALL {
        let path = scratch.path().join(format!("{version:?}.h5"));
        let mut holder = start_holder(TEST, &path);
        let python = H5py::start(version).unwrap();
        for mode in ["r+", "a"] {
            let code = "h5py.File(arguments[0], arguments[1])";
            let refused = python.run(code, serde_json::json!([path, mode])).unwrap_err();
            assert!(
                matches!(&refused, Error::Python { kind, message, .. } if kind == "BlockingIOError" && message.contains("lock")),
                "{refused}"
            );
        }
        holder.say("append").unwrap();
        holder.expect("appended", LIMIT).unwrap();
        for mode in [Mode::Read, Mode::Swmr] {
            let file = python.open(&path, mode).unwrap();
            assert_eq!(file.shape("data").unwrap(), Some(vec![20]));
            assert_eq!(file.verify("data", 0).unwrap(), None);
        }
        holder.kill();
        // A writer that died holds nothing.
        let file = python.open(&path, Mode::ReadWrite).unwrap();
        assert_eq!(file.append("data", 0, 5, 1).unwrap(), 25);
        refused(&path, &["another program"]);
        file.close().unwrap();
        File::append(&path).unwrap().close().unwrap();
        assert_eq!(File::open(&path).unwrap().dataset("data").unwrap().shape(), [25]);
    }
}

/// A libhdf5 writer in SWMR mode holds no lock once it has started: its flags keep us out, of emptying the file, too.
#[test]
fn a_libhdf5_writer_keeps_us_out_in_every_mode() {
    let scratch = scratch();
    for version in Libhdf5::ALL {
        let path = scratch.path().join(format!("{version:?}.h5"));
        let python = H5py::start(version).unwrap();
        let file = python.open(&path, Mode::Create).unwrap();
        file.create_dataset("data", &NewDataset { maxshape: Some(&[None]), ..NewDataset::new("f8", &[0]) }).unwrap();
        file.flush().unwrap();
        refused(&path, &["another program"]);
        file.start_swmr().unwrap();
        refused(&path, &["libhdf5"]);
        assert_eq!(file.append("data", 0, 5, 1).unwrap(), 5);
        file.close().unwrap();
        File::append(&path).unwrap().close().unwrap();
        File::create(&path).unwrap().close().unwrap();
    }
}

/// Threads of one process are kept apart like processes.
#[test]
fn threads_of_one_process_have_one_writer() {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    File::create(&path).unwrap().close().unwrap();
    for live in [false, true] {
        let first = File::append(&path).unwrap();
        let _live = live.then(|| first.go_live().unwrap());
        let refusals: usize = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|at| {
                    let path = &path;
                    scope.spawn(move || {
                        let error = if at % 2 == 0 { File::append(path) } else { File::create(path) }.err();
                        usize::from(error.is_some_and(|it| matches!(it.kind(), ErrorKind::Locked { .. })))
                    })
                })
                .collect();
            tries.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(refusals, 8);
        drop(_live);
        first.close().unwrap();
    }
}

/// Strict mode sets libhdf5's flags as libhdf5 does, and clears them as it does; those of a strict writer that was killed bar nobody of us.
#[test]
fn strict_flags_are_set_and_cleared() {
    const TEST: &str = "strict_flags_are_set_and_cleared";
    /// Where a version 3 superblock has its flags, and those of a SWMR writer.
    const FLAGS: usize = 11;
    const SWMR: u8 = 0x05;
    if let Some(path) = process::role() {
        let file = File::create(&path).unwrap();
        let dataset = KINDS[0].create(&file, "data").unwrap();
        let live = file.go_live_strict().unwrap();
        KINDS[0].append(&dataset, 0, 10).unwrap();
        live.publish().unwrap();
        process::say("live");
        if process::hear().as_deref() == Some("close") {
            drop(dataset);
            live.close().unwrap();
        }
        return;
    }
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let flags = || std::fs::read(&path).unwrap()[FLAGS];
    for killed in [false, true] {
        let mut writer = start_holder(TEST, &path);
        assert_eq!(flags(), SWMR);
        if killed {
            writer.kill();
            assert_eq!(flags(), SWMR);
            let python = H5py::start(Libhdf5::V2_0).unwrap();
            assert!(python.open(&path, Mode::Read).is_err());
            assert_eq!(python.open(&path, Mode::Swmr).unwrap().shape("data").unwrap(), Some(vec![10]));
            let file = File::append(&path).unwrap();
            KINDS[0].append(&file.dataset("data").unwrap(), 0, 5).unwrap();
            file.close().unwrap();
            let file = python.open(&path, Mode::Read).unwrap();
            assert_eq!(file.shape("data").unwrap(), Some(vec![15]));
            assert_eq!(file.verify("data", 0).unwrap(), None);
        } else {
            writer.say("close").unwrap();
            writer.finish(LIMIT).unwrap();
        }
        assert_eq!(flags(), 0);
    }
}

/// Readers, whoever they are and whatever becomes of them, are no reason to wait.
#[test]
fn readers_disturb_no_writer() {
    let scratch = scratch();
    for version in Libhdf5::ALL {
        let path = scratch.path().join(format!("{version:?}.h5"));
        let file = File::create(&path).unwrap();
        KINDS[0].append(&KINDS[0].create(&file, "data").unwrap(), 0, 10).unwrap();
        file.close().unwrap();
        let readers: Vec<_> = [Mode::Read, Mode::Swmr].map(|mode| (H5py::start(version).unwrap(), mode)).into();
        let mut open: Vec<_> = readers.iter().map(|(python, mode)| python.open(&path, *mode).unwrap()).collect();
        // They were there first: the file is live as soon as it is opened for writing.
        let writer = File::append(&path).unwrap();
        assert!(matches!(writer.writer_state().unwrap(), WriterState::Live(_)));
        let dataset = writer.dataset("data").unwrap();
        let append = |rows| {
            KINDS[0].append(&dataset, 0, rows).unwrap();
            writer.publish().unwrap();
        };
        append(10);
        assert_eq!(open[1].refresh("data").unwrap(), [20]);
        assert_eq!(open[1].verify("data", 0).unwrap(), None);
        let bytes = open[0].read_raw("data", Select::Rows(0..10)).unwrap();
        assert_eq!(bytes.len(), 80);
        // Suspended, and killed.
        readers[1].0.stop().unwrap();
        (0..500).for_each(|_| append(1));
        readers[1].0.cont().unwrap();
        assert_eq!(open[1].refresh("data").unwrap(), [520]);
        assert_eq!(open[1].verify("data", 0).unwrap(), None);
        readers[0].0.kill();
        append(1);
        assert_eq!(open[1].refresh("data").unwrap(), [521]);
        open.clear();
        drop(dataset);
        writer.close().unwrap();
    }
}

/// Strict mode is for those who want libhdf5's own refusals.
#[test]
fn a_strict_writer_lets_swmr_readers_in_alone() {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let file = File::create(&path).unwrap();
    let dataset = KINDS[0].create(&file, "data").unwrap();
    let live = file.go_live_strict().unwrap();
    KINDS[0].append(&dataset, 0, 10).unwrap();
    live.publish().unwrap();
    for version in Libhdf5::ALL {
        let python = H5py::start(version).unwrap();
        assert!(python.open(&path, Mode::Read).is_err(), "a plain reader is refused");
        let reader = python.open(&path, Mode::Swmr).unwrap();
        assert_eq!(reader.verify("data", 0).unwrap(), None);
        assert_eq!(reader.shape("data").unwrap(), Some(vec![10]));
    }
    drop(dataset);
    live.close().unwrap();
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    assert_eq!(python.open(&path, Mode::Read).unwrap().shape("data").unwrap(), Some(vec![10]));
}

#[test]
fn locking_can_be_turned_off() {
    const TEST: &str = "locking_can_be_turned_off";
    if let Some(path) = process::role() {
        let file = File::append(&path).unwrap();
        return process::say(&format!("{:?}", file.warning()));
    }
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let file = File::create(&path).unwrap();
    KINDS[0].create(&file, "data").unwrap();
    file.close().unwrap();
    // The parent's file is not live: all that keeps a second writer out is the lock.
    let file = File::append(&path).unwrap();
    for value in ["FALSE", "0"] {
        let mut child =
            Program::this_test(TEST, &path.display().to_string()).env("HDF5_USE_FILE_LOCKING", value).start().unwrap();
        let warning = child.hear("its warning", LIMIT).unwrap();
        assert_eq!(warning, "Some(TurnedOff)");
        child.finish(LIMIT).unwrap();
    }
    let mut child =
        Program::this_test(TEST, &path.display().to_string()).env("HDF5_USE_FILE_LOCKING", "TRUE").start().unwrap();
    assert!(!child.wait(LIMIT).unwrap().success(), "with locks it is refused");
    drop(file);
}

/// A filesystem whose locks do not work, made with strace: it lets every `flock` fail. h5py is told nothing, either.
#[test]
fn a_filesystem_without_locks_is_warned_of() {
    const TEST: &str = "a_filesystem_without_locks_is_warned_of";
    if let Some(path) = process::role() {
        return match File::create(&path) {
            Ok(file) => {
                KINDS[0].create(&file, "data").unwrap();
                let live = file.go_live().unwrap();
                process::say(&format!("{:?}: {}", file.warning(), file.warning().unwrap()));
                live.close().unwrap();
            }
            Err(error) => process::say(&error.to_string()),
        };
    }
    let said = |error: &str, locking: Option<&str>| {
        let scratch = scratch();
        let path = scratch.path().join("run.h5");
        let injected = format!("inject=flock:error={error}");
        let tracer = ["-f", "-o", "/dev/null", "-e", "trace=flock", "-e", &injected, "--"];
        let program = Program::this_test(TEST, &path.display().to_string()).under("strace", &tracer);
        // Nothing is what libhdf5 takes no notice of.
        let mut child = program.env("HDF5_USE_FILE_LOCKING", locking.unwrap_or("")).start().unwrap();
        let said = child.hear("its warning", LIMIT).unwrap();
        child.finish(LIMIT).unwrap();
        said
    };
    for error in ["ENOSYS", "EOPNOTSUPP", "ENOLCK"] {
        for locking in [None, Some("BEST_EFFORT")] {
            let said = said(error, locking);
            assert!(said.starts_with("Some(NoLocks): this filesystem has no file locks"), "{error}: {said:?}");
        }
        let said = said(error, Some("TRUE"));
        assert!(said.contains("HDF5_USE_FILE_LOCKING=BEST_EFFORT"), "{error}: {said:?}");
    }
}
