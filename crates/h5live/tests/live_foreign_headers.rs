//! Object headers as libhdf5 places them, across pages: new attributes and links while live, whatever lies on either page, and
//! crashes at every moment from opening the file on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use h5live::File;
use h5live_storage::sim::{CrashImage, CrashKind, CrashPlan, Disk};
use h5live_storage::{Barrier, Storage};
use h5live_testkit::{H5py, Libhdf5, scratch, tool};
use serde_json::json;

/// Groups and growing datasets of many sizes: headers lie at every distance from a page boundary.
const MAKE: &str = r#"
import random
random.seed(arguments[2])
with h5py.File(arguments[0], "w", libver=("v110", "v110"), track_order=arguments[3]) as file:
    for i in range(arguments[1]):
        group = file.create_group(f"g{i}")
        ds = group.create_dataset("data", (i % 7,), "f8", maxshape=(None,), chunks=(1 + i % 5,))
        ds[:] = np.arange(i % 7) + i
        for name in "abcdefg"[: random.randrange(7)]:
            group.attrs[name] = np.arange(random.randrange(1, 30)) + i
            ds.attrs[name] = np.arange(random.randrange(1, 9)) + i
        if i % 8 == 0:
            file[f"t{i}"] = np.dtype("f4")
result = h5py.h5f.open(arguments[0].encode()).get_filesize()
"#;

/// Everything in a file, by path: attributes as they are, members as their number.
const WALK: &str = r#"
result = {}
with h5py.File(arguments[0], "r", swmr=arguments[1]) as file:
    def note(path, item):
        result[path] = {name: np.asarray(value).tolist() for name, value in item.attrs.items()}
        if isinstance(item, h5py.Dataset):
            result[path]["elements of it"] = item[()].tolist()
        if isinstance(item, h5py.Group):
            result[path]["members of it"] = sorted(item)
    note("", file)
    file.visititems(note)
"#;

type Content = BTreeMap<String, BTreeMap<String, serde_json::Value>>;

fn walk(python: &H5py, path: &Path, swmr: bool) -> Content {
    serde_json::from_value(python.run(WALK, json!([path, swmr])).unwrap()).unwrap()
}

/// What h5live sees of the objects that python made, or why not.
fn look(file: &File, wanted: &Content) -> Result<Content, String> {
    let mut seen = Content::new();
    for (path, content) in wanted {
        let text = |error: h5live::Error| format!("{path}: {error}");
        let mut found = BTreeMap::new();
        let attributes = if content.contains_key("members of it") {
            let group = if path.is_empty() { file.root() } else { file.group(path).map_err(text)? };
            let mut members: Vec<_> = group.members().map_err(text)?.into_iter().map(|member| member.name).collect();
            members.sort();
            found.insert("members of it".to_owned(), json!(members));
            group.attributes().map_err(text)?
        } else if content.contains_key("elements of it") {
            let dataset = file.dataset(path).map_err(text)?;
            found.insert("elements of it".to_owned(), json!(dataset.read_vec::<f64>(..).map_err(text)?));
            dataset.attributes().map_err(text)?
        } else {
            continue;
        };
        for attribute in attributes {
            let values = attribute.read_vec::<i64>().map_err(text)?;
            found.insert(attribute.name().to_owned(), json!(values));
        }
        seen.insert(path.clone(), found);
    }
    Ok(seen)
}

/// Headers of several blocks, any of which may have to be written elsewhere: the extent is still set where it is by then.
#[test]
fn rows_and_attributes_come_by_turns() {
    const MANY_BLOCKS: &str = r#"
with h5py.File(arguments, "w", libver=("v110", "v110")) as file:
    for i in range(12):
        ds = file.create_dataset(f"d{i}", (0,), "f8", maxshape=(None,), chunks=(4,))
        for name in "abcdefg":
            ds.attrs[name] = np.arange(60 + 30 * i)
"#;
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    python.run(MANY_BLOCKS, json!(path)).unwrap();
    let file = File::append(&path).unwrap();
    let live = file.go_live().unwrap();
    let datasets: Vec<_> = (0..12).map(|number| file.dataset(&format!("d{number}")).unwrap()).collect();
    for round in 0..40_usize {
        for (number, dataset) in datasets.iter().enumerate() {
            dataset.append(&[round as f64]).unwrap();
            let name = ["a", "c", "e", "g"][(round + number) % 4];
            dataset.set_attribute(name, vec![round as i64; 20 + (round * 37 + number * 53) % 300]).unwrap();
        }
        live.publish().unwrap();
        if round % 8 == 0 {
            let wanted: Vec<f64> = (0..=round).map(|round| round as f64).collect();
            for (path, content) in walk(&python, &path, round % 16 == 0) {
                if !path.is_empty() {
                    assert_eq!(content["elements of it"], json!(wanted), "{path} in round {round}");
                }
            }
        }
    }
    drop((datasets, live));
    file.close().unwrap();
    let report = h5live::check::Check::new().file(&path).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn every_object_of_a_file_that_libhdf5_made_can_be_changed_while_live() {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let pythons = Libhdf5::ALL.map(|version| H5py::start(version).unwrap());
    for (seed, tracked) in [(1, false), (2, true), (3, false)] {
        pythons[seed % 2].run(MAKE, json!([path, 100, seed, tracked])).unwrap();
        let mut wanted = walk(&pythons[0], &path, false);
        let file = File::append(&path).unwrap();
        let live = file.go_live().unwrap();
        for (number, (path, content)) in wanted.iter_mut().enumerate() {
            let few: Vec<i64> = (0..number as i64 % 11).collect();
            let mut note = |name: &str, values: &[i64]| content.insert(name.to_owned(), json!(values));
            if path.starts_with('t') {
                continue;
            }
            // More attributes than the header takes, so that they become dense; and some that were there, changed and deleted.
            let attributes = if number % 3 == 0 { 12 } else { 2 };
            if path.ends_with("data") {
                let dataset = file.dataset(path).unwrap();
                for at in 0..attributes {
                    dataset.set_attribute(&format!("new {at}"), few.clone()).unwrap();
                    note(&format!("new {at}"), &few);
                }
                dataset.set_attribute("a", vec![7_i64; 3]).unwrap();
                note("a", &[7; 3]);
            } else {
                let group = if path.is_empty() { file.root() } else { file.group(path).unwrap() };
                for at in 0..attributes {
                    group.set_attribute(&format!("new {at}"), few.clone()).unwrap();
                    note(&format!("new {at}"), &few);
                }
                if group.delete_attribute("a").is_ok() {
                    content.remove("a");
                }
                for at in 0..attributes {
                    group.create_group(&format!("new {at}")).unwrap();
                }
            }
            if number % 40 == 0 {
                live.publish().unwrap();
            }
        }
        for (path, content) in &mut wanted {
            if let Some(members) = content.get_mut("members of it") {
                let group = if path.is_empty() { file.root() } else { file.group(path).unwrap() };
                let mut now: Vec<_> = group.members().unwrap().into_iter().map(|member| member.name).collect();
                now.sort();
                assert!(
                    members.as_array().unwrap().iter().all(|name| now.contains(&name.as_str().unwrap().to_owned()))
                );
                *members = json!(now);
            }
        }
        live.publish().unwrap();
        let agrees = |version: usize, swmr: bool, what: &str| {
            let found = walk(&pythons[version], &path, swmr);
            for (path, content) in &wanted {
                assert_eq!(found.get(path), Some(content), "{path} in {version}, swmr={swmr}, {what}");
            }
        };
        agrees(0, seed % 2 == 0, "while live");
        agrees(1, seed % 2 == 1, "while live");
        live.close().unwrap();
        agrees(seed % 2, false, "closed");
        tool::h5dump_header(&path).unwrap();
    }
}

/// No crash from the opening of the file on costs anything of it, but one: a power failure, or worse, in the middle of the one write that
/// changes a header of which less than some fifty bytes lie on the first page.
#[test]
fn making_headers_ready_is_atomic_but_where_it_cannot_be() {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    python.run(MAKE, json!([path, 100, 5, false])).unwrap();
    let wanted = walk(&python, &path, false);
    let disk = Arc::new(Disk::new(3));
    disk.write_all_at(&std::fs::read(&path).unwrap(), 0).unwrap();
    disk.barrier(Barrier::Durable).unwrap();
    let from = disk.log().len();
    let file = File::append_with(disk.clone()).unwrap();
    let live = file.go_live().unwrap();
    let ready = disk.log().len();
    for path in ["g3", "g5", "g77"] {
        file.group(path).unwrap().set_attribute("new", 1_i64).unwrap();
        live.publish().unwrap();
    }
    let whole = |crash: &CrashImage| -> Result<(), String> {
        let file = File::open_with(Arc::new(crash.image.clone())).map_err(|error| error.to_string())?;
        let mut found = look(&file, &wanted)?;
        found.values_mut().for_each(|content| drop(content.remove("new")));
        match wanted.iter().find(|(path, content)| found.get(*path).is_some_and(|found| found != *content)) {
            None => Ok(()),
            Some((path, content)) => Err(format!("{path}: {:?} instead of {content:?}", found[path])),
        }
    };
    let (mut states, mut exempt) = (0, 0);
    let plan = CrashPlan { from, power_losses: 0, ..CrashPlan::all(1) };
    for crash in disk.crash_images(&plan) {
        states += 1;
        match whole(&crash) {
            Ok(()) => {}
            // The write that could not be made on one page.
            Err(_) if matches!(crash.kind, CrashKind::Torn { .. }) && crash.moment <= ready => exempt += 1,
            Err(why) => panic!("{crash}: {why}"),
        }
    }
    let ready_only = CrashPlan { killed: false, torn: false, power_losses: 3, from, seed: 4 };
    let mut lost = 0;
    let mut power = 0;
    for crash in disk.crash_images(&ready_only).take_while(|crash| crash.moment <= ready) {
        power += 1;
        lost += usize::from(whole(&crash).is_err());
    }
    println!(
        "{states} states, {exempt} torn where two pages had to change; {power} losses of power, {lost} in the same place"
    );
}
