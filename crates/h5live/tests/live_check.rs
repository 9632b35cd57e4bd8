//! `check` on files that are being written at full speed, and on what a killed writer leaves: no false alarm.

use std::time::Duration;

use h5live::check::{Check, Finding, Severity};
use h5live::recover::{Recover, Remedy};
use h5live::{File, WriterState};
use h5live_testkit::process::{self, Program};
use h5live_testkit::{H5py, Libhdf5, scratch};
use h5live_trial::kinds::{Content, KINDS};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
/// Times the file is looked at.
const LOOKS: usize = 25;

/// Appends to datasets of every kind, and makes new objects, until it is killed.
fn write(path: &str) {
    let file = File::create(path).unwrap();
    let mut datasets = Vec::new();
    for kind in KINDS {
        datasets.push(kind.create(&file, kind.name).unwrap());
    }
    let live = file.go_live().unwrap();
    process::say("live");
    for step in 0u64.. {
        for (kind, dataset) in KINDS.iter().zip(&datasets) {
            let rows = dataset.shape()[0];
            let is_full = kind.limit.is_some_and(|limit| rows + kind.step > limit);
            let is_large = kind.content == Content::Grid && rows > 300;
            if !is_full && !is_large {
                kind.append(dataset, 0, kind.step).unwrap();
            }
        }
        if step % 8 == 0 && step < 4000 {
            let group = file.create_group(&format!("arrived/{step}")).unwrap();
            group.set_attribute("step", step).unwrap();
            file.root().set_attribute(&format!("at {step}"), step).unwrap();
            group.new_dataset::<u64>("data").shape([3]).chunks([2]).create().unwrap().write(.., &[step; 3]).unwrap();
        }
        live.publish().unwrap();
        if step == 50 {
            process::say("running");
        }
    }
}

fn above_notes(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|finding| finding.severity > Severity::Note).map(Finding::to_string).collect()
}

#[test]
fn a_file_in_motion_raises_no_alarm() {
    const TEST: &str = "a_file_in_motion_raises_no_alarm";
    if let Some(path) = process::role() {
        return write(&path);
    }
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let mut writer = Program::this_test(TEST, &path.display().to_string()).start().unwrap();
    writer.expect("live", LIMIT).unwrap();
    writer.expect("running", LIMIT).unwrap();
    let (mut chunks, mut objects) = (0, 0);
    for look in 0..LOOKS {
        let report = Check::new().data(look % 2 == 0).file(&path).unwrap();
        assert!(matches!(report.writer, WriterState::Live(_)), "{:?}", report.writer);
        assert_eq!(above_notes(&report.findings), [""; 0], "look {look}");
        assert!(report.chunks >= chunks && report.objects >= objects, "look {look}: it shrinks");
        (chunks, objects) = (report.chunks, report.objects);
    }
    // While it lives, nobody recovers it.
    let refused = Recover::examine(&path, |_| {}).err().unwrap();
    assert!(matches!(refused.kind(), h5live::ErrorKind::Locked { .. }), "{refused}");
    writer.kill();

    let report = Check::new().data(true).file(&path).unwrap();
    assert!(matches!(report.writer, WriterState::Died(_)) && report.is_sound(), "{:?}", report.findings);
    assert!(report.objects >= objects);
    let rows = |path: &std::path::Path| -> Vec<u64> {
        let file = File::open(path).unwrap();
        KINDS.iter().map(|kind| file.dataset(kind.name).unwrap().shape()[0]).collect()
    };
    // By the commit record. The object headers, which are what counts without it, may have part of the publication under way.
    let before = rows(&path);
    let may_follow = |after: &[u64]| {
        let steps = KINDS.iter().map(|kind| kind.step);
        before.iter().zip(after).zip(steps).all(|((before, after), step)| [*before, before + step].contains(after))
    };
    let examined = Recover::examine(&path, |_| {}).unwrap();
    assert_eq!(examined.remedy(), Remedy::Superblock);
    let saved = scratch.path().join("saved.h5");
    let recovered = examined.to(&saved, |_| true).unwrap();
    assert!(recovered.is_complete(), "{recovered:?}");
    assert!(recovered.size <= report.size && std::fs::metadata(&saved).unwrap().len() == recovered.size);
    // The trailer and the room ahead are gone, nothing else is; and the same in the file itself.
    examined.in_place().unwrap();
    for path in [&path, &saved] {
        let report = Check::new().data(true).file(path).unwrap();
        assert!(report.writer == WriterState::Closed && report.is_sound(), "{report:?}");
        assert_eq!(report.end_of_file, Some(report.size));
        let after = rows(path);
        assert!(may_follow(&after), "{after:?} after {before:?}");
        let python = H5py::start(Libhdf5::V2_0).unwrap();
        let code = "
result = [h5py.File(arguments[0], 'r')[name].shape[0] for name in arguments[1]]
";
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(python.run(code, json!([path, names])).unwrap(), json!(after));
        for (kind, rows) in KINDS.iter().zip(&after) {
            kind.check(&File::open(path).unwrap().dataset(kind.name).unwrap(), 0, 0..*rows).unwrap();
        }
    }
}
