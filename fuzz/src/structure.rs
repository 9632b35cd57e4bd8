//! Structures of the format, decoded on their own: each from the front of the input, and where a structure is understood only with another
//! (a block with its header), the second from behind the first.

use h5live_format::array_element::ElementForm;
use h5live_format::btree_v1::{self, ChunkKey, GroupKey};
use h5live_format::btree_v2::{
    self, AttributeNameRecord, AttributeOrderRecord, ChunkForm, ChunkRecord, HugeForm, HugeRecord, Layout,
    LinkNameRecord, LinkOrderRecord, Node, Record,
};
use h5live_format::free_space::{FreeSpaceHeader, FreeSpaceList};
use h5live_format::local_heap::LocalHeap;
use h5live_format::message::{DataLayout, Dataspace, Datatype, FillValue, Message};
use h5live_format::object_header::{MessageFlags, MessageType, ObjectHeaderPrefix};
use h5live_format::selection::Selection;
use h5live_format::shared_message_table::{SharedMessageList, SharedMessageTable};
use h5live_format::superblock::Superblock;
use h5live_format::symbol_table_node::SymbolTableNode;
use h5live_format::{Malformed, Widths, extensible_array, fixed_array, fractal_heap, global_heap, virtual_dataset};

const WIDTHS: Widths = Widths::EIGHT;

/// What every error must do.
fn told<T>(result: Result<T, Malformed>) -> Option<T> {
    result.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

/// The bytes from the second place on where `signature` stands, or none.
fn at_signature<'a>(bytes: &'a [u8], signature: &[u8]) -> &'a [u8] {
    bytes.windows(signature.len()).position(|found| found == signature).map_or(&[], |at| &bytes[at..])
}

pub(crate) fn superblock(bytes: &[u8]) {
    if let Some(superblock) = told(Superblock::decode(bytes, 0)) {
        // What was understood can be written, and means the same.
        let again = Superblock::decode(&superblock.encode(), 0);
        assert!(again.is_ok_and(|again| again.root.header() == superblock.root.header()));
    }
}

pub(crate) fn object_header(bytes: &[u8]) {
    let Some(prefix) = told(ObjectHeaderPrefix::decode(bytes, 0)) else { return };
    for chunk in [prefix.first_chunk(bytes, 0), prefix.continuation(bytes, 0)] {
        for message in told(chunk).map(|chunk| chunk.messages).unwrap_or_default() {
            assert!(message.end() <= bytes.len());
            told(Message::decode(message.kind, message.flags, message.body, 0, WIDTHS));
        }
    }
}

/// Type, flags, widths, body.
pub(crate) fn message(bytes: &[u8]) {
    let [kind, flags, widths, body @ ..] = bytes else { return };
    let width = |bits: u8| [2, 4, 8, 1][usize::from(bits & 3)];
    let widths = Widths { offset: width(*widths), length: width(*widths >> 2) };
    told(Message::decode(MessageType(u16::from(*kind) % 0x20), MessageFlags(*flags), body, 0, widths));
}

pub(crate) fn datatype(bytes: &[u8]) {
    if let Some(datatype) = told(Datatype::decode(bytes, 0)) {
        assert!(!datatype.to_string().is_empty());
        let encoded = datatype.encode();
        let again = told(Datatype::decode(&encoded, 0));
        assert!(again.is_some_and(|again| again.size() == datatype.size()), "{datatype} is {encoded:02x?}");
    }
}

pub(crate) fn dataspace(bytes: &[u8]) {
    let [_, _, _, body @ ..] = bytes else { return };
    if let Some(dataspace) = told(Dataspace::decode(body, 0, WIDTHS)) {
        assert!(dataspace.dims().len() <= Dataspace::MAX_RANK);
        let again = told(Dataspace::decode(&dataspace.encode(WIDTHS), 0, WIDTHS));
        assert!(again.is_some_and(|again| again.dims() == dataspace.dims()));
    }
    told(DataLayout::decode(body, 0, WIDTHS));
    told(FillValue::decode(body, 0));
    told(FillValue::decode_old(body, 0));
    told(Selection::decode(body, 0));
}

pub(crate) fn btree_v1(bytes: &[u8]) {
    told(btree_v1::Node::<GroupKey>::used_size(bytes, 0, (), WIDTHS));
    if let Some(node) = told(btree_v1::Node::<GroupKey>::decode(bytes, 0, (), WIDTHS)) {
        assert!(node.entries().count() <= bytes.len());
    }
    for rank in [1, 2, 5, 32] {
        told(btree_v1::Node::<ChunkKey>::used_size(bytes, 0, rank, WIDTHS));
        told(btree_v1::Node::<ChunkKey>::decode(bytes, 0, rank, WIDTHS));
    }
}

pub(crate) fn btree_v2(bytes: &[u8]) {
    // A node alone needs a header: as libhdf5 makes them, or the one in front of it.
    let leaf = at_signature(bytes, b"BTLF");
    let node = if leaf.is_empty() { at_signature(bytes, b"BTIN") } else { leaf };
    let depth = u16::from(leaf.is_empty());
    let found = told(btree_v2::Header::decode(bytes, 0, WIDTHS));
    if let Some(header) = &found {
        told(Layout::new(header, 0, WIDTHS));
    }
    nodes::<LinkNameRecord>((), &found, node, depth);
    nodes::<LinkOrderRecord>((), &found, node, depth);
    nodes::<AttributeNameRecord>((), &found, node, depth);
    nodes::<AttributeOrderRecord>((), &found, node, depth);
    for (indirect, filtered) in [(false, false), (false, true), (true, false), (true, true)] {
        nodes::<HugeRecord>(HugeForm { widths: WIDTHS, indirect, filtered }, &found, node, depth);
    }
    for element in [ElementForm::chunks(WIDTHS, 100), ElementForm::filtered_chunks(WIDTHS, 4)] {
        nodes::<ChunkRecord>(ChunkForm { element, rank: 2 }, &found, node, depth);
    }
}

fn nodes<R: Record>(form: R::Form, found: &Option<btree_v2::Header>, node: &[u8], depth: u16) {
    let mut usual = btree_v2::Header::empty::<R>(form, 512);
    usual.depth = depth;
    for header in [Some(&usual), found.as_ref()].into_iter().flatten() {
        let Some(layout) = told(Layout::new(header, 0, WIDTHS)) else { continue };
        for records in [0, 1, 3, 20, u16::MAX] {
            told(Node::<R>::decode(node, 0, header.depth.min(2), records, &layout, form));
        }
    }
}

pub(crate) fn fractal_heap(bytes: &[u8]) {
    let table = fractal_heap::DoublingTable {
        width: 4,
        starting_block_size: 512,
        max_direct_block_size: 65536,
        max_heap_bits: 32,
        starting_rows: 0,
    };
    let usual = fractal_heap::Header::empty(table, 8, 4096, true);
    told(fractal_heap::Header::filtered_size(bytes, 0, WIDTHS));
    let found = told(fractal_heap::Header::decode(bytes, 0, WIDTHS));
    for header in [Some(&usual), found.as_ref()].into_iter().flatten() {
        if let Some(block) = told(fractal_heap::DirectBlock::decode(at_signature(bytes, b"FHDB"), 0, header, WIDTHS)) {
            for (offset, length) in [(0, 1), (30, 40), (u64::MAX, 2), (100, u64::MAX)] {
                let _ = block.object(offset, length);
            }
        }
        for rows in [0, 1, 2, 9, header.table.max_root_rows(), u16::MAX] {
            let size = header.indirect_size(rows.min(1000), WIDTHS);
            assert!(size > 0);
            let indirect = at_signature(bytes, b"FHIB");
            if let Some(block) = told(fractal_heap::IndirectBlock::decode(indirect, 0, rows, header, WIDTHS)) {
                for offset in [0, 511, 4096, 1 << 20, u64::MAX] {
                    let _ = block.below(offset, &header.table);
                }
            }
        }
        let ids = header.id_form(WIDTHS);
        for id in bytes.chunks(header.table.offset_width().max(1) + 3).take(20) {
            told(ids.decode(id, 0));
        }
    }
}

pub(crate) fn global_heap(bytes: &[u8]) {
    told(global_heap::Collection::decode_size(bytes, 0, WIDTHS));
    if let Some(heap) = told(global_heap::Collection::decode(bytes, 0, WIDTHS)) {
        for object in heap.objects() {
            assert!(heap.object(object.index.into()).is_some());
        }
    }
}

pub(crate) fn extensible_array(bytes: &[u8]) {
    use extensible_array::{DataBlock, Geometry, Header, IndexBlock, Page, PagedPrefix, Parameters, SuperBlock};
    let usual = Parameters {
        max_elements_bits: 32,
        index_block_elements: 4,
        super_block_min_pointers: 4,
        data_block_min_elements: 16,
        page_bits: 10,
    };
    let usual = [ElementForm::chunks(WIDTHS, 100), ElementForm::filtered_chunks(WIDTHS, 4)]
        .map(|form| Geometry::new(usual, form).ok());
    let found = told(Header::decode(bytes, 0, WIDTHS)).and_then(|header| told(header.geometry(0, WIDTHS, 100)));
    for geometry in usual.into_iter().chain([found]).flatten() {
        for index in [0, 3, 4, 100, 1 << 20, u64::MAX] {
            let _ = geometry.locate(index);
        }
        told(IndexBlock::decode(at_signature(bytes, b"EAIB"), 0, &geometry));
        told(PagedPrefix::decode(at_signature(bytes, b"EADB"), 0, &geometry));
        told(Page::decode(bytes, 0, &geometry));
        for step in (0..6).filter_map(|step| geometry.step(step)) {
            told(SuperBlock::decode(at_signature(bytes, b"EASB"), 0, &geometry, &step));
            told(DataBlock::decode(at_signature(bytes, b"EADB"), 0, &geometry, &step));
        }
    }
}

pub(crate) fn fixed_array(bytes: &[u8]) {
    use fixed_array::{DataBlock, Geometry, Header, Page, PagedPrefix};
    let usual = [(100, ElementForm::chunks(WIDTHS, 100)), (5000, ElementForm::filtered_chunks(WIDTHS, 4))]
        .map(|(elements, form)| Geometry::new(10, elements, form));
    let found = told(Header::decode(bytes, 0, WIDTHS)).and_then(|header| told(header.geometry(0, WIDTHS, 100)));
    for geometry in usual.into_iter().chain([found]).flatten() {
        for index in [0, 1, 1023, 1024, u64::MAX] {
            let _ = geometry.locate(index);
        }
        let block = at_signature(bytes, b"FADB");
        told(DataBlock::decode(block, 0, &geometry));
        told(PagedPrefix::decode(block, 0, &geometry));
        for page in [0, 1, 4, u64::MAX] {
            told(Page::decode(bytes, 0, &geometry, page));
        }
    }
}

pub(crate) fn free_space(bytes: &[u8]) {
    let Some(header) = told(FreeSpaceHeader::decode(bytes, 0, WIDTHS)) else { return };
    told(FreeSpaceList::decode(at_signature(bytes, b"FSSE"), 0, &header, WIDTHS));
}

pub(crate) fn shared_messages(bytes: &[u8]) {
    for indexes in [0, 1, 3, 8, u8::MAX] {
        if let Some(table) = told(SharedMessageTable::decode(bytes, 0, indexes, WIDTHS)) {
            let _ = table.index_of(3);
        }
    }
    for messages in [0, 1, 7, u16::MAX] {
        told(SharedMessageList::decode(at_signature(bytes, b"SMLI"), 0, messages, WIDTHS));
    }
}

pub(crate) fn mappings(bytes: &[u8]) {
    let mappings = told(virtual_dataset::decode(bytes, 0, WIDTHS, Selection::read));
    assert!(mappings.is_none_or(|mappings| mappings.len() <= bytes.len()));
}

pub(crate) fn symbol_table(bytes: &[u8]) {
    told(SymbolTableNode::used_size(bytes, 0, WIDTHS));
    if let Some(node) = told(SymbolTableNode::decode(bytes, 0, WIDTHS)) {
        assert!(node.entries.len() <= bytes.len());
    }
    if let Some(heap) = told(LocalHeap::decode(bytes, 0, WIDTHS)) {
        for offset in [0, 8, 1000, u64::MAX] {
            told(heap.name(bytes, offset));
        }
    }
}

/// Some message of each type, with type, flags and widths in front.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let bodies: &[(u8, &[u8])] = &[
        (
            0x01,
            &[
                2, 2, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 4,
                0, 0, 0, 0, 0, 0, 0,
            ],
        ),
        (0x01, &[1, 1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]),
        (0x02, &[0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
        (0x04, &[4, 0, 0, 0, 1, 2, 3, 4]),
        (0x05, &[3, 0x2a, 4, 0, 0, 0, 1, 2, 3, 4]),
        (0x05, &[2, 2, 2, 1, 4, 0, 0, 0, 1, 2, 3, 4]),
        (0x06, &[1, 0x18, 1, 5, 1, 2, 0, 4, b'n', b'a', b'm', b'e', 3, 0, b'a', b'b', b'c']),
        (0x06, &[1, 0, 2, b'a', b'b', 0x60, 0, 0, 0, 0, 0, 0, 0]),
        (
            0x07,
            &[
                1, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0,
                0, 0, 0, 0, 0, 0,
            ],
        ),
        (0x08, &[3, 0, 4, 0, 1, 2, 3, 4]),
        (0x08, &[3, 1, 96, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]),
        (0x08, &[3, 2, 3, 96, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0]),
        (0x08, &[4, 2, 0, 3, 1, 4, 5, 8, 4, 10, 96, 0, 0, 0, 0, 0, 0, 0]),
        (0x08, &[4, 2, 0, 3, 1, 4, 5, 8, 4, 32, 4, 2, 16, 10, 96, 0, 0, 0, 0, 0, 0, 0]),
        (0x08, &[4, 3, 96, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
        (0x0a, &[0, 3, 8, 0, 6, 0, 4, 0, 8, 0]),
        (0x0b, &[2, 2, 2, 0, 1, 0, 1, 0, 4, 0, 0, 0, 0, 125, 4, 0, 1, 0, 1, 0, b'l', b'z', b'f', 0, 4, 0, 0, 0]),
        (
            0x0b,
            &[
                1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 1, 0, b'd', b'e', b'f', b'l', b'a', b't', b'e', 0, 6, 0, 0,
                0, 0, 0, 0, 0,
            ],
        ),
        (0x0c, &[3, 0, 2, 0, 8, 0, 4, 0, 0, b'a', 0, 0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0, 2, 0, 0, 0, 9, 9, 9, 9]),
        (0x0d, b"comment\0"),
        (0x0e, b"20240101000000\0\0"),
        (0x0f, &[0, 96, 0, 0, 0, 0, 0, 0, 0, 3]),
        (0x10, &[96, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0]),
        (0x11, &[96, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0]),
        (0x12, &[1, 0, 0, 0, 1, 2, 3, 4]),
        (0x13, &[0, 32, 0, 16, 0, 4, 0]),
        (0x14, b"\0NCSAfami\x08\0\0\x04\0\0\0\0\0\0"),
        (0x15, &[0, 3, 1, 0, 96, 0, 0, 0, 0, 0, 0, 0, 97, 0, 0, 0, 0, 0, 0, 0, 98, 0, 0, 0, 0, 0, 0, 0]),
        (0x16, &[0, 1, 0, 0, 0]),
        (0x17, &[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0]),
    ];
    bodies.iter().map(|(kind, body)| [&[*kind, 0, 0b1010][..], body].concat()).collect()
}

/// Some type of each class.
pub(crate) fn datatypes() -> Vec<Vec<u8>> {
    let integer = [0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0];
    let float = [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
    let string = [0x13, 0, 0, 0, 5, 0, 0, 0];
    let head = |class: u8, bits: u8, size: u8| vec![class, bits, 0, 0, size, 0, 0, 0];
    let mut compound =
        [head(0x36, 2, 8), b"a\0\0".to_vec(), integer.to_vec(), b"b\0\x04".to_vec(), float.to_vec()].concat();
    let enumeration =
        [head(0x38, 2, 4), integer.to_vec(), b"no\0yes\0".to_vec(), vec![0, 0, 0, 0, 1, 0, 0, 0]].concat();
    let array = [head(0x3a, 0, 24), vec![2, 2, 0, 0, 0, 3, 0, 0, 0], integer.to_vec()].concat();
    let sequence = [head(0x19, 0, 16), integer.to_vec()].concat();
    let nested = [head(0x36, 1, 24), b"x\0\0".to_vec(), array.clone()].concat();
    let old = [head(0x16, 1, 4), b"member\0\0".to_vec(), vec![0; 32], integer.to_vec()].concat();
    compound.truncate(compound.len());
    vec![
        integer.to_vec(),
        float.to_vec(),
        string.to_vec(),
        [head(0x14, 0, 1), vec![0, 0, 8, 0]].concat(),
        [head(0x15, 8, 3), b"opaque\0\0".to_vec()].concat(),
        compound,
        head(0x17, 0, 8),
        head(0x17, 1, 12),
        head(0x47, 0x12, 64),
        enumeration,
        array,
        sequence,
        [head(0x19, 1, 16), string.to_vec()].concat(),
        [head(0x5b, 1, 8), float.to_vec()].concat(),
        nested,
        old,
    ]
}

/// Lists of mappings of both versions.
pub(crate) fn virtual_mappings() -> Vec<Vec<u8>> {
    let hyperslab = |version: u32| {
        let mut bytes = [2_u32, version].iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
        match version {
            1 => [0, 24, 1, 1, 0, 4_u32].iter().for_each(|number| bytes.extend(number.to_le_bytes())),
            2 => {
                bytes.push(1);
                bytes.extend(36_u32.to_le_bytes());
                bytes.extend(1_u32.to_le_bytes());
                [0, 1, u64::MAX, 1].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            }
            _ => bytes.extend([1, 2, 1, 0, 0, 0, 0, 0, 1, 0, 4, 0, 1, 0]),
        }
        bytes
    };
    let all = [3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut seeds = Vec::new();
    for version in 1..=3 {
        let mut bytes = vec![0];
        bytes.extend(2_u64.to_le_bytes());
        for _ in 0..2 {
            bytes.extend(b"source-%b.h5\0data\0");
            bytes.extend(all);
            bytes.extend(hyperslab(version));
        }
        bytes.extend([0; 4]);
        seeds.push(bytes);
        // The selection alone, behind what the target skips.
        seeds.push([vec![0; 3], hyperslab(version)].concat());
    }
    seeds
}

/// A table of one index, and a list of one message.
pub(crate) fn shared_message_tables() -> Vec<Vec<u8>> {
    let table =
        [&b"SMTB\0\0\x3e\0"[..], &[50, 0, 0, 0, 50, 0, 40, 0, 1, 0], &[96, 0, 0, 0, 0, 0, 0, 0], &[99; 8], &[0; 4]];
    let list = [&b"SMLI\x01\x01\x02\x03\x04"[..], &[1, 0, 0, 0], &[0, 0, 8, 0, 0, 0, 0, 0], &[0; 4], &[0; 20]];
    vec![table.concat(), list.concat(), [table.concat(), list.concat()].concat()]
}
