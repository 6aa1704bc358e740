"""Which modules of a package hold workflows, and loading one without loading all."""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from importlib import import_module
from importlib.util import find_spec
from signal import SIGINT, default_int_handler, getsignal

from bigflow.errors import BigflowError, shown
from bigflow.workflow import Workflow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator
    from types import ModuleType
    from typing import Any

__all__ = ["FoundWorkflow", "fault_of_user_code", "find_workflows", "load_workflow", "module_names"]


class FoundWorkflow(namedtuple("_Found", ["workflow", "module", "variable"])):  # noqa: PYI024
    """A workflow, and what is imported to have it."""

    __slots__ = ()

    workflow: Workflow
    module: str
    variable: str
    """The name of the workflow, or of the container that holds it."""


def module_names(package: str) -> list[str]:
    """The names of the package and of all modules in it, sorted; none is imported.

    ``__main__`` is left out, because to import it is to run it. So is a file whose name is no
    identifier; stderr says so.

    :raises BigflowError: when there is no such package.
    """
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # of the parent of a dotted name
        spec = None
    if spec is None:
        raise BigflowError(
            f"there is no package {package!r}",
            hint=f"change to the project, or install it; the search was in {_search_path()}",
        )
    return sorted({package, *_names_below(package, spec.submodule_search_locations or ())})


def find_workflows(
    package: str, tell: Callable[[str], object] = lambda _doing: None
) -> list[FoundWorkflow]:
    """All workflows of the package, sorted by id; each object once.

    A workflow is found as an attribute of a module, or in lists, tuples, sets and dicts that are.
    ``tell`` is called before each import, with words for it that name the file.

    :raises BigflowError: for a module that cannot be imported, with file and line; for one that
        lies where nothing looks for modules; and for two workflows of one id, with both modules.
    """
    modules: dict[str, ModuleType] = {}
    for name in module_names(package):
        tell(f"importing {_file_of(name) or name}")
        modules[name] = _import(name)
    own: dict[int, FoundWorkflow] = {}
    elsewhere: dict[int, FoundWorkflow] = {}
    for module, loaded in modules.items():
        _refuse_hidden_modules(loaded)
        for variable, workflow in _workflows_in(loaded):
            # The module that makes it: one that gathers workflows would have the pod import all of
            # them, and one that is given them has none before the others are imported.
            made_in = workflow.made_in if workflow.made_in in modules else module
            one = FoundWorkflow(workflow, made_in, variable)
            (own if module == made_in else elsewhere).setdefault(id(workflow), one)
    found = {**elsewhere, **own}
    _tell_of_others(found, modules)
    by_id: dict[str, FoundWorkflow] = {}
    for one in sorted(found.values(), key=lambda one: (one.module, one.variable)):
        if not isinstance(one.workflow.workflow_id, str):
            raise BigflowError(
                f"{one.module}.{one.variable}: the id of a workflow cannot be "
                f"{shown(one.workflow.workflow_id)}",
                hint="give it a string of letters, digits and _",
            )
        other = by_id.setdefault(one.workflow.workflow_id, one)
        if other is not one:
            raise BigflowError(
                f"two workflows have the id {one.workflow.workflow_id!r}: "
                f"{other.module}.{other.variable} and {one.module}.{one.variable}",
                hint="give each an id of its own",
            )
    return sorted(by_id.values(), key=lambda one: one.workflow.workflow_id)


def _tell_of_others(found: Container[int], modules: Container[str]) -> None:
    """Says which workflows of the modules are there and were not found, in a class perhaps."""
    import gc

    kinds: list[type] = [Workflow]
    for kind in kinds:
        kinds += kind.__subclasses__()
    others = {
        f"{getattr(one, 'workflow_id', None)!r}, made in {one.made_in},"
        for one in gc.get_referrers(*kinds)
        if issubclass(type(one), Workflow) and id(one) not in found and one.made_in in modules
    }
    for other in sorted(others):
        print(
            f"bigflow: the workflow {other} is passed over: "
            "no variable, list, tuple, set or dict of a module holds it",
            file=sys.stderr,
        )


def load_workflow(package: str, workflow_id: str, module: str | None = None) -> Workflow:
    """One workflow, from ``module`` if it is given, else from the first module that has it.

    Without ``module``, the modules are imported in the order of their names until it is found; one
    that cannot be imported is passed over, and named when the workflow is not found.

    :raises BigflowError: when it is not found; it says which there are.
    """
    known: set[str] = set()
    faults: list[BigflowError] = []
    for name in [module] if module else module_names(package):
        try:
            loaded = _import(name)
        except BigflowError as fault:
            if module:
                raise
            faults.append(fault)
            continue
        for _, workflow in _workflows_in(loaded):
            if workflow.workflow_id == workflow_id:
                return workflow
            known.add(workflow.workflow_id)
    for _, workflow in _workflows_of_loaded(package):  # which the module gave to another
        if workflow.workflow_id == workflow_id:
            return workflow
    message = f"there is no workflow {workflow_id!r} in {module or package}"
    if faults:
        message += "; modules that cannot be imported: " + "; ".join(f.message for f in faults)
    raise BigflowError(message, hint=f"there are: {', '.join(sorted(known)) or 'none'}")


def fault_of_user_code(error: BaseException, module: str, doing: str) -> BigflowError:
    """One line for what the project's code raised: file, line, type and message.

    ``module`` is the name of the module that was run, and ``doing`` says for what, such as
    ``importing P.workflow``.

    :raises KeyboardInterrupt: when the user has pressed Ctrl-C.
    """
    if isinstance(error, KeyboardInterrupt) and getsignal(SIGINT) is default_int_handler:
        raise error  # by Ctrl-C
    place, file = _place_of(error, module.partition(".")[0]), _file_of(module)
    where = place or (file and f"{file}: ")
    if isinstance(error, BigflowError):
        return BigflowError(f"{where}{error.message} ({doing})", hint=error.hint)
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    hint = "mend that line" if place else "mend that module"
    if isinstance(error, ModuleNotFoundError):
        hint = f"install {error.name} for {sys.executable}, or {hint}"
    return BigflowError(f"{where}{what} ({doing})", hint=hint)


def _names_below(
    package: str, directories: Iterable[str], above: frozenset[str] = frozenset()
) -> Iterator[str]:
    from pkgutil import iter_modules

    for directory in directories:
        real = os.path.realpath(directory)
        if real in above:  # a link to a directory that it lies in
            continue
        for entry in iter_modules([directory]):  # of a directory or of a zip archive
            if entry.name == "__main__":
                continue
            if not entry.name.isidentifier():
                print(
                    f"bigflow: {entry.name!r} in {_shown(directory)} is passed over: "
                    "no `import` could name it",
                    file=sys.stderr,
                )
                continue
            name = f"{package}.{entry.name}"
            yield name
            if entry.ispkg:
                below = os.path.join(directory, entry.name)  # noqa: PTH118
                yield from _names_below(name, [below], above | {real})


def _refuse_hidden_modules(package: ModuleType) -> None:
    """The wheel's rule: modules in a directory without ``__init__.py`` would be lost, unsaid."""
    for directory in getattr(package, "__path__", ()):
        if not os.path.isdir(directory):  # noqa: PTH112 - within a zip archive
            continue
        for below, directories, files in os.walk(directory):
            directories[:] = sorted(d for d in directories if d[0] != "." and d != "__pycache__")
            if "__init__.py" in files:
                if below != directory:  # a package of its own, with its own turn
                    directories.clear()
                continue
            for file in sorted(files):
                if file.endswith(".py"):
                    raise BigflowError(
                        f"{_shown(os.path.join(below, file))} would be left out: "  # noqa: PTH118
                        "its directory has no __init__.py",
                        hint=f"create {_shown(os.path.join(below, '__init__.py'))}; "  # noqa: PTH118
                        "it may be empty",
                    )


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except BaseException as error:  # whatever a project's module raises: SystemExit, too
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            fault = BigflowError(
                f"there is no module {name!r}", hint=f"the search was in {_search_path()}"
            )
        else:
            fault = fault_of_user_code(error, name, f"importing {name}")
        raise fault from error


_CONTAINERS = (list, tuple, dict, set, frozenset)


def _workflows_in(module: ModuleType) -> Iterator[tuple[str, Workflow]]:
    for variable, value in list(vars(module).items()):
        for workflow in _workflows_of(value):
            yield variable, workflow


def _workflows_of_loaded(package: str) -> Iterator[tuple[str, Workflow]]:
    for name, module in sorted(sys.modules.items()):
        if f"{name}.".startswith(f"{package}."):
            yield from _workflows_in(module)


def _workflows_of(value: Any) -> Iterator[Workflow]:
    seen: set[int] = set()
    ahead = [value]
    while ahead:
        value = ahead.pop()
        # By type(): isinstance() would ask a lazy proxy for its __class__, which may run anything.
        if issubclass(type(value), Workflow):
            yield value
        elif issubclass(type(value), _CONTAINERS) and id(value) not in seen:
            seen.add(id(value))
            ahead += reversed(list(value.values() if isinstance(value, dict) else value))


def _place_of(error: BaseException, root: str) -> str:
    """``file, line n: `` of the fault: the innermost line that is the project's own, if any."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{_shown(error.filename)}, line {error.lineno}: "
    place = ""
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if str(frame.f_globals.get("__name__")).partition(".")[0] == root:
            place = f"{_shown(frame.f_code.co_filename)}, line {traceback.tb_lineno}: "
        traceback = traceback.tb_next
    return place


def _file_of(module: str) -> str:
    """The file of a module, for faults that have no line, such as a null byte in it."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return ""
    return _shown(spec.origin) if spec and spec.has_location and spec.origin else ""


def _shown(file: str) -> str:
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def _search_path() -> str:
    return ", ".join(entry or "." for entry in sys.path)
