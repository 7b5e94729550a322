"""How kernels are compiled, dispatched and cached.

Three decorators:

- `kernel` compiles an entry point, releases the GIL, and caches the machine code on disk;
- `inlined` compiles a helper that kernels call;
- `generic` declares a verb whose implementation is picked, when a kernel is compiled, by the type of the
  first argument. The values dispatched on are NamedTuples, so they carry their own parameters::

      class Huber(NamedTuple):
          epsilon: float


      @derivative.of(Huber)
      def _(loss, score, target): ...

The cache is ours for one reason: Numba's notices a change in the file that holds a kernel but not in the files
whose code is compiled into it, so an edited loss would run stale. Here the key of an entry follows the source
of every module that the kernel's argument types come from, and of this whole package of generic code.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

import numba
from numba import njit, types
from numba._dynfunc import make_function
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.extending import overload

__all__ = ["generic", "inlined", "kernel"]

# Division by zero gives infinity, as in C: a test for zero in every division would keep loops from vectorising.
_NUMPY_DIVISION = {"error_model": "numpy"}
# Products may be fused into sums; sums may be reordered only where `reassociate` says so.
_CONTRACT = {"contract"}
_REASSOCIATE = {"contract", "reassoc", "nsz"}

# The modules that the code of a type comes from: its own, and those of what implements verbs for it.
_homes: dict[type, set[str]] = {}

_PACKAGE = Path(__file__).parent.parent


class _Part(JITCodeLibrary):
    """The code of a function that only ever runs as part of a kernel.

    It is optimised and made into machine code there and not before: kernels compile in two thirds of the time, and run
    faster for being seen whole.
    """

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True


class _PartCompiler(Compiler):
    """Compiles a `_Part`."""

    def __init__(self, typing, target, _, *rest):
        target = target.subtarget(get_executable=_without_code)
        super().__init__(typing, target, _Part(target.codegen(), "part"), *rest)


def _without_code(library, function, environment):
    """What Numba knows a function by, with no machine code to call."""
    return make_function(function.lookup_module(), function.qualname, "", 0, environment, (library,))


# What a kernel calls becomes part of it, whatever its size: only then do loops vectorise, and share what they compute.
_MERGED = {"forceinline": True, "no_cfunc_wrapper": True, "pipeline_class": _PartCompiler, **_NUMPY_DIVISION}


def kernel(function):
    """Compile an entry point; keep its machine code on disk, where there is a folder to keep it in."""
    dispatcher = njit(nogil=True, fastmath=_CONTRACT, **_NUMPY_DIVISION)(function)
    with suppress(RuntimeError):
        dispatcher._cache = _KernelCache(function)
    return dispatcher


def inlined(function=None, *, reassociate=False):
    """Compile a helper into the kernels that call it. With `reassociate`, sums may be added up in any order.

    Called from Python it stays plain Python.
    """
    if function is None:
        return lambda function: inlined(function, reassociate=reassociate)
    options = {"fastmath": _REASSOCIATE if reassociate else _CONTRACT, **_MERGED}
    overload(function, jit_options=options, strict=False)(lambda *_: function)
    return function


def generic(function):
    """Declare a verb. Its own body is what happens for types without an implementation of theirs.

    The verb works in plain Python too, with the same implementations: tests and slow paths need no compiler.
    """
    implementations = {}

    def implementation(kind):
        return implementations.get(kind, function)

    def verb(value, *arguments):
        return implementation(type(value))(value, *arguments)

    def of(*kinds):
        def register(implementation):
            for kind in kinds:
                implementations[kind] = implementation
                _homes.setdefault(kind, {kind.__module__}).add(implementation.__module__)
            return implementation

        return register

    verb.__doc__ = function.__doc__
    verb.__name__ = verb.__qualname__ = function.__name__
    verb.of = of
    verb.implementations = implementations

    @overload(verb, jit_options={"fastmath": _CONTRACT, **_MERGED}, strict=False)
    def choose(value, *arguments):
        return implementation(getattr(value, "instance_class", None))

    return verb


class _KernelCache(FunctionCache):
    """Numba's, with files of our own, and without what only compiling needs.

    Before it looks for machine code, Numba imports all that it could compile, with SciPy's linear algebra: a quarter of a second.
    """

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _CompiledFiles(function, Path(self.cache_path))

    def load_overload(self, sig, target_context):
        rtsys.initialize(target_context)  # kernels allocate memory
        return self._load_overload(sig, target_context)


class _CompiledFiles:
    """The files that hold one kernel's machine code, one a signature; what Numba's cache reads and writes.

    A name is the hash of everything that the code depends on, so nothing is ever read stale, and processes that
    compile at the same time cannot mix up each other's entries.
    """

    def __init__(self, function, folder: Path):
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._folder = folder

    def load(self, key):
        try:
            return pickle.loads(self._path(key).read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def save(self, key, data):
        # A cache that cannot be written, on a full disk say, costs time in the next process and nothing else.
        with suppress(OSError):
            self._write(self._path(key), dumps(data))

    @staticmethod
    def _write(path, content):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def flush(self):
        for path in self._folder.glob(f"{self._name}-*.nbc"):
            path.unlink(missing_ok=True)

    def _path(self, key):
        signature, machine, *_ = key
        parts = [repr(signature), repr(machine), numba.__version__, sys.version, _package_source()]
        homes = {home for kind in _named_tuples(signature) for home in _homes.get(kind, {kind.__module__})}
        parts += sorted(_module_source(home) for home in homes)
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
        return self._folder / f"{self._name}-{digest}.nbc"


def _named_tuples(type_):
    """The NamedTuple classes among the argument types, nested ones included."""
    if isinstance(type_, types.BaseNamedTuple):
        yield type_.instance_class
    if isinstance(type_, (tuple, types.BaseTuple)):
        for part in type_:
            yield from _named_tuples(part)


@cache
def _module_source(name):
    """A module and the hash of its source. What is typed into a notebook has no file, and is not found again."""
    file = getattr(sys.modules[name], "__file__", None)
    return f"{name} {_digest(Path(file)) if file else uuid.uuid4()}"


@cache
def _package_source():
    """The hash of all code that is compiled into every kernel, whatever the argument types."""
    return " ".join(_digest(path) for path in sorted((_PACKAGE / "kernels").glob("*.py")))


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
