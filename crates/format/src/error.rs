//! What can be wrong with the bytes of a structure.

/// The result of decoding.
pub type Result<T> = std::result::Result<T, Malformed>;

/// A structure that could not be decoded: what it is, where it lies and why it was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at address {at:#x}: {why}")]
pub struct Malformed {
    /// The structure, in the specification's words ("extensible array header").
    pub what: &'static str,
    /// The file address at which the structure starts (relative to the base address).
    pub at: u64,
    /// The reason.
    pub why: Why,
}

/// Why a structure was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The structure ends before its last field.
    #[error("ends early: {field} needs {needed} bytes and {left} are left")]
    Truncated {
        /// The field being read.
        field: &'static str,
        /// Bytes the field needs.
        needed: u64,
        /// Bytes there are.
        left: u64,
    },
    /// The four (or eight) bytes that name the structure are others.
    #[error("signature is \"{}\" and not {expected:?}", found.escape_ascii())]
    Signature {
        /// What the specification asks for.
        expected: &'static str,
        /// What is there.
        found: Vec<u8>,
    },
    /// A version this crate does not know.
    #[error("version {0} is not known")]
    Version(u8),
    /// The stored checksum is not that of the bytes. On a live file: a torn read, worth trying again.
    #[error("checksum is {computed:#010x} and {stored:#010x} is stored")]
    Checksum {
        /// As stored in the file.
        stored: u32,
        /// As computed from the bytes.
        computed: u32,
    },
    /// A field holds a value that cannot be.
    #[error("{field} is {value}, which {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is wrong with it, as the rest of a sentence: "is above the rank limit of 32".
        expected: &'static str,
    },
    /// Text that is not what it should be (names, encodings).
    #[error("{0}")]
    Text(&'static str),
    /// Well formed, as far as can be seen, but of a kind this crate cannot read.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

impl Malformed {
    /// Whether reading the structure again may help: only a torn read shows as a checksum mismatch.
    #[must_use]
    pub fn may_be_torn(&self) -> bool {
        matches!(self.why, Why::Checksum { .. })
    }
}
