//! What can go wrong with filters.

use crate::FilterId;

/// Why a pipeline could not be made or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data needs a filter that is not available.
    #[error("filter {id}{} is not available", .name.as_deref().map(|name| format!(", called \"{name}\" in the file,")).unwrap_or_default())]
    Unknown {
        /// The filter's number.
        id: FilterId,
        /// What the file calls it, if it does.
        name: Option<String>,
    },
    /// A new dataset cannot have a filter with these settings.
    #[error("filter {id} cannot be used so: {problem}")]
    Settings {
        /// The filter's number.
        id: FilterId,
        /// What is wrong.
        problem: Problem,
    },
    /// A filter could not be undone: the chunk's bytes are damaged.
    #[error("filter {id} cannot decode the chunk: {problem}")]
    Decode {
        /// The filter's number.
        id: FilterId,
        /// What is wrong.
        problem: Problem,
    },
    /// A mandatory filter could not be applied.
    #[error("filter {id} cannot encode the chunk: {problem}")]
    Encode {
        /// The filter's number.
        id: FilterId,
        /// What is wrong.
        problem: Problem,
    },
    /// The chunk decoded well, but to another length than its shape asks for.
    #[error("the chunk decodes to {found} bytes, but {expected} are expected")]
    Length {
        /// The length in bytes the caller asked for.
        expected: usize,
        /// The length in bytes there is.
        found: usize,
    },
    /// More filters than a chunk's mask has bits.
    #[error("a pipeline of {count} filters; at most {} are possible", crate::Pipeline::FILTERS_AT_MOST)]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// What is wrong with the bytes or client values a filter was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The input ends too early.
    #[error("the data ends too early, after {length} bytes")]
    Truncated {
        /// The length in bytes of the input.
        length: usize,
    },
    /// The result is longer than the chunk can be.
    #[error("the data decodes to more than {limit} bytes")]
    TooLong {
        /// The longest result there is room for, in bytes.
        limit: usize,
    },
    /// The checksum in the data is not the data's.
    #[error("the stored checksum {stored:#010x} is not the data's, {computed:#010x}")]
    Checksum {
        /// The checksum the data carries.
        stored: u32,
        /// The checksum it should carry.
        computed: u32,
    },
    /// The data is not of the filter's format.
    #[error("{0}")]
    Malformed(String),
    /// The client values stored with the dataset make no sense, or ask for something not supported.
    #[error("client values: {0}")]
    Values(String),
}

impl Problem {
    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }

    pub(crate) fn values(why: impl Into<String>) -> Self {
        Self::Values(why.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_filter() {
        for (error, message) in [
            (Error::Unknown { id: FilterId(32017), name: None }, "filter 32017 (sz) is not available"),
            (
                Error::Unknown { id: FilterId(400), name: Some("mine".into()) },
                "filter 400, called \"mine\" in the file, is not available",
            ),
            (
                Error::Decode { id: FilterId::DEFLATE, problem: Problem::Truncated { length: 7 } },
                "filter 1 (deflate) cannot decode the chunk: the data ends too early, after 7 bytes",
            ),
            (Error::Length { expected: 8, found: 4 }, "the chunk decodes to 4 bytes, but 8 are expected"),
            (Error::TooMany { count: 33 }, "a pipeline of 33 filters; at most 32 are possible"),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }
}
