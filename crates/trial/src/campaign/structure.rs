//! Objects that come while the file is live, each with attributes: fresh readers walk the file all the time, and followers see each at the
//! next refresh.

use std::path::Path;
use std::time::Duration;

use h5live::File;
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::json;

use super::{Failure, LIMIT, Report, player, say};
use crate::kinds::KINDS;

/// Attributes of each object.
const ATTRIBUTES: u64 = 20;
/// Kinds the objects are of, one after the other; some are groups.
const FORMS: usize = 16;

/// Walks the whole file until it is closed.
const WALK: &str = concat!(include_str!("../../python/rows.py"), include_str!("../../python/walk.py"));

/// Adds objects, a publication each, and waits for an answer after each.
pub(super) fn write(objects: &str, path: &str) -> Result<(), Failure> {
    let file = File::create(path)?;
    let all = file.create_group("all")?;
    let live = file.go_live()?;
    say("live");
    let mut answer = String::new();
    for number in 1..=objects.parse::<u64>()? {
        let name = number.to_string();
        match KINDS.get(number as usize % FORMS) {
            Some(kind) => {
                let dataset = kind.create(&file, &format!("all/{name}"))?;
                kind.append(&dataset, number, 2 * kind.step)?;
                for at in 0..ATTRIBUTES {
                    dataset.set_attribute(&format!("a{at}"), number * 100 + at)?;
                }
            }
            None => {
                let group = all.create_group(&name)?;
                for at in 0..ATTRIBUTES {
                    group.set_attribute(&format!("a{at}"), number * 100 + at)?;
                }
            }
        }
        live.publish()?;
        say(&name);
        answer.clear();
        std::io::stdin().read_line(&mut answer)?;
    }
    drop(all);
    live.close()?;
    Ok(())
}

pub(super) fn run(count: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let end = path.with_extension("end");
    let mut pythons = Vec::new();
    for (version, swmr) in [(Libhdf5::V2_0, false), (Libhdf5::V1_14, true)] {
        pythons.push((H5py::start(version)?.with_limit(Duration::from_secs(3600)), version, swmr));
    }
    let mut writer = player(&["structure", &count.to_string(), &path.to_string_lossy()]).start()?;
    writer.expect("live", LIMIT)?;
    let walks = std::thread::scope(|scope| -> Result<Vec<Report>, Failure> {
        let walking: Vec<_> = pythons
            .iter()
            .map(|(python, version, swmr)| {
                let (path, end) = (&path, &end);
                scope.spawn(move || walk(python, *version, *swmr, path, end))
            })
            .collect();
        let followed = (|| -> Result<(), Failure> {
            let follower = File::follow(&path)?;
            for number in 1..=count {
                writer.expect(&number.to_string(), LIMIT)?;
                follower.refresh()?;
                if let Err(why) = sees(&follower, number) {
                    report.complain(format!("after object {number} was published: {why}"));
                }
                report.count("objects seen at the next refresh", 1);
                writer.say("go on")?;
            }
            Ok(writer.finish(LIMIT)?)
        })();
        std::fs::write(&end, "")?;
        let found = walking.into_iter().map(|it| it.join().unwrap_or_else(|_| Err("a thread panicked".into())));
        let found = found.collect::<Result<Vec<_>, _>>();
        followed.and(found)
    })?;
    walks.into_iter().for_each(|walk| report.add(walk));
    // In the end all of it is there, for everyone.
    for (python, version, swmr) in &pythons {
        report.add(walk(python, *version, *swmr, &path, &end)?);
    }
    Ok(report)
}

/// Whether a follower sees the object, all its attributes, and all objects before it.
fn sees(file: &File, number: u64) -> Result<(), Failure> {
    let members = file.group("all")?.members()?.len() as u64;
    if members != number {
        return Err(format!("{members} objects").into());
    }
    let path = format!("all/{number}");
    let attributes = match KINDS.get(number as usize % FORMS) {
        Some(kind) => {
            let dataset = file.dataset(&path)?;
            kind.check(&dataset, number, 0..2 * kind.step)?;
            dataset.attributes()?
        }
        None => file.group(&path)?.attributes()?,
    };
    for at in 0..ATTRIBUTES {
        let found = attributes.iter().find(|attribute| attribute.name() == format!("a{at}"));
        let value = found.ok_or("an attribute is missing")?.read_scalar::<u64>()?;
        if value != number * 100 + at {
            return Err(format!("attribute {at} is {value}").into());
        }
    }
    Ok(())
}

fn walk(python: &H5py, version: Libhdf5, swmr: bool, path: &Path, end: &Path) -> Result<Report, Failure> {
    let kinds: Vec<_> = KINDS.iter().map(|kind| kind.in_python("", 0)).collect();
    let arguments = json!({"path": path, "end": end, "swmr": swmr, "kinds": kinds, "forms": FORMS});
    let found = python.run(WALK, arguments)?;
    let mut report = Report::default();
    let who = format!("libhdf5 {version:?}, {}", if swmr { "swmr=True" } else { "plain" });
    for name in ["walks", "objects"] {
        report.count(format!("{name} by {who}"), found[name].as_u64().unwrap_or(0));
    }
    for wrong in found["wrong"].as_array().into_iter().flatten() {
        report.complain(format!("{who}: {}", wrong.as_str().unwrap_or_default()));
    }
    Ok(report)
}
