"""Standing in for h5py in other libraries."""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types

_NAME = __name__.rpartition(".")[0]
# The Rust side, and what pickles name.
_AS_THEY_ARE = (_NAME + "._h5live", _NAME + "._pickle")


class _Loader(importlib.abc.Loader):
    """Gives a module of this package under h5py's name."""

    def __init__(self, target):
        self._target = target

    def create_module(self, spec):
        self._spec = self._target.__spec__
        return self._target

    def exec_module(self, module):
        module.__spec__ = self._spec


class _Finder(importlib.abc.MetaPathFinder):
    """Finds h5py and its submodules here."""

    def find_spec(self, name, path=None, target=None):
        if name != "h5py" and not name.startswith("h5py."):
            return None
        try:
            module = importlib.import_module(_NAME + name[4:])
        except ImportError:
            return None
        return importlib.machinery.ModuleSpec(name, _Loader(module), is_package=hasattr(module, "__path__"))


def install_as_h5py():
    """Makes `import h5py` give h5live, for libraries that import h5py themselves.

    To be called before they do. The names of modules and classes then say h5py, since some libraries look at them. Returns the
    module.
    """
    package = sys.modules[_NAME]
    there = sys.modules.get("h5py")
    if there is not None and there is not package:
        raise RuntimeError("h5py itself was imported already: call install_as_h5py() before anything imports it")
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, module in list(sys.modules.items()):
        if name == _NAME or name.startswith(_NAME + "."):
            sys.modules["h5py" + name[len(_NAME) :]] = module
            _rename(module)
    return package


def _rename(module):
    """Makes a module, and the classes and functions of it, say h5py where they say what they are."""
    spec = module.__spec__
    if spec.name in _AS_THEY_ARE:
        return
    if spec.name.startswith(_NAME):
        name = "h5py" + spec.name[len(_NAME) :]
        renamed = importlib.machinery.ModuleSpec(name, spec.loader, origin=spec.origin)
        renamed.submodule_search_locations = spec.submodule_search_locations
        module.__spec__, module.__name__, module.__package__ = renamed, name, renamed.parent
    for value in vars(module).values():
        if isinstance(value, (type, types.FunctionType)) and value.__module__.startswith(_NAME) and value.__module__ not in _AS_THEY_ARE:
            value.__module__ = "h5py" + value.__module__[len(_NAME) :]
