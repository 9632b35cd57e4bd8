//! Elements on the way from one file to another: their bytes, and what these refer to.

use std::collections::HashMap;

use h5live_format::message::Datatype;
use h5live_format::message::datatype::ReferenceKind;
use h5live_format::{Addr, Widths, reference};

use crate::element::{Element, HeapRead, HeapWrite};
use crate::error::{ErrorKind, Result};
use crate::structure::AttributeValue;
use crate::value::Reference;

/// Bytes of an element of variable length in files with addresses of 8 bytes, as new files have.
const VAR_LEN_SIZE: u32 = 16;
/// Of these, the length, which comes first; what follows says where in the heap.
const LENGTH_SIZE: usize = 4;
/// Type and flags, which a reference of HDF5 1.12's kinds begins with.
const HEAD_SIZE: usize = 2;
/// All of such a reference: behind its head, it is like an element of variable length.
const STANDARD_SIZE: u32 = HEAD_SIZE as u32 + VAR_LEN_SIZE;

/// Whether elements of this type mean the same in every file: they refer to nothing.
pub(super) fn is_portable(datatype: &Datatype) -> bool {
    match datatype {
        Datatype::VarLen(_) | Datatype::VarLenString(_) | Datatype::Reference(_) => false,
        Datatype::Compound(compound) => compound.members.iter().all(|member| is_portable(&member.datatype)),
        Datatype::Array(array) => is_portable(&array.base),
        _ => true,
    }
}

/// Refuses types whose elements have addresses of another size than 8 bytes in them.
pub(super) fn refuse_foreign_widths(datatype: &Datatype) -> std::result::Result<(), ErrorKind> {
    let fits = |expected: u32, size: u32| match size == expected {
        true => Ok(()),
        false => Err(ErrorKind::Unsupported(format!("copying {datatype} with addresses of other than 8 bytes"))),
    };
    match datatype {
        Datatype::VarLen(sequence) => {
            fits(VAR_LEN_SIZE, sequence.size)?;
            refuse_foreign_widths(&sequence.base)
        }
        Datatype::VarLenString(_) => fits(VAR_LEN_SIZE, datatype.size()),
        Datatype::Reference(reference) => match reference.kind {
            ReferenceKind::Object => fits(8, reference.size),
            ReferenceKind::Region => fits(VAR_LEN_SIZE - LENGTH_SIZE as u32, reference.size),
            ReferenceKind::StdObject | ReferenceKind::StdRegion | ReferenceKind::StdAttribute => {
                fits(STANDARD_SIZE, reference.size)
            }
        },
        Datatype::Compound(compound) => {
            compound.members.iter().try_for_each(|member| refuse_foreign_widths(&member.datatype))
        }
        Datatype::Array(array) => refuse_foreign_widths(&array.base),
        _ => Ok(()),
    }
}

/// An element, or all elements of a sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Carried {
    bytes: Vec<u8>,
    /// What must be made anew in another file: from which byte on, and what.
    parts: Vec<(usize, Part)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A sequence, or string, of this length.
    Sequence { length: u32, elements: Carried },
    /// A reference to the object at this address.
    Object(u64),
    /// A reference to elements of the dataset at this address; the selection is encoded.
    Region { dataset: u64, selection: Vec<u8> },
    /// A reference of HDF5 1.12's kinds.
    Standard(Standard),
    /// A reference that cannot be made in another file.
    Lost { size: usize },
}

/// A reference of HDF5 1.12's kinds: what it leads to, and the rest as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standard {
    head: [u8; HEAD_SIZE],
    /// The object's address; none in another file, where all stays as it is.
    object: Option<u64>,
    /// What the heap has of it, without that address; none of a reference that is within the element.
    in_heap: Option<Vec<u8>>,
}

impl Standard {
    /// The reference with these bytes; none that leads nowhere.
    fn fetch(element: &[u8], heap: &dyn HeapRead) -> Result<Option<Self>> {
        let Some((head, rest)) = element.split_first_chunk() else { return Ok(None) };
        Ok(match reference::Element::decode(element, Widths::EIGHT)? {
            reference::Element::Null => None,
            reference::Element::Object(object) => Some(Self { head: *head, object: Some(object.0), in_heap: None }),
            reference::Element::Heap { is_external, id, .. } => {
                let data = heap.fetch(rest, 1)?;
                Some(if is_external {
                    Self { head: *head, object: None, in_heap: Some(data) }
                } else {
                    let (object, rest) = reference::split(&data, id.collection.0)?;
                    Self { head: *head, object: Some(object.0), in_heap: Some(rest.to_vec()) }
                })
            }
        })
    }

    /// Appends the bytes of the element.
    fn store(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        let joined = |rest: &[u8]| match self.object {
            Some(object) => reference::join(Addr(object), rest),
            None => rest.to_vec(),
        };
        out.extend_from_slice(&self.head);
        match &self.in_heap {
            Some(rest) => {
                let data = joined(rest);
                heap.store(&data, data.len() as u32, out)
            }
            None => {
                out.extend(joined(&[]));
                Ok(())
            }
        }
    }
}

/// References that are null in the copy, counted.
#[derive(Debug, Default)]
pub(super) struct Losses {
    dangling: u64,
    of_unknown_kind: u64,
}

impl Losses {
    /// What to tell of them.
    pub(super) fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        if self.dangling > 0 {
            messages
                .push(format!("references to objects that no group leads to are null in the copy: {}", self.dangling));
        }
        if self.of_unknown_kind > 0 {
            let count = self.of_unknown_kind;
            messages.push(format!("references of a kind that cannot be copied are null in the copy: {count}"));
        }
        messages
    }
}

impl Carried {
    /// The element with these bytes, with everything it refers to.
    fn fetch(bytes: &[u8], stored: &Datatype, heap: &dyn HeapRead) -> Result<Self> {
        let mut parts = Vec::new();
        collect(bytes, 0, stored, heap, &mut parts)?;
        Ok(Self { bytes: bytes.to_vec(), parts })
    }

    /// Lets references to objects lead to their copies.
    pub(super) fn redirect(&mut self, addresses: &HashMap<u64, u64>, losses: &mut Losses) {
        for (_, part) in &mut self.parts {
            match part {
                Part::Sequence { elements, .. } => elements.redirect(addresses, losses),
                Part::Standard(Standard { object: None, .. }) => {}
                Part::Object(address)
                | Part::Region { dataset: address, .. }
                | Part::Standard(Standard { object: Some(address), .. }) => match addresses.get(address) {
                    Some(copy) => *address = *copy,
                    None => {
                        losses.dangling += 1;
                        let size = match part {
                            Part::Region { .. } => VAR_LEN_SIZE as usize - LENGTH_SIZE,
                            Part::Standard(_) => STANDARD_SIZE as usize,
                            _ => size_of::<u64>(),
                        };
                        *part = Part::Lost { size };
                    }
                },
                Part::Lost { .. } => losses.of_unknown_kind += 1,
            }
        }
    }

    /// The bytes of the element in the file that `heap` is of.
    fn store(&self, heap: &mut dyn HeapWrite) -> Result<Vec<u8>> {
        let mut bytes = self.bytes.clone();
        let mut made = Vec::new();
        for (at, part) in &self.parts {
            made.clear();
            let place = match part {
                Part::Sequence { length, elements } => {
                    let data = elements.store(heap)?;
                    heap.store(&data, *length, &mut made)?;
                    made.as_slice()
                }
                Part::Object(address) => {
                    made.extend(address.to_le_bytes());
                    made.as_slice()
                }
                Part::Region { dataset, selection } => {
                    let data = [&dataset.to_le_bytes()[..], selection].concat();
                    heap.store(&data, data.len() as u32, &mut made)?;
                    // A region reference says only where its data are.
                    &made[LENGTH_SIZE.min(made.len())..]
                }
                Part::Standard(reference) => {
                    reference.store(heap, &mut made)?;
                    made.as_slice()
                }
                Part::Lost { size } => {
                    made.resize(*size, 0);
                    made.as_slice()
                }
            };
            if let Some(to) = bytes.get_mut(*at..at.saturating_add(place.len())) {
                to.copy_from_slice(place);
            }
        }
        Ok(bytes)
    }
}

/// Collects what an element at byte `at` of `bytes` refers to.
fn collect(
    bytes: &[u8],
    at: usize,
    stored: &Datatype,
    heap: &dyn HeapRead,
    parts: &mut Vec<(usize, Part)>,
) -> Result<()> {
    if is_portable(stored) {
        return Ok(());
    }
    let size = stored.size() as usize;
    // A member that reaches out of its compound is of a damaged type; it has no bytes to look at.
    let Some(element) = bytes.get(at..at.saturating_add(size)) else { return Ok(()) };
    match stored {
        Datatype::VarLenString(_) => {
            let data = heap.fetch(element, 1)?;
            parts.push((
                at,
                Part::Sequence { length: length(element), elements: Carried { bytes: data, parts: Vec::new() } },
            ));
        }
        Datatype::VarLen(sequence) => {
            let unit = (sequence.base.size() as usize).max(1);
            let data = heap.fetch(element, unit)?;
            let mut inner = Vec::new();
            for number in 0..data.len() / unit {
                collect(&data, number * unit, &sequence.base, heap, &mut inner)?;
            }
            parts.push((
                at,
                Part::Sequence { length: length(element), elements: Carried { bytes: data, parts: inner } },
            ));
        }
        Datatype::Array(array) => {
            let unit = (array.base.size() as usize).max(1);
            for number in 0..size / unit {
                collect(bytes, at + number * unit, &array.base, heap, parts)?;
            }
        }
        Datatype::Compound(compound) => {
            for member in &compound.members {
                collect(bytes, at.saturating_add(member.offset as usize), &member.datatype, heap, parts)?;
            }
        }
        Datatype::Reference(_) if element.iter().all(|byte| *byte == 0) => {}
        Datatype::Reference(reference) => {
            let part = match reference.kind {
                ReferenceKind::Object if element.iter().all(|byte| *byte == 0xff) => return Ok(()),
                ReferenceKind::Object => {
                    let address = element.iter().rev().fold(0, |address, byte| address << 8 | u64::from(*byte));
                    Part::Object(address)
                }
                ReferenceKind::Region => match heap.region(element)? {
                    Reference::Region { dataset, selection } => match selection.encode() {
                        Some(selection) => Part::Region { dataset, selection },
                        None => Part::Lost { size },
                    },
                    _ => Part::Lost { size },
                },
                ReferenceKind::StdObject | ReferenceKind::StdRegion | ReferenceKind::StdAttribute => {
                    match Standard::fetch(element, heap)? {
                        Some(reference) => Part::Standard(reference),
                        None => return Ok(()),
                    }
                }
            };
            parts.push((at, part));
        }
        _ => {}
    }
    Ok(())
}

/// The length that an element of variable length begins with.
fn length(element: &[u8]) -> u32 {
    element.iter().take(LENGTH_SIZE).rev().fold(0, |length, byte| length << 8 | u32::from(*byte))
}

impl Element for Carried {
    /// Never asked for: what is copied has a type already.
    fn datatype() -> Datatype {
        Datatype::opaque(1, "")
    }
    fn blank() -> Self {
        Self::default()
    }
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
        let size = (stored.size() as usize).max(1);
        for (to, element) in out.iter_mut().zip(raw.chunks_exact(size)) {
            *to = Self::fetch(element, stored, heap)?;
        }
        Ok(())
    }
    fn encode(values: &[Self], _: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        for value in values {
            out.extend(value.store(heap)?);
        }
        Ok(())
    }
    fn reads(_: &Datatype) -> bool {
        true
    }
}

/// The value of an attribute.
pub(super) struct CarriedAttribute {
    pub(super) datatype: Datatype,
    pub(super) shape: Vec<u64>,
    pub(super) elements: Vec<Carried>,
}

impl AttributeValue for CarriedAttribute {
    fn datatype(&self) -> Datatype {
        self.datatype.clone()
    }
    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }
    fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        Carried::encode(&self.elements, &self.datatype, heap, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A heap that keeps data in a list; an element says its number.
    #[derive(Default)]
    struct List(Vec<Vec<u8>>);

    impl HeapWrite for List {
        fn store(&mut self, data: &[u8], length: u32, element: &mut Vec<u8>) -> Result<()> {
            element.extend(length.to_le_bytes());
            element.extend((self.0.len() as u64).to_le_bytes());
            element.extend([0; 4]);
            self.0.push(data.to_vec());
            Ok(())
        }
    }

    impl HeapRead for List {
        fn fetch(&self, reference: &[u8], _: usize) -> Result<Vec<u8>> {
            Ok(self.0[reference[LENGTH_SIZE] as usize].clone())
        }
    }

    #[test]
    fn what_an_element_refers_to_comes_with_it() {
        let pair = Datatype::compound([("names", Datatype::var_len_string()), ("to", Datatype::object_reference())]);
        let stored = Datatype::array(&[2], Datatype::var_len(pair));
        let mut old = List::default();
        let mut raw = Vec::new();
        for address in [700u64, 900] {
            let mut data = Vec::new();
            old.store(b"text", 4, &mut data).unwrap();
            data.extend(address.to_le_bytes());
            old.store(&data, 1, &mut raw).unwrap();
        }
        let mut carried = Carried::fetch(&raw, &stored, &old).unwrap();
        let mut losses = Losses::default();
        carried.redirect(&HashMap::from([(700, 70)]), &mut losses);
        assert_eq!((losses.dangling, losses.messages().len()), (1, 1));
        // The new heap has other numbers.
        let mut new = List(vec![Vec::new(); 3]);
        let bytes = carried.store(&mut new).unwrap();
        let again = Carried::fetch(&bytes, &stored, &new).unwrap();
        let to = |carried: &Carried, number: usize| match &carried.parts[number].1 {
            Part::Sequence { length: 1, elements } => elements.parts.clone(),
            other => panic!("{other:?}"),
        };
        let text = Part::Sequence { length: 4, elements: Carried { bytes: b"text".to_vec(), parts: Vec::new() } };
        assert_eq!(to(&again, 0), [(0, text.clone()), (16, Part::Object(70))]);
        assert_eq!(to(&again, 1), [(0, text)]);
        assert_ne!(bytes, raw);
    }

    #[test]
    fn addresses_of_other_sizes_are_refused() {
        assert!(refuse_foreign_widths(&Datatype::array(&[2], Datatype::var_len_string())).is_ok());
        let mut narrow = Datatype::object_reference();
        if let Datatype::Reference(reference) = &mut narrow {
            reference.size = 4;
        }
        assert!(refuse_foreign_widths(&Datatype::compound([("to", narrow)])).is_err());
    }
}
