//! The targets: what is done with an input, and what inputs may start from.
//!
//! Checksums are not compared while fuzzing (`cfg(fuzzing)` in `h5live-format`): hardly an input would get past them.

mod file;
mod filter;
pub mod seeds;
mod structure;

/// Something that reads bytes from a file.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is asked for by.
    pub name: &'static str,
    /// Reads an input. A panic, or an input that takes too long or too much memory, is a fault.
    pub run: fn(&[u8]),
    /// What good inputs look like.
    pub seeds: Seeds,
}

/// What inputs of a target start from.
#[derive(Clone, Copy)]
pub enum Seeds {
    /// Every place in good files where one of these signatures stands, as many bytes from there.
    Signatures(&'static [&'static [u8]], usize),
    /// Whole good files.
    Files,
    /// What this makes.
    Made(fn() -> Vec<Vec<u8>>),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "superblock", run: structure::superblock, seeds: Seeds::Signatures(&[b"\x89HDF\r\n\x1a\n"], 120) },
    Target { name: "object_header", run: structure::object_header, seeds: Seeds::Signatures(&[b"OHDR", b"OCHK"], 600) },
    Target { name: "message", run: structure::message, seeds: Seeds::Made(structure::messages) },
    Target { name: "datatype", run: structure::datatype, seeds: Seeds::Made(structure::datatypes) },
    Target { name: "dataspace", run: structure::dataspace, seeds: Seeds::Made(structure::messages) },
    Target { name: "btree_v1", run: structure::btree_v1, seeds: Seeds::Signatures(&[b"TREE"], 600) },
    Target { name: "btree_v2", run: structure::btree_v2, seeds: Seeds::Signatures(&[b"BTHD", b"BTLF", b"BTIN"], 700) },
    Target {
        name: "fractal_heap",
        run: structure::fractal_heap,
        seeds: Seeds::Signatures(&[b"FRHP", b"FHDB", b"FHIB"], 700),
    },
    Target { name: "global_heap", run: structure::global_heap, seeds: Seeds::Signatures(&[b"GCOL"], 4096) },
    Target {
        name: "extensible_array",
        run: structure::extensible_array,
        seeds: Seeds::Signatures(&[b"EAHD", b"EAIB", b"EASB", b"EADB"], 700),
    },
    Target { name: "fixed_array", run: structure::fixed_array, seeds: Seeds::Signatures(&[b"FAHD", b"FADB"], 700) },
    Target { name: "free_space", run: structure::free_space, seeds: Seeds::Signatures(&[b"FSHD", b"FSSE"], 300) },
    Target {
        name: "shared_messages",
        run: structure::shared_messages,
        seeds: Seeds::Made(structure::shared_message_tables),
    },
    Target { name: "mappings", run: structure::mappings, seeds: Seeds::Made(structure::virtual_mappings) },
    Target { name: "symbol_table", run: structure::symbol_table, seeds: Seeds::Signatures(&[b"SNOD", b"HEAP"], 400) },
    Target { name: "filter", run: filter::decode, seeds: Seeds::Made(filter::stored) },
    Target { name: "round_trip", run: filter::round_trip, seeds: Seeds::Made(filter::chunks) },
    Target { name: "trailer", run: file::trailer, seeds: Seeds::Made(file::trailers) },
    Target { name: "file", run: file::whole, seeds: Seeds::Files },
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
