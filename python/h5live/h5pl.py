"""Where libhdf5 would look for plugins; filters are built in here, and the list is only kept."""

import os

_paths = [path.encode() for path in os.environ.get("HDF5_PLUGIN_PATH", "/usr/local/hdf5/lib/plugin").split(os.pathsep)]


def append(search_path):
    _paths.append(bytes(search_path))


def prepend(search_path):
    _paths.insert(0, bytes(search_path))


def replace(search_path, index):
    _paths[index] = bytes(search_path)


def insert(search_path, index):
    _paths.insert(index, bytes(search_path))


def remove(index):
    del _paths[index]


def get(index):
    return _paths[index]


def size():
    return len(_paths)
