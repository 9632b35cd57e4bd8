//! Names, and what a string says about its own characters.

use std::borrow::Cow;
use std::fmt;

use crate::{Cursor, Result};

/// A name as the file stores it: bytes, meant to be ASCII or UTF-8, but files with others exist and must stay readable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(Vec<u8>);

impl Name {
    /// A name of these bytes, without a terminating NUL.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The name as text, with replacement characters for what is not UTF-8.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The smallest character set that has all its characters.
    #[must_use]
    pub fn character_set(&self) -> CharacterSet {
        if self.0.is_ascii() { CharacterSet::Ascii } else { CharacterSet::Utf8 }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string_lossy(), f)
    }
}

/// The character set of a name or of the strings of a datatype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CharacterSet {
    /// US ASCII.
    Ascii,
    /// UTF-8.
    Utf8,
}

impl CharacterSet {
    pub(crate) fn from_code(cursor: &Cursor<'_>, code: u8) -> Result<Self> {
        match code {
            0 => Ok(Self::Ascii),
            1 => Ok(Self::Utf8),
            other => Err(cursor.bad_value("character set", other.into(), "is neither ASCII (0) nor UTF-8 (1)")),
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ascii => 0,
            Self::Utf8 => 1,
        }
    }
}

/// How a string ends when it is shorter than the room it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StringPadding {
    /// At the first NUL, which is always there.
    NullTerminate,
    /// At the first NUL, or where the room ends.
    NullPad,
    /// Before trailing spaces, as Fortran has it.
    SpacePad,
}

impl StringPadding {
    pub(crate) fn from_code(cursor: &Cursor<'_>, code: u8) -> Result<Self> {
        match code {
            0 => Ok(Self::NullTerminate),
            1 => Ok(Self::NullPad),
            2 => Ok(Self::SpacePad),
            other => Err(cursor.bad_value("string padding", other.into(), "is none of the three there are (0 to 2)")),
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NullTerminate => 0,
            Self::NullPad => 1,
            Self::SpacePad => 2,
        }
    }
}
