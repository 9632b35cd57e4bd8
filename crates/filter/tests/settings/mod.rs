//! Filters, with the values a program gives them: what tests and fuzzing try.

use h5live_filter::FilterId;

/// A filter, and what it is given.
pub(crate) type Setting = (FilterId, Vec<u32>);

/// Those whose chunks come back as they were.
pub(crate) fn lossless() -> Vec<Setting> {
    let mut settings = vec![
        (FilterId::DEFLATE, vec![6]),
        (FilterId::SHUFFLE, vec![]),
        (FilterId::FLETCHER32, vec![]),
        (FilterId::SZIP, vec![32, 8]),
        (FilterId::SZIP, vec![4, 16]),
        (FilterId::NBIT, vec![]),
        (FilterId::SCALE_OFFSET, vec![2, 0]),
        (FilterId::BZIP2, vec![1]),
        (FilterId::LZF, vec![]),
        (FilterId::LZ4, vec![0]),
        (FilterId::LZ4, vec![100]),
        (FilterId::ZSTANDARD, vec![3]),
        (FilterId::ZFP, vec![5]),
    ];
    settings.extend([0, 2, 3].map(|codec| (FilterId::BITSHUFFLE, vec![0, codec])));
    for shuffle in 0..=2 {
        for codec in [0, 1, 3, 4, 5] {
            settings.push((FilterId::BLOSC, vec![0, 0, 0, 0, 5, shuffle, codec]));
            if codec != 3 {
                settings.push((FilterId::BLOSC2, vec![0, 0, 0, 0, 5, shuffle, codec]));
            }
        }
    }
    settings.push((FilterId::BLOSC2, vec![0, 0, 0, 0, 5, 3, 1]));
    settings
}

/// Those that keep less than all of a chunk.
pub(crate) fn lossy() -> Vec<Setting> {
    vec![(FilterId::ZFP, vec![2, 0, 12])]
}
