//! `h5live dump`: everything that is in a file, or a part of it.

use std::io::Write;
use std::path::PathBuf;

use h5live::{Dataset, Datatype, Object, Selection, Slab, Value};
use indicatif::ProgressBar;
use serde_json::json;

use crate::describe;
use crate::failure::Failure;
use crate::looking::Looking;
use crate::output::{self, thousands};
use crate::place::Place;
use crate::render;
use crate::rows::pieces;
use crate::selection;
use crate::storage::StorageUse;

/// How long a line of values may become.
const WIDTH: usize = 100;
/// Values of a dataset in text, unless more are asked for.
const VALUES: u64 = 10_000;
/// Characters of an attribute's value, or an element's, likewise.
const CHARACTERS: usize = 10_000;

/// Write the contents of a file or object: structure, attributes and values
///
/// In text, each line of values begins with the position of its first, and of large datasets only the first are written.
#[derive(Debug, clap::Args)]
pub(crate) struct Dump {
    /// The file; an object's path may follow in the same word
    file: PathBuf,
    /// The object; without one, the whole file
    path: Option<String>,
    /// A JSON object: "objects", each with path, kind, attributes and, if it is a dataset, shape, type and data.
    /// NaN and infinities are strings, complex numbers are pairs, bytes are in hexadecimal
    #[arg(long)]
    json: bool,
    /// Only these elements of the dataset, as Python writes them: 0:10,5
    #[arg(short, long, value_name = "START:STOP:STEP,...", allow_hyphen_values = true)]
    selection: Option<String>,
    /// All values, however many: without it, text has the first ten thousand of each dataset
    #[arg(short, long)]
    all: bool,
    /// No values, but what they take in the file
    #[arg(short = 'H', long)]
    header: bool,
}

impl Dump {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.file, self.path.as_deref());
        let file = place.open()?;
        let object = match (&self.selection, place.is_explicit) {
            (Some(_), false) => Object::Dataset(place.dataset(&file)?),
            _ => place.object(&file)?,
        };
        if self.selection.is_some() && !matches!(object, Object::Dataset(_)) {
            return Err(Failure::Usage(format!("{} is no dataset: there is nothing to select from", object.path())));
        }
        let mut out = output::stdout();
        let looking = Looking::new(&file, &place.file);
        let mut dumper: Box<dyn Dumper> = match self.json {
            true => Box::new(JsonDumper { is_first: true }),
            false => Box::new(TextDumper { is_first: true, all: self.all, looking: &looking }),
        };
        dumper.begin(&place.file.to_string_lossy(), &mut out)?;
        let mut each = |object: &Object| -> Result<(), Failure> {
            let wanted = match object {
                Object::Dataset(dataset) if !self.header => Some(self.wanted(dataset)?),
                _ => None,
            };
            looking.pass(dumper.object(object, wanted, &mut out)).map(|_| ())
        };
        each(&object)?;
        if let Object::Group(group) = &object {
            looking.walk(group, &mut |met| met.object.as_ref().map_or(Ok(()), &mut each))?;
        }
        dumper.end(&mut out)?;
        out.flush()?;
        looking.end()
    }

    /// The elements to write.
    fn wanted(&self, dataset: &Dataset) -> Result<Wanted, Failure> {
        let shape = dataset.shape();
        let whole = shape.iter().map(|dim| Slab::range(0..*dim));
        Ok(match self.selection.as_deref().map(|text| selection::parse(text, &shape)).transpose()? {
            Some(Selection::Hyperslab(slabs)) => Wanted { slabs, left: 0 },
            _ if self.all || self.json => Wanted { slabs: whole.collect(), left: 0 },
            _ => Wanted::first(&shape, values_of(dataset.datatype())),
        })
    }
}

/// The elements of a dataset to write.
struct Wanted {
    slabs: Vec<Slab>,
    /// Elements behind them that are left out.
    left: u64,
}

impl Wanted {
    /// The first elements of all, of so many values each: as many axes whole, from the last on, as there is room for.
    fn first(shape: &[u64], values: u64) -> Self {
        let mut room = VALUES / values.max(1);
        let mut slabs: Vec<Slab> = Vec::new();
        for dim in shape.iter().rev() {
            let len = (*dim).min(room.max(1));
            slabs.push(Slab::range(0..len));
            // Behind an axis that is cut, others have one element.
            room = if len < *dim { 1 } else { room / len.max(1) };
        }
        slabs.reverse();
        let count = |lens: &mut dyn Iterator<Item = u64>| lens.fold(1u64, u64::saturating_mul);
        let taken = count(&mut slabs.iter().map(Slab::len));
        Self { left: count(&mut shape.iter().copied()).saturating_sub(taken), slabs }
    }
}

/// How many values an element of fixed size shows as.
fn values_of(datatype: &Datatype) -> u64 {
    match datatype {
        Datatype::Array(array) => {
            let count = array.dims.iter().fold(1u64, |count, dim| count.saturating_mul(u64::from(*dim)));
            count.saturating_mul(values_of(&array.base))
        }
        Datatype::Compound(compound) => {
            compound.members.iter().fold(0, |sum: u64, member| sum.saturating_add(values_of(&member.datatype)))
        }
        _ => 1,
    }
}

/// Writes objects, one after the other, with the elements that are wanted, if any are.
trait Dumper {
    fn begin(&mut self, file: &str, out: &mut dyn Write) -> Result<(), Failure>;
    fn object(&mut self, object: &Object, wanted: Option<Wanted>, out: &mut dyn Write) -> Result<(), Failure>;
    fn end(&mut self, out: &mut dyn Write) -> Result<(), Failure>;
}

/// Hands the elements to `take`, piece by piece: the slabs of the piece and its values.
fn each_piece(
    dataset: &Dataset,
    slabs: Vec<Slab>,
    mut take: impl FnMut(&[Slab], &[Value]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let rows = slabs.first().map_or(1, Slab::len);
    let bar = if rows > 1 { output::progress(rows, dataset.path()) } else { ProgressBar::hidden() };
    for piece in pieces(dataset, slabs) {
        let values = dataset.read_values(piece.clone())?;
        take(&piece, &values)?;
        bar.inc(piece.first().map_or(1, Slab::len));
    }
    bar.finish_and_clear();
    Ok(())
}

struct TextDumper<'l> {
    is_first: bool,
    all: bool,
    looking: &'l Looking,
}

impl Dumper for TextDumper<'_> {
    fn begin(&mut self, _: &str, _: &mut dyn Write) -> Result<(), Failure> {
        Ok(())
    }

    fn object(&mut self, object: &Object, wanted: Option<Wanted>, out: &mut dyn Write) -> Result<(), Failure> {
        if !std::mem::take(&mut self.is_first) {
            writeln!(out)?;
        }
        match object {
            Object::Group(group) => {
                writeln!(out, "{}  group", group.path())?;
                self.attributes(object, out)?;
                for link in group.links()? {
                    if let Some(target) = describe::target(&link.target) {
                        writeln!(out, "  {} -> {target}", link.name)?;
                    }
                }
            }
            Object::Datatype(datatype) => {
                writeln!(out, "{}  datatype {}", datatype.path(), datatype.datatype())?;
                self.attributes(object, out)?;
            }
            Object::Dataset(dataset) => {
                let grows = describe::max_shape(dataset).map(|max| format!(" of {max}")).unwrap_or_default();
                let (path, datatype) = (dataset.path(), dataset.datatype());
                writeln!(
                    out,
                    "{path}  {datatype} {}{grows}, {}",
                    describe::extent(dataset),
                    describe::storage(dataset)
                )?;
                if wanted.is_none() {
                    let rows = StorageUse::of(dataset)?.rows(dataset);
                    rows.iter().try_for_each(|row| writeln!(out, "  {}", row.join(": ")))?;
                }
                self.attributes(object, out)?;
                let Some(Wanted { slabs, left }) = wanted.filter(|_| !dataset.is_null()) else { return Ok(()) };
                let text = |value: &Value| self.text(value);
                if slabs.is_empty() {
                    dataset.read_values(..)?.iter().try_for_each(|value| writeln!(out, "  {}", text(value)))?;
                    return Ok(());
                }
                each_piece(dataset, slabs, |piece, values| lines(piece, values, &text, out))?;
                if left > 0 {
                    writeln!(out, "  ... {} more; --all writes them, --selection some", thousands(left))?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &mut dyn Write) -> Result<(), Failure> {
        Ok(())
    }
}

impl TextDumper<'_> {
    fn text(&self, value: &Value) -> String {
        describe::cut(self.looking.text(value), if self.all { usize::MAX } else { CHARACTERS })
    }

    fn attributes(&self, object: &Object, out: &mut dyn Write) -> Result<(), Failure> {
        for attribute in object.attributes()? {
            let dims = attribute.shape();
            let shape = if dims.is_empty() { String::new() } else { format!(" {}", output::shape(dims)) };
            let Some(value) = self.looking.pass(attribute.value())? else { continue };
            let value = self.text(&value);
            writeln!(out, "  @{}  {}{shape} = {value}", attribute.name(), attribute.datatype())?;
        }
        Ok(())
    }
}

/// Writes the values of a piece, a line per row of the last axis, longer ones in several: each begins with its position.
fn lines(
    piece: &[Slab],
    values: &[Value],
    text: &dyn Fn(&Value) -> String,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some((last, outer)) = piece.split_last() else { return Ok(()) };
    let row_len = last.len() as usize;
    if row_len == 0 {
        return Ok(());
    }
    let position = |row: usize, column: usize| {
        let mut position = vec![last.start + column as u64 * last.stride];
        let mut rest = row as u64;
        for slab in outer.iter().rev() {
            position.push(slab.start + rest % slab.len().max(1) * slab.stride);
            rest /= slab.len().max(1);
        }
        position.iter().rev().map(u64::to_string).collect::<Vec<_>>().join(", ")
    };
    for (row, elements) in values.chunks(row_len).enumerate() {
        let mut line = String::new();
        for (column, element) in elements.iter().enumerate() {
            let text = text(element);
            if !line.is_empty() && line.chars().count() + 2 + text.chars().count() > WIDTH {
                writeln!(out, "{line}")?;
                line.clear();
            }
            if line.is_empty() {
                line = format!("  [{}] {text}", position(row, column));
            } else {
                line.push_str(", ");
                line.push_str(&text);
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

struct JsonDumper {
    is_first: bool,
}

impl Dumper for JsonDumper {
    fn begin(&mut self, file: &str, out: &mut dyn Write) -> Result<(), Failure> {
        Ok(write!(out, "{{\"file\": {}, \"objects\": [", json!(file))?)
    }

    fn object(&mut self, object: &Object, wanted: Option<Wanted>, out: &mut dyn Write) -> Result<(), Failure> {
        let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
        let mut map = describe::json(object)?;
        if let Object::Group(group) = object {
            let links = group.links()?;
            let links = links.iter().map(|link| json!({ "name": link.name, "target": describe::target(&link.target) }));
            map.insert("members".into(), links.collect());
        }
        map.insert("attributes".into(), describe::attributes(object)?);
        map.insert("attribute_types".into(), describe::attribute_types(object)?);
        let Object::Dataset(dataset) = object else { return Ok(write!(out, "{comma}\n{}", json!(map))?) };
        let Some(Wanted { slabs, .. }) = wanted else {
            map.insert("storage".into(), StorageUse::of(dataset)?.json());
            return Ok(write!(out, "{comma}\n{}", json!(map))?);
        };
        if dataset.is_null() || slabs.is_empty() {
            map.insert("data".into(), render::nested(&dataset.read_values(..)?, &[]));
            return Ok(write!(out, "{comma}\n{}", json!(map))?);
        }
        // The elements go out as they are read: the object is left open for them.
        let head = json!(map).to_string();
        write!(out, "{comma}\n{}, \"data\": [", head.strip_suffix('}').unwrap_or(&head))?;
        let mut between = "";
        each_piece(dataset, slabs, |piece, values| {
            let row: Vec<u64> = piece.iter().skip(1).map(Slab::len).collect();
            let rows = piece.first().map_or(0, Slab::len) as usize;
            let row_len = row.iter().product::<u64>() as usize;
            for at in 0..rows {
                let elements = values.get(at * row_len..(at + 1) * row_len).unwrap_or_default();
                write!(out, "{between}{}", render::nested(elements, &row))?;
                between = ",";
            }
            Ok(())
        })?;
        Ok(write!(out, "]}}")?)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        Ok(writeln!(out, "\n]}}")?)
    }
}
