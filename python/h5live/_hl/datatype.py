"""Committed datatypes."""

from .. import h5t
from .base import HLObject


class Datatype(HLObject):
    """A datatype that is an object of the file."""

    def __init__(self, bind):
        if not isinstance(bind, h5t.TypeID):
            raise ValueError(f"{bind} is not a TypeID")
        super().__init__(bind)

    @property
    def dtype(self):
        """Its numpy type."""
        return self.id.dtype

    def __repr__(self):
        if not self.id:
            return "<Closed HDF5 named type>"
        name = self.name
        namestr = '("anonymous")' if name is None else f'"{name.rsplit("/", 1)[-1] or "/"}"'
        return f"<HDF5 named type {namestr} (dtype {self.dtype.str})>"
