"""Elements between what they are in the file and what they are in numpy.

Most types are the same bytes in both; this is for the others: what refers to the heap, text that is padded otherwise, numbers of
odd bits; and for numpy types other than the dataset's own, which are converted as libhdf5 converts them.
"""

import numpy as np

from . import _h5live, h5t
from .h5r import Reference, RegionReference

_BYTE = np.dtype("u1")


def raw_type(desc):
    """A numpy type with the layout that elements have in the file."""
    natural, plain = h5t._numpy_type(desc)
    if plain:
        return natural
    kind = desc[0]
    if kind == "compound":
        _, size, members = desc
        return np.dtype(
            {
                "names": [name for name, _, _ in members],
                "formats": [raw_type(member) for _, _, member in members],
                "offsets": [at for _, at, _ in members],
                "itemsize": size,
            }
        )
    if kind == "array":
        return np.dtype((raw_type(desc[2]), desc[1]))
    return np.dtype(f"V{h5t._size(desc)}")


def _bytes_of(raw):
    """The bytes of an array, as an array of one axis."""
    raw = np.ascontiguousarray(raw)
    return raw.reshape(-1).view(_BYTE) if raw.nbytes else np.empty(0, _BYTE)


def from_file(file, desc, raw, shape, dtype=None):
    """The elements in `raw`, bytes of the file, as an array of their own numpy type."""
    natural, plain = h5t._numpy_type(desc)
    natural = natural if dtype is None else dtype
    layout = raw_type(desc)
    count = int(np.prod(shape, dtype="u8"))
    if layout.subdtype is not None:
        # An array of arrays has the axes of both.
        base, inner = layout.subdtype
        elements = raw.view(base) if raw.size else np.empty(0, base)
        elements = elements.reshape(tuple(shape) + inner)
        base_type = natural.subdtype[0] if natural.subdtype is not None else natural
        out = np.empty(elements.shape, base_type)
        fill(file, _innermost(desc), elements, out)
        return out
    if layout.itemsize == 0 or count == 0:
        return np.empty(shape, natural)
    elements = raw.view(layout).reshape(shape)
    if plain:
        return elements
    out = np.empty(shape, natural)
    fill(file, desc, elements, out)
    return out


def _innermost(desc):
    while desc[0] == "array":
        desc = desc[2]
    return desc


def fill(file, desc, raw, out):
    """Puts the elements `raw`, as they are in the file, into `out` of the same shape."""
    natural, plain = h5t._numpy_type(desc)
    kind = desc[0]
    if plain:
        out[...] = raw
    elif kind == "compound" and natural.kind == "c":
        (first, _, part), (second, _, _) = desc[2]
        fill(file, part, raw[first], out.real)
        fill(file, part, raw[second], out.imag)
    elif kind == "compound":
        for name, _, member in desc[2]:
            if member[0] == "array":
                fill(file, _innermost(member), raw[name], out[name])
            else:
                fill(file, member, raw[name], out[name])
    elif kind == "string":
        out[...] = _unpadded(desc, raw)
    elif kind == "vlen string":
        out[...] = file.decode_texts(_bytes_of(raw), 16).reshape(out.shape)
    elif kind == "vlen":
        out[...] = _sequences(file, desc, raw).reshape(out.shape)
    elif kind == "reference":
        out[...] = _references(desc, raw).reshape(out.shape)
    elif kind in ("integer", "bitfield", "float", "enum"):
        is_float = kind == "float"
        numbers = _h5live.Datatype(desc).decode_numbers(_bytes_of(raw), is_float)
        out[...] = numbers.reshape(out.shape)
    elif kind == "complex":
        parts = _bytes_of(raw)
        numbers = _h5live.Datatype(desc[1]).decode_numbers(parts, True).reshape(out.shape + (2,))
        out.real, out.imag = numbers[..., 0], numbers[..., 1]
    else:
        raise TypeError(f"elements of class {kind} cannot be read")


def _unpadded(desc, raw):
    """Strings as numpy has them: filled up with zeros after their end."""
    _, size, padding, _ = desc
    letters = np.array(_bytes_of(raw)).reshape(-1, size)
    if padding == h5t.STR_SPACEPAD:
        texts = [bytes(row).split(b"\0")[0].rstrip(b" ") for row in letters]
        return np.array(texts, dtype=f"S{size}").reshape(raw.shape)
    ended = np.cumsum(letters == 0, axis=1) > 0
    letters[ended] = 0
    return letters.reshape(-1).view(f"S{size}").reshape(raw.shape)


def _objects(items, count):
    """An object array of one axis, of items that may be arrays."""
    out = np.empty(count, object)
    for number, item in enumerate(items):
        out[number] = item
    return out


def _sequences(file, desc, raw):
    base = desc[1]
    found = file.fetch_sequences(_h5live.Datatype(desc), _bytes_of(raw))
    size = max(h5t._size(base), 1)
    each = (from_file(file, base, np.frombuffer(data, _BYTE), (len(data) // size,)) for data in found)
    return _objects(each, len(found))


def _references(desc, raw):
    size = h5t._size(desc)
    cls = Reference if desc[1] == "object" else RegionReference
    data = _bytes_of(raw).tobytes()
    each = (cls(data[at : at + size]) for at in range(0, len(data), size))
    return _objects(each, len(data) // size)


# --- towards the file ---------------------------------------------------------------------------------------------------


def to_file(file, desc, array):
    """The bytes in the file of the elements of `array`, as an array of one axis.

    `array` is of the datatype's own numpy type, or of one that can be converted.
    """
    natural, plain = h5t._numpy_type(desc)
    if plain:
        if natural.subdtype is not None:
            natural = natural.subdtype[0]
        return _bytes_of(cast(array, natural))
    layout = raw_type(desc)
    if layout.subdtype is not None:
        base, _ = layout.subdtype
        raw = np.zeros(array.shape, base)
        store(file, _innermost(desc), raw, array)
    else:
        raw = np.zeros(array.shape, layout)
        store(file, desc, raw, array)
    return _bytes_of(raw)


def store(file, desc, raw, array):
    """Puts the elements of `array` into `raw`, of the same shape, as they will be in the file."""
    natural, plain = h5t._numpy_type(desc)
    kind = desc[0]
    if plain:
        raw[...] = cast(array, natural)
    elif kind == "compound" and natural.kind == "c":
        (first, _, part), (second, _, _) = desc[2]
        array = cast(array, natural)
        store(file, part, raw[first], array.real)
        store(file, part, raw[second], array.imag)
    elif kind == "compound":
        if array.dtype.names is None:
            raise TypeError(f"No conversion path for dtype: {array.dtype!r}")
        for name, _, member in desc[2]:
            if name in array.dtype.names:
                inner = _innermost(member) if member[0] == "array" else member
                store(file, inner, raw[name], array[name])
    elif kind == "string":
        texts = cast(array, np.dtype(f"S{desc[1]}"))
        if desc[2] == h5t.STR_SPACEPAD:
            texts = np.char.ljust(texts, desc[1])
        raw[...] = np.ascontiguousarray(texts).view(raw.dtype).reshape(raw.shape)
    elif kind == "vlen string":
        elements = file.store_texts(_text_list(array), desc[2] == h5t.CSET_ASCII)
        raw[...] = elements.view(raw.dtype).reshape(raw.shape)
    elif kind == "vlen":
        raw[...] = _stored_sequences(file, desc, array).view(raw.dtype).reshape(raw.shape)
    elif kind == "reference":
        size = h5t._size(desc)
        cls = Reference if desc[1] == "object" else RegionReference
        data = b"".join(_reference_bytes(item, cls, size) for item in array.reshape(-1))
        raw[...] = np.frombuffer(data, raw.dtype).reshape(raw.shape)
    elif kind in ("integer", "bitfield", "float", "enum"):
        wide = np.float64 if kind == "float" else np.int64
        numbers = np.ascontiguousarray(cast(array, np.dtype(wide))).reshape(-1)
        elements = _h5live.Datatype(desc).encode_numbers(numbers)
        raw[...] = elements.view(raw.dtype).reshape(raw.shape)
    elif kind == "complex":
        array = cast(array, natural)
        numbers = np.stack([array.real, array.imag], axis=-1).astype("f8").reshape(-1)
        elements = _h5live.Datatype(desc[1]).encode_numbers(numbers)
        raw[...] = elements.view(raw.dtype).reshape(raw.shape)
    else:
        raise TypeError(f"elements of class {kind} cannot be written")


def _text_list(array):
    if array.dtype.kind in "OTUS":
        return array.reshape(-1).tolist()
    raise TypeError(f"No conversion path for dtype: {array.dtype!r}")


def _reference_bytes(item, cls, size):
    if item is None or (isinstance(item, (int, np.integer)) and item == 0):
        return bytes(size)
    if type(item) is not cls:
        raise TypeError(f"Can't convert incompatible object to HDF5 {cls.__name__}")
    return item._raw(size)


def _stored_sequences(file, desc, array):
    base = desc[1]
    natural, plain = h5t._numpy_type(base)
    if natural.subdtype is not None:
        natural = natural.subdtype[0]
    if array.dtype.kind != "O":
        raise TypeError(f"No conversion path for dtype: {array.dtype!r}")
    unit = h5t._size(base)
    sequences = []
    for item in array.reshape(-1):
        if item is None or (isinstance(item, (int, np.integer)) and item == 0):
            sequences.append(b"")
            continue
        part = item if isinstance(item, np.ndarray) else _sequence(item, natural)
        data = to_file(file, base, part)
        if data.size % max(unit, 1) != 0:
            raise ValueError("a sequence is no whole number of elements")
        sequences.append(data.tobytes())
    return file.store_sequences(sequences, unit)


def _sequence(item, natural):
    if natural.kind == "O":
        return _objects(item, len(item))
    return np.asarray(item, dtype=natural)


# --- between numpy types ------------------------------------------------------------------------------------------------


def cast(array, dtype):
    """`array` with elements of `dtype`, converted as libhdf5 does: what is out of range becomes the nearest that is in range."""
    array = np.asarray(array)
    source = array.dtype
    if source == dtype and (source.kind != "O"):
        return array
    if source.names is not None or dtype.names is not None:
        return _cast_compound(array, dtype)
    from_kind, to_kind = source.kind, dtype.kind
    if to_kind in "iu" and from_kind in "iufb":
        return _cast_to_integer(array, dtype)
    if to_kind == "b" and from_kind in "iufb":
        if from_kind == "f":
            raise TypeError(f"No conversion path from {source} to {dtype}")
        return array.astype(dtype)
    if to_kind in "fc" and from_kind in "iufbc":
        if from_kind == "c" and to_kind == "f":
            raise TypeError(f"No conversion path from {source} to {dtype}")
        with np.errstate(over="ignore", invalid="ignore"):
            return array.astype(dtype)
    if to_kind == "S" and from_kind in "SOT":
        return _cast_to_fixed_string(array, dtype)
    if to_kind == "V" and from_kind == "V" and source.itemsize == dtype.itemsize:
        # Types that packages add to numpy, such as bfloat16, are of this kind too; numpy has no cast from them to bytes.
        return np.ascontiguousarray(array).view(dtype).reshape(array.shape)
    if to_kind in "mM" and from_kind in "mMV":
        return array.astype(dtype)
    if to_kind == "V" and from_kind == "O":
        return array.astype(dtype)
    if from_kind == "O" and to_kind in "iufbc":
        return array.astype(dtype)
    if to_kind == "O":
        return _cast_to_object(array, dtype)
    if to_kind == "T":
        return _cast_to_text(array, dtype)
    raise TypeError(f"No conversion path for dtype: {source!r} to {dtype!r}")


def _cast_to_integer(array, dtype):
    source = array.dtype
    if source.kind == "b" or np.can_cast(source, dtype):
        return array.astype(dtype)
    limits = np.iinfo(dtype)
    if source.kind == "f":
        with np.errstate(invalid="ignore"):
            finite = np.nan_to_num(array, nan=0.0, posinf=np.inf, neginf=-np.inf)
            low, high = finite <= float(limits.min), finite >= float(limits.max)
            out = np.where(low | high, 0, finite).astype(dtype)
        out[low], out[high] = limits.min, limits.max
        return out
    source_limits = np.iinfo(source)
    low, high = max(limits.min, source_limits.min), min(limits.max, source_limits.max)
    return np.clip(array, low, high).astype(dtype)


def _cast_to_fixed_string(array, dtype):
    if array.dtype.kind == "S":
        return array.astype(dtype)

    def encoded(item):
        data = item if isinstance(item, bytes) else str("" if item is None else item).encode("utf-8", "surrogateescape")
        return data[: dtype.itemsize]

    flat = [encoded(item) for item in array.reshape(-1).tolist()]
    return np.array(flat, dtype=dtype.str).reshape(array.shape).astype(dtype)


def _cast_to_object(array, dtype):
    if array.dtype.kind == "O":
        return array
    vlen = h5t.check_vlen_dtype(dtype)
    if vlen in (str, bytes):
        if array.dtype.kind in "SU":
            return array.astype(object)
        if array.dtype.kind == "T":
            return array.astype(object)
    raise TypeError(f"No conversion path for dtype: {array.dtype!r}")


def _cast_to_text(array, dtype):
    if array.dtype.kind == "O":
        flat = [item.decode("utf-8") if isinstance(item, bytes) else item for item in array.reshape(-1)]
        return np.array(flat, dtype=object).reshape(array.shape).astype(dtype)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8").astype(dtype)
    return array.astype(dtype)


def _cast_compound(array, dtype):
    if array.dtype.names is None or dtype.names is None:
        raise TypeError(f"No conversion path for dtype: {array.dtype!r} to {dtype!r}")
    out = np.zeros(array.shape, dtype)
    for name in dtype.names:
        if name in array.dtype.names:
            field = dtype.fields[name][0]
            base = field.subdtype[0] if field.subdtype is not None else field
            out[name] = cast(array[name], base)
    return out
