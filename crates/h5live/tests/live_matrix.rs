//! One process writes at full speed, others follow it, and each reader checks every value it sees: h5live and h5py on either side,
//! over every form in which a dataset can grow.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use h5live::{Dataset, File};
use h5live_testkit::process::{self, Child, Program};
use h5live_testkit::{H5py, Libhdf5, scratch};
use h5live_trial::kinds::{Content, KINDS, Kind, kind};
use serde_json::{Value, json};

/// For how long a writer writes, once its readers have been told to come.
const RUN: Duration = Duration::from_millis(700);
/// Within which everything else must be over.
const LIMIT: Duration = Duration::from_secs(60);
/// Datasets in a scenario of many.
const MANY: usize = 40;

/// What the writer does with each publication.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// Appends to one dataset.
    One(Place),
    /// Appends to many datasets, all by the same number of rows.
    Many,
    /// Creates a group with a dataset and attributes.
    Arriving,
    /// Grows and shrinks a dataset.
    Shrinking,
    /// Overwrites elements.
    Overwriting,
}

/// A kind by its place in [`KINDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(usize);

impl Form {
    /// Every form, by the name that processes tell each other.
    fn all() -> Vec<(String, Self)> {
        let kinds = KINDS.iter().enumerate().map(|(at, kind)| (kind.name.to_owned(), Self::One(Place(at))));
        let others = [
            ("many datasets", Self::Many),
            ("arriving", Self::Arriving),
            ("shrinking", Self::Shrinking),
            ("overwriting", Self::Overwriting),
        ];
        kinds.chain(others.map(|(name, form)| (name.to_owned(), form))).collect()
    }

    fn by_name(name: &str) -> Self {
        Self::all().into_iter().find(|(known, _)| known == name).expect("the test names its forms").1
    }

    /// The datasets that all publications change.
    fn datasets(self) -> Vec<(String, Kind)> {
        match self {
            Self::One(at) => vec![("data".to_owned(), unbounded(KINDS[at.0]))],
            Self::Many => (0..MANY).map(|at| (format!("group/{at}"), kind("chunk of 4"))).collect(),
            Self::Arriving => Vec::new(),
            Self::Shrinking | Self::Overwriting => vec![("data".to_owned(), kind("chunk of 4"))],
        }
    }

    /// Publications at most.
    fn most(self) -> u64 {
        match self {
            Self::One(at) if KINDS[at.0].content == Content::Grid => 1500,
            Self::One(at) => unbounded(KINDS[at.0]).limit.unwrap_or(200_000),
            Self::Arriving => 300,
            Self::Many | Self::Shrinking | Self::Overwriting => 200_000,
        }
    }

    /// For the readers in Python.
    fn name_in_python(self) -> &'static str {
        match self {
            Self::One(_) | Self::Many => "rows",
            Self::Arriving => "arriving",
            Self::Shrinking => "shrinking",
            Self::Overwriting => "overwriting",
        }
    }

    fn in_python(self) -> Value {
        let datasets: Vec<(String, Kind)> = match self {
            Self::Arriving => KINDS.iter().map(|kind| (String::new(), *kind)).collect(),
            _ => self.datasets(),
        };
        datasets.iter().enumerate().map(|(number, (path, kind))| kind.in_python(path, number as u64)).collect()
    }
}

/// A kind with room for as long as a writer writes.
fn unbounded(kind: Kind) -> Kind {
    match kind.limit {
        None => kind,
        Some(limit) if kind.chunk == [limit] => Kind { chunk: &[60_000], limit: Some(60_000), ..kind },
        Some(_) => Kind { limit: Some(100_000), ..kind },
    }
}

/// Rows of the shrinking dataset after a publication, as (number, end) of its stretches.
fn stretches(step: u64) -> Vec<(u64, u64)> {
    match step % 4 {
        _ if step == 0 => vec![],
        1 => vec![(0, 3), (step, 20)],
        2 => vec![(0, 3), (step - 1, 20), (step, 35)],
        3 => vec![(0, 3), (step - 2, 9)],
        _ => vec![(0, 3)],
    }
}

/// The files by which the processes of one scenario tell each other how far they are.
struct Signals {
    file: PathBuf,
}

impl Signals {
    fn new(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    fn path(&self, what: &str) -> PathBuf {
        self.file.with_extension(what)
    }

    fn is_stopped(&self) -> bool {
        self.path("stop").exists()
    }

    fn stop(&self) {
        std::fs::write(self.path("stop"), "").unwrap();
    }

    /// Tells readers that `total` publications were all.
    fn end(&self, total: u64) {
        std::fs::write(self.path("ending"), total.to_string()).unwrap();
        std::fs::rename(self.path("ending"), self.path("end")).unwrap();
    }

    fn total(&self) -> Option<u64> {
        Some(std::fs::read_to_string(self.path("end")).ok()?.parse().unwrap())
    }
}

/// Does what it is told, in a process of its own: `write FORM PATH`, `follow FORM PATH`, `look FORM PATH`.
fn act() {
    while let Some(line) = process::hear() {
        let [what, form, path] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (form, path) = (Form::by_name(form), Path::new(path));
        match what {
            "write" => write(form, path),
            _ => {
                let mut follower = Follower { form, whole: what == "follow", seen: 0, looks: 0, lengths: 0 };
                process::say(&match follower.run(path) {
                    Ok(()) => format!("ok {} {}", follower.looks, follower.lengths),
                    Err(why) => format!("wrong: {why}"),
                });
            }
        }
    }
}

fn write(form: Form, path: &Path) {
    let signals = Signals::new(path);
    let file = File::create(path).unwrap();
    let datasets: Vec<(Dataset, Kind)> =
        form.datasets().iter().map(|(path, kind)| (kind.create(&file, path).unwrap(), *kind)).collect();
    match form {
        Form::Arriving => drop(file.create_group("all").unwrap()),
        Form::Overwriting => datasets[0].1.append(&datasets[0].0, 0, 30).unwrap(),
        _ => {}
    }
    let live = file.go_live().unwrap();
    process::say("live");
    let mut done = 0;
    while done < form.most() && !(done % 4 == 0 && signals.is_stopped()) {
        done += 1;
        step(form, &file, &datasets, done);
        live.publish().unwrap();
    }
    process::say(&done.to_string());
    assert_eq!(process::hear().as_deref(), Some("close"));
    drop(datasets);
    drop(live);
    file.close().unwrap();
    process::say("closed");
}

fn step(form: Form, file: &File, datasets: &[(Dataset, Kind)], step: u64) {
    match form {
        Form::One(_) | Form::Many => {
            for (number, (dataset, kind)) in datasets.iter().enumerate() {
                kind.append(dataset, number as u64, kind.step).unwrap();
            }
        }
        Form::Arriving => {
            let kind = KINDS[step as usize % KINDS.len()];
            let dataset = kind.create(file, &format!("all/{step}/data")).unwrap();
            kind.append(&dataset, step, 2 * kind.step).unwrap();
            dataset.set_attribute("step", step).unwrap();
            file.group("all").unwrap().set_attribute(&format!("step {step}"), vec![step; step as usize]).unwrap();
        }
        Form::Shrinking => {
            let (dataset, kind) = &datasets[0];
            if step == 1 {
                kind.append(dataset, 0, 3).unwrap();
            }
            let now = dataset.shape()[0];
            match stretches(step).last() {
                Some(&(_, end)) if end < now => dataset.resize([end]).unwrap(),
                Some(&(number, end)) => kind.append(dataset, number, end - now).unwrap(),
                None => unreachable!("every step leaves something"),
            }
        }
        Form::Overwriting => {
            let at = step * 7 % 28;
            datasets[0].0.write(at..at + 2, &[step as f64; 2]).unwrap();
        }
    }
}

/// An h5live reader.
struct Follower {
    form: Form,
    /// Whether it refreshes the whole file, or one dataset after the other.
    whole: bool,
    /// Rows, or groups, seen by the last look.
    seen: u64,
    looks: u64,
    lengths: u64,
}

impl Follower {
    fn run(&mut self, path: &Path) -> Result<(), String> {
        let signals = Signals::new(path);
        let text = |error: h5live::Error| error.to_string();
        let file = File::follow(path).map_err(text)?;
        let datasets = self.form.datasets();
        let datasets: Vec<(Dataset, Kind)> = datasets
            .iter()
            .map(|(path, kind)| Ok((file.dataset(path).map_err(text)?, *kind)))
            .collect::<Result<_, String>>()?;
        let begun = Instant::now();
        loop {
            let total = signals.total();
            self.look(&file, &datasets)?;
            self.looks += 1;
            if let Some(total) = total {
                let step = datasets.first().map_or(1, |(_, kind)| kind.step);
                return match self.form {
                    Form::One(_) | Form::Many | Form::Arriving if self.seen != total * step => {
                        Err(format!("{} seen of {total} publications", self.seen))
                    }
                    _ => Ok(()),
                };
            }
            if begun.elapsed() > LIMIT {
                return Err("the end never came".to_owned());
            }
        }
    }

    fn look(&mut self, file: &File, datasets: &[(Dataset, Kind)]) -> Result<(), String> {
        let text = |error: h5live::Error| error.to_string();
        let before = file.commit().map_err(text)?;
        if self.whole {
            file.refresh().map_err(text)?;
        } else {
            for (dataset, _) in datasets {
                dataset.refresh().map_err(text)?;
            }
        }
        match self.form {
            // Commits are what a writer of ours makes.
            Form::One(_) | Form::Many => self.look_at_rows(datasets, self.whole && before.is_some()),
            Form::Arriving => self.look_at_groups(file),
            Form::Overwriting => {
                let found = datasets[0].0.read_vec::<f64>(..).map_err(text)?;
                let first = h5live_testkit::formula::values::<f64>(0, 0, 30);
                let wrong = found.iter().zip(&first).position(|(found, first)| found != first && found.fract() != 0.0);
                self.lengths += 1;
                wrong.map_or(Ok(()), |row| Err(format!("row {row} is {}", found[row])))
            }
            Form::Shrinking => {
                let (dataset, kind) = &datasets[0];
                let values = dataset.read_vec::<f64>(..).map_err(text)?;
                // Only while no commit came in between is what was read one state: the stretches of that commit.
                let (Some(before), Some(after)) = (before, file.commit().map_err(text)?) else { return Ok(()) };
                if before != after {
                    return Ok(());
                }
                self.lengths += 1;
                let mut start = 0;
                for (number, end) in stretches(before) {
                    let wanted = h5live_testkit::formula::values::<f64>(number, start, (end - start) as usize);
                    if values.get(start as usize..end as usize) != Some(&wanted[..]) {
                        return Err(format!(
                            "at commit {before} ({:?}): {values:?} of {}",
                            stretches(before),
                            kind.name
                        ));
                    }
                    start = end;
                }
                if values.len() as u64 == start { Ok(()) } else { Err(format!("{} rows at {before}", values.len())) }
            }
        }
    }

    fn look_at_rows(&mut self, datasets: &[(Dataset, Kind)], together: bool) -> Result<(), String> {
        let lengths: Vec<u64> = datasets.iter().map(|(dataset, _)| dataset.shape()[0]).collect();
        if together {
            h5live_testkit::history::check_together(&lengths).map_err(|why| why.to_string())?;
        }
        let before = self.seen;
        for (number, ((dataset, kind), now)) in datasets.iter().zip(&lengths).enumerate() {
            if *now < before {
                return Err(format!("dataset {number} shrank from {before} to {now} rows"));
            }
            if !now.is_multiple_of(kind.step) {
                return Err(format!("dataset {number} has {now} rows: no number of publications"));
            }
            kind.check_shape(&dataset.shape())?;
            kind.check(dataset, number as u64, before..*now)?;
            let again = h5live_testkit::formula::bits(number as u64, self.looks) % (before + 1);
            kind.check(dataset, number as u64, again..(again + 200).min(before))?;
        }
        // Of datasets that are refreshed one by one, the last is the furthest: only what all of them have was checked.
        self.seen = lengths.into_iter().min().unwrap_or(0);
        self.lengths += u64::from(self.seen > before);
        Ok(())
    }

    fn look_at_groups(&mut self, file: &File) -> Result<(), String> {
        let text = |error: h5live::Error| error.to_string();
        let mut here: Vec<u64> = file
            .group("all")
            .and_then(|all| all.members())
            .map_err(text)?
            .iter()
            .map(|it| it.name.parse().unwrap())
            .collect();
        here.sort_unstable();
        if here.iter().enumerate().any(|(at, step)| *step != at as u64 + 1) || (here.len() as u64) < self.seen {
            return Err(format!("groups are {here:?}, {} before", self.seen));
        }
        for step in here.iter().rev().take(20) {
            let kind = KINDS[*step as usize % KINDS.len()];
            let dataset = file.dataset(&format!("all/{step}/data")).map_err(text)?;
            let rows = 2 * kind.step;
            if dataset.shape()[0] != rows {
                return Err(format!("all/{step}/data has {:?}, not {rows} rows", dataset.shape()));
            }
            kind.check(&dataset, *step, 0..rows)?;
            let found = dataset.attribute("step").and_then(|it| it.read_scalar::<u64>()).map_err(text)?;
            if found != *step {
                return Err(format!("the attribute of all/{step}/data is {found}"));
            }
        }
        for attribute in file.group("all").and_then(|all| all.attributes()).map_err(text)? {
            let step: u64 = attribute.name().trim_start_matches("step ").parse().unwrap();
            let found = attribute.read_vec::<u64>().map_err(text)?;
            if found != vec![step; step as usize] {
                return Err(format!("attribute {} is {found:?}", attribute.name()));
            }
        }
        self.lengths += u64::from(here.len() as u64 > self.seen);
        self.seen = here.len() as u64;
        Ok(())
    }
}

/// A reader in h5py.
struct PythonReader {
    side: H5py,
    version: Libhdf5,
    swmr: bool,
}

/// What readers of one sort did in all scenarios together.
#[derive(Debug, Default)]
struct Tally {
    opens: u64,
    looks: u64,
    lengths: u64,
    errors: Vec<String>,
}

impl PythonReader {
    fn all() -> Vec<Self> {
        let start = |version, swmr| {
            let side = H5py::start(version).unwrap().with_limit(2 * LIMIT);
            Self { side, version, swmr }
        };
        let versions = Libhdf5::ALL.into_iter();
        versions.flat_map(|version| [true, false].map(|swmr| start(version, swmr))).collect()
    }

    fn name(&self) -> String {
        format!("h5py, libhdf5 {:?}, {}", self.version, if self.swmr { "swmr=True" } else { "plain" })
    }

    fn follow(&self, form: Form, path: &Path, tally: &mut Tally) -> Result<(), String> {
        let arguments = json!({
            "path": path, "swmr": self.swmr, "end": Signals::new(path).path("end"), "limit": LIMIT.as_secs(),
            "form": form.name_in_python(), "datasets": form.in_python(),
        });
        let found = self.side.run(h5live_trial::kinds::FOLLOW, arguments).map_err(|error| error.to_string())?;
        let number = |name: &str| found[name].as_u64().unwrap();
        tally.opens += number("opens");
        tally.looks += number("looks");
        tally.lengths += number("lengths");
        let errors = found["errors"].as_array().unwrap();
        tally.errors.extend(errors.iter().map(|error| error.as_str().unwrap().to_owned()));
        Ok(())
    }
}

/// An h5live reader in a process of its own.
struct OwnReader {
    child: Child,
    /// "follow" or "look".
    what: &'static str,
}

impl OwnReader {
    fn all(test: &str) -> Vec<Self> {
        let start = |what| Self { child: Program::this_test(test, what).start().unwrap(), what };
        ["follow", "look"].map(start).into()
    }

    fn name(&self) -> String {
        format!("h5live, {}", if self.what == "follow" { "whole file" } else { "one dataset after the other" })
    }

    fn follow(&mut self, name: &str, path: &Path, tally: &mut Tally) -> Result<(), String> {
        self.child.say(&format!("{}\t{name}\t{}", self.what, path.display())).map_err(|error| error.to_string())?;
        let found = self.child.hear("what it saw", 2 * LIMIT).map_err(|error| error.to_string())?;
        let numbers: Option<Vec<u64>> =
            found.strip_prefix("ok ").map(|numbers| numbers.split(' ').map(|number| number.parse().unwrap()).collect());
        let Some([looks, lengths]) = numbers.as_deref() else { return Err(found) };
        tally.opens += 1;
        tally.looks += looks;
        tally.lengths += lengths;
        Ok(())
    }
}

#[test]
fn everyone_follows_h5live() {
    const TEST: &str = "everyone_follows_h5live";
    if process::role().is_some() {
        return act();
    }
    let scratch = scratch();
    let mut writer = Program::this_test(TEST, "writer").start().unwrap();
    let mut own: Vec<_> = OwnReader::all(TEST).into_iter().map(|reader| (reader, Tally::default())).collect();
    let mut others: Vec<_> = PythonReader::all().into_iter().map(|reader| (reader, Tally::default())).collect();
    let mut wrong = Vec::new();
    let mut publications = 0;
    for (name, form) in Form::all() {
        let path = scratch.path().join(format!("{name}.h5"));
        let signals = Signals::new(&path);
        writer.say(&format!("write\t{name}\t{}", path.display())).unwrap();
        writer.expect("live", LIMIT).unwrap();
        std::thread::scope(|scope| {
            let mut readers = Vec::new();
            for (reader, tally) in &mut own {
                let (name, path) = (&name, &path);
                readers.push((reader.name(), scope.spawn(move || reader.follow(name, path, tally))));
            }
            for (reader, tally) in &mut others {
                let path = &path;
                readers.push((reader.name(), scope.spawn(move || reader.follow(form, path, tally))));
            }
            std::thread::sleep(RUN);
            signals.stop();
            let total = writer.hear("the number of publications", LIMIT).unwrap().parse().unwrap();
            publications += total;
            signals.end(total);
            for (reader, thread) in readers {
                if let Err(why) = thread.join().unwrap() {
                    wrong.push(format!("{name} / {reader}: {why}"));
                }
            }
        });
        writer.say("close").unwrap();
        writer.expect("closed", LIMIT).unwrap();
        // Once more, now that it is an ordinary file.
        let (reader, _) = &others[1];
        if let Err(why) = reader.follow(form, &path, &mut Tally::default()) {
            wrong.push(format!("{name} / after closing: {why}"));
        }
        std::fs::remove_file(&path).unwrap();
    }
    println!("{publications} publications");
    for (name, tally) in own.iter().map(|(it, tally)| (it.name(), tally)) {
        println!("{name}: {} looks, {} new lengths", tally.looks, tally.lengths);
    }
    for (reader, tally) in &others {
        let Tally { opens, looks, lengths, errors } = tally;
        println!("{}: {opens} opens, {looks} looks, {lengths} new lengths, {} errors", reader.name(), errors.len());
        errors.iter().take(5).for_each(|error| println!("    {error}"));
        // A plain reader reads nothing twice: it may meet a block between two states, a few times in 100,000, and says so.
        if errors.len() as u64 > 1 + opens / 1000 {
            wrong.push(format!("{}: {} errors in {opens} opens: {:?}", reader.name(), errors.len(), errors.first()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn h5live_follows_h5py() {
    const TEST: &str = "h5live_follows_h5py";
    if process::role().is_some() {
        return act();
    }
    let scratch = scratch();
    let mut own: Vec<_> = OwnReader::all(TEST).into_iter().map(|reader| (reader, Tally::default())).collect();
    let mut wrong = Vec::new();
    let forms = [
        "chunk of 1",
        "chunk of 4",
        "chunk of 1024",
        "gzip, parts of chunks",
        "gzip, whole chunks",
        "fletcher32",
        "grid",
        "gzip grid",
        "frames",
        "gzip frames",
        "many datasets",
    ];
    for version in Libhdf5::ALL {
        let writer = H5py::start(version).unwrap().with_limit(2 * LIMIT);
        let mut publications = 0;
        for name in forms {
            let path = scratch.path().join(format!("{name} {version:?}.h5"));
            let (signals, form) = (Signals::new(&path), Form::by_name(name));
            let arguments = json!({
                "path": path, "live": signals.path("live"), "stop": signals.path("stop"), "most": form.most().min(20_000),
                "datasets": form.in_python(),
            });
            std::thread::scope(|scope| {
                let writing = scope.spawn(|| writer.run(h5live_trial::kinds::WRITE, arguments));
                let begun = Instant::now();
                while !signals.path("live").exists() && !writing.is_finished() {
                    assert!(begun.elapsed() < LIMIT, "h5py does not go live");
                    std::thread::sleep(Duration::from_millis(5));
                }
                let readers: Vec<_> = own
                    .iter_mut()
                    .map(|(reader, tally)| {
                        let path = &path;
                        (reader.name(), scope.spawn(move || reader.follow(name, path, tally)))
                    })
                    .collect();
                std::thread::sleep(RUN / 2);
                signals.stop();
                let total = writing.join().unwrap().unwrap().as_u64().unwrap();
                publications += total;
                signals.end(total);
                for (reader, thread) in readers {
                    if let Err(why) = thread.join().unwrap() {
                        wrong.push(format!("{name} of {version:?} / {reader}: {why}"));
                    }
                }
            });
            writer.run("files.pop('writer').close()", Value::Null).unwrap();
            std::fs::remove_file(&path).unwrap();
        }
        println!("{version:?}: {publications} publications");
    }
    for (reader, tally) in &own {
        println!("{}: {} looks, {} new lengths", reader.name(), tally.looks, tally.lengths);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A judge that cannot condemn is decoration: rows of another dataset, and rows that nobody wrote.
#[test]
fn the_judges_condemn_what_is_wrong() {
    let scratch = scratch();
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    for kind in KINDS {
        let path = scratch.path().join(format!("{}.h5", kind.name));
        let file = File::create(&path).unwrap();
        let dataset = kind.create(&file, "other").unwrap();
        kind.append(&dataset, 5, 2 * kind.step).unwrap();
        let dataset = kind.create(&file, "filled").unwrap();
        kind.append(&dataset, 0, kind.step).unwrap();
        let mut shape = dataset.shape();
        shape[0] = 2 * kind.step;
        dataset.resize(shape).unwrap();
        drop(dataset);
        file.close().unwrap();
        let file = File::open(&path).unwrap();
        for name in ["other", "filled"] {
            kind.check(&file.dataset(name).unwrap(), 0, 0..2 * kind.step).unwrap_err();
            let arguments = json!({
                "path": path, "swmr": false, "end": null, "form": "rows", "datasets": [kind.in_python(name, 0)],
            });
            let error = python.run(h5live_trial::kinds::FOLLOW, arguments).unwrap_err();
            let condemned = matches!(&error, h5live_testkit::Error::Python { kind, .. } if kind == "AssertionError");
            assert!(condemned, "{name} of {}: {error}", kind.name);
        }
    }
}
