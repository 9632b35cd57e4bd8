"""What Jupyter shows of files, groups and datasets."""

from html import escape

import numpy as np

# A tree that unfolds is of no use beyond this; nor should showing a file read all of a large one.
_MOST_MEMBERS = 100
_MOST_OBJECTS = 1000
_MOST_ATTRIBUTES = 50
_LONGEST_VALUE = 120


def tree(obj):
    """An object, and what is in it, as a tree that unfolds."""
    if not obj:
        return f"<pre>{escape(repr(obj))}</pre>"
    return f"<div style='font-family:monospace'>{_Tree().show(obj, _title(obj), is_open=True)}</div>"


def _title(obj):
    from .files import File

    return obj.filename if isinstance(obj, File) else obj.name or "(anonymous)"


class _Tree:
    """Shows each object once, and no more objects than are of use."""

    def __init__(self):
        self._shown = set()
        self._left = _MOST_OBJECTS

    def show(self, obj, title, is_open=False):
        from .dataset import Dataset
        from .group import Group

        title = f"<b>{escape(str(title))}</b>"
        if isinstance(obj, Dataset):
            summary, inner = f"{title} {_dataset(obj)}", ""
        elif isinstance(obj, Group):
            if obj.id in self._shown:
                return f"<div>{title} (as above)</div>"
            self._shown.add(obj.id)
            summary, inner = f"{title} ({len(obj)} members)", self._members(obj)
        else:
            summary, inner = f"{title} datatype {escape(str(obj.dtype))}", ""
        inner = _attributes(obj) + inner
        if not inner:
            return f"<div>{summary}</div>"
        return f"<details{' open' if is_open else ''}><summary>{summary}</summary><div style='margin-left:1.5em'>{inner}</div></details>"

    def _members(self, group):
        parts = []
        for count, name in enumerate(group):
            if count == _MOST_MEMBERS or self._left <= 0:
                parts.append(f"<div>… {len(group) - count} more</div>")
                break
            self._left -= 1
            parts.append(self._member(group, name))
        return "".join(parts)

    def _member(self, group, name):
        link = group.get(name, getlink=True)
        if hasattr(link, "path"):
            # Links are shown, not followed: they may lead anywhere, or nowhere.
            file = f"{link.filename}: " if hasattr(link, "filename") else ""
            return f"<div><b>{escape(name)}</b> → {escape(file + link.path)}</div>"
        try:
            return self.show(group[name], name)
        except (OSError, KeyError, NotImplementedError) as error:
            return f"<div><b>{escape(name)}</b> <i>{escape(str(error))}</i></div>"


def _dataset(dataset):
    parts = [f"shape {dataset.shape}", str(dataset.dtype)]
    if dataset.chunks:
        parts.append(f"chunks {dataset.chunks}")
    if dataset.maxshape not in (None, dataset.shape):
        parts.append(f"maxshape {dataset.maxshape}")
    if dataset.filter_ids:
        parts.append(" + ".join(dataset.filter_names))
    return escape(", ".join(parts))


def _attributes(obj):
    parts = []
    for count, name in enumerate(obj.attrs):
        if count == _MOST_ATTRIBUTES:
            parts.append("<div>…</div>")
            break
        try:
            value = obj.attrs[name]
            text = np.array2string(value, threshold=8) if isinstance(value, np.ndarray) else str(value)
        except (OSError, NotImplementedError, TypeError, ValueError) as error:
            text = f"({error})"
        text = text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
        parts.append(f"<div>@{escape(name)} = {escape(text)}</div>")
    return "".join(parts)
