//! Links, attributes and groups written here, as h5py reads and changes them; and what h5py wrote, as it is changed
//! here, also while readers look.
//!
//! These tests run `$H5LIVE_PYTHON`, a Python interpreter with h5py.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use h5live::{Dataset, ErrorKind, File, Group};
use h5live_storage::Memory;

/// A file in memory that is being written.
struct Made {
    storage: Arc<Memory>,
    file: File,
}

impl Made {
    fn new() -> Self {
        let storage = Arc::new(Memory::new());
        Self { file: File::create_with(storage.clone()).unwrap(), storage }
    }

    fn open(bytes: Vec<u8>) -> Self {
        let storage = Arc::new(Memory::from(bytes));
        Self { file: File::append_with(storage.clone()).unwrap(), storage }
    }

    /// The file's bytes, after it was closed.
    fn bytes(self) -> Vec<u8> {
        self.file.close().unwrap();
        self.storage.to_vec()
    }

    fn group(&self, path: &str, tracked: bool) -> Group {
        let group = self.file.root().new_group(path);
        if tracked { group.track_order().create() } else { group.create() }.unwrap()
    }

    fn dataset(&self, path: &str, tracked: bool) -> Dataset {
        let dataset = self.file.new_dataset::<f64>(path).shape([3]).resizable([Some(9)]);
        if tracked { dataset.track_attribute_order().create() } else { dataset.create() }.unwrap()
    }
}

/// The attributes of an object of any kind.
trait Attributes {
    fn set(&self, name: &str, size: usize);
    fn number(&self, name: &str, value: i64);
    fn delete(&self, name: &str);
}

macro_rules! attributes {
    ($($type:ty),*) => {$(
        impl Attributes for $type {
            fn set(&self, name: &str, size: usize) {
                self.set_attribute(name, (0..size).map(|at| at as u8).collect::<Vec<_>>()).unwrap();
            }
            fn number(&self, name: &str, value: i64) {
                self.set_attribute(name, value).unwrap();
            }
            fn delete(&self, name: &str) {
                self.delete_attribute(name).unwrap();
            }
        }
    )*};
}

attributes!(Group, Dataset);

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
        let python = h5live_testkit::python().unwrap();
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

fn name(number: usize) -> String {
    format!("näme {number:05}")
}

#[test]
fn any_number_of_links() {
    for live in [false, true] {
        let made = Made::new();
        if live {
            made.file.go_live().unwrap();
        }
        for (kind, tracked) in [("plain", false), ("tracked", true)] {
            for count in [0, 1, 8, 9, 200, if live { 300 } else { 5000 }] {
                let group = made.group(&format!("{kind}{count}"), tracked);
                // Not in alphabetical order: creation order must show.
                for number in (0..count).rev() {
                    group.link_soft(&name(number), &format!("/target/{number}")).unwrap();
                    if number % 10 == 0 {
                        made.file.publish().unwrap();
                    }
                }
            }
        }
        let file = OnDisk::new(&made.bytes());
        file.dump();
        file.run(
            "r",
            "
for key in f:
    g, n = f[key], int(''.join(c for c in key if c.isdigit()))
    names = ['näme %05d' % i for i in range(n)]
    assert len(g) == n and sorted(g) == names, key
    if key.startswith('tracked'):
        assert list(g) == names[::-1], key
    for i in range(n):
        assert g.get(names[i], getlink=True).path == '/target/%d' % i
    assert 'nothing' not in g
",
        );
        file.run(
            "r+",
            "
for key in list(f):
    g, n = f[key], int(''.join(c for c in key if c.isdigit()))
    for i in range(n, n + 30):
        g['näme %05d' % i] = h5py.SoftLink('/target/%d' % i)
    for i in range(0, n + 30, 2):
        del g['näme %05d' % i]
    for i in range(0, n + 30, 2):
        g['näme %05d' % i] = h5py.SoftLink('/target/%d' % i)
",
        );
        file.run(
            "r",
            "
for key in f:
    g, n = f[key], int(''.join(c for c in key if c.isdigit()))
    assert sorted(g) == ['näme %05d' % i for i in range(n + 30)]
    for i in range(n + 30):
        assert g.get('näme %05d' % i, getlink=True).path == '/target/%d' % i
",
        );
        // And once more here, in what libhdf5 left behind.
        let made = Made::open(file.bytes());
        for key in ["plain9", "tracked200"] {
            let group = made.file.group(key).unwrap();
            for number in 0..40 {
                group.link_soft(&format!("again {number}"), "/x").unwrap();
                if number < 30 {
                    group.unlink(&name(number)).unwrap();
                }
            }
        }
        OnDisk::new(&made.bytes()).run(
            "r",
            "
for key, n in (('plain9', 9), ('tracked200', 200)):
    g = f[key]
    want = ['näme %05d' % i for i in range(30, n + 30)] + ['again %d' % i for i in range(40)]
    assert sorted(g) == sorted(want), key
    assert all(g.get(k, getlink=True).path for k in want)
    if key[0] == 't':
        assert list(g)[-40:] == want[-40:], list(g)[-40:]
",
        );
    }
}

#[test]
fn a_group_of_so_many_links_that_heap_tables_nest() {
    let made = Made::new();
    let many = made.group("many", false);
    let long = "x".repeat(400);
    for number in 0..6000 {
        many.link_soft(&format!("{number:06} {long}"), &format!("/{number}")).unwrap();
    }
    let file = OnDisk::new(&made.bytes());
    let check = |count: usize| {
        format!(
            "
g = f['many']
assert len(g) == {count}, len(g)
for i in range({count}):
    assert g.get('%06d ' % i + 'x' * 400, getlink=True).path == '/%d' % i
"
        )
    };
    file.run("r", &check(6000));
    file.run("r+", "for i in range(6000, 9000): f['many']['%06d ' % i + 'x' * 400] = h5py.SoftLink('/%d' % i)");
    file.run("r", &check(9000));
}

#[test]
fn any_number_of_attributes() {
    for live in [false, true] {
        let made = Made::new();
        let mut objects = Vec::new();
        for (kind, tracked) in [("plain", false), ("tracked", true)] {
            for count in [0, 1, 8, 9, 200, if live { 300 } else { 5000 }] {
                objects.push((made.dataset(&format!("{kind}{count}"), tracked), count));
            }
        }
        if live {
            made.file.go_live().unwrap();
        }
        for (object, count) in objects {
            for number in (0..count).rev() {
                object.number(&name(number), number as i64);
                if number % 10 == 0 {
                    made.file.publish().unwrap();
                }
            }
            // Replaced by what is as large, larger, smaller, in the end the same again.
            for number in 0..count.min(20) {
                object.number(&name(number), -1);
                object.set(&name(number), 90 + number * 20);
                object.number(&name(number), number as i64);
            }
        }
        let file = OnDisk::new(&made.bytes());
        file.dump();
        file.run(
            "r",
            "
for key in f:
    a, n = f[key].attrs, int(''.join(c for c in key if c.isdigit()))
    names = ['näme %05d' % i for i in range(n)]
    assert len(a) == n and sorted(a) == names, key
    if key.startswith('tracked'):
        assert list(a) == names[::-1], key
    for i in range(n):
        assert a[names[i]] == i
    assert f[key].shape == (3,) and 'nothing' not in a
",
        );
        file.run(
            "r+",
            "
for key in list(f):
    a, n = f[key].attrs, int(''.join(c for c in key if c.isdigit()))
    for i in range(n, n + 30): a['näme %05d' % i] = i
    for i in range(0, n + 30, 2): del a['näme %05d' % i]
    for i in range(0, n + 30, 2): a['näme %05d' % i] = i
",
        );
        file.run(
            "r",
            "
for key in f:
    a, n = f[key].attrs, int(''.join(c for c in key if c.isdigit()))
    assert {k: a[k] for k in a} == {'näme %05d' % i: i for i in range(n + 30)}, key
",
        );
        let made = Made::open(file.bytes());
        made.file.go_live().unwrap();
        for key in ["plain0", "plain1", "tracked8", "tracked200"] {
            let object = made.file.dataset(key).unwrap();
            for number in 0..40 {
                object.number(&format!("again {number}"), number as i64);
                if number < 20 {
                    object.delete(&name(number));
                }
            }
            made.file.publish().unwrap();
        }
        OnDisk::new(&made.bytes()).run(
            "r",
            "
for key, n in (('plain0', 0), ('plain1', 1), ('tracked8', 8), ('tracked200', 200)):
    a = f[key].attrs
    want = {'näme %05d' % i: i for i in range(20, n + 30)}
    want.update({'again %d' % i: i for i in range(40)})
    assert {k: a[k] for k in a} == want, key
    assert f[key].shape == (3,)
",
        );
    }
}

/// Sets each attribute twice, so that the first value is replaced.
fn set_sizes(file: &File, object: &impl Attributes, sizes: &[usize]) {
    for size in sizes {
        object.set(&format!("b{size}"), size / 2 + 1);
        file.publish().unwrap();
        object.set(&format!("b{size}"), *size);
        object.set("gone", *size);
        file.publish().unwrap();
        object.delete("gone");
        file.publish().unwrap();
    }
}

#[test]
fn attributes_of_any_size() {
    for live in [false, true] {
        let made = Made::new();
        let (d, e) = (made.dataset("d", false), made.dataset("e", false));
        let g = made.group("g", true);
        if live {
            made.file.go_live().unwrap();
        }
        let all = [0, 1, 300, 3000, 4000, 4070, 5000, 60_000, 65_000, 70_000, 1 << 20];
        set_sizes(&made.file, &d, &all);
        set_sizes(&made.file, &g, &all);
        // Compact ones only, in blocks larger than a page.
        set_sizes(&made.file, &e, &[5000, 20_000, 60_000]);
        let file = OnDisk::new(&made.bytes());
        file.dump();
        file.run(
            "r",
            "
for key in 'dge':
    a = f[key].attrs
    sizes = [5000, 20000, 60000]
    if key != 'e': sizes = [0, 1, 300, 3000, 4000, 4070, 5000, 60000, 65000, 70000, 1 << 20]
    assert len(a) == len(sizes), (key, list(a))
    for s in sizes:
        v = h5py.h5a.open(f[key].id, b'b%d' % s)
        assert v.shape == (s,), (s, v.shape)
        if s:
            out = np.empty(v.shape, 'u1')
            v.read(out)
            assert (out == np.arange(s, dtype='u8').astype('u1')).all(), s
",
        );
        file.run(
            "r+",
            "
for key in 'dge':
    a = f[key].attrs
    for k in list(a): del a[k]
    for i in range(20): a['x%d' % i] = np.arange(1000 * i, dtype='i4')
",
        );
        file.run(
            "r",
            "
for key in 'dge':
    a = f[key].attrs
    assert len(a) == 20 and all((a['x%d' % i] == np.arange(1000 * i)).all() for i in range(20))
",
        );
    }
}

#[test]
fn links_of_every_kind_in_nested_groups() {
    let made = Made::new();
    made.group("a", false);
    made.group("a/b", true);
    made.group("a/b/日本", false);
    let d = made.dataset("a/b/日本/d", false);
    let root = made.file.root();
    let object = root.get("a/b/日本/d").unwrap();
    root.link_soft("soft", "/a/b/日本/d").unwrap();
    root.link_external("a/out", "other.h5", "/there").unwrap();
    root.link_object("twice", &object).unwrap();
    root.link_object("a/b/thrice", &object).unwrap();
    root.link_soft("old", "/old").unwrap();
    root.rename("old", "a/new").unwrap();
    root.rename("a/out", "a/outside").unwrap();
    assert!(matches!(root.link_soft("a", "/x").unwrap_err().kind(), ErrorKind::Exists { .. }));
    assert!(matches!(root.unlink("nothing").unwrap_err().kind(), ErrorKind::NotFound { .. }));
    d.number("one", 1);
    d.rename_attribute("one", "uno").unwrap();
    made.file.publish().unwrap();
    let file = OnDisk::new(&made.storage.to_vec());
    file.dump();
    file.run(
        "r",
        "
assert sorted(f) == ['a', 'soft', 'twice'], list(f)
assert sorted(f['a']) == ['b', 'new', 'outside']
l = f['a'].get('outside', getlink=True)
assert (l.filename, l.path) == ('other.h5', '/there')
assert f['a'].get('new', getlink=True).path == '/old'
assert f['soft'].shape == (3,) and f['twice'] == f['a/b/日本/d'] == f['a/b/thrice']
assert list(f['a/b']) == ['日本', 'thrice']
assert h5py.h5o.get_info(f['twice'].id).rc == 3
assert dict(f['twice'].attrs) == {'uno': 1}
",
    );
    root.unlink("a/b/thrice").unwrap();
    root.unlink("twice").unwrap();
    let file = OnDisk::new(&made.bytes());
    file.run("r", "assert h5py.h5o.get_info(f['soft'].id).rc == 1 and sorted(f) == ['a', 'soft'], list(f)");
    file.run("r+", "del f['a/b/日本/d']; f['z'] = 1");
}

#[test]
fn what_libhdf5_wrote_is_changed_while_readers_look() {
    let file = OnDisk::new(&[]);
    file.run(
        "w",
        "
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
",
    );
    let made = Made::open(file.bytes());
    made.file.go_live().unwrap();
    let mut refused = BTreeMap::new();
    for count in [0, 3, 8, 9, 50] {
        for kind in ["g", "t", "d", "c"] {
            let key = format!("{kind}{count}");
            let change = |number: usize| -> h5live::Result<()> {
                let value = 100 + number as i64;
                if kind == "d" || kind == "c" {
                    return made.file.dataset(&key)?.set_attribute(&name(number), value);
                }
                let group = made.file.group(&key)?;
                group.set_attribute(&name(number), value)?;
                group.link_soft(&name(number), "/x")
            };
            match (0..20).try_for_each(change) {
                Ok(()) => made.file.publish().unwrap(),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::NotLive { .. }), "{key}: {error}");
                    refused.insert(format!("'{key}'"), error);
                }
            }
        }
    }
    // Headers that lie across a page cannot be changed in place; there are few.
    assert!(refused.len() <= 4, "{refused:#?}");
    let skip: Vec<_> = refused.into_keys().collect();
    let file = OnDisk::new(&made.bytes());
    file.dump();
    file.run(
        "r",
        &format!(
            "
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
",
            skip.join(", ")
        ),
    );
}

#[test]
fn variable_length_data() {
    let made = Made::new();
    let texts: Vec<String> = (0..5000).map(|number| "ab".repeat(number % 50)).chain(["x".repeat(200_000)]).collect();
    made.file.set_attribute("texts", texts).unwrap();
    let bytes = made.bytes();
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    let check = "assert list(f.attrs['texts']) == ['ab' * (i % 50) for i in range(5000)] + ['x' * 200000]";
    OnDisk::new(&bytes).run("r", check);
}
