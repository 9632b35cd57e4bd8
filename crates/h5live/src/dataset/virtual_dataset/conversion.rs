//! How elements of a source become elements of the virtual dataset.

use h5live_format::Cursor;
use h5live_format::global_heap::{GlobalHeapId, VariableLength};
use h5live_format::message::datatype::{Compound, FixedString};
use h5live_format::message::{Datatype, StringPadding};

use super::super::read::fill;
use super::super::{Dataset, Meta};
use crate::convert::Numeric;
use crate::element::trimmed;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, Inner};
use crate::object::foreign;

/// From the type of a source to that of the virtual dataset.
pub(super) struct Conversion<'a> {
    /// Bytes of an element of the source.
    source_size: usize,
    /// Bytes of an element of the virtual dataset.
    pub(super) size: usize,
    /// What a member has that the source lacks.
    unwritten: Option<&'a [u8]>,
    step: Step<'a>,
}

/// What is done with an element, or a part of one.
enum Step<'a> {
    /// The same bytes.
    Copy,
    Number(Numeric<'a>, Numeric<'a>),
    Text(FixedString, FixedString),
    /// For each member that both have: where it is, where it goes, and what is done with it.
    Members(Vec<(Place, Place, Step<'a>)>),
    /// So many, one after the other: bytes of one before and after.
    Elements(usize, usize, Box<Step<'a>>),
    /// What refers to the heap of another file.
    Heap {
        from: File,
        to: &'a Inner,
    },
}

/// Where a member lies.
struct Place {
    start: usize,
    len: usize,
}

impl<'a> Conversion<'a> {
    pub(super) fn new(file: &'a Inner, source: &'a Dataset, meta: &'a Meta) -> Result<Self> {
        let step = step(source.datatype(), &meta.datatype, source, file)
            .map_err(|error| source.locate(error.unwrap_or_else(|| mismatch(source.datatype(), &meta.datatype))))?;
        let source_size = source.datatype().size() as usize;
        Ok(Self { source_size, size: meta.element_size, unwritten: meta.unwritten(), step })
    }

    /// The elements of `raw`, converted.
    pub(super) fn apply(&self, raw: Vec<u8>) -> Result<Vec<u8>> {
        if let Step::Copy = self.step {
            return Ok(raw);
        }
        let count = raw.len() / self.source_size.max(1);
        let mut out = vec![0; count.saturating_mul(self.size)];
        fill(&mut out, self.unwritten);
        for (from, to) in raw.chunks_exact(self.source_size.max(1)).zip(out.chunks_exact_mut(self.size.max(1))) {
            self.step.apply(from, to)?;
        }
        Ok(out)
    }
}

/// What is to be done; `Err(None)` where nothing leads from one type to the other.
fn step<'a>(
    from: &'a Datatype,
    to: &'a Datatype,
    source: &'a Dataset,
    file: &'a Inner,
) -> std::result::Result<Step<'a>, Option<Error>> {
    let is_elsewhere = !std::ptr::eq(&raw const *source.file.inner, file);
    match (from, to) {
        (Datatype::VarLenString(_), Datatype::VarLenString(_)) if is_elsewhere => heap(source, file),
        (Datatype::VarLen(from), Datatype::VarLen(to)) if is_elsewhere && from.base == to.base => {
            if from.base.uses_global_heap() {
                let what = "a virtual dataset of sequences of sequences, whose source is in another file";
                return Err(Some(Error::unsupported(what)));
            }
            heap(source, file)
        }
        _ if from == to && !(is_elsewhere && from.uses_global_heap()) => Ok(Step::Copy),
        (Datatype::VarLenString(_), Datatype::VarLenString(_)) | (Datatype::Reference(_), Datatype::Reference(_)) => {
            Ok(Step::Copy)
        }
        (Datatype::String(from), Datatype::String(to)) => Ok(Step::Text(*from, *to)),
        (Datatype::Compound(from), Datatype::Compound(to)) => members(from, to, source, file),
        (Datatype::Array(from), Datatype::Array(to)) if from.dims == to.dims => {
            let step = step(&from.base, &to.base, source, file)?;
            Ok(Step::Elements(from.base.size() as usize, to.base.size() as usize, Box::new(step)))
        }
        _ => match (Numeric::of(from), Numeric::of(to)) {
            (Some(from), Some(to)) => Ok(Step::Number(from, to)),
            _ => Err(None),
        },
    }
}

fn heap<'a>(source: &'a Dataset, file: &'a Inner) -> std::result::Result<Step<'a>, Option<Error>> {
    Ok(Step::Heap { from: source.file.clone(), to: file })
}

fn members<'a>(
    from: &'a Compound,
    to: &'a Compound,
    source: &'a Dataset,
    file: &'a Inner,
) -> std::result::Result<Step<'a>, Option<Error>> {
    let mut steps = Vec::new();
    for target in &to.members {
        let Some(origin) = from.members.iter().find(|member| member.name == target.name) else { continue };
        let place = |offset: u32, datatype: &Datatype| Place { start: offset as usize, len: datatype.size() as usize };
        let step = step(&origin.datatype, &target.datatype, source, file)?;
        steps.push((place(origin.offset, &origin.datatype), place(target.offset, &target.datatype), step));
    }
    Ok(Step::Members(steps))
}

fn mismatch(from: &Datatype, to: &Datatype) -> Error {
    ErrorKind::Type { stored: from.to_string(), asked: to.to_string() }.into()
}

impl Step<'_> {
    /// Converts one element; both are as long as their types say.
    fn apply(&self, from: &[u8], to: &mut [u8]) -> Result<()> {
        match self {
            Self::Copy => to.copy_from_slice(from),
            Self::Number(stored, wanted) => {
                let mut element = Vec::with_capacity(to.len());
                wanted.put(stored.wide(from), &mut element);
                to.copy_from_slice(&element);
            }
            Self::Text(stored, wanted) => put_text(trimmed(from, stored.padding), wanted.padding, to),
            Self::Members(members) => {
                for (origin, target, step) in members {
                    let from = &from[origin.start..origin.start + origin.len];
                    step.apply(from, &mut to[target.start..target.start + target.len])?;
                }
            }
            Self::Elements(size, wanted, step) => {
                for (from, to) in from.chunks_exact(*size).zip(to.chunks_exact_mut(*wanted)) {
                    step.apply(from, to)?;
                }
            }
            Self::Heap { from: source, to: file } => {
                let (stored, wanted) = (source.inner.source.widths(), file.source.widths());
                let reference = VariableLength::decode(&mut Cursor::new("variable-length element", 0, from), stored)?;
                let object = match reference.object {
                    Some(id) => {
                        let collection = foreign::pointer(&source.inner, file, id.collection)?;
                        Some(GlobalHeapId { collection, ..id })
                    }
                    None => None,
                };
                let mut element = Vec::with_capacity(to.len());
                VariableLength { object, ..reference }.encode(&mut element, wanted);
                to.copy_from_slice(&element);
            }
        }
        Ok(())
    }
}

/// As much of `text` as there is room for, padded.
fn put_text(text: &[u8], padding: StringPadding, to: &mut [u8]) {
    let room = match padding {
        StringPadding::NullTerminate => to.len().saturating_sub(1),
        StringPadding::NullPad | StringPadding::SpacePad => to.len(),
    };
    let len = text.len().min(room);
    let (start, rest) = to.split_at_mut(len);
    start.copy_from_slice(&text[..len]);
    rest.fill(if padding == StringPadding::SpacePad { b' ' } else { 0 });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_padded() {
        for (text, padding, expected) in [
            (&b"abc"[..], StringPadding::NullPad, b"abc\0\0"),
            (b"abcdefg", StringPadding::NullPad, b"abcde"),
            (b"abcdefg", StringPadding::NullTerminate, b"abcd\0"),
            (b"ab", StringPadding::SpacePad, b"ab   "),
        ] {
            let mut to = [b'?'; 5];
            put_text(text, padding, &mut to);
            assert_eq!(&to, expected);
        }
    }
}
