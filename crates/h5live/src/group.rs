//! Groups, links, and finding objects by path.

use std::fmt;

use h5live_format::Addr;
use h5live_format::message::{self, CreationOrder, Datatype, LinkTarget, Name};
use h5live_format::object_header::MessageType;

use crate::attribute::{Attribute, attribute_methods};
use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::object::header::ObjectHeader;
use crate::object::links::{self, LinkStorage};

/// Soft and external links followed at most on the way to one object, as libhdf5's default is.
const MOST_LINKS: usize = 16;

/// A group: named links to objects.
#[derive(Clone)]
pub struct Group {
    pub(crate) file: File,
    pub(crate) addr: Addr,
    pub(crate) path: String,
}

/// A datatype that is an object of its own, which datasets and attributes share.
#[derive(Clone)]
pub struct CommittedDatatype {
    pub(crate) file: File,
    pub(crate) addr: Addr,
    pub(crate) path: String,
    datatype: Datatype,
}

/// An object of a file.
#[derive(Debug, Clone)]
pub enum Object {
    /// A group.
    Group(Group),
    /// A dataset.
    Dataset(Dataset),
    /// A committed datatype.
    Datatype(CommittedDatatype),
}

/// One entry of a group, with what is known without following it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name. Files exist with names that are not UTF-8; those show with replacement characters.
    pub name: String,
    /// Its name as the file has it, for [`Group::get_raw`].
    pub raw_name: Name,
    /// Its number in the order of creation, where the group keeps that.
    pub creation_order: Option<u64>,
    /// Where it leads.
    pub target: Target,
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To an object of the file, by its address.
    Hard(u64),
    /// To a path in the file, absolute or from the link's group. There may be nothing at it.
    Soft(String),
    /// To an object of another file.
    External {
        /// The file's path, absolute or from the directory of this one.
        file: String,
        /// The object's path in it.
        path: String,
    },
    /// Wherever the program that registered the class takes it.
    UserDefined {
        /// The link's class, 65 to 255.
        class: u8,
        /// Its value.
        data: Vec<u8>,
    },
}

/// One entry of a group, with the kind of what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, as [`Link::name`].
    pub name: String,
    /// Its name as the file has it, for [`Group::get_raw`].
    pub raw_name: Name,
    /// What it is.
    pub kind: MemberKind,
}

/// What a member of a group is. Soft and external links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberKind {
    /// A group.
    Group,
    /// A dataset.
    Dataset,
    /// A committed datatype.
    Datatype,
    /// A soft link.
    SoftLink,
    /// An external link.
    ExternalLink,
    /// A link of a class of its own.
    UserDefinedLink,
    /// An object of a kind this library does not know, or one whose header is damaged.
    Unknown,
}

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "group",
            Self::Dataset => "dataset",
            Self::Datatype => "committed datatype",
            Self::SoftLink => "soft link",
            Self::ExternalLink => "external link",
            Self::UserDefinedLink => "user-defined link",
            Self::Unknown => "unknown",
        })
    }
}

impl Group {
    pub(crate) fn new(file: File, addr: Addr, path: String) -> Self {
        Self { file, addr, path }
    }

    pub(crate) fn addr(&self) -> Addr {
        self.addr
    }

    /// The links: in the order of creation where the group keeps that, otherwise by name.
    ///
    /// # Errors
    /// Something is damaged.
    pub fn links(&self) -> Result<Vec<Link>> {
        let list = || {
            let inner = &self.file.inner;
            let header = inner.header(self.addr)?;
            let mut found: Vec<Link> = inner.links(self.addr, &header)?.iter().cloned().map(Link::from).collect();
            let info = links::link_info(&inner.source, &header)?;
            if info.is_some_and(|info| info.creation_order != CreationOrder::Untracked) {
                found.sort_by_key(|link| link.creation_order);
            } else {
                found.sort_by(|one, other| one.raw_name.cmp(&other.raw_name));
            }
            Ok(found)
        };
        list().map_err(|error| self.locate(error))
    }

    /// Whether the group keeps the order in which its links were created.
    ///
    /// # Errors
    /// Something is damaged.
    pub fn tracks_creation_order(&self) -> Result<bool> {
        let look = || {
            let inner = &self.file.inner;
            let info = links::link_info(&inner.source, &*inner.header(self.addr)?)?;
            Ok(info.is_some_and(|info| info.creation_order != CreationOrder::Untracked))
        };
        look().map_err(|error| self.locate(error))
    }

    /// The members, with their kinds, in the order of [`Group::links`]. The header of each object is looked at.
    ///
    /// # Errors
    /// Something is damaged; only the member itself is [`MemberKind::Unknown`] when its own header is.
    pub fn members(&self) -> Result<Vec<Member>> {
        let kind = |target: &Target| match target {
            Target::Hard(addr) => {
                let header = self.file.inner.header(Addr(*addr));
                header.ok().and_then(|header| kind_of(&header)).unwrap_or(MemberKind::Unknown)
            }
            Target::Soft(_) => MemberKind::SoftLink,
            Target::External { .. } => MemberKind::ExternalLink,
            Target::UserDefined { .. } => MemberKind::UserDefinedLink,
        };
        let member = |link: Link| Member { kind: kind(&link.target), name: link.name, raw_name: link.raw_name };
        Ok(self.links()?.into_iter().map(member).collect())
    }

    /// The link called `name`, not followed; `name` is one name and no path.
    ///
    /// # Errors
    /// There is none, or something is damaged.
    pub fn link(&self, name: &str) -> Result<Link> {
        let find = || {
            let inner = &self.file.inner;
            let header = inner.header(self.addr)?;
            let found = inner.link(self.addr, &header, name.as_bytes())?;
            found.map(Link::from).ok_or_else(|| not_found("link", name))
        };
        find().map_err(|error| self.locate(error))
    }

    /// The object at `path`: absolute when it starts with `/`, otherwise from this group. Soft and external links are followed.
    ///
    /// # Errors
    /// There is no such object, links lead in a circle, or something on the way is damaged.
    pub fn get(&self, path: &str) -> Result<Object> {
        self.get_raw(path.as_bytes())
    }

    /// As [`Group::get`], by names that need not be UTF-8.
    ///
    /// # Errors
    /// As [`Group::get`].
    pub fn get_raw(&self, path: &[u8]) -> Result<Object> {
        let shown = || self.join(&String::from_utf8_lossy(path));
        let place = self.find(path).map_err(|error| self.file.inner.locate(error.at_object(&shown())))?;
        Object::open(place.file, place.addr, place.path)
    }

    /// The object that a link of this group leads to, without looking the link up again.
    ///
    /// # Errors
    /// As [`Group::get`].
    pub fn open_link(&self, link: &Link) -> Result<Object> {
        match link.target {
            Target::Hard(addr) => Object::open(self.file.clone(), Addr(addr), self.join(&link.name)),
            _ => self.get_raw(link.raw_name.as_bytes()),
        }
    }

    /// The group at `path`, as [`Group::get`] finds it.
    ///
    /// # Errors
    /// There is no object, or it is no group.
    pub fn group(&self, path: &str) -> Result<Self> {
        match self.get(path)? {
            Object::Group(group) => Ok(group),
            other => Err(other.is_no("group")),
        }
    }

    /// The dataset at `path`, as [`Group::get`] finds it.
    ///
    /// # Errors
    /// There is no object, or it is no dataset.
    pub fn dataset(&self, path: &str) -> Result<Dataset> {
        match self.get(path)? {
            Object::Dataset(dataset) => Ok(dataset),
            other => Err(other.is_no("dataset")),
        }
    }

    /// The committed datatype at `path`, as [`Group::get`] finds it.
    ///
    /// # Errors
    /// There is no object, or it is no committed datatype.
    pub fn datatype(&self, path: &str) -> Result<CommittedDatatype> {
        match self.get(path)? {
            Object::Datatype(datatype) => Ok(datatype),
            other => Err(other.is_no("committed datatype")),
        }
    }

    /// Whether there is an object at `path`. A link that leads nowhere does not count.
    ///
    /// # Errors
    /// Something on the way is damaged.
    pub fn contains(&self, path: &str) -> Result<bool> {
        match self.find(path.as_bytes()) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. } | ErrorKind::WrongKind { .. }) => Ok(false),
            Err(error) => Err(self.file.inner.locate(error.at_object(&self.join(path)))),
        }
    }

    /// The path of what is at `path` from here.
    pub(crate) fn join(&self, path: &str) -> String {
        join(&self.path, path)
    }

    fn find(&self, path: &[u8]) -> Result<Place> {
        let start = Place { file: self.file.clone(), addr: self.addr, path: self.path.clone() };
        let mut links = 0;
        follow(start, path, &mut links)
    }
}

attribute_methods!(Group);
attribute_methods!(CommittedDatatype);

impl CommittedDatatype {
    pub(crate) fn addr(&self) -> Addr {
        self.addr
    }

    /// The type itself.
    #[must_use]
    pub fn datatype(&self) -> &Datatype {
        &self.datatype
    }
}

impl Object {
    pub(crate) fn open(file: File, addr: Addr, path: String) -> Result<Self> {
        let inner = file.inner.clone();
        let open = || {
            let header = inner.header(addr)?;
            match kind_of(&header) {
                Some(MemberKind::Dataset) => Ok(Self::Dataset(Dataset::open(file, path.clone(), &header)?)),
                Some(MemberKind::Datatype) => {
                    let message = header.find(MessageType::DATATYPE).ok_or_else(|| not_found("object", &path))?;
                    let body = inner.body(&header, message)?;
                    let datatype = Datatype::decode(&body.bytes, body.at)?;
                    Ok(Self::Datatype(CommittedDatatype { file, addr, path: path.clone(), datatype }))
                }
                Some(_) => Ok(Self::Group(Group::new(file, addr, path.clone()))),
                None => Err(Error::unsupported("the object is neither a group nor a dataset nor a committed datatype")),
            }
        };
        open().map_err(|error| inner.locate(error.at_object(&path)))
    }

    /// The path by which the object was found.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Group(group) => group.path(),
            Self::Dataset(dataset) => dataset.path(),
            Self::Datatype(datatype) => datatype.path(),
        }
    }

    /// The address of the object's header: the same for every path that leads to the object, other for any other object of
    /// the file.
    #[must_use]
    pub fn address(&self) -> u64 {
        match self {
            Self::Group(group) => group.address(),
            Self::Dataset(dataset) => dataset.address(),
            Self::Datatype(datatype) => datatype.address(),
        }
    }

    /// What kind of object it is.
    #[must_use]
    pub fn kind(&self) -> MemberKind {
        match self {
            Self::Group(_) => MemberKind::Group,
            Self::Dataset(_) => MemberKind::Dataset,
            Self::Datatype(_) => MemberKind::Datatype,
        }
    }

    /// Its attributes.
    ///
    /// # Errors
    /// Something is damaged.
    pub fn attributes(&self) -> Result<Vec<Attribute>> {
        match self {
            Self::Group(group) => group.attributes(),
            Self::Dataset(dataset) => dataset.attributes(),
            Self::Datatype(datatype) => datatype.attributes(),
        }
    }

    fn is_no(&self, expected: &'static str) -> Error {
        let found = match self {
            Self::Group(_) => "group",
            Self::Dataset(_) => "dataset",
            Self::Datatype(_) => "committed datatype",
        };
        let file = match self {
            Self::Group(group) => &group.file,
            Self::Dataset(dataset) => &dataset.file,
            Self::Datatype(datatype) => &datatype.file,
        };
        file.inner.locate(Error::new(ErrorKind::WrongKind { expected, found }).at_object(self.path()))
    }
}

impl From<message::Link> for Link {
    fn from(link: message::Link) -> Self {
        let text = |name: &Name| name.to_string_lossy().into_owned();
        let target = match link.target {
            LinkTarget::Hard(addr) => Target::Hard(addr.0),
            LinkTarget::Soft(path) => Target::Soft(text(&path)),
            LinkTarget::External { file, path } => Target::External { file: text(&file), path: text(&path) },
            LinkTarget::UserDefined { class, data } => Target::UserDefined { class, data },
        };
        Self { name: text(&link.name), raw_name: link.name, creation_order: link.creation_order, target }
    }
}

/// What kind of object has this header.
pub(crate) fn kind_of(header: &ObjectHeader) -> Option<MemberKind> {
    let has = |kind| header.find(kind).is_some();
    // In libhdf5's order: a dataset is what has a type and a shape.
    if has(MessageType::DATATYPE) && has(MessageType::DATASPACE) {
        Some(MemberKind::Dataset)
    } else if has(MessageType::LINK_INFO) || has(MessageType::SYMBOL_TABLE) {
        Some(MemberKind::Group)
    } else if has(MessageType::DATATYPE) {
        Some(MemberKind::Datatype)
    } else {
        None
    }
}

pub(crate) fn join(base: &str, path: &str) -> String {
    let mut joined = if path.starts_with('/') { String::new() } else { base.trim_end_matches('/').to_owned() };
    for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
        joined.push('/');
        joined.push_str(name);
    }
    if joined.is_empty() { "/".into() } else { joined }
}

/// Where an object is.
struct Place {
    file: File,
    addr: Addr,
    path: String,
}

/// The object at `path` from `place`. `links` counts the soft and external links followed so far.
fn follow(mut place: Place, path: &[u8], links: &mut usize) -> Result<Place> {
    if path.first() == Some(&b'/') {
        place = Place { addr: place.file.inner.superblock.root.header(), path: "/".into(), file: place.file };
    }
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        let inner = place.file.inner.clone();
        let shown = String::from_utf8_lossy(name);
        let header = inner.header(place.addr)?;
        if LinkStorage::of(&inner.source, &header)?.is_none() {
            let found = if header.find(MessageType::DATASPACE).is_some() { "dataset" } else { "committed datatype" };
            return Err(Error::new(ErrorKind::WrongKind { expected: "group", found }).at_object(&place.path));
        }
        let link = inner.link(place.addr, &header, name)?;
        let link = link.ok_or_else(|| not_found("object", &join(&place.path, &shown)))?;
        if !matches!(link.target, LinkTarget::Hard(_)) {
            *links += 1;
            if *links > MOST_LINKS {
                return Err(Error::unsupported(format!("following more than {MOST_LINKS} soft and external links")));
            }
        }
        let found = join(&place.path, &shown);
        place = match link.target {
            LinkTarget::Hard(addr) => Place { addr, path: found, file: place.file },
            LinkTarget::Soft(target) => Place { path: found, ..follow(place, target.as_bytes(), links)? },
            LinkTarget::External { file, path } => {
                let file = inner.other(file.as_bytes())?;
                let root = Place { addr: file.inner.superblock.root.header(), path: "/".into(), file };
                follow(root, path.as_bytes(), links)?
            }
            LinkTarget::UserDefined { class, .. } => {
                return Err(Error::unsupported(format!("following {shown:?}, a user-defined link of class {class}")));
            }
        };
    }
    Ok(place)
}

fn not_found(what: &'static str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound { what, name: name.to_owned() })
}
