//! The metadata checksum: Bob Jenkins' `lookup3` ("hashlittle"), initial value 0, as every checksummed structure uses it.

/// The checksum of `bytes`.
#[must_use]
pub fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = bytes;
    // The last block, full or not, is mixed differently: so the loop leaves at least one byte over.
    while rest.len() > 12 {
        let Some((block, tail)) = rest.split_first_chunk::<12>() else { break };
        (a, b, c) = taken_in((a, b, c), block);
        rest = tail;
    }
    if rest.is_empty() {
        return c;
    }
    let mut last = [0u8; 12];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let (x, y, z) = words(&last);
    a = a.wrapping_add(x);
    b = b.wrapping_add(y);
    c = c.wrapping_add(z);
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// The block of 12 bytes that, put at offset `at` of `after`, gives it the checksum of `before`: whatever `after` has changed in front
/// of that block is made up for. From the block's end on the two must be the same; what `after` holds in the block does not matter.
///
/// The checksum is no seal against intent: a block is added to its state and mixed by steps that can all be undone. So the state that
/// `before` has after the block is undone by one block, and what is missing to it is the answer. It lets a structure that lies on two
/// pages change on one of them alone.
///
/// `None` if the two differ in length, or if no block of the checksum lies at `at` that others follow: blocks are 12 bytes, counted from
/// the first byte, and the last is mixed differently.
#[must_use]
pub fn lookup3_filler(before: &[u8], after: &[u8], at: usize) -> Option<[u8; 12]> {
    if before.len() != after.len() || !at.is_multiple_of(12) || at.checked_add(12)? >= before.len() {
        return None;
    }
    let (wanted, has) = (state_at(before, at + 12)?, state_at(after, at)?);
    let wanted = unmixed(wanted);
    let mut block = [0; 12];
    for (bytes, (wanted, has)) in block.chunks_exact_mut(4).zip(wanted.into_iter().zip(has)) {
        bytes.copy_from_slice(&wanted.wrapping_sub(has).to_le_bytes());
    }
    Some(block)
}

/// The state of the checksum of `bytes` before its block at `end`, a multiple of 12.
fn state_at(bytes: &[u8], end: usize) -> Option<[u32; 3]> {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let blocks = bytes.get(..end)?.as_chunks::<12>().0;
    Some(blocks.iter().fold((start, start, start), taken_in).into())
}

/// The state after one more block.
fn taken_in((a, b, c): (u32, u32, u32), block: &[u8; 12]) -> (u32, u32, u32) {
    let (x, y, z) = words(block);
    mixed(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z))
}

fn mixed(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    (a, b, c)
}

/// What [`mixed`] was given: its steps undone, the last first.
fn unmixed([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    b = b.wrapping_sub(a);
    c = (c ^ b.rotate_left(4)).wrapping_add(b);
    a = a.wrapping_sub(c);
    b = (b ^ a.rotate_left(19)).wrapping_add(a);
    c = c.wrapping_sub(b);
    a = (a ^ c.rotate_left(16)).wrapping_add(c);
    b = b.wrapping_sub(a);
    c = (c ^ b.rotate_left(8)).wrapping_add(b);
    a = a.wrapping_sub(c);
    b = (b ^ a.rotate_left(6)).wrapping_add(a);
    c = c.wrapping_sub(b);
    a = (a ^ c.rotate_left(4)).wrapping_add(c);
    [a, b, c]
}

fn words(block: &[u8; 12]) -> (u32, u32, u32) {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = *block;
    (u32::from_le_bytes([a0, a1, a2, a3]), u32::from_le_bytes([b0, b1, b2, b3]), u32::from_le_bytes([c0, c1, c2, c3]))
}

#[cfg(test)]
mod tests {
    use super::{lookup3, lookup3_filler};

    #[test]
    fn agrees_with_the_published_vectors() {
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }

    #[test]
    fn a_block_makes_up_for_what_changed_before_it() {
        let before: Vec<u8> = (0..200_u32).map(|at| (at * 37 + at / 9) as u8).collect();
        for length in [25, 36, 37, 100, 200] {
            let before = &before[..length];
            for at in 0..length {
                let mut after = before.to_vec();
                after[..at].iter_mut().for_each(|byte| *byte ^= 0x5a);
                let filler = lookup3_filler(before, &after, at);
                assert_eq!(filler.is_some(), at % 12 == 0 && at + 12 < length, "{at} of {length}");
                let Some(filler) = filler else { continue };
                assert!(at == 0 || lookup3(&after) != lookup3(before));
                after[at..at + 12].copy_from_slice(&filler);
                assert_eq!(lookup3(&after), lookup3(before), "{at} of {length}");
                assert_eq!(at == 0, after == before);
            }
        }
        assert_eq!(lookup3_filler(&before, &before[1..], 0), None);
    }
}
