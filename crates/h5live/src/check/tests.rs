//! Every structure of files of all kinds, damaged: is it found, and is the rest saved?

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use h5live_storage::{Memory, Storage};
use h5live_testkit::scratch;

use super::Severity::{Error, Warning};
use super::owners::Use;
use super::walk::{Purpose, Walk};
use super::{Check, Report, Severity};
use crate::recover::Recover;
use crate::{File, Object};
use h5live_storage::Overlay;

/// A file of everything that is written here.
fn written() -> Vec<u8> {
    let memory = Arc::new(Memory::new());
    let file = File::create_with(memory.clone()).unwrap();
    let values: Vec<f64> = (0..4000).map(f64::from).collect();
    // Index blocks, data blocks, super blocks and pages.
    let growing = file.new_dataset::<f64>("extensible").shape([0]).unlimited().chunks([5]).create().unwrap();
    growing.append(&values).unwrap();
    let filtered = file.new_dataset::<f64>("filtered").shape([0]).unlimited().chunks([5]).gzip(1).fletcher32();
    filtered.create().unwrap().append(&values).unwrap();
    let tree =
        file.new_dataset::<f64>("tree").shape([40, 100]).resizable([None, None]).chunks([2, 2]).create().unwrap();
    tree.write(.., &values).unwrap();
    let fixed = file.new_dataset::<f64>("fixed").shape([4000]).chunks([3]).shuffle().gzip(1).create().unwrap();
    fixed.write(.., &values).unwrap();
    file.new_dataset::<f64>("small").shape([20]).chunks([5]).create().unwrap().write(.., &values[..20]).unwrap();
    file.new_dataset::<f64>("whole").shape([4000]).create().unwrap().write(.., &values).unwrap();
    let words = file.new_dataset::<String>("words").shape([0]).unlimited().chunks([8]).create().unwrap();
    words.append(&(0..100).map(|number| format!("word {number}")).collect::<Vec<_>>()).unwrap();
    for number in 0..60u64 {
        let group = file.create_group(&format!("many/group {number}")).unwrap();
        group.set_attribute("number", number).unwrap();
        file.root().set_attribute(&format!("attribute {number}"), vec![number; 5]).unwrap();
    }
    file.root().link_soft("soft", "/many").unwrap();
    file.close().unwrap();
    memory.to_vec()
}

/// The files that are damaged: ours, and those that libhdf5 made in the newest and the oldest form.
fn samples() -> [(&'static str, Vec<u8>); 3] {
    [
        ("written here", written()),
        ("new form", include_bytes!("../../tests/data/new.h5").to_vec()),
        ("old form", include_bytes!("../../tests/data/old.h5").to_vec()),
    ]
}

fn memory(bytes: &[u8]) -> Arc<Memory> {
    let memory = Memory::new();
    memory.write_all_at(bytes, 0).unwrap();
    Arc::new(memory)
}

fn check(bytes: &[u8]) -> Report {
    Check::new().data(true).storage(memory(bytes)).unwrap()
}

/// Every structure: its name, and the bytes of a stretch of such.
fn structures(bytes: &[u8]) -> Vec<(&'static str, std::ops::Range<usize>)> {
    let overlay = Arc::new(Overlay::new(memory(bytes)));
    let file = File::open_damaged(overlay, None, "".into(), true).unwrap();
    let purpose = Purpose { data: false, rebuild: false };
    let mut no_progress = |_: super::Progress<'_>| {};
    let mut walk = Walk::new(&file.inner, purpose, None, &mut no_progress).unwrap();
    walk.everything().unwrap();
    let base = file.inner.source.base();
    let stretches = walk.owners.stretches().filter(|(_, purpose, _)| *purpose == Use::Metadata);
    stretches
        .map(|(name, _, range)| (name, (range.start + base) as usize..(range.end + base) as usize))
        .filter(|(name, _)| !name.ends_with("not written yet"))
        .collect()
}

#[test]
fn sound_files_are_sound() {
    for (name, bytes) in samples() {
        let report = check(&bytes);
        let bad: Vec<_> = report.findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
        assert!(bad.is_empty(), "{name}: {bad:?}");
        let space = &report.space;
        let userblock = File::open_with(memory(&bytes)).unwrap().userblock_size();
        let end = report.end_of_file.unwrap() - userblock;
        assert_eq!(space.metadata + space.raw + space.free + space.dead, end, "{name}: every byte is accounted for");
        assert!(report.objects > 5 && report.chunks > 0 && report.decoded > 0, "{name}: {report:?}");
    }
}

#[test]
fn every_damaged_structure_is_found() {
    let (mut met, mut missed) = (BTreeSet::new(), Vec::new());
    for (name, bytes) in samples() {
        for (structure, range) in structures(&bytes) {
            met.insert(structure);
            // Continuation blocks of old headers have neither signature nor checksum: only the count of messages tells.
            let least = if name == "old form" && structure.contains("continuation") { Warning } else { Error };
            // Its first byte (of the signature, as a rule), and all of it.
            let mut changed = bytes.clone();
            changed[range.start] ^= 0x55;
            if structure != "local heap data segment" && least == Error && !is_noticed(&changed, Error) {
                missed.push(format!("{name}: first byte of {structure} at {:#x}", range.start));
            }
            let mut changed = bytes.clone();
            changed[range.clone()].fill(0);
            if !is_noticed(&changed, least) {
                missed.push(format!("{name}: {structure} at {range:#x?}, blank"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    for structure in [
        "superblock",
        "object header",
        "object header continuation block",
        "extensible array header",
        "extensible array index block",
        "extensible array secondary block",
        "extensible array data block",
        "extensible array data block page",
        "fixed array header",
        "fixed array data block",
        "fixed array data block page",
        "version 2 B-tree header",
        "version 2 B-tree node",
        "version 1 B-tree node",
        "symbol table node",
        "local heap",
        "fractal heap header",
        "fractal heap direct block",
        "fractal heap indirect block",
    ] {
        assert!(met.contains(structure), "{structure} is in no sample: {met:?}");
    }
}

/// Whether a check finds anything as bad as that; a file that is none any more is damage too.
fn is_noticed(bytes: &[u8], least: Severity) -> bool {
    let report = Check::new().data(true).storage(memory(bytes));
    report.map_or(true, |report| report.findings.iter().any(|finding| finding.severity >= least))
}

#[test]
fn checksummed_structures_are_found_by_any_byte() {
    let bytes = written();
    let checksummed = ["superblock", "object header", "extensible array header", "extensible array index block"];
    let checksummed =
        [&checksummed[..], &["fixed array header", "version 2 B-tree header", "fractal heap header"]].concat();
    for (structure, range) in structures(&bytes).into_iter().filter(|(name, _)| checksummed.contains(name)) {
        for at in range.clone().step_by(23).chain([range.end - 1]) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(is_noticed(&changed, Error), "byte {at:#x} of {structure}");
        }
    }
}

#[test]
fn nothing_that_is_changed_ends_badly() {
    let mut seed = 11u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let directory = scratch();
    for (_, bytes) in samples() {
        let structures = structures(&bytes);
        for round in 0..150 {
            let mut changed = bytes.clone();
            for _ in 0..1 + random(3) {
                let (_, range) = &structures[random(structures.len())];
                let at = range.start + random(range.len());
                changed[at] = random(256) as u8;
            }
            if round % 5 == 0 {
                changed.truncate(random(bytes.len()).max(512));
            }
            let _ = Check::new().data(true).storage(memory(&changed));
            if round % 3 == 0 {
                let _ = recovered(directory.path(), &changed, |_, _| ());
            }
        }
    }
}

/// Recovers a file and hands what was made of it to `judge`.
fn recovered<T>(
    directory: &Path,
    bytes: &[u8],
    judge: impl FnOnce(&Path, crate::recover::Recovered) -> T,
) -> crate::Result<T> {
    let (from, to) = (directory.join("damaged.h5"), directory.join("saved.h5"));
    std::fs::write(&from, bytes).unwrap();
    let found = Recover::examine(&from, |_| {})?.to(&to, |_| true)?;
    Ok(judge(&to, found))
}

/// Everything in a file, as text: one line for each thing.
fn contents(path: &Path) -> BTreeSet<String> {
    let file = File::open(path).unwrap();
    let mut lines = BTreeSet::new();
    let mut waiting = vec![file.get("/").unwrap()];
    let mut seen = BTreeSet::new();
    while let Some(object) = waiting.pop() {
        if !seen.insert(object.address()) {
            continue;
        }
        let path = object.path().to_owned();
        for attribute in object.attributes().unwrap() {
            lines.insert(format!("{path}@{}: {:?}", attribute.name(), attribute.value().unwrap()));
        }
        match object {
            Object::Group(group) => {
                for link in group.links().unwrap() {
                    lines.insert(format!("{path}/{}", link.name));
                    if let crate::Target::Hard(_) = link.target {
                        waiting.push(group.get(&link.name).unwrap());
                    }
                }
            }
            Object::Dataset(dataset) => {
                lines.insert(format!("{path} {:?}", dataset.shape()));
                if dataset.datatype().size() <= 8 || dataset.datatype().uses_global_heap() {
                    for (number, value) in dataset.read_values(..).unwrap_or_default().iter().enumerate() {
                        lines.insert(format!("{path}[{number}]: {value:?}"));
                    }
                }
            }
            Object::Datatype(_) => {}
        }
    }
    lines
}

/// The last byte of these structures is one of their checksum: changing it changes nothing that they say.
#[test]
fn with_wrong_checksums_everything_is_saved() {
    let directory = scratch();
    let sound = directory.path().join("sound.h5");
    let bytes = written();
    std::fs::write(&sound, &bytes).unwrap();
    let all = contents(&sound);
    assert!(all.len() > 20_000);
    let last = ["superblock", "object header", "extensible array header", "extensible array index block"];
    let last = [&last[..], &["extensible array secondary block", "fixed array header", "fractal heap header"]].concat();
    let last = [&last[..], &["version 2 B-tree header", "extensible array data block page"]].concat();
    let mut tried = BTreeSet::new();
    for (structure, range) in structures(&bytes).into_iter().rev() {
        let times = tried.iter().filter(|(name, _)| *name == structure).count();
        if !last.contains(&structure) || times == 3 {
            continue;
        }
        tried.insert((structure, range.start));
        let mut changed = bytes.clone();
        changed[range.end - 1] ^= 1;
        recovered(directory.path(), &changed, |saved, found| {
            assert_eq!(found.is_complete(), structure == "superblock", "{structure} at {:#x}", range.start);
            let saved = contents(saved);
            let missing: Vec<_> = all.difference(&saved).take(3).collect();
            assert!(missing.is_empty(), "{structure} at {:#x}: {missing:?}, {:?}", range.start, found.damage);
        })
        .unwrap();
    }
    let kinds: BTreeSet<_> = tried.iter().map(|(structure, _)| *structure).collect();
    assert_eq!(kinds.len(), last.len(), "{kinds:?}");
}

/// Nodes, blocks and pages that are gone take with them what they hold, and no more.
#[test]
fn what_is_gone_takes_little_with_it() {
    let directory = scratch();
    let sound = directory.path().join("sound.h5");
    let bytes = written();
    std::fs::write(&sound, &bytes).unwrap();
    let all = contents(&sound);
    let mut tried = BTreeSet::new();
    for (structure, range) in structures(&bytes) {
        let most = match structure {
            "extensible array data block" | "extensible array data block page" => all.len() / 10,
            "version 2 B-tree node" | "fixed array data block page" => all.len() / 4,
            // It may be the root group's: then names are lost, and the objects found.
            "fractal heap direct block" => all.len(),
            _ => continue,
        };
        if !tried.insert(structure) && range.start % 5 != 0 {
            continue;
        }
        let mut changed = bytes.clone();
        // The first block or node of the stretch, or what is left of it.
        let end = range.end.min(range.start + 200);
        changed[range.start..end].fill(0xa5);
        recovered(directory.path(), &changed, |saved, found| {
            assert!(!found.is_complete(), "{structure} at {:#x}", range.start);
            let saved = contents(saved);
            if structure == "fractal heap direct block" {
                let elements = |lines: &BTreeSet<String>| {
                    lines.iter().filter_map(|line| line.split_once('[').map(|(_, value)| value.to_owned())).collect()
                };
                let (before, after): (Vec<String>, Vec<String>) = (elements(&all), elements(&saved));
                assert!(after.len() >= before.len(), "at {:#x}: {} of {}", range.start, after.len(), before.len());
            }
            // Rows that are lost read as fill values: lines that were not there before.
            let missing = all.difference(&saved).count();
            assert!(missing <= most, "{structure} at {:#x}: {missing} of {} lines", range.start, all.len());
            assert!(!is_noticed(&std::fs::read(directory.path().join("saved.h5")).unwrap(), Error));
        })
        .unwrap();
    }
    assert_eq!(tried.len(), 5, "{tried:?}");
}
