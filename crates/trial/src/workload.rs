//! Things that are done to a file again and again, each time with one publication; and what must then be found in it.

use h5live::{Dataset, File};
use h5live_storage::sim::Random;
use h5live_testkit::formula;

use crate::kinds::{Content, KINDS, Kind, kind};

/// What a judge says: nothing, or what is wrong.
pub type Checked = Result<(), String>;

/// Something that is done to a file again and again.
pub trait Workload: Send + Sync {
    /// Its name.
    fn name(&self) -> String;

    /// Before the file is live.
    ///
    /// # Errors
    /// h5live's.
    fn begin(&self, file: &File) -> h5live::Result<()>;

    /// Everything up to a publication, for the `step`th time; the first is 1.
    ///
    /// # Errors
    /// h5live's.
    fn step(&self, file: &File, step: u64) -> h5live::Result<()>;

    /// Judges a file that shows publication number `step`; 0 is the file as [`Workload::begin`] left it.
    ///
    /// # Errors
    /// What is wrong.
    fn check(&self, file: &File, step: u64) -> Checked;

    /// Judges a file as a reader sees it that knows no commit record, object header by object header: after publication number `step`, or
    /// with part of the next.
    ///
    /// # Errors
    /// What is wrong.
    fn check_apart(&self, file: &File, step: u64) -> Checked {
        self.check(file, step).or_else(|why| self.check(file, step + 1).map_err(|also| format!("{why}; {also}")))
    }

    /// Judges a file that may have lost any part of the publications after number `step`; none where that cannot be said.
    fn check_kept(&self, _: &File, _: u64) -> Option<Checked> {
        None
    }

    /// Judges a file as a reader sees it that came after publication number `since` and was not done before number `until`: everything
    /// is from that time, and nothing is missing that was there all the time. None where that cannot be said.
    fn check_between(&self, _file: &File, _since: u64, _until: u64) -> Option<Checked> {
        None
    }

    /// The datasets that a later session appends to.
    fn datasets(&self) -> Vec<(String, Kind)>;

    /// The rows that dataset number `at` of [`Workload::datasets`] has after publication number `step`; none where it also shrinks.
    fn rows(&self, _at: usize, _step: u64) -> Option<u64> {
        None
    }
}

/// All workloads. `seed` varies how much is there at first and comes each time; 0 stands for one step of the kind, always.
#[must_use]
pub fn all(seed: u64) -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> =
        KINDS.iter().map(|kind| Box::new(Growing::new(kind.name, vec![*kind], seed)) as _).collect();
    all.push(Box::new(Growing::new("all kinds together", KINDS.to_vec(), seed)));
    all.push(Box::new(Growing::new("12 datasets", vec![kind("chunk of 4"); 12], seed)));
    all.push(Box::new(Growing::new("160 datasets", vec![kind("chunk of 1024"); 160], seed)));
    all.push(Box::new(Arriving));
    all.push(Box::new(Attributes));
    for name in ["chunk of 4", "gzip, parts of chunks", "limited", "gzip limited", "frames", "text", "chunk of 1"] {
        all.push(Box::new(Shrinking(kind(name))));
    }
    all.push(Box::new(Overwriting(kind("chunk of 4"))));
    all
}

/// Datasets that all grow together.
#[derive(Debug)]
pub struct Growing {
    name: String,
    kinds: Vec<Kind>,
    seed: u64,
}

/// One dataset that grows, shrinks and grows again.
#[derive(Debug)]
pub struct Shrinking(pub Kind);

/// Groups, datasets and attributes that come while the file is live.
#[derive(Debug)]
pub struct Arriving;

/// Attributes of one group and one dataset, created, changed, renamed and deleted, few and many.
#[derive(Debug)]
pub struct Attributes;

/// Elements inside the extent, overwritten.
#[derive(Debug)]
pub struct Overwriting(pub Kind);

/// The path of dataset number `at`.
#[must_use]
pub fn path(at: usize) -> String {
    format!("group/dataset {at}")
}

/// Opens a dataset for a judge.
///
/// # Errors
/// h5live's, as text.
pub fn open(file: &File, path: &str) -> Result<Dataset, String> {
    file.dataset(path).map_err(text)
}

fn text(error: h5live::Error) -> String {
    error.to_string()
}

impl Growing {
    /// Datasets of these kinds; see [`all`] for the seed.
    #[must_use]
    pub fn new(name: &str, kinds: Vec<Kind>, seed: u64) -> Self {
        Self { name: name.to_owned(), kinds, seed }
    }

    /// Rows that dataset number `at` has after a step.
    fn rows_after(&self, at: usize, step: u64) -> u64 {
        let kind = &self.kinds[at];
        let rows = match self.seed {
            0 => step * kind.step,
            seed => {
                let mut random = Random::new(seed ^ (at as u64) << 32);
                let first = match random.below(4) {
                    _ if self.kinds.len() > 40 || kind.content == Content::Grid => 0,
                    0 => 0,
                    1 => random.below(20) as u64,
                    2 => random.below(300) as u64,
                    _ => kind.chunk[0] * random.below(40) as u64,
                };
                // A grid gets one more column with so many rows, and not two at once.
                let most = if kind.content == Content::Grid { 7 } else { 4 };
                let each = (0..step).map(|_| match random.below(8) {
                    0 if kind.content != Content::Grid => 5 * kind.step,
                    _ => 1 + random.below(most) as u64,
                });
                first + each.sum::<u64>()
            }
        };
        kind.limit.map_or(rows, |limit| rows.min(limit - 20))
    }

    fn grow(&self, file: &File, step: u64) -> h5live::Result<()> {
        for (at, kind) in self.kinds.iter().enumerate() {
            let dataset = file.dataset(&path(at))?;
            let missing = self.rows_after(at, step) - dataset.shape()[0];
            if missing > 0 {
                kind.append(&dataset, at as u64, missing)?;
            }
        }
        Ok(())
    }
}

impl Workload for Growing {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn begin(&self, file: &File) -> h5live::Result<()> {
        for (at, kind) in self.kinds.iter().enumerate() {
            kind.create(file, &path(at))?;
        }
        self.grow(file, 0)
    }

    fn step(&self, file: &File, step: u64) -> h5live::Result<()> {
        self.grow(file, step)
    }

    fn check(&self, file: &File, step: u64) -> Checked {
        for (at, kind) in self.kinds.iter().enumerate() {
            let dataset = open(file, &path(at))?;
            let rows = self.rows_after(at, step);
            if dataset.shape()[0] != rows {
                return Err(format!("{}: {} rows instead of {rows}", kind.name, dataset.shape()[0]));
            }
            kind.check_shape(&dataset.shape())?;
            kind.check(&dataset, at as u64, 0..rows).map_err(|why| format!("{}: {why}", kind.name))?;
        }
        Ok(())
    }

    fn check_between(&self, file: &File, since: u64, until: u64) -> Option<Checked> {
        let check = |at: usize, kind: &Kind| {
            let dataset = open(file, &path(at))?;
            let rows = dataset.shape()[0];
            let (least, most) = (self.rows_after(at, since), self.rows_after(at, until + 1));
            if rows < least || rows > most {
                return Err(format!("{rows} rows, not {least} to {most}"));
            }
            kind.check_shape(&dataset.shape())?;
            kind.check(&dataset, at as u64, 0..rows)
        };
        let mut kinds = self.kinds.iter().enumerate();
        Some(kinds.try_for_each(|(at, kind)| check(at, kind).map_err(|why| format!("{}: {why}", kind.name))))
    }

    fn check_apart(&self, file: &File, step: u64) -> Checked {
        for (at, kind) in self.kinds.iter().enumerate() {
            let dataset = open(file, &path(at))?;
            let (rows, allowed) = (dataset.shape()[0], [self.rows_after(at, step), self.rows_after(at, step + 1)]);
            if !allowed.contains(&rows) {
                return Err(format!("{}: {rows} rows, and not one of {allowed:?}", kind.name));
            }
            kind.check(&dataset, at as u64, 0..rows).map_err(|why| format!("{}: {why}", kind.name))?;
        }
        Ok(())
    }

    fn check_kept(&self, file: &File, step: u64) -> Option<Checked> {
        let check = |at: usize, kind: &Kind| {
            let dataset = open(file, &path(at))?;
            let rows = self.rows_after(at, step);
            if dataset.shape()[0] < rows {
                return Err(format!("{} rows instead of {rows} or more", dataset.shape()[0]));
            }
            kind.check_first(&dataset, at as u64, rows)
        };
        let checks = self.kinds.iter().enumerate();
        Some(checks.into_iter().try_for_each(|(at, kind)| {
            check(at, kind).map_err(|why| format!("{}, published durably: {why}", kind.name))
        }))
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        self.kinds.iter().enumerate().map(|(at, kind)| (path(at), *kind)).collect()
    }

    fn rows(&self, at: usize, step: u64) -> Option<u64> {
        Some(self.rows_after(at, step))
    }
}

impl Shrinking {
    /// Rows after a step, as (number, end) of the stretches they consist of.
    fn stretches(step: u64) -> Vec<(u64, u64)> {
        match step % 4 {
            _ if step == 0 => vec![],
            // Each round of four leaves three rows of the round before, and these three alone.
            1 => vec![(0, 3), (step, 20)],
            2 => vec![(0, 3), (step - 1, 20), (step, 35)],
            3 => vec![(0, 3), (step - 2, 9)],
            _ => vec![(0, 3)],
        }
    }
}

impl Workload for Shrinking {
    fn name(&self) -> String {
        format!("shrinking {}", self.0.name)
    }

    fn begin(&self, file: &File) -> h5live::Result<()> {
        self.0.create(file, &path(0)).map(drop)
    }

    fn step(&self, file: &File, step: u64) -> h5live::Result<()> {
        let dataset = file.dataset(&path(0))?;
        if step == 1 {
            self.0.append(&dataset, 0, 3)?;
        }
        let now = dataset.shape();
        match Self::stretches(step).last() {
            Some(&(_, end)) if end < now[0] => dataset.resize([&[end], &now[1..]].concat()),
            Some(&(number, end)) => self.0.append(&dataset, number, end - now[0]),
            None => unreachable!("every step leaves something"),
        }
    }

    fn check(&self, file: &File, step: u64) -> Checked {
        let dataset = open(file, &path(0))?;
        let stretches = Self::stretches(step);
        let rows = stretches.last().map_or(0, |last| last.1);
        if dataset.shape()[0] != rows {
            return Err(format!("{} rows instead of {rows}", dataset.shape()[0]));
        }
        let mut start = 0;
        for (number, end) in stretches {
            self.0.check(&dataset, number, start..end)?;
            start = end;
        }
        Ok(())
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        vec![(path(0), self.0)]
    }
}

impl Arriving {
    fn check_step(file: &File, step: u64) -> Checked {
        let kind = KINDS[step as usize % KINDS.len()];
        let dataset = open(file, &format!("all/{step}/data"))?;
        kind.check(&dataset, step, 0..2 * kind.step)?;
        let found = dataset.attribute("step").and_then(|it| it.read_scalar::<u64>()).map_err(text)?;
        let group = file.group("all").map_err(text)?;
        let listed = group.attribute(&format!("step {step}")).and_then(|it| it.read_vec::<u64>()).map_err(text)?;
        if found != step || listed != vec![step; step as usize] {
            return Err(format!("attributes of step {step} are {found} and {listed:?}"));
        }
        Ok(())
    }
}

impl Arriving {
    /// What is there of a step under way must be whole objects.
    fn check_members(file: &File) -> Checked {
        for member in file.group("all").and_then(|group| group.members()).map_err(text)? {
            let inner = file.group(&format!("all/{}", member.name)).map_err(text)?;
            for member in inner.members().map_err(text)? {
                let dataset = inner.dataset(&member.name).map_err(text)?;
                dataset.read_values(..).map_err(text)?;
                dataset.attributes().map_err(text)?;
            }
        }
        Ok(())
    }
}

impl Workload for Arriving {
    fn name(&self) -> String {
        "new groups, datasets and attributes".to_owned()
    }

    fn begin(&self, file: &File) -> h5live::Result<()> {
        file.create_group("all")?;
        KINDS[0].create(file, &path(0)).map(drop)
    }

    fn step(&self, file: &File, step: u64) -> h5live::Result<()> {
        let kind = KINDS[step as usize % KINDS.len()];
        let dataset = kind.create(file, &format!("all/{step}/data"))?;
        kind.append(&dataset, step, 2 * kind.step)?;
        dataset.set_attribute("step", step)?;
        let group = file.group("all")?;
        group.set_attribute(&format!("step {step}"), vec![step; step as usize])?;
        KINDS[0].append(&file.dataset(&path(0))?, 0, 1)
    }

    fn check(&self, file: &File, step: u64) -> Checked {
        (1..=step).try_for_each(|step| Self::check_step(file, step))?;
        let dataset = open(file, &path(0))?;
        if dataset.shape()[0] != step {
            return Err(format!("{} rows after step {step}", dataset.shape()[0]));
        }
        Self::check_members(file)?;
        KINDS[0].check(&dataset, 0, 0..step)
    }

    fn check_apart(&self, file: &File, step: u64) -> Checked {
        self.check_kept(file, step).unwrap_or(Ok(()))?;
        Self::check_members(file)?;
        let dataset = open(file, &path(0))?;
        KINDS[0].check(&dataset, 0, 0..dataset.shape()[0])
    }

    fn check_between(&self, file: &File, since: u64, until: u64) -> Option<Checked> {
        let check = || {
            let members = file.group("all").and_then(|group| group.members()).map_err(text)?;
            let mut steps: Vec<u64> = members.iter().map(|member| member.name.parse().unwrap_or(u64::MAX)).collect();
            steps.sort_unstable();
            let count = steps.len() as u64;
            if !steps.iter().copied().eq(1..=count) || count < since || count > until + 1 {
                return Err(format!("groups {steps:?}, not {since} to {} of them", until + 1));
            }
            self.check_apart(file, since)
        };
        Some(check())
    }

    fn check_kept(&self, file: &File, step: u64) -> Option<Checked> {
        let check = || {
            (1..=step).try_for_each(|step| Self::check_step(file, step))?;
            let dataset = open(file, &path(0))?;
            if dataset.shape()[0] < step {
                return Err(format!("{} rows after step {step}", dataset.shape()[0]));
            }
            KINDS[0].check_first(&dataset, 0, step)
        };
        Some(check())
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        vec![(path(0), KINDS[0])]
    }
}

/// Attributes by name, in order.
type Named = Vec<(String, Vec<u64>)>;

/// Names that the attributes of [`Attributes`] go by.
const NAMES: u64 = 14;

impl Attributes {
    /// The value of an attribute after a step; none when it is not there. Each name is set, changed twice to another size, and deleted.
    fn value(name: u64, step: u64) -> Option<Vec<u64>> {
        // In one step one name changes: that of the step, in a round of all names.
        let changes = (step + NAMES - 1 - name) / NAMES;
        let last = name + 1 + (changes.checked_sub(1)?) * NAMES;
        (!changes.is_multiple_of(4)).then(|| vec![last; [1, 30, 4][changes as usize % 4 - 1]])
    }

    fn found(file: &File) -> Result<[Named; 2], String> {
        let read = |attributes: Vec<h5live::Attribute>| -> Result<Named, String> {
            let mut found = Vec::new();
            for attribute in attributes {
                found.push((attribute.name().to_owned(), attribute.read_vec::<u64>().map_err(text)?));
            }
            found.sort();
            Ok(found)
        };
        let group = file.group("group").and_then(|group| group.attributes()).map_err(text)?;
        let dataset = open(file, &path(0))?.attributes().map_err(text)?;
        Ok([read(group)?, read(dataset)?])
    }

    fn wanted(step: u64) -> Named {
        let mut wanted: Vec<_> =
            (0..NAMES).filter_map(|name| Some((format!("a{name}"), Self::value(name, step)?))).collect();
        wanted.sort();
        wanted
    }
}

impl Workload for Attributes {
    fn name(&self) -> String {
        "attributes created, changed, deleted".to_owned()
    }

    fn begin(&self, file: &File) -> h5live::Result<()> {
        KINDS[0].create(file, &path(0)).map(drop)
    }

    fn step(&self, file: &File, step: u64) -> h5live::Result<()> {
        let name = (step - 1) % NAMES;
        let (group, dataset) = (file.group("group")?, file.dataset(&path(0))?);
        let called = format!("a{name}");
        match Self::value(name, step) {
            Some(value) => {
                group.set_attribute(&called, value.clone())?;
                dataset.set_attribute(&called, value)
            }
            None => {
                group.delete_attribute(&called)?;
                dataset.delete_attribute(&called)
            }
        }
    }

    /// The two objects change one after the other: each shows this step or the one before.
    fn check(&self, file: &File, step: u64) -> Checked {
        let (now, next) = (Self::wanted(step), Self::wanted(step + 1));
        for found in Self::found(file)? {
            if found != now && found != next {
                return Err(format!("after step {step}: {found:?} instead of {now:?}"));
            }
        }
        Ok(())
    }

    fn check_between(&self, file: &File, since: u64, until: u64) -> Option<Checked> {
        let check = || {
            for found in Self::found(file)? {
                for name in 0..NAMES {
                    let called = format!("a{name}");
                    let mut here = found.iter().filter(|(other, _)| *other == called).map(|(_, value)| value);
                    let (first, second) = (here.next().cloned(), here.next());
                    let mut possible = (since..=until + 1).map(|step| Self::value(name, step));
                    if second.is_some() || !possible.any(|value| value == first) {
                        return Err(format!("{called} is {first:?} and {second:?} between {since} and {until}"));
                    }
                }
            }
            Ok(())
        };
        Some(check())
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        vec![(path(0), KINDS[0])]
    }
}

impl Workload for Overwriting {
    fn name(&self) -> String {
        format!("overwriting {}", self.0.name)
    }

    fn begin(&self, file: &File) -> h5live::Result<()> {
        let dataset = self.0.create(file, &path(0))?;
        self.0.append(&dataset, 0, 30)
    }

    fn step(&self, file: &File, step: u64) -> h5live::Result<()> {
        let dataset = file.dataset(&path(0))?;
        let at = step * 7 % 28;
        dataset.write(at..at + 2, &[step as f64, step as f64])
    }

    fn check(&self, file: &File, step: u64) -> Checked {
        self.check_between(file, step, step).unwrap_or(Ok(()))
    }

    fn check_between(&self, file: &File, since: u64, until: u64) -> Option<Checked> {
        Some(Self::check_elements(file, since, until))
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        vec![(path(0), self.0)]
    }
}

impl Overwriting {
    /// Overwritten elements may be seen before they are published: each is what some step up to the one after `until` wrote, the last
    /// one published by `since` at least.
    fn check_elements(file: &File, since: u64, until: u64) -> Checked {
        let found = open(file, &path(0))?.read_vec::<f64>(..).map_err(text)?;
        let mut model = vec![Vec::new(); 30];
        for (row, allowed) in model.iter_mut().enumerate() {
            allowed.push(formula::values::<f64>(0, row as u64, 1)[0]);
        }
        for step in 1..=until + 1 {
            let at = (step * 7 % 28) as usize;
            model[at].push(step as f64);
            model[at + 1].push(step as f64);
        }
        for (row, (found, written)) in found.iter().zip(&model).enumerate() {
            let last_published = written.iter().rposition(|value| value.fract() != 0.0 || *value <= since as f64);
            if !written[last_published.unwrap_or(0)..].contains(found) {
                return Err(format!("row {row} is {found}, of {written:?}"));
            }
        }
        if found.len() == 30 { Ok(()) } else { Err(format!("{} rows", found.len())) }
    }
}
