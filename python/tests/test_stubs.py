"""The type stubs say what is there: every name, and the parameters of every function."""

import ast
import inspect
import pathlib

import pytest

import h5live
from h5live import _live

STUB = pathlib.Path(h5live.__file__).with_name("__init__.pyi")
# Classes of objects that programs get and do not make: not in the package's own name space.
ELSEWHERE = {"Follow": _live.Follow, "Writer": _live.Writer}


def public(names):
    return {name for name in names if not name.startswith("_")}


def declared(body):
    """The names that statements of a stub declare, with the function for those that are one."""
    found = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.setdefault(node.name, node)
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = node
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.update((alias.name, node) for alias in node.names)
    return found


def parameters(node):
    """Names and whether there is a default, as `inspect` tells them."""
    args = node.args
    positional = args.posonlyargs + args.args
    found = [(arg.arg, at >= len(positional) - len(args.defaults)) for at, arg in enumerate(positional)]
    found += [(arg.arg, default is not None) for arg, default in zip(args.kwonlyargs, args.kw_defaults)]
    return found, args.vararg is not None, args.kwarg is not None


def disagreement(node, function):
    kinds = inspect.Parameter
    signature = list(inspect.signature(function).parameters.values())
    named = [
        (parameter.name, parameter.default is not kinds.empty)
        for parameter in signature
        if parameter.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD) and not parameter.name.startswith("_")
    ]
    there = (
        named,
        any(parameter.kind == kinds.VAR_POSITIONAL for parameter in signature),
        any(parameter.kind == kinds.VAR_KEYWORD for parameter in signature),
    )
    return None if parameters(node) == there else f"{parameters(node)} is declared, {there} is there"


def wrong(stub):
    """What a stub says that is not so."""
    for name, node in declared(ast.parse(stub).body).items():
        there = ELSEWHERE.get(name, getattr(h5live, name, None))
        if there is None:
            yield f"{name} is not there"
        elif isinstance(node, ast.FunctionDef):
            if difference := disagreement(node, there):
                yield f"{name}: {difference}"
        elif isinstance(node, ast.ClassDef):
            for member, node in declared(node.body).items():
                found = inspect.getattr_static(there, member, None)
                if found is None and not hasattr(there, member) and not isinstance(node, ast.AnnAssign):
                    yield f"{name}.{member} is not there"
                elif isinstance(node, ast.FunctionDef) and not node.decorator_list and (member == "__init__" or not member.startswith("__")):
                    if difference := disagreement(node, found):
                        yield f"{name}.{member}: {difference}"


def test_the_stub_is_true():
    assert list(wrong(STUB.read_text())) == []


@pytest.mark.parametrize(
    "lie",
    [
        "def folow(path): ...",
        "def follow(path, wait=None): ...",
        "class File:\n    def publish(self): ...",
        "class Dataset:\n    def append(self, rows, axis=0): ...",
    ],
)
def test_a_lie_is_found(lie):
    assert list(wrong(lie))


def test_the_stub_is_complete():
    stub = declared(ast.parse(STUB.read_text()).body)
    there = {name for name in public(vars(h5live)) if not inspect.ismodule(getattr(h5live, name))}
    assert there <= set(stub), there - set(stub)
    for name in ("File", "Group", "Dataset", "AttributeManager", "Follow", "Writer"):
        cls = ELSEWHERE.get(name) or getattr(h5live, name)
        own = public(member for base in cls.__mro__ if base.__module__.startswith("h5live") for member in vars(base))
        known = set()
        for base in cls.__mro__:
            if isinstance(node := stub.get(base.__name__), ast.ClassDef):
                known |= set(declared(node.body))
        # What mappings and named tuples have by themselves.
        missing = own - known - {"keys", "values", "items"}
        assert not missing, f"{name}: {missing}"


def test_the_package_says_that_it_is_typed():
    assert STUB.with_name("py.typed").exists()
