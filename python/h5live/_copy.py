"""Copying objects, within a file and between files."""

from . import _convert, h5d, h5r, h5t
from ._progress import Progress

_SHALLOW, _SOFT, _EXTERNAL, _REFS, _NO_ATTRS = 1, 2, 4, 8, 16


class _Copier:
    """One call of copy: what has been copied already keeps being one object."""

    def __init__(self, flags, same_file, source, tell):
        self.flags = flags
        self.same_file = same_file
        self.done = {}
        # Of these datasets the bytes are known before they are met.
        self.sizes = _sizes(source, deep=not flags & _SHALLOW) if tell else {}
        self.progress = Progress(tell, sum(self.sizes.values()))

    def copy(self, source, group, path, depth):
        if source.address in self.done:
            group.link_hard(path, self.done[source.address])
            return
        kind = type(source).__name__
        if kind == "Group":
            made = group.create_group(path, source.tracks_order)
        elif kind == "Dataset":
            made = self._dataset(source, group, path)
        else:
            made = group.commit_datatype(path, source.datatype)
        self.done[source.address] = made.address
        if not self.flags & _NO_ATTRS:
            self._attributes(source, made)
        if kind == "Group" and not (depth > 0 and self.flags & _SHALLOW):
            self._members(source, made, depth)

    def _members(self, source, made, depth):
        for name, target, _ in source.links():
            kind = target[0]
            followed = kind == "hard" or (kind == "soft" and self.flags & _SOFT) or (kind == "external" and self.flags & _EXTERNAL)
            if followed:
                try:
                    member = source.open(name)
                except KeyError:
                    if kind == "hard":
                        raise
                else:
                    self.copy(member, made, name, depth + 1)
                    continue
            if kind == "soft":
                made.link_soft(name, target[1])
            elif kind == "external":
                made.link_external(name, target[1], target[2])

    def _dataset(self, source, group, path):
        desc = source.datatype.describe()
        dsid = h5d.DatasetID(source)
        dcpl = dsid.get_create_plist()
        target = _Location(group)
        made = h5d.create(target, path, h5t._type_id_of(source.datatype), dsid.get_space(), dcpl=dcpl)._core
        if source.is_null or source.layout in ("virtual", "external") or 0 in source.shape:
            return made
        size = _size(source)
        if source.address not in self.sizes:
            self.progress.add_to_total(size)
        if source.chunks is not None and not source.datatype.uses_heap and not _has_references(desc):
            chunks = source.chunk_list()
            for number, (offset, _, _, _) in enumerate(chunks):
                mask, data = source.read_chunk(list(offset))
                made.write_chunk(list(offset), mask, data)
                self.progress.advance(size * (number + 1) // len(chunks) - size * number // len(chunks))
            if not chunks:
                self.progress.advance(size)
            return made
        for part in _parts(source):
            selection = source.select(part)
            raw = source.read_raw(selection)
            made.write_raw(made.select(part), self._moved(source, made, desc, raw, selection.shape))
            self.progress.advance(len(raw))
        return made

    def _attributes(self, source, made):
        mine, its = source.attributes(), made.attributes()
        for name in mine.names():
            datatype, shape, raw, _, _ = mine.open(name)
            if shape is not None:
                raw = self._moved(source, made, datatype.describe(), raw, shape)
            its.set(name, datatype, None if shape is None else list(shape), raw)

    def _moved(self, source, made, desc, raw, shape):
        """Elements as another file has them: what refers to the heap, or to objects, means something in its own file only."""
        if not (_convert._h5live.Datatype(desc).uses_heap or _has_references(desc)):
            return raw
        array = _convert.from_file(source.file, desc, raw, shape)
        if _has_references(desc) and (self.flags & _REFS or not self.same_file):
            array = self._referring(source, made, array)
        return _convert.to_file(made.file, desc, array)


    def _referring(self, source, made, array):
        """References to the copies of objects, which are made if that is asked for; else null ones, as libhdf5 makes them."""
        array = array.copy()
        if array.dtype.names is not None:
            for name in array.dtype.names:
                array[name] = self._referring(source, made, array[name])
        elif array.dtype.kind == "O":
            flat = array.reshape(-1)
            for at, item in enumerate(flat):
                if isinstance(item, h5r.Reference) and item:
                    flat[at] = self._copied(source, made, item)
        return array

    def _copied(self, source, made, reference):
        if not self.flags & _REFS or isinstance(reference, h5r.RegionReference):
            return type(reference)()
        address = reference._address
        if address not in self.done:
            root = made.file.root()
            hidden = f".h5live-copied-{address}"
            self.copy(source.file.root().open_at(address), root, hidden, 0)
            root.unlink(hidden, True)
        return h5r.Reference(self.done[address].to_bytes(8, "little"))


class _Location:
    """A group as the low-level functions want it."""

    def __init__(self, core):
        self._core = core


def _has_references(desc):
    if desc[0] == "reference":
        return True
    if desc[0] == "compound":
        return any(_has_references(member) for _, _, member in desc[2])
    return desc[0] in ("array", "vlen") and _has_references(desc[2 if desc[0] == "array" else 1])


def _size(dataset):
    """Bytes of a dataset's elements as they are in the file; 0 for one whose elements are not copied."""
    if dataset.is_null or dataset.layout in ("virtual", "external"):
        return 0
    size = dataset.datatype.size
    for dim in dataset.shape:
        size *= dim
    return size


def _sizes(source, deep):
    """The bytes of each dataset at and below an object, by address."""
    found, seen, waiting = {}, {source.address}, [(source, True)]
    while waiting:
        core, open_members = waiting.pop()
        kind = type(core).__name__
        if kind == "Dataset":
            found[core.address] = _size(core)
        elif kind == "Group" and open_members:
            for name, target, _ in core.links():
                if target[0] == "hard" and target[1] not in seen:
                    seen.add(target[1])
                    waiting.append((core.open(name), deep))
    return found


def _parts(source, most=1 << 24):
    """Index expressions that together are the dataset, each of some megabytes."""
    shape = source.shape
    if not shape:
        yield ()
        return
    row = max(source.datatype.size, 1)
    for dim in shape[1:]:
        row *= dim
    step = max(most // max(row, 1), 1)
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])),)


def copy_object(source, source_path, target, target_path, flags, progress=None):
    """Copies the object at a path to another. progress: as `Group.copy` has it."""
    found = source if source_path == "." else source.open(source_path)
    if target_path in target:
        raise RuntimeError(f"Unable to synchronously copy object (destination object already exists): {target_path!r}")
    _Copier(flags, found.file.number == target.file.number, found, progress).copy(found, target, target_path, 0)
