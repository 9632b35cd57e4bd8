//! What the chunks of a dataset look like, as far as filters ask.

/// The chunks a filter will be given. Some filters keep parts of this in their client values, see [`crate::Filter::settle`].
#[derive(Debug, Clone, Copy)]
pub struct ChunkForm<'a> {
    /// The extent of a chunk, in elements; at least one axis.
    pub dims: &'a [u64],
    /// What an element is.
    pub element: &'a ElementType,
    /// The bytes of the fill value, one element long, if the dataset has one.
    pub fill: Option<&'a [u8]>,
}

/// An element's type, taken apart as far as filters distinguish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementType {
    /// An integer.
    Integer {
        /// Whether it has a sign.
        signed: bool,
        /// Its bits.
        bits: BitField,
    },
    /// A floating-point number.
    Float(BitField),
    /// A fixed number of elements of one type.
    Array {
        /// How many.
        count: u32,
        /// The type of each.
        base: Box<ElementType>,
    },
    /// Named members side by side.
    Compound {
        /// Bytes of the whole.
        size: u32,
        /// Where each member starts, in bytes, and its type.
        members: Vec<(u32, ElementType)>,
    },
    /// Anything else.
    Other {
        /// Its bytes.
        size: u32,
    },
}

/// Where the significant bits of a number are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitField {
    /// Bytes it takes.
    pub size: u32,
    /// The order of its bytes.
    pub order: ByteOrder,
    /// How many bits count.
    pub precision: u32,
    /// How many bits lie below them.
    pub offset: u32,
}

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least significant.
    Little,
    /// The most significant.
    Big,
}

impl ChunkForm<'_> {
    /// Elements of a chunk; as large as can be where they cannot be counted.
    pub fn count(&self) -> u64 {
        self.dims.iter().fold(1, |count, dim| count.saturating_mul(*dim))
    }

    /// Bytes of a chunk; as large as can be where they cannot be counted.
    pub fn bytes(&self) -> u64 {
        self.count().saturating_mul(u64::from(self.element.size()))
    }
}

impl ElementType {
    /// Bytes of an element.
    pub fn size(&self) -> u32 {
        match self {
            Self::Integer { bits, .. } | Self::Float(bits) => bits.size,
            Self::Array { count, base } => base.size().saturating_mul(*count),
            Self::Compound { size, .. } | Self::Other { size } => *size,
        }
    }

    /// The type that arrays, nested or not, are of.
    pub(crate) fn innermost(&self) -> &Self {
        match self {
            Self::Array { base, .. } => base.innermost(),
            other => other,
        }
    }

    /// The bits of a number.
    pub(crate) fn number(&self) -> Option<BitField> {
        match self {
            Self::Integer { bits, .. } | Self::Float(bits) => Some(*bits),
            _ => None,
        }
    }
}
