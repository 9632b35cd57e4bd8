"""What is closed answers as h5py's closed objects do: the same exception, or the same value, from both in one process."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

import h5live

h5py = pytest.importorskip("h5py")


def objects(library, path):
    """A file, what is in it, and another file that stays open."""
    where = path / library.__name__
    where.mkdir()
    f, other = (library.File(where / name, "w") for name in ("a.h5", "other.h5"))
    f["x"] = np.arange(5.0)
    f["x"].attrs["a"] = 1
    f.create_dataset("chunked", data=np.arange(10), chunks=(3,))
    f.create_group("group").attrs["a"] = 2
    f["type"] = np.dtype("i4")
    return SimpleNamespace(
        h=library,
        f=f,
        x=f["x"],
        chunked=f["chunked"],
        group=f["group"],
        type=f["type"],
        other=other,
        # Of identifiers of their own, as the names of the file give new ones each time.
        attrs=f["x"].attrs,
        attribute=library.h5a.open(f["x"].id, b"a"),
        ref=f["x"].ref,
        region=f["x"].regionref[0:3],
        view=f["x"].astype("f4"),
        dimension=f["x"].dims[0],
    )


def close_file(o):
    o.f.close()


def close_objects(o):
    """The file stays open."""
    for thing in o.x, o.chunked, o.group, o.type:
        thing.id._close()


def close_file_identifier(o):
    """What came from the file stays open."""
    o.f.id.close()


CLOSED = {"file": close_file, "objects": close_objects, "identifier": close_file_identifier}


def members(name):
    """What may be asked of a group; `name` says of which."""

    def of(operation):
        return lambda o: operation(o, getattr(o, name))

    operations = {
        "[]": lambda o, g: bool(g["/x"]),
        "[bytes]": lambda o, g: bool(g[b"/x"]),
        "[ref]": lambda o, g: bool(g[o.ref]),
        "in": lambda o, g: "nothing" in g,
        # That references are in an open group is h5live's alone to say.
        "ref in": lambda o, g: bool(g) or o.ref in g,
        "len": lambda o, g: len(g) > 0,
        "list": lambda o, g: list(g) is None,
        "iter": lambda o, g: list(iter(g)) is None,
        "reversed": lambda o, g: list(reversed(g)) is None,
        "keys": lambda o, g: list(g.keys()) is None,
        "values": lambda o, g: list(g.values()) is None,
        "items": lambda o, g: list(g.items()) is None,
        "get": lambda o, g: g.get("nothing"),
        "get default": lambda o, g: g.get("nothing", 7),
        "get link": lambda o, g: g.get("nothing", getlink=True),
        "get class": lambda o, g: g.get("nothing", getclass=True),
        "create group": lambda o, g: bool(g.create_group("new")),
        "create dataset": lambda o, g: bool(g.create_dataset("new", data=1)),
        "create anonymous dataset": lambda o, g: bool(g.create_dataset(None, data=1)),
        "require group": lambda o, g: bool(g.require_group("new")),
        "require dataset": lambda o, g: bool(g.require_dataset("new", (3,), "f4")),
        "create dataset like": lambda o, g: bool(g.create_dataset_like("new", o.x)),
        "set data": lambda o, g: g.__setitem__("new", 1),
        "set soft link": lambda o, g: g.__setitem__("new", o.h.SoftLink("/x")),
        "set external link": lambda o, g: g.__setitem__("new", o.h.ExternalLink("a", "/x")),
        "set type": lambda o, g: g.__setitem__("new", np.dtype("i4")),
        "set object": lambda o, g: g.__setitem__("new", o.x),
        "set object of another file": lambda o, g: g.__setitem__("new", o.other),
        "be set": lambda o, g: o.other.__setitem__("new", g),
        "del": lambda o, g: g.__delitem__("nothing"),
        "move": lambda o, g: g.move("nothing", "new"),
        "copy": lambda o, g: g.copy("/x", "new"),
        "copy into": lambda o, g: o.x.file.copy("/x", g, "new"),
        "visit": lambda o, g: g.visit(lambda name: None),
        "visititems": lambda o, g: g.visititems(lambda name, member: None),
        "visit_links": lambda o, g: g.visit_links(lambda name: None),
        "visititems_links": lambda o, g: g.visititems_links(lambda name, link: None),
        "h5d.open": lambda o, g: bool(o.h.h5d.open(g.id, b"/x")),
        "h5g.open": lambda o, g: bool(o.h.h5g.open(g.id, b"/group")),
        "h5t.open": lambda o, g: bool(o.h.h5t.open(g.id, b"/type")),
        "h5o.open": lambda o, g: bool(o.h.h5o.open(g.id, b"/x")),
        "h5o.exists_by_name": lambda o, g: o.h.h5o.exists_by_name(g.id, b"/x"),
        "h5g.get_objinfo": lambda o, g: o.h.h5g.get_objinfo(g.id, b"/x").type,
        "h5g.iterate": lambda o, g: o.h.h5g.iterate(g.id, lambda name: None),
        "id.get_create_plist": lambda o, g: bool(g.id.get_create_plist()),
        "id iter": lambda o, g: list(g.id) is None,
        "links.exists": lambda o, g: g.id.links.exists(b"nothing"),
        "links.get_info": lambda o, g: g.id.links.get_info(b"/x").type,
        "links.create_hard": lambda o, g: g.id.links.create_hard(b"/new", g.id, b"/x"),
        "links.create_soft": lambda o, g: g.id.links.create_soft(b"new", b"/x"),
        "links.create_external": lambda o, g: g.id.links.create_external(b"new", b"a", b"/x"),
    }
    return {f"{name}: {key}": of(operation) for key, operation in operations.items()}


def anything(name):
    """What may be asked of every object."""

    def of(operation):
        return lambda o: operation(o, getattr(o, name))

    operations = {
        "bool": lambda o, t: bool(t),
        "repr": lambda o, t: repr(t),
        "name": lambda o, t: t.name,
        "file": lambda o, t: bool(t.file),
        "parent": lambda o, t: bool(t.parent),
        "ref": lambda o, t: bool(t.ref),
        "hash": lambda o, t: type(hash(t)).__name__,
        "==": lambda o, t: t == t,
        "== number": lambda o, t: t == 1,
        "== other": lambda o, t: t == o.other,
        "attribute": lambda o, t: t.attrs["a"],
        "attribute in": lambda o, t: "nothing" in t.attrs,
        "attribute get": lambda o, t: t.attrs.get("nothing"),
        "attribute set number": lambda o, t: t.attrs.__setitem__("new", 1),
        "attribute set text": lambda o, t: t.attrs.__setitem__("new", "text"),
        "attribute set texts": lambda o, t: t.attrs.__setitem__("new", ["a", "b"]),
        "attribute set array": lambda o, t: t.attrs.__setitem__("new", np.arange(3)),
        "attribute set empty": lambda o, t: t.attrs.__setitem__("new", o.h.Empty("f4")),
        "attribute create": lambda o, t: t.attrs.create("new", [1, 2], dtype="f4"),
        "attribute modify": lambda o, t: t.attrs.modify("new", 1),
        "attribute del": lambda o, t: t.attrs.__delitem__("nothing"),
        "attribute pop": lambda o, t: t.attrs.pop("nothing"),
        "attribute get_id": lambda o, t: bool(t.attrs.get_id("nothing")),
        "attributes len": lambda o, t: type(len(t.attrs)).__name__,
        "attributes list": lambda o, t: type(list(t.attrs)).__name__,
        "attributes items": lambda o, t: type(list(t.attrs.items())).__name__,
        "h5a.open": lambda o, t: bool(o.h.h5a.open(t.id, b"nothing")),
        "h5a.exists": lambda o, t: o.h.h5a.exists(t.id, b"nothing"),
        "h5a.get_num_attrs": lambda o, t: type(o.h.h5a.get_num_attrs(t.id)).__name__,
        "h5a.create": lambda o, t: bool(o.h.h5a.create(t.id, b"new", o.h.h5t.STD_I32LE, o.h.h5s.create(o.h.h5s.SCALAR))),
        "h5a.iterate": lambda o, t: o.h.h5a.iterate(t.id, lambda name: None),
        "h5i.get_type": lambda o, t: o.h.h5i.get_type(t.id),
        "h5i.get_name": lambda o, t: o.h.h5i.get_name(t.id),
        "h5i.get_file_id": lambda o, t: bool(o.h.h5i.get_file_id(t.id)),
        "h5o.get_info": lambda o, t: o.h.h5o.get_info(t.id).type,
        "h5o.copy": lambda o, t: o.h.h5o.copy(t.id, b".", o.other.id, b"copy"),
        "h5o.link": lambda o, t: o.h.h5o.link(t.id, o.other.id, b"link"),
        "h5r.create": lambda o, t: bool(o.h.h5r.create(t.id, b".", o.h.h5r.OBJECT)),
        "h5r.dereference": lambda o, t: bool(o.h.h5r.dereference(o.ref, t.id)),
        "h5r.get_name": lambda o, t: o.h.h5r.get_name(o.ref, t.id),
        "h5r.get_region": lambda o, t: o.h.h5r.get_region(o.region, t.id).shape,
        "h5f.flush": lambda o, t: o.h.h5f.flush(t.id),
        "h5f.get_name": lambda o, t: type(o.h.h5f.get_name(t.id)).__name__,
        "id": lambda o, t: t.id.id > 0,
        "id.valid": lambda o, t: t.id.valid,
    }
    return {f"{name}: {key}": of(operation) for key, operation in operations.items()}


def elements(name):
    """What may be asked of a dataset."""

    def of(operation):
        return lambda o: operation(o, getattr(o, name))

    shown = "shape size ndim maxshape nbytes dtype chunks compression compression_opts shuffle fletcher32 scaleoffset".split()
    shown += "external fillvalue filter_ids filter_names is_virtual is_scale".split()
    operations = {what: lambda o, x, what=what: bool(getattr(x, what) or True) for what in shown}
    plain = "get_space get_type get_create_plist get_access_plist get_storage_size get_space_status".split()
    operations |= {f"id.{what}": lambda o, x, what=what: bool(getattr(x.id, what)() or True) for what in plain}
    operations |= {
        "[:]": lambda o, x: x[:].sum() > 0,
        "[0]": lambda o, x: x[0] == 0,
        "[()]": lambda o, x: x[()].sum() > 0,
        "[...]": lambda o, x: x[...].sum() > 0,
        "[list]": lambda o, x: x[[0, 1]].sum() > 0,
        "[0] =": lambda o, x: x.__setitem__(0, 0),
        "[:] =": lambda o, x: x.__setitem__(slice(0, 2), np.array([0, 1], "i4")),
        "np.asarray": lambda o, x: np.asarray(x).sum() > 0,
        "read_direct": lambda o, x: x.read_direct(np.zeros(len(x) if x else 5)),
        "write_direct": lambda o, x: x.write_direct(np.zeros(len(x) if x else 5)),
        "len": lambda o, x: len(x),
        "iter": lambda o, x: next(iter(x)) == 0,
        "resize": lambda o, x: x.resize(None if x else (3,)),
        "flush": lambda o, x: x.flush(),
        "refresh": lambda o, x: x.refresh(),
        "astype": lambda o, x: x.astype("f4")[:].sum() > 0,
        "asstr": lambda o, x: x.asstr(),
        "fields": lambda o, x: x.fields("a"),
        "dims": lambda o, x: len(list(x.dims)),
        "dims[0]": lambda o, x: x.dims[0].label,
        "iter_chunks": lambda o, x: len(list(x.iter_chunks())) if x is o.chunked else x.iter_chunks(),
        "virtual_sources": lambda o, x: x.virtual_sources(),
        "VirtualSource": lambda o, x: o.h.VirtualSource(x).shape,
        "regionref[]": lambda o, x: bool(x.regionref[0:2]),
        "be copied": lambda o, x: o.other.copy(x, "copy"),
        "id.shape": lambda o, x: x.id.shape,
        "id.rank": lambda o, x: x.id.rank,
        "id.read": lambda o, x: x.id.read(o.h.h5s.ALL, o.h.h5s.ALL, np.zeros(len(x) if x else 5)),
        "h5ds.is_scale": lambda o, x: o.h.h5ds.is_scale(x.id),
        "h5ds.get_num_scales": lambda o, x: o.h.h5ds.get_num_scales(x.id, 0),
    }
    if name == "x":
        operations |= {
            "[region]": lambda o, x: x[o.region].sum() > 0,
            "h5ds.is_attached": lambda o, x: o.h.h5ds.is_attached(x.id, o.chunked.id, 0),
        }
    if name == "chunked":
        operations |= {
            "id.get_num_chunks": lambda o, x: x.id.get_num_chunks(),
            "id.get_chunk_info": lambda o, x: x.id.get_chunk_info(0).size,
            "id.get_chunk_info_by_coord": lambda o, x: x.id.get_chunk_info_by_coord((0,)).size,
            "id.read_direct_chunk": lambda o, x: len(x.id.read_direct_chunk((0,))),
            "id.write_direct_chunk": lambda o, x: x.id.write_direct_chunk((0,), bytes(24)),
            "id.get_offset": lambda o, x: x.id.get_offset(),
            "make_scale": lambda o, x: x.make_scale("scale"),
        }
    return {f"{name}: {key}": of(operation) for key, operation in operations.items()}


OF_FILE = {
    "attrs": lambda o: bool(o.f.attrs),
    **{name: lambda o, name=name: bool(getattr(o.f, name) or True) for name in "mode driver libver userblock_size swmr_mode meta_block_size filename".split()},
    "flush": lambda o: o.f.flush(),
    "close": lambda o: o.f.close(),
    "with": lambda o: bool(o.f.__enter__()),
    "swmr_mode =": lambda o: setattr(o.f, "swmr_mode", False),
    "id.name": lambda o: type(o.f.id.name).__name__,
    "id.get_filesize": lambda o: o.f.id.get_filesize() > 0,
    "id.get_intent": lambda o: o.f.id.get_intent(),
    "id.get_access_plist": lambda o: bool(o.f.id.get_access_plist()),
    "id.get_file_image": lambda o: len(o.f.id.get_file_image()) > 0,
    "id.get_mdc_config": lambda o: bool(o.f.id.get_mdc_config()),
    "id.get_mdc_hit_rate": lambda o: o.f.id.get_mdc_hit_rate() < 0,
    "id.get_vfd_handle": lambda o: o.f.id.get_vfd_handle() > 0,
    "id.reopen": lambda o: bool(o.f.id.reopen()),
    "h5f.get_obj_count": lambda o: o.h.h5f.get_obj_count(o.f.id) > 0,
}
OF_TYPE = {
    "dtype": lambda o: o.type.dtype,
    "id.get_class": lambda o: o.type.id.get_class(),
    "id.get_size": lambda o: o.type.id.get_size(),
    "id.get_order": lambda o: o.type.id.get_order(),
    "id.copy": lambda o: bool(o.type.id.copy()),
    "id.encode": lambda o: len(o.type.id.encode()) > 0,
    "id.committed": lambda o: o.type.id.committed(),
    "id.equal": lambda o: o.type.id.equal(o.h.h5t.STD_I32LE),
    "be equal": lambda o: o.h.h5t.STD_I32LE == o.type.id,
    "be used": lambda o: bool(o.other.create_dataset("new", (3,), dtype=o.type)),
    "be used by an attribute": lambda o: o.other.attrs.create("new", 1, dtype=o.type),
}
# What was taken from objects whose identifiers live on.
TAKEN = {
    "attrs[]": lambda o: o.attrs["a"],
    "attrs[] =": lambda o: o.attrs.__setitem__("new", 1),
    "attrs in": lambda o: "a" in o.attrs,
    "attrs len": lambda o: len(o.attrs),
    "attrs bool": lambda o: bool(o.attrs),
    "attrs ==": lambda o: o.attrs == o.attrs,
    "attribute.name": lambda o: o.attribute.name,
    "attribute.shape": lambda o: o.attribute.shape,
    "attribute.dtype": lambda o: o.attribute.dtype,
    "attribute.valid": lambda o: o.attribute.valid,
    "attribute.read": lambda o: o.attribute.read(np.zeros((), "i8")),
    "attribute.write": lambda o: o.attribute.write(np.zeros((), "i8")),
    "view[:]": lambda o: o.view[:].sum(),
    "view.dtype": lambda o: o.view.dtype,
    "view len": lambda o: len(o.view),
    "dimension.label": lambda o: o.dimension.label,
    "dimension len": lambda o: len(o.dimension),
    "dimension repr": lambda o: repr(o.dimension).partition(" at ")[0],
}
OPERATIONS = {
    **anything("f"),
    **anything("x"),
    **anything("group"),
    **anything("type"),
    **members("f"),
    **members("group"),
    **elements("x"),
    **elements("chunked"),
    **{f"file: {name}": operation for name, operation in OF_FILE.items()},
    **{f"type: {name}": operation for name, operation in OF_TYPE.items()},
    **{f"taken: {name}": operation for name, operation in TAKEN.items()},
}


def outcome(operation, o):
    """What comes of it: the value, or the exception's class."""
    try:
        return operation(o)
    except Exception as error:
        return type(error).__name__


def words(operation, o):
    """What the exception says before its reason."""
    try:
        operation(o)
    except Exception as error:
        return str(error.args[0]).partition(" (")[0]
    return None


# Where h5py says what libhdf5 was asked on the way, and not what was to be done.
OTHER_WORDS = (
    "create anonymous dataset",
    "set object",
    "set object of another file",
    "h5g.iterate",
    "h5ds.get_num_scales",
    "id.copy",
    "attrs ==",
    "dimension.label",
    "dimension len",
)


@pytest.mark.parametrize("how", CLOSED)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.filterwarnings("ignore")
def test_the_same_comes_of_it(tmp_path, operation, how):
    found = []
    for library in h5py, h5live:
        o = objects(library, tmp_path)
        CLOSED[how](o)
        found.append(outcome(OPERATIONS[operation], o))
        o.f.close()
        o.other.close()
    assert found[0] == found[1]


def test_an_identifier_is_closed_by_itself(tmp_path):
    for library in h5py, h5live:
        f = library.File(tmp_path / f"{library.__name__}.h5", "w")
        f["x"] = [1, 2]
        f["type"] = np.dtype("i4")
        x, again, attrs = f["x"], f["x"], f["x"].attrs
        copied = copy.copy(x.id)
        x.id._close()
        assert not x and again and f and copied.valid
        with pytest.raises(RuntimeError, match="Unable to synchronously get dataspace"):
            x[:]
        with pytest.raises(RuntimeError, match="if attribute exists"):
            x.attrs["a"] = 1
        attrs["a"] = 1
        assert again[:].tolist() == [1, 2] and again.attrs["a"] == 1
        assert library.Dataset(copied)[:].tolist() == [1, 2]
        f.close()
        assert not (again or copied)


def test_a_file_is_open_as_long_as_an_identifier_is(tmp_path):
    for library in h5py, h5live:
        path = tmp_path / f"{library.__name__}.h5"
        f = library.File(path, "w")
        x = f.create_dataset("x", data=[1, 2])
        f.id.close()
        assert not f and x and x[:].tolist() == [1, 2]
        # Through what came from it, a file is had back.
        x[0] = 3
        assert x.file["x"][0] == 3
        x.id._close()
        with library.File(path, "r+") as f:
            assert f["x"][:].tolist() == [3, 2]


def test_what_is_said_tells_what_to_do(tmp_path):
    f = h5live.File(tmp_path / "a.h5", "w")
    x = f.create_dataset("x", data=[1])
    f.close()
    with pytest.raises(RuntimeError, match="the file or object is closed; open it again"):
        x[0]


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if not name.endswith(OTHER_WORDS)])
@pytest.mark.filterwarnings("ignore")
def test_it_begins_with_the_same_words(tmp_path, operation):
    found = []
    for library in h5py, h5live:
        o = objects(library, tmp_path)
        close_file(o)
        found.append(words(OPERATIONS[operation], o))
        o.other.close()
    assert found[0] == found[1]
