//! Looking at a file as far as it can be read: what is damaged is told and passed over, and references are shown by the paths of
//! what they lead to.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use h5live::region::{RegularDimension, Selection as RegionSelection};
use h5live::{File, Group, Reference, Value};

use crate::failure::Failure;
use crate::output::{note, thousands};
use crate::place::{self, Met};

/// Damage that is told one by one; of more, only the number.
const TOLD: u64 = 20;
/// Blocks or points of a selection that are shown.
const SHOWN: usize = 4;

/// A file that is looked at.
pub(crate) struct Looking {
    file: File,
    path: PathBuf,
    damaged: Cell<u64>,
    /// The paths of objects by address, once a reference asked for them.
    paths: OnceCell<HashMap<u64, String>>,
}

impl Looking {
    /// Begins to look at `file`, which was opened by `path`.
    pub(crate) fn new(file: &File, path: &Path) -> Self {
        Self { file: file.clone(), path: path.to_owned(), damaged: Cell::new(0), paths: OnceCell::new() }
    }

    /// What could be read; `None` for what is damaged, which is told. Everything else that failed ends the look.
    pub(crate) fn pass<T, E: Into<Failure>>(&self, result: Result<T, E>) -> Result<Option<T>, Failure> {
        match result.map_err(Into::into) {
            Ok(value) => Ok(Some(value)),
            Err(Failure::File(error)) => {
                self.damaged.set(self.damaged.get() + 1);
                if self.damaged.get() <= TOLD {
                    note(&error.to_string());
                }
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// As [`place::walk`], past what is damaged: that is told, and of unknown kind.
    pub(crate) fn walk(
        &self,
        group: &Group,
        visit: &mut impl FnMut(Met) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        place::walk(group, visit, &mut |failure| self.pass(Err(failure)).map(|_: Option<()>| ()))
    }

    /// The end of the look: a failure if anything was damaged.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        let path = self.path.display();
        match self.damaged.get() {
            0 => Ok(()),
            count => {
                let (count, things) = (thousands(count), if count == 1 { "thing is" } else { "things are" });
                Err(Failure::Other(format!(
                    "{path}: {count} {things} damaged and left out; `h5live check {path}` looks through all of it"
                )))
            }
        }
    }

    /// A value as people write it; references by the path of what they lead to.
    pub(crate) fn text(&self, value: &Value) -> String {
        let mut text = String::new();
        self.write(value, &mut text);
        text
    }

    fn write(&self, value: &Value, out: &mut String) {
        match value {
            Value::Compound(members) => {
                out.push('{');
                for (number, (name, value)) in members.iter().enumerate() {
                    out.push_str(if number == 0 { "" } else { ", " });
                    out.push_str(name);
                    out.push_str(": ");
                    self.write(value, out);
                }
                out.push('}');
            }
            Value::Array(values) | Value::VarLen(values) => {
                out.push('[');
                for (number, value) in values.iter().enumerate() {
                    out.push_str(if number == 0 { "" } else { ", " });
                    self.write(value, out);
                }
                out.push(']');
            }
            Value::Reference(reference) => out.push_str(&self.reference(reference)),
            // Writing to a string does not fail.
            other => drop(write!(out, "{other}")),
        }
    }

    fn reference(&self, reference: &Reference) -> String {
        match reference {
            Reference::Object(address) => self.named(*address),
            Reference::Region { dataset, selection } => format!("{}{}", self.named(*dataset), region(selection)),
            Reference::Attribute { object, name } => format!("{}@{name}", self.named(*object)),
            other => other.to_string(),
        }
    }

    /// An object by its path, if it has one.
    pub(crate) fn named(&self, address: u64) -> String {
        match self.paths().get(&address) {
            Some(path) => format!("-> {path}"),
            None => format!("object {address:#x}"),
        }
    }

    fn paths(&self) -> &HashMap<u64, String> {
        self.paths.get_or_init(|| {
            let root = self.file.root();
            let mut paths = HashMap::from([(root.address(), "/".to_owned())]);
            let visit = &mut |met: Met| {
                if let Some(object) = met.object {
                    paths.entry(object.address()).or_insert(met.path);
                }
                Ok(())
            };
            // What is damaged has no path here, and is told where it is looked at.
            let _ = place::walk(&root, visit, &mut |_| Ok(()));
            paths
        })
    }
}

/// A selection as Python would write it, as far as that goes: `[0:5, 2]`.
pub(crate) fn region(selection: &RegionSelection) -> String {
    let cut = |mut shown: Vec<String>, count: usize| {
        if count > shown.len() {
            shown.push(format!("... {} in all", thousands(count as u64)));
        }
        shown.join(", ")
    };
    match selection {
        RegionSelection::None => "[nothing]".to_owned(),
        RegionSelection::All => "[:]".to_owned(),
        RegionSelection::Points(points) => {
            let shown = points.iter().take(SHOWN).map(|point| format!("({})", list(point))).collect();
            format!("[{}]", cut(shown, points.iter().count()))
        }
        RegionSelection::Regular(axes) => {
            format!("[{}]", axes.iter().map(along).collect::<Vec<_>>().join(", "))
        }
        RegionSelection::Blocks(blocks) => {
            let shown = blocks.iter().take(SHOWN).map(|(first, last)| {
                let axes: Vec<String> =
                    first.iter().zip(last).map(|(first, last)| range(*first, Some(last.saturating_add(1)))).collect();
                format!("[{}]", axes.join(", "))
            });
            cut(shown.collect(), blocks.iter().count())
        }
    }
}

fn list(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn range(start: u64, end: Option<u64>) -> String {
    match end {
        Some(end) if end == start.saturating_add(1) => start.to_string(),
        Some(end) => format!("{start}:{end}"),
        None => format!("{start}:"),
    }
}

/// Blocks along one axis: `3`, `0:5`, `0:10:2`, `0:` without an end, and `0:2 every 5` for blocks of several elements.
fn along(axis: &RegularDimension) -> String {
    let RegularDimension { start, stride, count, block } = *axis;
    match (count, block) {
        (_, None) => range(start, None),
        (Some(1), Some(block)) => range(start, Some(start.saturating_add(block))),
        (Some(count), Some(block)) if stride == block => {
            range(start, Some(start.saturating_add(count.saturating_mul(block))))
        }
        (None, Some(block)) if stride == block => range(start, None),
        (Some(count), Some(1)) => {
            let end = start.saturating_add(count.saturating_sub(1).saturating_mul(stride)).saturating_add(1);
            format!("{start}:{end}:{stride}")
        }
        (None, Some(1)) => format!("{start}::{stride}"),
        (Some(count), Some(block)) => {
            format!("{} every {stride}, {count} times", range(start, Some(start.saturating_add(block))))
        }
        (None, Some(block)) => format!("{} every {stride}", range(start, Some(start.saturating_add(block)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h5live::region::{Blocks, Points};

    #[test]
    fn selections_are_written_as_slices() {
        let axis = |start, stride, count, block| RegularDimension { start, stride, count, block };
        let points = Points { rank: 2, coordinates: vec![1, 2, 3, 4] };
        let blocks =
            |count: u64| Blocks { rank: 1, corners: (0..count).flat_map(|at| [at * 10, at * 10 + 4]).collect() };
        for (selection, expected) in [
            (RegionSelection::All, "[:]"),
            (RegionSelection::Points(points), "[(1, 2), (3, 4)]"),
            (RegionSelection::Blocks(blocks(2)), "[0:5], [10:15]"),
            (RegionSelection::Blocks(blocks(9)), "[0:5], [10:15], [20:25], [30:35], ... 9 in all"),
            (RegionSelection::Regular(vec![axis(2, 1, Some(1), Some(1)), axis(0, 3, Some(4), Some(3))]), "[2, 0:12]"),
            (RegionSelection::Regular(vec![axis(1, 2, Some(3), Some(1)), axis(1, 2, None, Some(1))]), "[1:6:2, 1::2]"),
            (RegionSelection::Regular(vec![axis(0, 5, None, Some(5)), axis(7, 1, Some(1), None)]), "[0:, 7:]"),
            (RegionSelection::Regular(vec![axis(0, 5, Some(3), Some(2))]), "[0:2 every 5, 3 times]"),
        ] {
            assert_eq!(region(&selection), expected);
        }
    }
}
