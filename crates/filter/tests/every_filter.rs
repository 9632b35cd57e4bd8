//! What holds for every filter: what is encoded decodes, and damaged bytes or settings give an error or other bytes, never a panic, and
//! never more bytes than there is room for.

mod settings;

use h5live_filter::{BitField, ByteOrder, ChunkForm, ElementType, FilterId, Registry};
use proptest::prelude::*;

use self::settings::{Setting, lossless, lossy};

fn int32(precision: u32) -> ElementType {
    ElementType::Integer { signed: true, bits: BitField { size: 4, order: ByteOrder::Little, precision, offset: 0 } }
}

fn chunk(count: usize) -> Vec<u8> {
    (0..count as i32).flat_map(|at| (at / 3 % 100 + at % 7 * 1000).to_le_bytes()).collect()
}

/// A filter, its settled values, a chunk and what it is stored as.
type Stored = (FilterId, Vec<u32>, Vec<u8>, Vec<u8>);

fn stored(settings: &[Setting]) -> Vec<Stored> {
    let registry = Registry::default();
    let mut all = Vec::new();
    for dims in [vec![64], vec![12, 10], vec![3, 5, 9]] {
        for (id, values) in settings {
            let form = ChunkForm { dims: &dims, element: &int32(15), fill: None };
            let filter = registry.find(*id).unwrap();
            let values = filter.settle(values, &form).unwrap();
            let chunk = chunk(dims.iter().product::<u64>() as usize);
            let mut stored = Vec::new();
            filter.encode(&values, &chunk, &mut stored).unwrap();
            all.push((*id, values, chunk, stored));
        }
    }
    all
}

fn decode(id: FilterId, values: &[u32], stored: &[u8], room: usize) -> Option<Vec<u8>> {
    let registry = Registry::default();
    let mut output = vec![0; room];
    match registry.find(id).unwrap().decode(values, stored, &mut output) {
        Ok(length) => {
            output.truncate(length);
            assert_eq!(output.len(), length, "{id}: more bytes than there is room for");
            Some(output)
        }
        Err(problem) => {
            assert!(!problem.to_string().is_empty());
            None
        }
    }
}

#[test]
fn what_is_encoded_decodes() {
    for (id, values, chunk, stored) in stored(&lossless()) {
        assert_eq!(decode(id, &values, &stored, chunk.len()), Some(chunk.clone()), "{id} {values:?}");
        assert_eq!(decode(id, &values, &stored, chunk.len() + 1), Some(chunk.clone()), "{id} {values:?}");
        for room in [0, 1, chunk.len() / 2, chunk.len() - 1] {
            assert_eq!(decode(id, &values, &stored, room), None, "{id} {values:?} in {room} bytes");
        }
    }
}

#[test]
fn bytes_that_end_early_give_no_whole_chunk() {
    for (id, values, chunk, stored) in stored(&lossless()) {
        for cut in 0..stored.len() {
            let decoded = decode(id, &values, &stored[..cut], chunk.len());
            // Some filters end in bits that only fill a byte, or in a trailer that nothing needs.
            let rest = stored.len() - cut;
            let allowed = match id {
                FilterId::BLOSC2 => 40 + 35 + 4,
                FilterId::NBIT | FilterId::ZFP | FilterId::ZSTANDARD => 8,
                _ => 1,
            };
            assert!(decoded.is_none_or(|found| found != chunk || rest <= allowed), "{id} {values:?} cut to {cut}");
        }
    }
}

#[test]
fn flipped_bits_are_survived() {
    for (id, values, chunk, stored) in stored(&[lossless(), lossy()].concat()) {
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            decode(id, &values, &damaged, chunk.len());
        }
        for at in 0..values.len() {
            for value in
                [0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 64, 255, 256, 4096, 1 << 24, i32::MAX as u32, u32::MAX]
            {
                let mut damaged = values.clone();
                damaged[at] = value;
                decode(id, &damaged, &stored, chunk.len());
                let _ = Registry::default().find(id).unwrap().encode(&damaged, &chunk, &mut Vec::new());
            }
            decode(id, &values[..at], &stored, chunk.len());
            let _ = Registry::default().find(id).unwrap().encode(&values[..at], &chunk, &mut Vec::new());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_survived(
        which in 0..lossless().len(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        values in prop::collection::vec(prop_oneof![0_u32..70, any::<u32>()], 0..12),
        room in 0_usize..2000,
    ) {
        let (id, given) = &lossless()[which];
        decode(*id, &values, &bytes, room);
        let _ = Registry::default().find(*id).unwrap().encode(&values, &bytes, &mut Vec::new());
        // With values that make sense, and after what a stored chunk starts with.
        let dims = [40];
        let form = ChunkForm { dims: &dims, element: &int32(32), fill: None };
        let filter = Registry::default().find(*id).unwrap().clone();
        let _ = filter.settle(&values, &form);
        let settled = filter.settle(given, &form).unwrap();
        let mut stored = Vec::new();
        filter.encode(&settled, &chunk(40), &mut stored).unwrap();
        let keep = stored.len().min(bytes.len() % 60);
        let mut damaged = stored[..keep].to_vec();
        damaged.extend(&bytes);
        decode(*id, &settled, &damaged, room);
    }

    /// Any bytes, as elements of any size, come back.
    #[test]
    fn any_chunk_round_trips(
        which in 0..lossless().len(),
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), 0_u8..4, any::<u8>()], 4..2000),
        size in 1_u32..20,
    ) {
        let (id, given) = &lossless()[which];
        let count = bytes.len() / size as usize;
        prop_assume!(count > 0);
        let bytes = &bytes[..count * size as usize];
        let filter = Registry::default().find(*id).unwrap().clone();
        let (dims, element) = ([count as u64], ElementType::Other { size });
        if let Ok(values) = filter.settle(given, &ChunkForm { dims: &dims, element: &element, fill: None }) {
            let mut stored = Vec::new();
            filter.encode(&values, bytes, &mut stored).unwrap();
            prop_assert_eq!(decode(*id, &values, &stored, bytes.len()), Some(bytes.to_vec()));
        }
        // Numbers of the sizes that all filters take.
        let size = [1, 2, 4, 8][size as usize % 4];
        let count = bytes.len() / size;
        prop_assume!(count >= 32);
        let bytes = &bytes[..count * size];
        let bits = BitField { size: size as u32, order: ByteOrder::Little, precision: size as u32 * 8, offset: 0 };
        let (dims, element) = ([count as u64], ElementType::Integer { signed: which % 2 == 0, bits });
        if let Ok(values) = filter.settle(given, &ChunkForm { dims: &dims, element: &element, fill: None }) {
            let mut stored = Vec::new();
            filter.encode(&values, bytes, &mut stored).unwrap();
            prop_assert_eq!(decode(*id, &values, &stored, bytes.len()), Some(bytes.to_vec()));
        }
    }
}
