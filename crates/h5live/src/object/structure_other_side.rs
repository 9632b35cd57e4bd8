//! What is written here, as h5py reads and changes it; and what h5py wrote, as it is changed here.
//!
//! These tests run `$H5LIVE_PYTHON`, a Python interpreter with h5py.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use h5live_format::message::{Attribute, BTreeK, Dataspace, Datatype, Fill, FillValue, Link, LinkTarget};
use h5live_format::message::{AllocationTime, DataLayout, FillTime};
use h5live_format::object_header::{AttributeOrder, HeaderSettings, MessageFlags, MessageType};
use h5live_format::superblock::{ConsistencyFlags, Root, Superblock, SuperblockVersion};
use h5live_format::{Addr, Widths};
use h5live_storage::{Barrier, Memory};

use super::attribute_edit::{delete_attribute, rename_attribute, set_attribute};
use super::global_heap_edit::HeapWriter;
use super::header::ObjectHeader;
use super::header_edit::{HeaderBuilder, dims_place, set_dims};
use super::link_edit::{GroupSettings, LinkOrder, create_hard_link, create_link, move_link, new_group, remove_link};
use crate::error::ErrorKind;
use crate::live::trailer::{SessionId, Writer as Identity};
use crate::live::writer::Writer;

/// A file in memory, and the writer that fills it.
struct Made {
    storage: Arc<Memory>,
    writer: Writer,
    root: Addr,
}

impl Made {
    fn new(settings: GroupSettings) -> Self {
        let storage = Arc::new(Memory::new());
        let size = Superblock::size(Widths::EIGHT) as u64;
        let mut superblock = Superblock {
            version: SuperblockVersion::V3,
            widths: Widths::EIGHT,
            flags: ConsistencyFlags::NONE,
            base: 0,
            end_of_file: size,
            root: Root::ObjectHeader(Addr(size)),
            extension: None,
            driver_info: None,
            btree_k: BTreeK::default(),
        };
        let mut writer = Writer::new(storage.clone(), superblock.clone());
        let root = new_group(&mut writer, settings).unwrap();
        superblock.root = Root::ObjectHeader(root);
        writer.adopt_superblock(superblock).unwrap();
        Self { storage, writer, root }
    }

    fn open(bytes: Vec<u8>) -> Self {
        let superblock = Superblock::decode(&bytes, 0).unwrap();
        let root = superblock.root.header();
        let storage = Arc::new(Memory::from(bytes));
        Self { writer: Writer::new(storage.clone(), superblock), storage, root }
    }

    fn go_live(&mut self) {
        let identity = Identity { pid: 1, host: "here".into(), since: SystemTime::now() };
        self.writer.go_live(identity, SessionId([7; 16]), false).unwrap();
    }

    fn publish(&mut self) {
        self.writer.publish(Barrier::Visible).unwrap();
    }

    /// The file's bytes, as they are now.
    fn bytes(&mut self) -> Vec<u8> {
        self.publish();
        self.storage.to_vec()
    }

    fn group(&mut self, parent: Addr, name: &str, settings: GroupSettings) -> Addr {
        let group = new_group(&mut self.writer, settings).unwrap();
        create_link(&mut self.writer, parent, &Link::new(name, LinkTarget::Hard(group))).unwrap();
        group
    }

    fn soft(&mut self, parent: Addr, name: &str, path: &str) {
        create_link(&mut self.writer, parent, &Link::new(name, LinkTarget::Soft(path.into()))).unwrap();
    }

    fn number(&mut self, object: Addr, name: &str, value: i64) {
        let data = value.to_le_bytes().to_vec();
        set_attribute(&mut self.writer, object, &Attribute::new(name, Datatype::i64(), Dataspace::Scalar, data)).unwrap();
    }

    fn bulk(&mut self, object: Addr, name: &str, size: usize) {
        let data = (0..size).map(|at| at as u8).collect();
        let space = Dataspace::fixed(&[size as u64]);
        set_attribute(&mut self.writer, object, &Attribute::new(name, Datatype::u8(), space, data)).unwrap();
    }

    /// A dataset with nothing in it.
    fn dataset(&mut self, parent: Addr, name: &str, order: AttributeOrder) -> Addr {
        let widths = self.writer.widths();
        let settings = HeaderSettings { attribute_order: order, ..HeaderSettings::default() };
        let fill = FillValue { allocation: AllocationTime::Late, write: FillTime::IfSet, value: Fill::Default };
        let layout = DataLayout::Contiguous { addr: None, size: Some(24) };
        let space = Dataspace::Simple { dims: vec![3], max: Some(vec![Some(9)]) };
        let header = HeaderBuilder::new(settings)
            .message(MessageType::DATATYPE, MessageFlags::CONSTANT, Datatype::f64().encode())
            .message(MessageType::FILL_VALUE, MessageFlags::CONSTANT, fill.encode())
            .message(MessageType::DATA_LAYOUT, MessageFlags::NONE, layout.encode(widths))
            .changing(MessageType::DATASPACE, MessageFlags::NONE, space.encode(widths))
            .room(48)
            .place(&mut self.writer)
            .unwrap();
        create_link(&mut self.writer, parent, &Link::new(name, LinkTarget::Hard(header))).unwrap();
        header
    }
}

/// A file in the system's temporary directory, removed when dropped.
struct OnDisk(PathBuf);

impl OnDisk {
    fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("h5live-structure-{}-{}.h5", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }

    /// Runs `script` with the open file as `f`.
    fn run(&self, mode: &str, script: &str) {
        let python = std::env::var_os("H5LIVE_PYTHON")
            .expect("these tests need a Python interpreter with h5py: set H5LIVE_PYTHON to its path");
        let whole = format!(
            "import h5py, sys\nimport numpy as np\nf = h5py.File(sys.argv[1], {mode:?}, libver=('v110', 'v110'))\n\
             {script}\nf.close()\n"
        );
        let output = Command::new(python).arg("-c").arg(&whole).arg(&self.0).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "h5py on {}:\n{whole}\n{complaint}", self.0.display());
    }

    /// Everything with libhdf5's own tool, if there is one.
    fn dump(&self) {
        let Ok(output) = Command::new("h5dump").arg("-H").arg(&self.0).output() else { return };
        assert!(output.status.success(), "h5dump: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_file(&self.0));
        }
    }
}

fn tracked() -> GroupSettings {
    GroupSettings {
        header: HeaderSettings { attribute_order: AttributeOrder::Indexed, ..HeaderSettings::default() },
        link_order: LinkOrder::Indexed,
        ..GroupSettings::default()
    }
}

fn name(number: usize) -> String {
    format!("näme {number:05}")
}

#[test]
fn any_number_of_links() {
    for live in [false, true] {
        let mut made = Made::new(tracked());
        let root = made.root;
        let counts = [0usize, 1, 8, 9, 200, 5000];
        let groups: Vec<_> = counts
            .iter()
            .flat_map(|count| [(*count, "plain", GroupSettings::default()), (*count, "tracked", tracked())])
            .collect();
        if live {
            made.go_live();
        }
        for (count, kind, settings) in groups {
            let count = if live { count.min(300) } else { count };
            let group = made.group(root, &format!("{kind}{count}"), settings);
            // Not in alphabetical order: creation order must show.
            for number in (0..count).rev() {
                made.soft(group, &name(number), &format!("/target/{number}"));
                if live && number % 10 == 0 {
                    made.publish();
                }
            }
            if live && count == 300 {
                break;
            }
        }
        let file = OnDisk::new(&made.bytes());
        let check = "
for key in f:
    g, n = f[key], int(''.join(c for c in key if c.isdigit()))
    assert len(g) == n, (key, len(g))
    names = ['näme %05d' % i for i in range(n)]
    assert sorted(g) == names, key
    if key.startswith('tracked'):
        assert list(g) == names[::-1], key
    for i in list(range(0, n, 97)) + list(range(max(0, n - 3), n)):
        assert g.get(names[i], getlink=True).path == '/target/%d' % i
    assert 'nothing' not in g
";
        file.run("r", check);
        if !live {
            file.dump();
            file.run("r+", "
for key in list(f):
    g, n = f[key], int(''.join(c for c in key if c.isdigit()))
    for i in range(n, n + 30):
        g['näme %05d' % i] = h5py.SoftLink('/target/%d' % i)
    for i in range(0, n + 30, 2):
        del g['näme %05d' % i]
    for i in range(0, n + 30, 2):
        g['näme %05d' % i] = h5py.SoftLink('/target/%d' % i)
");
            file.run("r", "
for key in f:
    g, n = f[key], int(''.join(c for c in key if c.isdigit()))
    assert sorted(g) == ['näme %05d' % i for i in range(n + 30)]
    for i in range(n + 30):
        assert g.get('näme %05d' % i, getlink=True).path == '/target/%d' % i
");
            // And once more here, in what libhdf5 left behind.
            let mut made = Made::open(file.bytes());
            let root = made.root;
            for key in ["plain9", "tracked200", "plain5000"] {
                let group = find(&made, root, key);
                for number in 0..40 {
                    made.soft(group, &format!("again {number}"), "/x");
                    remove_link(&mut made.writer, group, name(number).as_bytes()).unwrap();
                }
            }
            let file = OnDisk::new(&made.bytes());
            file.run("r", "
for key, n in (('plain9', 9), ('tracked200', 200), ('plain5000', 5000)):
    g = f[key]
    want = ['näme %05d' % i for i in range(40, n + 30)] + ['again %d' % i for i in range(40)]
    assert sorted(g) == sorted(want), key
    assert all(g.get(k, getlink=True).path for k in want)
    if key[0] == 't':
        assert list(g)[-40:] == want[-40:], list(g)[-40:]
");
        }
    }
}

fn find(made: &Made, group: Addr, name: &str) -> Addr {
    let source = made.writer.source();
    let header = ObjectHeader::read(&source, group).unwrap();
    let link = super::links::find(&source, &h5live_filter::Registry::default(), &header, name.as_bytes()).unwrap();
    match link.unwrap().target {
        LinkTarget::Hard(addr) => addr,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_of_so_many_links_that_heap_tables_nest() {
    let mut made = Made::new(GroupSettings::default());
    let root = made.root;
    let many = made.group(root, "many", GroupSettings::default());
    let long = "x".repeat(400);
    for number in 0..6000 {
        made.soft(many, &format!("{number:06} {long}"), &format!("/{number}"));
    }
    let file = OnDisk::new(&made.bytes());
    let check = |extra: usize| {
        format!("
g = f['many']
assert len(g) == 6000 + {extra}, len(g)
for i in range(6000 + {extra}):
    assert g.get('%06d ' % i + 'x' * 400, getlink=True).path == '/%d' % i
")
    };
    file.run("r", &check(0));
    file.run("r+", "
for i in range(6000, 9000): f['many']['%06d ' % i + 'x' * 400] = h5py.SoftLink('/%d' % i)
");
    file.run("r", &check(3000));
}

#[test]
fn any_number_of_attributes() {
    for live in [false, true] {
        let mut made = Made::new(GroupSettings::default());
        let root = made.root;
        let mut objects = Vec::new();
        for (kind, order) in [("plain", AttributeOrder::Untracked), ("tracked", AttributeOrder::Indexed)] {
            for count in [0usize, 1, 8, 9, 200, if live { 300 } else { 5000 }] {
                objects.push((made.dataset(root, &format!("{kind}{count}"), order), count));
            }
        }
        if live {
            made.go_live();
        }
        for (object, count) in objects {
            for number in (0..count).rev() {
                made.number(object, &name(number), number as i64);
                if live && number % 10 == 0 {
                    made.publish();
                }
            }
            // Replaced by what is as large, larger, smaller, in the end the same again.
            for number in 0..count.min(20) {
                made.number(object, &name(number), -1);
                made.bulk(object, &name(number), 90 + number * 20);
                made.number(object, &name(number), number as i64);
            }
        }
        let file = OnDisk::new(&made.bytes());
        file.run("r", "
for key in f:
    a, n = f[key].attrs, int(''.join(c for c in key if c.isdigit()))
    assert len(a) == n, (key, len(a))
    names = ['näme %05d' % i for i in range(n)]
    assert sorted(a) == names, key
    if key.startswith('tracked'):
        assert list(a) == names[::-1], (key, list(a))
    for i in range(n):
        assert a[names[i]] == i
    assert f[key].shape == (3,) and 'nothing' not in a
");
        if live {
            continue;
        }
        file.dump();
        file.run("r+", "
for key in list(f):
    a, n = f[key].attrs, int(''.join(c for c in key if c.isdigit()))
    for i in range(n, n + 30): a['näme %05d' % i] = i
    for i in range(0, n + 30, 2): del a['näme %05d' % i]
    for i in range(0, n + 30, 2): a['näme %05d' % i] = i
");
        file.run("r", "
for key in f:
    a, n = f[key].attrs, int(''.join(c for c in key if c.isdigit()))
    assert {k: a[k] for k in a} == {'näme %05d' % i: i for i in range(n + 30)}, key
");
        let mut made = Made::open(file.bytes());
        let root = made.root;
        made.go_live();
        for key in ["plain0", "plain1", "tracked8", "tracked200", "plain5000"] {
            let object = find(&made, root, key);
            for number in 0..40 {
                made.number(object, &format!("again {number}"), number);
                if number < 20 {
                    delete_attribute(&mut made.writer, object, name(number as usize).as_bytes()).unwrap();
                }
            }
            made.publish();
        }
        made.writer.close(Barrier::Visible).unwrap();
        let file = OnDisk::new(&made.storage.to_vec());
        file.run("r", "
for key, n in (('plain0', 0), ('plain1', 1), ('tracked8', 8), ('tracked200', 200), ('plain5000', 5000)):
    a = f[key].attrs
    want = {'näme %05d' % i: i for i in range(20, n + 30)}
    want.update({'again %d' % i: i for i in range(40)})
    assert {k: a[k] for k in a} == want, key
    assert f[key].shape == (3,)
");
    }
}

#[test]
fn attributes_of_any_size() {
    for live in [false, true] {
        let mut made = Made::new(GroupSettings::default());
        let root = made.root;
        let object = made.dataset(root, "d", AttributeOrder::Untracked);
        let group = made.group(root, "g", tracked());
        if live {
            made.go_live();
        }
        let sizes = [0usize, 1, 300, 3000, 4000, 4070, 5000, 60_000, 65_000, 70_000, 1 << 20];
        for object in [object, group] {
            for size in sizes {
                made.bulk(object, &format!("b{size}"), size / 2 + 1);
                made.publish();
                made.bulk(object, &format!("b{size}"), size);
                made.publish();
            }
        }
        // Compact ones only, in blocks larger than a page, replaced and deleted.
        let other = made.dataset(root, "e", AttributeOrder::Untracked);
        for size in [5000, 20_000, 60_000] {
            made.bulk(other, &format!("b{size}"), size);
            made.publish();
            made.bulk(other, &format!("b{size}"), size + 1);
            made.publish();
            made.bulk(other, &format!("b{size}"), size);
            made.bulk(other, "gone", size);
            made.publish();
            delete_attribute(&mut made.writer, other, b"gone").unwrap();
            made.publish();
        }
        let file = OnDisk::new(&made.bytes());
        file.run("r", "
for key, sizes in (('d', None), ('g', None), ('e', [5000, 20000, 60000])):
    a = f[key].attrs
    sizes = sizes or [0, 1, 300, 3000, 4000, 4070, 5000, 60000, 65000, 70000, 1 << 20]
    assert len(a) == len(sizes), (key, list(a))
    for s in sizes:
        v = h5py.h5a.open(f[key].id, b'b%d' % s)
        out = np.empty(v.shape, 'u1')
        assert v.shape == (s,), (s, v.shape)
        if s:
            v.read(out)
            assert (out == np.arange(s, dtype='u8').astype('u1')).all(), s
");
        if !live {
            file.dump();
            file.run("r+", "
for key in 'dge':
    a = f[key].attrs
    for k in list(a):
        del a[k]
    for i in range(20): a['x%d' % i] = np.arange(1000 * i, dtype='i4')
");
            file.run("r", "
for key in 'dge':
    a = f[key].attrs
    assert len(a) == 20 and all((a['x%d' % i] == np.arange(1000 * i)).all() for i in range(20))
");
        }
    }
}

#[test]
fn links_of_every_kind_in_nested_groups() {
    let mut made = Made::new(tracked());
    let root = made.root;
    let a = made.group(root, "a", GroupSettings::default());
    let b = made.group(a, "b", tracked());
    let c = made.group(b, "日本", GroupSettings::default());
    let d = made.dataset(c, "d", AttributeOrder::Untracked);
    made.soft(root, "soft", "/a/b/日本/d");
    let target = LinkTarget::External { file: "other.h5".into(), path: "/there".into() };
    create_link(&mut made.writer, a, &Link::new("out", target)).unwrap();
    create_hard_link(&mut made.writer, root, "twice", d).unwrap();
    create_hard_link(&mut made.writer, b, "thrice", d).unwrap();
    made.soft(root, "old", "/old");
    move_link(&mut made.writer, root, b"old", a, "new").unwrap();
    move_link(&mut made.writer, a, b"out", a, "outside").unwrap();
    for (wrong, why) in [("", "empty"), (".", "itself"), ("a/b", "slash"), ("a\0", "NUL")] {
        let link = Link::new(wrong, LinkTarget::Hard(d));
        let error = create_link(&mut made.writer, root, &link).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BadName { why: said, .. } if said.contains(why)), "{error}");
    }
    let taken = create_link(&mut made.writer, root, &Link::new("a", LinkTarget::Hard(d))).unwrap_err();
    assert!(matches!(taken.kind(), ErrorKind::Exists { .. }), "{taken}");
    let missing = remove_link(&mut made.writer, root, b"nothing").unwrap_err();
    assert!(matches!(missing.kind(), ErrorKind::NotFound { .. }), "{missing}");
    let not_a_group = create_link(&mut made.writer, d, &Link::new("a", LinkTarget::Hard(d))).unwrap_err();
    assert!(matches!(not_a_group.kind(), ErrorKind::WrongKind { found: "dataset", .. }), "{not_a_group}");
    made.number(d, "one", 1);
    rename_attribute(&mut made.writer, d, b"one", "uno").unwrap();
    set_dims(&made.writer, d, &[7]).unwrap();
    let file = OnDisk::new(&made.bytes());
    file.dump();
    let check = "
assert list(f) == ['a', 'soft', 'twice'], list(f)
assert sorted(f['a']) == ['b', 'new', 'outside']
l = f['a'].get('outside', getlink=True)
assert (l.filename, l.path) == ('other.h5', '/there')
assert f['a'].get('new', getlink=True).path == '/old'
assert f['soft'].shape == (7,) and f['twice'] == f['a/b/日本/d'] == f['a/b/thrice']
assert h5py.h5o.get_info(f['twice'].id).rc == 3
assert dict(f['twice'].attrs) == {'uno': 1}
";
    file.run("r", check);
    remove_link(&mut made.writer, b, b"thrice").unwrap();
    remove_link(&mut made.writer, root, b"twice").unwrap();
    let file = OnDisk::new(&made.bytes());
    file.run("r", "assert h5py.h5o.get_info(f['soft'].id).rc == 1 and list(f) == ['a', 'soft'] and list(f['a/b']) == ['日本']");
    file.run("r+", "del f['a/b/日本/d']; f['z'] = 1");
}

#[test]
fn what_libhdf5_wrote_is_changed_while_readers_look() {
    let file = OnDisk::new(&[]);
    file.run("w", "
for n in (0, 3, 8, 9, 50):
    g = f.create_group('g%d' % n)
    t = f.create_group('t%d' % n, track_order=True)
    d = f.create_dataset('d%d' % n, shape=(0,), maxshape=(None,), chunks=(4,), dtype='f8')
    c = f.create_dataset('c%d' % n, data=np.arange(5), track_order=True)
    for i in range(n):
        g['l%d' % i] = h5py.SoftLink('/x')
        t['l%d' % i] = h5py.SoftLink('/x')
        for o in (g, t, d, c):
            o.attrs['a%d' % i] = i
");
    let mut made = Made::open(file.bytes());
    let root = made.root;
    made.go_live();
    let mut refused = BTreeMap::new();
    for count in [0, 3, 8, 9, 50] {
        for kind in ["g", "t", "d", "c"] {
            let key = format!("{kind}{count}");
            let object = find(&made, root, &key);
            let before = made.writer.used();
            let done = (|| {
                for number in 0..20i64 {
                    let data = (100 + number).to_le_bytes().to_vec();
                    let attribute = Attribute::new(name(number as usize), Datatype::i64(), Dataspace::Scalar, data);
                    set_attribute(&mut made.writer, object, &attribute)?;
                    if kind == "g" || kind == "t" {
                        let link = Link::new(name(number as usize), LinkTarget::Soft("/x".into()));
                        create_link(&mut made.writer, object, &link)?;
                    }
                }
                Ok::<_, crate::Error>(())
            })();
            if let Err(error) = done {
                assert!(matches!(error.kind(), ErrorKind::NotLive { .. }), "{key}: {error}");
                refused.insert(key, (error.to_string(), before));
            } else {
                made.publish();
            }
        }
    }
    // Headers that lie across a page cannot be changed in place; there are few.
    assert!(refused.len() <= 4, "{refused:#?}");
    let skip: Vec<_> = refused.keys().map(|key| format!("'{key}'")).collect();
    made.writer.close(Barrier::Visible).unwrap();
    let file = OnDisk::new(&made.storage.to_vec());
    file.run("r", &format!("
for key in f:
    if key in [{}]: continue
    o, n = f[key], int(key[1:])
    want = {{'a%d' % i: i for i in range(n)}}
    want.update({{'näme %05d' % i: 100 + i for i in range(20)}})
    assert {{k: o.attrs[k] for k in o.attrs}} == want, (key, list(o.attrs))
    if key[0] in 'tc': assert list(o.attrs) == list(want), key
    if key[0] in 'gt':
        names = ['l%d' % i for i in range(n)] + ['näme %05d' % i for i in range(20)]
        assert sorted(o) == sorted(names), key
        if key[0] == 't': assert list(o) == names, key
", skip.join(", ")));
    file.dump();
}

#[test]
fn old_groups_are_refused() {
    let file = OnDisk::new(&[]);
    let script = "f.close()\nf = h5py.File(sys.argv[1], 'w')\nf['g/x'] = 1";
    file.run("w", script);
    let mut made = Made::open(file.bytes());
    let root = made.root;
    let error = create_link(&mut made.writer, root, &Link::new("a", LinkTarget::Soft("/x".into()))).unwrap_err();
    assert!(error.to_string().contains("h5live repack"), "{error}");
}

#[test]
fn variable_length_data() {
    let mut made = Made::new(GroupSettings::default());
    let root = made.root;
    let widths = made.writer.widths();
    let mut heap = HeapWriter::new();
    let texts: Vec<String> =
        (0..5000).map(|number| "ab".repeat(number % 50)).chain(["x".repeat(200_000)]).collect();
    let mut data = Vec::new();
    for text in &texts {
        heap.add(&mut made.writer, text.len() as u32, text.as_bytes()).unwrap().encode(&mut data, widths);
    }
    heap.settle(&mut made.writer).unwrap();
    let space = Dataspace::fixed(&[texts.len() as u64]);
    let attribute = Attribute::new("texts", Datatype::var_len_string(), space, data);
    set_attribute(&mut made.writer, root, &attribute).unwrap();
    let used = made.writer.used();
    assert!(used < 1 << 20, "{used}");
    let file = OnDisk::new(&made.bytes());
    file.run("r", "
assert list(f.attrs['texts']) == ['ab' * (i % 50) for i in range(5000)] + ['x' * 200000]
");
}

#[test]
fn dimensions_are_found_where_they_are() {
    let mut made = Made::new(GroupSettings::default());
    let root = made.root;
    let dataset = made.dataset(root, "d", AttributeOrder::Untracked);
    let header = ObjectHeader::read(&made.writer.source(), dataset).unwrap();
    let (chunk, offset, width) = dims_place(&header, made.writer.widths()).unwrap();
    assert_eq!((chunk, width), (0, 8));
    // Current and maximum size, then the checksum: nothing else is overwritten.
    assert_eq!(offset as u64 + 8 + 8 + 4, header.chunks[0].size);
    let bytes = made.writer.source().bytes("header", dataset, header.chunks[0].size).unwrap();
    assert_eq!(bytes[offset..offset + 8], 3u64.to_le_bytes());
}
