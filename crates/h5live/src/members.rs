//! Files that are several: a family, cut into pieces of one size, and the split and multi files, which keep structures and
//! raw data apart.
//!
//! Each member has a range of the addresses. The first one holds the superblock, and what the driver that wrote them has
//! to say: how large a family's members are (specification II.B, "family driver"), or which members there are, where their
//! addresses begin and how they are called ("multi driver").

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use h5live_format::message::DriverInfo;
use h5live_format::object_header::MessageType;
use h5live_format::superblock::Superblock;
use h5live_format::{Addr, Cursor, Why};
use h5live_storage::{Joined, ReadAt};

use crate::error::{Error, ErrorKind, Result};
use crate::file::find_superblock;
use crate::object::header::ObjectHeader;
use crate::source::{Patience, Source};

/// The driver of families, as files name it.
const FAMILY: &[u8] = b"NCSAfami";
/// The driver of split and multi files.
const MULTI: &[u8] = b"NCSAmult";
/// Members of a family at most.
const MOST_MEMBERS: u64 = 100_000;

/// What a user has said of a file that may be one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Together {
    /// It is a file by itself.
    Alone,
    /// It is the first of a family, called so.
    Family(Pattern),
    /// It has the superblock of a split or multi file.
    Multi,
}

/// The members of which the file at `path`, whose bytes are `storage`, is the first, as one; `None` where it is all there is.
pub(crate) fn of(path: &Path, storage: &Arc<dyn ReadAt>, together: &Together) -> Result<Option<Joined>> {
    let found = find_superblock(storage)?;
    let source = Source::new(storage.clone(), found.base, found.superblock.widths, Patience::NONE);
    let Ok(driver) = driver_info(&source, &found.superblock) else {
        // Whatever is wrong with a file will be told when it is looked at.
        return Ok(None);
    };
    let name = driver.as_ref().map(|(driver, _)| driver.driver.as_bytes());
    match (together, &driver, name) {
        (Together::Alone, None, _) => Ok(None),
        (Together::Family(pattern), Some((driver, at)), Some(FAMILY)) => {
            let size = Cursor::new("family driver information", at.0, &driver.data).u64("size of member file")?;
            family(pattern, Some(size)).map(Some)
        }
        // There were times when a family did not say that it is one.
        (Together::Family(pattern), None, _) => family(pattern, None).map(Some),
        (Together::Multi, Some((driver, at)), Some(MULTI)) => multi(path, driver, *at).map(Some),
        (Together::Multi, None, _) => Err(Error::unsupported("the file is not one of several: open it by itself")),
        (_, Some((driver, _)), _) => {
            let pattern =
                if name == Some(FAMILY) { Pattern::guess(path).map(|pattern| pattern.to_string()) } else { None };
            Err(ErrorKind::Part { driver: driver.driver.to_string_lossy().into_owned(), pattern }.into())
        }
    }
}

/// What the driver that wrote a file has to say, and where it says so.
pub(crate) fn driver_info(source: &Source, superblock: &Superblock) -> Result<Option<(DriverInfo, Addr)>> {
    if let Some(addr) = superblock.driver_info {
        let bytes = source.bytes_up_to("driver information block", addr, 1024)?;
        return Ok(Some((DriverInfo::decode_block(&bytes, addr.0)?, addr)));
    }
    let Some(extension) = superblock.extension else { return Ok(None) };
    let header = ObjectHeader::read(source, extension)?;
    let Some(message) = header.find(MessageType::DRIVER_INFO) else { return Ok(None) };
    let at = header.body_addr(message);
    Ok(Some((DriverInfo::decode(&message.body, at.0)?, at)))
}

/// Joins the members of a family: as large as the first says, or is.
fn family(pattern: &Pattern, size: Option<u64>) -> Result<Joined> {
    let mut members: Vec<Arc<dyn ReadAt>> = Vec::new();
    for number in 0..MOST_MEMBERS {
        let path = pattern.member(number);
        if number > 0 && !path.is_file() {
            break;
        }
        members.push(Arc::new(open(&path)?));
    }
    let first = members.first().map(|first| first.size()).transpose();
    let first = first.map_err(|source| Error::io("find the file's size", source))?.unwrap_or(0);
    let size = size.filter(|size| *size > 0).unwrap_or(first.max(1));
    Ok(Joined::new((0u64..).map(|number| number.saturating_mul(size)).zip(members)))
}

/// Kinds of data that the multi driver tells apart.
const KINDS: usize = 6;

fn multi(path: &Path, driver: &DriverInfo, at: Addr) -> Result<Joined> {
    let mut cursor = Cursor::new("multi driver information", at.0, &driver.data);
    let mut kinds = Vec::new();
    for own in 1..=KINDS as u8 {
        // 0: a kind has a member of its own.
        let kind = match cursor.u8("member mapping")? {
            0 => own,
            kind @ 1..=6 => kind,
            other => return Err(cursor.bad_value("member mapping", other.into(), "is above 6").into()),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    cursor.skip("reserved", 2)?;
    let mut starts = Vec::new();
    for _ in &kinds {
        starts.push(cursor.u64("address of member file")?);
        cursor.u64("end of address for member file")?;
    }
    let mut names = Vec::new();
    for _ in &kinds {
        let name = cursor.c_string("name of member file")?;
        names.push(String::from_utf8_lossy(name).into_owned());
        let padding = (name.len() + 1).next_multiple_of(8) - (name.len() + 1);
        cursor.skip("padding", padding.min(cursor.left()))?;
    }
    let own = path.to_string_lossy();
    let base = names.iter().filter_map(|name| name.strip_prefix("%s")).find_map(|end| own.strip_suffix(end));
    let base = base.ok_or_else(|| {
        let names = names.join(", ");
        Error::unsupported(format!("the file is one of several that should be called {names}, and is not called so"))
    })?;
    let mut parts = Vec::new();
    for (start, name) in starts.into_iter().zip(&names) {
        let Some(end) = name.strip_prefix("%s") else {
            return Err(cursor.error(Why::Text("a member's name does not begin with %s")).into());
        };
        let member: Arc<dyn ReadAt> = Arc::new(open(&PathBuf::from(format!("{base}{end}")))?);
        parts.push((start, member));
    }
    Ok(Joined::new(parts))
}

fn open(path: &Path) -> Result<h5live_storage::File> {
    h5live_storage::File::open(path).map_err(|source| Error::io("open a member of the file", source).in_file(path))
}

/// How the members of a family are called: a name with a place for a number, `name%05d.h5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    before: String,
    /// Digits at least.
    width: usize,
    zeros: bool,
    after: String,
}

impl Pattern {
    /// Reads a pattern as `printf` has it: `%d`, `%5d` or `%05d`, and `%%` for a percent sign.
    pub(crate) fn parse(path: &Path) -> Result<Self> {
        let text = path.to_string_lossy();
        let none = || {
            let why = "has no place for the number of a member, as %05d is one";
            Error::new(ErrorKind::BadName { name: text.to_string(), why })
        };
        let mut found: Option<Self> = None;
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(next) = rest.next() {
            if next != '%' {
                plain.push(next);
                continue;
            }
            if rest.next_if_eq(&'%').is_some() {
                plain.push('%');
                continue;
            }
            let zeros = rest.next_if_eq(&'0').is_some();
            let digits: String = std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).collect();
            if !matches!(rest.next(), Some('d' | 'i' | 'u')) || found.is_some() || digits.len() > 2 {
                return Err(none());
            }
            let before = std::mem::take(&mut plain);
            found = Some(Self { before, width: digits.parse().unwrap_or(0), zeros, after: String::new() });
        }
        found.map(|found| Self { after: plain, ..found }).ok_or_else(none)
    }

    /// The pattern by which a member with the number 0 got its name: the last number in it that is 0.
    fn guess(path: &Path) -> Option<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name()?.to_str()?;
        let is_zero = |(start, _): &(usize, char)| {
            let digits = name[*start..].chars().take_while(char::is_ascii_digit).count();
            let begins = !name[..*start].ends_with(|before: char| before.is_ascii_digit());
            (begins && name[*start..*start + digits].bytes().all(|digit| digit == b'0')).then_some((*start, digits))
        };
        let numbers = name.char_indices().filter(|(_, letter)| letter.is_ascii_digit());
        let (start, digits) = numbers.filter_map(|found| is_zero(&found)).next_back()?;
        let before = folder.join(&name[..start]).to_string_lossy().into_owned();
        // A name that begins with the number: joining the empty rest leaves the separator.
        Some(Self { before, width: digits, zeros: true, after: name[start + digits..].to_owned() })
    }

    /// The name of a member.
    pub(crate) fn member(&self, number: u64) -> PathBuf {
        let Self { before, width, zeros, after } = self;
        PathBuf::from(match zeros {
            true => format!("{before}{number:0width$}{after}"),
            false => format!("{before}{number:width$}{after}"),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |text: &str| text.replace('%', "%%");
        let width = if self.width > 1 { self.width.to_string() } else { String::new() };
        let zero = if self.zeros && self.width > 1 { "0" } else { "" };
        write!(f, "{}%{zero}{width}d{}", escaped(&self.before), escaped(&self.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_printf() {
        for (pattern, number, expected) in [
            ("run%05d.h5", 12, "run00012.h5"),
            ("a/run%d.h5", 7, "a/run7.h5"),
            ("100%% %3d", 7, "100%   7"),
            ("%02u", 123, "123"),
        ] {
            assert_eq!(Pattern::parse(Path::new(pattern)).unwrap().member(number), Path::new(expected));
        }
        for bad in ["run.h5", "%s", "%d%d", "%", "%123456d", "100%%"] {
            assert!(Pattern::parse(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_member_tells_how_the_others_are_called() {
        for (first, second) in [
            ("run00000.h5", Some("run00001.h5")),
            ("a/v16_000.h5", Some("a/v16_001.h5")),
            ("0", Some("1")),
            ("/a/0.h5", Some("/a/1.h5")),
            ("run10.h5", None),
            ("run.h5", None),
        ] {
            let found = Pattern::guess(Path::new(first)).map(|pattern| pattern.member(1));
            assert_eq!(found, second.map(PathBuf::from), "{first}");
        }
        for pattern in ["run%05d.h5", "a%%/%d"] {
            assert_eq!(Pattern::parse(Path::new(pattern)).unwrap().to_string(), pattern);
        }
    }
}
