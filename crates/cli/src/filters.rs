//! Filters as people write them: their names, and what was chosen of their parameters.
//!
//! Most of the client values in a file are not what someone chose but what the filter keeps: sizes of elements and chunks, versions.

use h5live::{Dataset, FilterId, FilterInfo};
use serde_json::{Value as Json, json};

/// Each filter of a dataset, in the order of writing: `shuffle`, `gzip 4`, `blosc zstd 5, bits shuffled`.
pub(crate) fn notation(dataset: &Dataset) -> Vec<String> {
    dataset.filters().iter().map(one).collect()
}

/// The same with all that the file says, for programs.
pub(crate) fn json(dataset: &Dataset) -> Json {
    let filter = |filter: &FilterInfo| {
        json!({
            "id": filter.id,
            "name": filter.name,
            "notation": one(filter),
            "optional": filter.optional,
            "values": filter.values,
        })
    };
    dataset.filters().iter().map(filter).collect()
}

fn one(filter: &FilterInfo) -> String {
    let name = filter.name.clone().unwrap_or_else(|| format!("filter {}", filter.id));
    let values = filter.values.as_slice();
    match (FilterId(filter.id), values) {
        (FilterId::DEFLATE, [level]) => format!("gzip {level}"),
        (FilterId::SZIP, [options, pixels, ..]) => szip(*options, *pixels),
        (FilterId::SCALE_OFFSET, [kind, factor, ..]) => scale_offset(*kind, *factor as i32),
        (FilterId::BLOSC | FilterId::BLOSC2, [_, _, _, _, level, shuffle, codec, ..]) => {
            blosc(&name, *level, *shuffle, *codec)
        }
        (FilterId::BITSHUFFLE, values) => match values.get(4) {
            Some(2) => format!("{name} lz4"),
            Some(3) => format!("{name} zstd"),
            _ => name,
        },
        (FilterId::BZIP2 | FilterId::ZSTANDARD, [level, ..]) => format!("{name} {level}"),
        // What they keep says nothing to people.
        (
            FilterId::SHUFFLE | FilterId::FLETCHER32 | FilterId::NBIT | FilterId::LZF | FilterId::LZ4 | FilterId::ZFP,
            _,
        )
        | (_, []) => name,
        (_, values) => format!("{name} {values:?}"),
    }
}

/// As h5repack writes its choices.
fn szip(options: u32, pixels: u32) -> String {
    const NEAREST_NEIGHBOUR: u32 = 32;
    let coding = if options & NEAREST_NEIGHBOUR > 0 { "NN" } else { "EC" };
    format!("szip {coding} {pixels}")
}

fn scale_offset(kind: u32, factor: i32) -> String {
    match (kind, factor) {
        (0, digits) => format!("scaleoffset {digits} decimals"),
        (2, bits @ 1..) => format!("scaleoffset {bits} bits"),
        _ => "scaleoffset".to_owned(),
    }
}

fn blosc(name: &str, level: u32, shuffle: u32, codec: u32) -> String {
    let codec = match codec {
        0 => "blosclz".to_owned(),
        1 => "lz4".to_owned(),
        2 => "lz4hc".to_owned(),
        3 => "snappy".to_owned(),
        4 => "zlib".to_owned(),
        5 => "zstd".to_owned(),
        other => format!("codec {other}"),
    };
    let shuffle = match shuffle {
        0 => "",
        1 => " shuffle",
        2 => " bitshuffle",
        3 => " delta",
        _ => " other filter",
    };
    format!("{name} {codec} {level}{shuffle}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_said_and_what_is_kept_is_not() {
        for (id, name, values, expected) in [
            (FilterId::DEFLATE, "deflate", &[6][..], "gzip 6"),
            (FilterId::SHUFFLE, "shuffle", &[8], "shuffle"),
            (FilterId::SZIP, "szip", &[141, 4, 32, 5], "szip EC 4"),
            (FilterId::SZIP, "szip", &[169, 32, 32, 5], "szip NN 32"),
            (FilterId::SCALE_OFFSET, "scaleoffset", &[2, 0, 200, 0], "scaleoffset"),
            (FilterId::SCALE_OFFSET, "scaleoffset", &[2, 7], "scaleoffset 7 bits"),
            (FilterId::SCALE_OFFSET, "scaleoffset", &[0, -1_i32 as u32], "scaleoffset -1 decimals"),
            (FilterId::BLOSC, "blosc", &[2, 2, 4, 4096, 5, 1, 1], "blosc lz4 5 shuffle"),
            (FilterId::BLOSC2, "blosc2", &[1, 0, 4, 4096, 9, 2, 5, 1], "blosc2 zstd 9 bitshuffle"),
            (FilterId::BLOSC, "blosc", &[2, 2, 4, 4096, 1, 0, 77], "blosc codec 77 1"),
            (FilterId::BLOSC, "blosc", &[2, 2], "blosc [2, 2]"),
            (FilterId::BITSHUFFLE, "bitshuffle", &[0, 4, 4, 0, 2], "bitshuffle lz4"),
            (FilterId::BITSHUFFLE, "bitshuffle", &[0, 4, 4], "bitshuffle"),
            (FilterId::ZSTANDARD, "zstd", &[3], "zstd 3"),
            (FilterId::ZFP, "zfp", &[1, 2, 3], "zfp"),
            (FilterId(405), "mine", &[5, 6], "mine [5, 6]"),
        ] {
            let filter = FilterInfo { id: id.0, name: Some(name.into()), optional: true, values: values.to_vec() };
            assert_eq!(one(&filter), expected);
        }
        let nameless = FilterInfo { id: 405, name: None, optional: false, values: vec![] };
        assert_eq!(one(&nameless), "filter 405");
    }
}
