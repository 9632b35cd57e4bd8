//! What the demo's datasets hold: values that follow from their place, so that every reader can check every one.
//! `follower.py` knows the first formula too.

/// Pixels along either side of a frame.
pub(super) const SIDE: usize = 64;

/// Row `row` of the signal: a sawtooth of odd length, exact in an `f64`.
pub(super) fn signal(row: u64) -> f64 {
    (row.wrapping_mul(2_654_435_761) % (1 << 32)) as f64 / 256.0
}

/// Appends frame `row` to `out`: a moving pattern that compresses.
pub(super) fn frame(row: u64, out: &mut Vec<u16>) {
    let pixel = |at: usize| (((at % SIDE) as u64 + row) ^ (at / SIDE) as u64) as u16 & 0xff;
    out.extend((0..SIDE * SIDE).map(pixel));
}
