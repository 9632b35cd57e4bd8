"""Dimension scales, kept in attributes as HDF5's high-level library keeps them."""

import numpy as np

from . import h5a, h5r, h5t
from ._h5live import Doing

_CLASS, _NAME, _LIST, _REFERENCES, _LABELS = "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS"


def _attributes(dset):
    return dset._core.attributes()


def _put(dset, name, array, desc):
    """Sets an attribute to the elements of `array`, of the datatype `desc` says."""
    from . import _convert, _h5live

    raw = _convert.to_file(dset._core.file, desc, array)
    _attributes(dset).set(name, _h5live.Datatype(desc), list(array.shape), raw)


def _get(dset, name):
    return h5a.open(dset, name.encode())._value() if name in _attributes(dset) else None


def _text_type(text):
    return ("string", len(text) + 1, h5t.STR_NULLTERM, h5t.CSET_ASCII)


def set_scale(dset, dimname=b""):
    """Makes a dataset a dimension scale."""
    dset._require(Doing.MakeScale)
    if _LIST in _attributes(dset):
        raise RuntimeError("Unspecified error in H5DSset_scale (return value <0)")
    dimname = dimname if isinstance(dimname, bytes) else dimname.encode()
    cls = b"DIMENSION_SCALE"
    _put(dset, _CLASS, np.array(cls, f"S{len(cls) + 1}"), _text_type(cls))
    if dimname:
        _put(dset, _NAME, np.array(dimname, f"S{len(dimname) + 1}"), _text_type(dimname))


def is_scale(dset):
    """Whether a dataset is a dimension scale."""
    dset._require(Doing.LookAtType)
    found = _get(dset, _CLASS)
    if found is None:
        return False
    value = found[()]
    return (value if isinstance(value, bytes) else str(value).encode()) == b"DIMENSION_SCALE"


def get_scale_name(dscale):
    """The name given to a dimension scale."""
    dscale._require(Doing.LookAtScales)
    found = _get(dscale, _NAME)
    if found is None:
        return b""
    value = found[()]
    return value if isinstance(value, bytes) else str(value).encode()


def _check_axis(dset, idx, doing=Doing.LookAtScales):
    dset._require(doing)
    if not 0 <= idx < dset._core.rank:
        raise RuntimeError(f"Unspecified error (no dimension {idx})")


def _lists(dset):
    """The references to scales of each dimension."""
    found = _get(dset, _LIST)
    if found is None:
        return [[] for _ in range(dset._core.rank)]
    return [list(refs) if refs is not None else [] for refs in found.reshape(-1)]


def _set_lists(dset, lists):
    if not any(lists):
        _attributes(dset).delete(_LIST)
        return
    array = np.empty(len(lists), object)
    for at, refs in enumerate(lists):
        part = np.empty(len(refs), object)
        part[:] = refs
        array[at] = part
    _put(dset, _LIST, array, ("vlen", ("reference", "object", 8)))


def _users(dscale):
    """The datasets a scale is attached to: reference and dimension."""
    found = _get(dscale, _REFERENCES)
    return [] if found is None else [(ref, int(dim)) for ref, dim in zip(found["dataset"], found["dimension"])]


def _set_users(dscale, users):
    if not users:
        _attributes(dscale).delete(_REFERENCES)
        return
    dt = np.dtype([("dataset", h5t.ref_dtype), ("dimension", "<i4")])
    array = np.empty(len(users), dt)
    array["dataset"], array["dimension"] = [ref for ref, _ in users], [dim for _, dim in users]
    desc = (
        "compound",
        16,
        (("dataset", 0, ("reference", "object", 8)), ("dimension", 8, ("integer", 4, "<", True, 0, 32))),
    )
    _put(dscale, _REFERENCES, array, desc)


def _reference(dset):
    return h5r.Reference(dset._core.address.to_bytes(8, "little"))


def attach_scale(dset, dscale, idx):
    """Attaches a scale to a dimension."""
    _check_axis(dset, idx, Doing.LookAtType)
    if is_scale(dset):
        raise RuntimeError("Unspecified error in H5DSattach_scale (a dimension scale cannot have scales)")
    if not is_scale(dscale):
        set_scale(dscale)
    if is_attached(dset, dscale, idx):
        return
    lists = _lists(dset)
    lists[idx].append(_reference(dscale))
    _set_lists(dset, lists)
    _set_users(dscale, _users(dscale) + [(_reference(dset), idx)])


def is_attached(dset, dscale, idx):
    """Whether a scale is attached to a dimension."""
    _check_axis(dset, idx, Doing.LookAtType)
    return _reference(dscale) in _lists(dset)[idx]


def detach_scale(dset, dscale, idx):
    """Detaches a scale from a dimension."""
    _check_axis(dset, idx)
    if not is_attached(dset, dscale, idx):
        raise RuntimeError("Unspecified error in H5DSdetach_scale (return value <0)")
    lists = _lists(dset)
    lists[idx].remove(_reference(dscale))
    _set_lists(dset, lists)
    _set_users(dscale, [user for user in _users(dscale) if user != (_reference(dset), idx)])


def get_num_scales(dset, dim):
    """How many scales a dimension has."""
    _check_axis(dset, dim)
    return len(_lists(dset)[dim])


def set_label(dset, idx, label):
    """Gives a dimension a label."""
    _check_axis(dset, idx)
    labels = _get(dset, _LABELS)
    labels = np.array([b""] * dset._core.rank, object) if labels is None else labels
    labels[idx] = label if isinstance(label, bytes) else label.encode()
    _put(dset, _LABELS, labels, ("vlen string", h5t.STR_NULLTERM, h5t.CSET_ASCII))


def get_label(dset, idx):
    """The label of a dimension."""
    _check_axis(dset, idx)
    labels = _get(dset, _LABELS)
    return b"" if labels is None else (labels[idx] or b"")


def iterate(dset, dim, func, startidx=0):
    """Calls `func` with each scale of a dimension until it returns something."""
    from . import h5d

    _check_axis(dset, dim)
    for ref in _lists(dset)[dim][startidx:]:
        scale = h5r.dereference(ref, dset)
        if isinstance(scale, h5d.DatasetID):
            result = func(scale)
            if result is not None:
                return result
    return None


