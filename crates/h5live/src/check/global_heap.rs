//! Global heaps (III.E): the collections that elements refer to, and whether what is referred to is there.

use h5live_format::global_heap::{Collection, GlobalHeapId, MIN_COLLECTION_SIZE, VariableLength};
use h5live_format::message::Datatype;
use h5live_format::message::datatype::ReferenceKind;
use h5live_format::{Addr, Cursor};

use super::owners::Use;
use super::report::Severity;
use super::walk::Walk;

const COLLECTION: &str = "global heap collection";

impl Walk<'_> {
    /// One element of a type that keeps data in global heaps.
    pub(super) fn heap_element(&mut self, element: &[u8], datatype: &Datatype) {
        match datatype {
            Datatype::VarLenString(_) => self.variable_length(element, None),
            Datatype::VarLen(sequence) => self.variable_length(element, Some(&sequence.base)),
            Datatype::Array(array) if array.base.uses_global_heap() => {
                let size = (array.base.size() as usize).max(1);
                for element in element.chunks_exact(size) {
                    self.heap_element(element, &array.base);
                }
            }
            Datatype::Compound(compound) => {
                for member in compound.members.iter().filter(|member| member.datatype.uses_global_heap()) {
                    let start = member.offset as usize;
                    let end = start.saturating_add(member.datatype.size() as usize);
                    if let Some(element) = element.get(start..end) {
                        self.heap_element(element, &member.datatype);
                    }
                }
            }
            Datatype::Reference(reference) if reference.kind == ReferenceKind::Region => {
                let id = GlobalHeapId::decode(&mut Cursor::new("region reference", 0, element), self.widths);
                if let Ok(Some(id)) = id {
                    self.heap_object(id, 0);
                }
            }
            _ => {}
        }
    }

    /// An element of variable length, whose data are elements of `base`, or the bytes of a string.
    fn variable_length(&mut self, element: &[u8], base: Option<&Datatype>) {
        let read = VariableLength::decode(&mut Cursor::new("variable-length element", 0, element), self.widths);
        let Ok(VariableLength { length, object: Some(id) }) = read else { return };
        if length == 0 {
            return;
        }
        let unit = base.map_or(1, |base| u64::from(base.size()));
        let Some(data) = self.heap_object(id, u64::from(length).saturating_mul(unit)) else { return };
        if let Some(base) = base {
            self.heap_data(&data, base);
        }
    }

    /// An object of at least `needed` bytes; its bytes are returned where others may lie behind them.
    fn heap_object(&mut self, id: GlobalHeapId, needed: u64) -> Option<Vec<u8>> {
        let is_new = self.collections.insert(id.collection);
        if is_new {
            self.claim_collection(id.collection);
        }
        let file = self.file;
        match file.heap.object(&self.source, id, <[u8]>::to_vec) {
            Ok(data) if (data.len() as u64) < needed => {
                let (index, len) = (id.index, data.len());
                let problem = format!("object {index} has {len} bytes, and an element counts {needed}");
                self.find(Severity::Error, COLLECTION, Some(id.collection), problem);
                None
            }
            Ok(data) => Some(data),
            Err(error) => {
                // One finding for a collection that is lost, one for each object that is.
                let is_lost = !is_new && !self.is_collection(id.collection);
                if !is_lost {
                    self.unreadable(COLLECTION, id.collection, error);
                }
                None
            }
        }
    }

    fn is_collection(&self, at: Addr) -> bool {
        self.has_signature(at, "GCOL")
    }

    /// Notes a collection as owned that something other than an element names.
    pub(super) fn collection(&mut self, at: Addr) {
        if self.collections.insert(at) && !self.claim_collection(at) {
            self.find(Severity::Error, COLLECTION, Some(at), "cannot be read");
        }
    }

    fn claim_collection(&mut self, at: Addr) -> bool {
        let Ok(start) = self.source.bytes_up_to(COLLECTION, at, MIN_COLLECTION_SIZE) else { return false };
        match Collection::decode_size(&start, at.0, self.widths) {
            Ok(size) => self.claim(COLLECTION, at, size, Use::Raw),
            // Told when its objects are looked for.
            Err(_) => false,
        }
    }
}
