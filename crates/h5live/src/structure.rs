//! Changing structure: groups, links, attributes. All of it also while readers look.

use h5live_format::Addr;
use h5live_format::message::{self, Dataspace, Datatype, LinkTarget, MaybeShared, Name, SharedMessage};
use h5live_format::object_header::{AttributeOrder, HeaderSettings, MessageType};

use crate::append::{Elements, LiveHeap};
use crate::create::DatasetBuilder;
use crate::dataset::Dataset;
use crate::element::{Element, HeapWrite};
use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::group::{CommittedDatatype, Group, Object};
use crate::live::session::Session;
use crate::object::header::ObjectHeader;
use crate::object::header_edit::HeaderBuilder;
use crate::object::link_edit::{self, GroupSettings, LinkOrder};
use crate::object::upgrade::require_changeable;
use crate::object::{attribute_edit, links};
use crate::value::Value;

/// What a group will be; made by [`Group::new_group`].
#[must_use = "nothing is created before `create`"]
pub struct GroupBuilder {
    parent: Group,
    path: String,
    track_order: bool,
}

impl GroupBuilder {
    /// Remembers the order in which links and attributes are created.
    pub fn track_order(mut self) -> Self {
        self.track_order = true;
        self
    }

    /// Creates the group, and those on the way to it that are missing.
    ///
    /// # Errors
    /// The file is open for reading, or the name is taken.
    pub fn create(self) -> Result<Group> {
        let (parent, name) = self.parent.make_way(&self.path)?;
        parent.create_child(&name, self.settings())
    }

    fn settings(&self) -> GroupSettings {
        if !self.track_order {
            return GroupSettings::default();
        }
        GroupSettings::in_creation_order()
    }
}

impl GroupSettings {
    /// Links and attributes remember the order they were created in.
    pub(crate) fn in_creation_order() -> Self {
        let header = HeaderSettings { attribute_order: AttributeOrder::Indexed, ..HeaderSettings::default() };
        Self { header, link_order: LinkOrder::Indexed, ..Self::default() }
    }
}

impl File {
    /// A dataset to be created at `path`, of elements `T`.
    pub fn new_dataset<T: Element>(&self, path: &str) -> DatasetBuilder {
        self.root().new_dataset::<T>(path)
    }

    /// A dataset to be created at `path`, of a datatype given as such.
    pub fn new_dataset_of(&self, path: &str, datatype: Datatype) -> DatasetBuilder {
        self.root().new_dataset_of(path, datatype)
    }

    /// Creates the group at `path`, as [`Group::create_group`].
    ///
    /// # Errors
    /// As [`Group::create_group`].
    pub fn create_group(&self, path: &str) -> Result<Group> {
        self.root().create_group(path)
    }

    /// Sets an attribute of the root group, as [`Group::set_attribute`].
    ///
    /// # Errors
    /// As [`Group::set_attribute`].
    pub fn set_attribute(&self, name: &str, value: impl AttributeValue) -> Result<()> {
        self.root().set_attribute(name, value)
    }
}

impl Group {
    /// A dataset to be created at `path` from this group, of elements `T`.
    pub fn new_dataset<T: Element>(&self, path: &str) -> DatasetBuilder {
        DatasetBuilder::new(self.clone(), path, T::datatype())
    }

    /// A dataset to be created at `path` from this group, of a datatype given as such.
    pub fn new_dataset_of(&self, path: &str, datatype: Datatype) -> DatasetBuilder {
        DatasetBuilder::new(self.clone(), path, datatype)
    }

    /// A group to be created at `path` from this one.
    pub fn new_group(&self, path: &str) -> GroupBuilder {
        GroupBuilder { parent: self.clone(), path: path.to_owned(), track_order: false }
    }

    /// Creates a group at `path` from this one, and those on the way that are missing.
    ///
    /// # Errors
    /// The file is open for reading, or the name is taken.
    pub fn create_group(&self, path: &str) -> Result<Self> {
        self.new_group(path).create()
    }

    /// The group at `path`, created if there is none.
    ///
    /// # Errors
    /// There is an object of another kind, or the file is open for reading.
    pub fn require_group(&self, path: &str) -> Result<Self> {
        match self.group(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => self.create_group(path),
            other => other,
        }
    }

    /// Gives an object one more name.
    ///
    /// # Errors
    /// The file is open for reading, the object is of another file, or the name is taken.
    pub fn link_object(&self, path: &str, object: &Object) -> Result<()> {
        let (group, name) = self.make_way(path)?;
        group.changing(&name, |session| {
            link_edit::create_hard_link(&mut session.writer, group.addr, name.as_str(), Addr(object.address()))
        })
    }

    /// Creates a soft link: a name for whatever is at `target`, now or later.
    ///
    /// # Errors
    /// The file is open for reading, or the name is taken.
    pub fn link_soft(&self, path: &str, target: &str) -> Result<()> {
        self.create_link(path, LinkTarget::Soft(target.into()))
    }

    /// Creates an external link: a name for whatever is at `target` in another file, found by an absolute path or one from
    /// this file's directory.
    ///
    /// # Errors
    /// The file is open for reading, or the name is taken.
    pub fn link_external(&self, path: &str, file: &str, target: &str) -> Result<()> {
        self.create_link(path, LinkTarget::External { file: file.into(), path: target.into() })
    }

    /// Creates a link of a class that a program registers with libhdf5, 65 to 255 (not 64, which are external links): it leads
    /// wherever that program takes `data`.
    ///
    /// # Errors
    /// The file is open for reading, the name is taken, the class is none of these, or the data have 64 KiB or more.
    pub fn link_user_defined(&self, path: &str, class: u8, data: &[u8]) -> Result<()> {
        /// The first class that programs may register.
        const FIRST_CLASS: u8 = 65;
        if class < FIRST_CLASS || data.len() > usize::from(u16::MAX) {
            let what = format!("a link of class {class} with a value of {} bytes", data.len());
            return Err(self.file.inner.locate(Error::unsupported(what)));
        }
        self.create_link(path, LinkTarget::UserDefined { class, data: data.to_vec() })
    }

    /// Removes a link. The object it leads to goes with the last one; its space is reclaimed when the file is rewritten.
    ///
    /// # Errors
    /// There is none, or the file is open for reading.
    pub fn unlink(&self, path: &str) -> Result<()> {
        let (group, name) = self.find_way(path)?;
        group.changing(&name, |session| {
            link_edit::remove_link(&mut session.writer, group.addr, name.as_bytes()).map(drop)
        })
    }

    /// Moves or renames a link.
    ///
    /// # Errors
    /// There is none at `from`, there is one at `to`, or the file is open for reading.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (old, old_name) = self.find_way(from)?;
        let (new, new_name) = self.make_way(to)?;
        old.changing(&old_name, |session| {
            link_edit::move_link(&mut session.writer, old.addr, old_name.as_bytes(), new.addr, new_name.as_str())
        })
    }

    /// Stores a datatype as an object of its own.
    ///
    /// # Errors
    /// The file is open for reading, or the name is taken.
    pub fn commit_datatype(&self, path: &str, datatype: &Datatype) -> Result<CommittedDatatype> {
        let (group, name) = self.make_way(path)?;
        group.changing(&name, |session| {
            let header = HeaderBuilder::new(HeaderSettings::default()).message(
                MessageType::DATATYPE,
                h5live_format::object_header::MessageFlags::CONSTANT,
                datatype.encode(),
            );
            let addr = header.place(&mut session.writer)?;
            session.link_hard(&group, &name, addr)
        })?;
        group.datatype(&name)
    }

    fn create_link(&self, path: &str, target: LinkTarget) -> Result<()> {
        let (group, name) = self.make_way(path)?;
        group.changing(&name, |session| {
            let link = message::Link::new(name.as_str(), target);
            link_edit::create_link(&mut session.writer, group.addr, &link)
        })
    }

    /// The group in which the last name of `path` is to be created, with groups on the way made as needed; and that name.
    pub(crate) fn make_way(&self, path: &str) -> Result<(Self, String)> {
        self.way(path, |group, name| match group.group(name) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => {
                group.create_child(name, GroupSettings::default())
            }
            other => other,
        })
    }

    /// The group that has the last name of `path`; and that name.
    fn find_way(&self, path: &str) -> Result<(Self, String)> {
        self.way(path, |group, name| group.group(name))
    }

    fn way(&self, path: &str, step: impl Fn(&Self, &str) -> Result<Self>) -> Result<(Self, String)> {
        let mut group = if path.starts_with('/') { self.file.root() } else { self.clone() };
        let mut names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let Some(last) = names.pop() else {
            let why = "it has no characters but slashes";
            return Err(self.file.inner.locate(ErrorKind::BadName { name: path.to_owned(), why }.into()));
        };
        for name in names {
            group = step(&group, name)?;
        }
        Ok((group, last.to_owned()))
    }

    fn create_child(&self, name: &str, settings: GroupSettings) -> Result<Self> {
        let addr = self.changing(name, |session| {
            session.refuse_taken(self, name)?;
            let addr = link_edit::new_group(&mut session.writer, settings)?;
            session.link_hard(self, name, addr)?;
            Ok(addr)
        })?;
        Ok(Self::new(self.file.clone(), addr, self.child_path(name)))
    }

    /// The path of a member.
    pub(crate) fn child_path(&self, name: &str) -> String {
        format!("{}/{name}", self.path.trim_end_matches('/'))
    }

    fn changing<T>(&self, name: &str, act: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let act = || act(&mut *self.file.session()?);
        act().map_err(|error: Error| self.file.inner.locate(error.at_object(&self.child_path(name))))
    }
}

impl Session {
    /// Refuses a name that the group has already, and a group that cannot change, before anything is made for it.
    pub(crate) fn refuse_taken(&self, group: &Group, name: &str) -> Result<()> {
        let source = self.writer.source();
        let header = ObjectHeader::read(&source, group.addr)?;
        require_changeable(&self.writer, &header)?;
        match links::find(&source, source.filters(), &header, name.as_bytes())? {
            Some(_) => Err(ErrorKind::Exists { what: "link", name: name.to_owned() }.into()),
            None => Ok(()),
        }
    }

    /// Links a new object.
    pub(crate) fn link_hard(&mut self, group: &Group, name: &str, object: Addr) -> Result<()> {
        let link = message::Link::new(name, LinkTarget::Hard(object));
        link_edit::create_link(&mut self.writer, group.addr, &link)
    }
}

/// What an attribute can be set to: a number, a boolean, text, or a list or array of those.
pub trait AttributeValue {
    /// The type it is stored as.
    fn datatype(&self) -> Datatype;
    /// Its shape; none for a single element.
    fn shape(&self) -> Vec<u64>;
    /// Appends its elements as they are in the file.
    ///
    /// # Errors
    /// The heap has no room.
    fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()>;
}

macro_rules! scalar_attribute {
    ($($type:ty),*) => {$(
        impl AttributeValue for $type {
            fn datatype(&self) -> Datatype {
                <Self as Element>::datatype()
            }
            fn shape(&self) -> Vec<u64> {
                Vec::new()
            }
            fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
                <Self as Element>::encode(std::slice::from_ref(self), &<Self as Element>::datatype(), heap, out)
            }
        }
    )*};
}

scalar_attribute!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, half::f16, bool, String);
scalar_attribute!(num_complex::Complex<f32>, num_complex::Complex<f64>);

impl AttributeValue for &str {
    fn datatype(&self) -> Datatype {
        <String as Element>::datatype()
    }
    fn shape(&self) -> Vec<u64> {
        Vec::new()
    }
    fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        (*self).to_owned().encode(heap, out)
    }
}

impl<T: Element> AttributeValue for &[T] {
    fn datatype(&self) -> Datatype {
        T::datatype()
    }
    fn shape(&self) -> Vec<u64> {
        vec![self.len() as u64]
    }
    fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        T::encode(self, &T::datatype(), heap, out)
    }
}

impl<T: Element> AttributeValue for Vec<T> {
    fn datatype(&self) -> Datatype {
        T::datatype()
    }
    fn shape(&self) -> Vec<u64> {
        vec![self.len() as u64]
    }
    fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        self.as_slice().encode(heap, out)
    }
}

impl<T: Element, const N: usize> AttributeValue for [T; N] {
    fn datatype(&self) -> Datatype {
        T::datatype()
    }
    fn shape(&self) -> Vec<u64> {
        vec![N as u64]
    }
    fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        self.as_slice().encode(heap, out)
    }
}

#[cfg(feature = "ndarray")]
impl<T, S, D> AttributeValue for &ndarray::ArrayBase<S, D>
where
    T: Element,
    S: ndarray::Data<Elem = T>,
    D: ndarray::Dimension,
{
    fn datatype(&self) -> Datatype {
        T::datatype()
    }
    fn shape(&self) -> Vec<u64> {
        ndarray::ArrayBase::shape(self).iter().map(|dim| *dim as u64).collect()
    }
    fn encode(&self, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        self.with(|elements| T::encode(elements, &T::datatype(), heap, out))
    }
}

/// Where the attributes of an object are changed.
pub(crate) struct AttributeOwner<'a> {
    pub(crate) file: &'a File,
    pub(crate) addr: Addr,
    pub(crate) path: &'a str,
}

impl AttributeOwner<'_> {
    pub(crate) fn set(&self, name: &str, value: &impl AttributeValue) -> Result<()> {
        self.changing(|session| {
            self.refuse_old(session, &value.datatype())?;
            let mut data = Vec::new();
            let Session { heap, writer, .. } = session;
            value.encode(&mut LiveHeap { heap, writer }, &mut data)?;
            let shape = value.shape();
            let space = if shape.is_empty() { Dataspace::Scalar } else { Dataspace::fixed(&shape) };
            put(session, self.addr, name, MaybeShared::Here(value.datatype()), space, data)
        })
    }

    pub(crate) fn set_raw(&self, name: &str, datatype: &Datatype, space: Dataspace, data: &[u8]) -> Result<()> {
        self.require_size(datatype, &space, data)?;
        self.changing(|session| {
            put(session, self.addr, name, MaybeShared::Here(datatype.clone()), space, data.to_vec())
        })
    }

    /// Refuses data that are not as many bytes as so many elements take.
    fn require_size(&self, datatype: &Datatype, space: &Dataspace, data: &[u8]) -> Result<()> {
        let expected = space.element_count().and_then(|count| count.checked_mul(datatype.size().into()));
        if expected == Some(data.len() as u64) {
            return Ok(());
        }
        let why = format!("{} bytes were given for {:?} elements of {datatype}", data.len(), space.dims());
        let error = Error::new(ErrorKind::Shape { given: space.dims().to_vec(), why });
        Err(self.file.inner.locate(error.at_object(self.path)))
    }

    pub(crate) fn set_committed(
        &self,
        name: &str,
        datatype: &CommittedDatatype,
        space: Dataspace,
        data: &[u8],
    ) -> Result<()> {
        let stored = datatype.datatype();
        self.require_size(stored, &space, data)?;
        if !datatype.file().is_same(self.file) {
            let error = Error::unsupported("an attribute of a datatype that is committed in another file");
            return Err(self.file.inner.locate(error.at_object(self.path)));
        }
        self.changing(|session| {
            self.refuse_old(session, stored)?;
            let datatype = MaybeShared::Shared(SharedMessage::Committed(datatype.addr()));
            put(session, self.addr, name, datatype, space, data.to_vec())
        })
    }

    pub(crate) fn set_values(&self, name: &str, datatype: &Datatype, space: Dataspace, values: &[Value]) -> Result<()> {
        self.changing(|session| {
            if space.element_count() != Some(values.len() as u64) {
                let why = format!("{} values were given for {:?} elements", values.len(), space.dims());
                return Err(ErrorKind::Shape { given: space.dims().to_vec(), why }.into());
            }
            self.refuse_old(session, datatype)?;
            let mut data = Vec::new();
            let Session { heap, writer, .. } = session;
            Value::encode_all(values, datatype, &mut LiveHeap { heap, writer }, &mut data)?;
            put(session, self.addr, name, MaybeShared::Here(datatype.clone()), space, data)
        })
    }

    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        self.changing(|session| attribute_edit::delete_attribute(&mut session.writer, self.addr, name.as_bytes()))
    }

    pub(crate) fn rename(&self, name: &str, new_name: &str) -> Result<()> {
        self.changing(|session| {
            attribute_edit::rename_attribute(&mut session.writer, self.addr, name.as_bytes(), new_name)
        })
    }

    /// Refuses an owner that cannot change before the heap takes in what its attribute would refer to.
    fn refuse_old(&self, session: &Session, datatype: &Datatype) -> Result<()> {
        if !datatype.uses_global_heap() {
            return Ok(());
        }
        require_changeable(&session.writer, &ObjectHeader::read(&session.writer.source(), self.addr)?)
    }

    fn changing<T>(&self, act: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let act = || act(&mut *self.file.session()?);
        act().map_err(|error: Error| self.file.inner.locate(error.at_object(self.path)))
    }
}

fn attribute_space(shape: Option<&[u64]>) -> Dataspace {
    match shape {
        None => Dataspace::Null,
        Some([]) => Dataspace::Scalar,
        Some(shape) => Dataspace::fixed(shape),
    }
}

fn put(
    session: &mut Session,
    addr: Addr,
    name: &str,
    datatype: MaybeShared<Datatype>,
    space: Dataspace,
    data: Vec<u8>,
) -> Result<()> {
    let name = Name::from(name);
    let (character_set, dataspace) = (name.character_set(), MaybeShared::Here(space));
    let attribute = message::Attribute { name, character_set, datatype, dataspace, data };
    attribute_edit::set_attribute(&mut session.writer, addr, &attribute)
}

macro_rules! attribute_changes {
    ($($type:ty),*) => {$(
        impl $type {
            fn attribute_owner(&self) -> AttributeOwner<'_> {
                AttributeOwner { file: &self.file, addr: self.addr(), path: &self.path }
            }

            /// Creates an attribute, or gives it another value.
            ///
            /// # Errors
            /// The file is open for reading, or the name cannot be one.
            pub fn set_attribute(&self, name: &str, value: impl AttributeValue) -> Result<()> {
                self.attribute_owner().set(name, &value)
            }

            /// Creates an attribute, or gives it another value, of a type and shape given as such (`None`: null); `data`
            /// are its elements as they are in the file.
            ///
            /// # Errors
            /// The file is open for reading, the name cannot be one, or `data` are not as many bytes as that takes.
            pub fn set_attribute_raw(
                &self,
                name: &str,
                datatype: &Datatype,
                shape: Option<&[u64]>,
                data: &[u8],
            ) -> Result<()> {
                self.attribute_owner().set_raw(name, datatype, attribute_space(shape), data)
            }

            /// As [`Self::set_attribute_raw`], of a committed datatype of the same file.
            ///
            /// # Errors
            /// As there; or the datatype is of another file.
            pub fn set_attribute_committed(
                &self,
                name: &str,
                datatype: &CommittedDatatype,
                shape: Option<&[u64]>,
                data: &[u8],
            ) -> Result<()> {
                self.attribute_owner().set_committed(name, datatype, attribute_space(shape), data)
            }

            /// Creates an attribute, or gives it another value, of a type and shape given as such (`None`: null), with its
            /// elements in row-major order.
            ///
            /// # Errors
            /// The file is open for reading, the name cannot be one, or `values` are not as many, or not of that type.
            pub fn set_attribute_values(
                &self,
                name: &str,
                datatype: &Datatype,
                shape: Option<&[u64]>,
                values: &[Value],
            ) -> Result<()> {
                self.attribute_owner().set_values(name, datatype, attribute_space(shape), values)
            }

            /// Deletes an attribute.
            ///
            /// # Errors
            /// There is none of that name, or the file is open for reading.
            pub fn delete_attribute(&self, name: &str) -> Result<()> {
                self.attribute_owner().delete(name)
            }

            /// Renames an attribute.
            ///
            /// # Errors
            /// There is none of that name, the new name is taken, or the file is open for reading.
            pub fn rename_attribute(&self, name: &str, new_name: &str) -> Result<()> {
                self.attribute_owner().rename(name, new_name)
            }
        }
    )*};
}

attribute_changes!(Group, Dataset, CommittedDatatype);
