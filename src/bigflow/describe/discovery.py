"""Find the workflows of a package, or load one of them."""

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
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from types import ModuleType
    from typing import Any, NoReturn

_CONTAINERS = (list, tuple, dict, set, frozenset)


class FoundWorkflow(namedtuple("_Found", ["workflow", "module", "variable"])):
    """A workflow, the module to import for it, and the variable that holds it or its container."""

    __slots__ = ()

    workflow: Workflow
    module: str
    variable: str


def module_names(package: str) -> list[str]:
    """Return the names of the package and of all its modules, sorted, without importing them.

    ``__main__`` is left out: importing it runs it. A file that ``import`` cannot name is left out
    with a warning.

    :raises BigflowError: when the package does not exist.
    """
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # of the parent of a dotted name
        spec = None
    if spec is None:
        raise BigflowError(
            f"package {package!r} not found",
            hint="change to the project's directory, or install the project;"
            f" searched in {_search_path()}",
        )
    return sorted({package, *_names_below(package, spec.submodule_search_locations or ())})


def find_workflows(
    packages: Iterable[str],
    report: Callable[[str], object] = lambda _step: None,
    only: Collection[str] = (),
) -> list[FoundWorkflow]:
    """Return all workflows of the packages, sorted by id, each object once.

    A workflow is found as an attribute of a module, or in a list, tuple, set or dict that is one.

    :param report: called before each import, with the file.
    :param only: the ids of the workflows to return; without one, all of them. With one, a module
        that cannot be imported is skipped, with a warning.

    :raises BigflowError: for a module that cannot be imported, for a module in a directory without
        ``__init__.py``, and for two returned workflows with the same id.
    """
    modules, skipped = _import_all(packages, report, skip=bool(only))
    own: dict[int, FoundWorkflow] = {}
    elsewhere: dict[int, FoundWorkflow] = {}
    for module, loaded in modules.items():
        _refuse_modules_without_package(loaded)
        for variable, workflow in _workflows_in(loaded):
            # A pod imports the module that creates the workflow. A module that collects workflows
            # would import all of them; one that others fill has none until they are imported.
            made_in = workflow.made_in if workflow.made_in in modules else module
            one = FoundWorkflow(workflow, made_in, variable)
            (own if module == made_in else elsewhere).setdefault(id(workflow), one)
    found = {**elsewhere, **own}
    by_id: dict[str, FoundWorkflow] = {}
    for one in sorted(found.values(), key=lambda one: (one.module, one.variable)):
        workflow_id = one.workflow.workflow_id
        if only and workflow_id not in only:
            continue
        if not isinstance(workflow_id, str):
            raise BigflowError(
                f"{one.module}.{one.variable}: the id of a workflow cannot be {shown(workflow_id)}",
                hint="give a string of letters, digits, _ and -",
            )
        other = by_id.setdefault(workflow_id, one)
        if other is not one:
            raise BigflowError(
                f"two workflows have the id {workflow_id!r}: "
                f"{other.module}.{other.variable} and {one.module}.{one.variable}",
                hint="give each workflow its own id",
            )
    missing = sorted(set(only) - by_id.keys())
    if missing:
        known = sorted({str(one.workflow.workflow_id) for one in found.values()})
        raise BigflowError(
            f"the project has no workflow {missing[0]!r}{_not_imported(skipped)}",
            hint=skipped[0].hint
            if skipped and not known
            else f"its workflows are: {', '.join(known) or 'none'}",
        )
    for reason in skipped:
        print(f"bigflow: warning: skipped a module: {reason.message}", file=sys.stderr)
    return [by_id[workflow_id] for workflow_id in sorted(by_id)]


def load_workflow(packages: Sequence[str], workflow_id: str, module: str | None = None) -> Workflow:
    """Return one workflow, from ``module`` or from the first module of ``packages`` that has it.

    Without ``module``, the modules are imported in the order of their names until one has the
    workflow. A module that cannot be imported is skipped; the error names it.

    :raises BigflowError: when no module has the workflow.
    """
    known: dict[str, Workflow] = {}
    errors: list[BigflowError] = []
    searched = [module] if module else [n for p in packages for n in module_names(p)]
    for name in searched:
        try:
            loaded = _import(name)
        except BigflowError as error:
            if module:
                raise
            errors.append(error)
            continue
        known.update((workflow.workflow_id, workflow) for _, workflow in _workflows_in(loaded))
        if workflow_id in known:
            return known[workflow_id]
    for name, loaded in sorted(sys.modules.items()):
        if any(
            f"{name}.".startswith(f"{p}.") for p in packages
        ):  # the module gave the workflow to this one
            known.update((workflow.workflow_id, workflow) for _, workflow in _workflows_in(loaded))
    if workflow_id in known:
        return known[workflow_id]
    raise BigflowError(
        f"{module or ', '.join(packages)} has no workflow {workflow_id!r}{_not_imported(errors)}",
        hint=f"its workflows: {', '.join(sorted(known)) or 'none'}",
    )


def _import_all(
    packages: Iterable[str], report: Callable[[str], object], *, skip: bool
) -> tuple[dict[str, ModuleType], list[BigflowError]]:
    """Return the modules, and the errors of those that are skipped.

    :raises BigflowError: for a module that cannot be imported, unless ``skip``.
    """
    modules: dict[str, ModuleType] = {}
    skipped: list[BigflowError] = []
    for name in [name for package in packages for name in module_names(package)]:
        report(f"importing {_file_of(name) or name}")
        try:
            modules[name] = _import(name)
        except BigflowError as error:
            if not skip:
                raise _with_way_out(error) from error.__cause__
            skipped.append(error)
    return modules, skipped


def _not_imported(errors: Sequence[BigflowError]) -> str:
    if not errors:
        return ""
    return "; modules that cannot be imported: " + "; ".join(e.message for e in errors)


def _with_way_out(error: BigflowError) -> BigflowError:
    """Add how to build the other workflows, for a name that only BigFlow 1.x has."""
    from bigflow.absent import ABSENT

    if not isinstance(error.__cause__, ABSENT):
        return error
    others = "to build workflows of other modules meanwhile, add: --workflow ID"
    return BigflowError(error.message, hint=f"{error.hint}; {others}")


def error_of_user_code(error: BaseException, module: str, step: str) -> BigflowError:
    """Return an error of the project's code as one line: file, line, type and message.

    :param module: the module that was executed.
    :param step: the work in progress, such as ``importing P.workflow``.

    :raises KeyboardInterrupt: after Ctrl-C.
    """
    if isinstance(error, KeyboardInterrupt) and getsignal(SIGINT) is default_int_handler:
        raise error  # by Ctrl-C
    place, file = _place_of(error, module.partition(".")[0]), _file_of(module)
    where = place or (file and f"{file}: ")
    if isinstance(error, BigflowError):
        return BigflowError(f"{where}{error.message} ({step})", hint=error.hint)
    from bigflow.absent import ABSENT

    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    hint = "fix that line" if place else "fix that module"
    if isinstance(error, ABSENT):
        what, hint = error.message, error.hint
    elif isinstance(error, ModuleNotFoundError):
        hint = _hint_for_missing(error.name or "", module.partition(".")[0])
    return BigflowError(f"{where}{what} ({step})", hint=hint)


def _hint_for_missing(name: str, package: str) -> str:
    """Return the fix for an import of ``name``, which does not exist, in a module of ``package``.

    It never proposes to install a distribution called ``name``: anyone can upload one.
    """
    from difflib import get_close_matches

    try:
        own = module_names(package)
    except BigflowError:
        own = []
    top = name.partition(".")[0]
    if top == package:
        near = get_close_matches(name, own, n=1, cutoff=0.7)
        return f"did you mean {near[0]}?" if near else f"create the module {name}, or fix that line"
    stems = {module.rpartition(".")[2]: module for module in reversed(own) if module != package}
    for stem in get_close_matches(top, stems, n=1, cutoff=0.8):
        above, _, last = stems[stem].rpartition(".")
        return f"write `from {above} import {last}`: it is a module of the project"
    for installed in get_close_matches(top, _installed_modules(), n=1, cutoff=0.75):
        return f"did you mean {installed}?"
    return (
        f"fix that line; or add the distribution that has the module {top} to the project's"
        f" dependencies, and install them for {sys.executable}"
    )


def _installed_modules() -> list[str]:
    """Return the names of the top-level modules that can be imported, without private ones."""
    from pkgutil import iter_modules

    names = {*sys.stdlib_module_names, *(entry.name for entry in iter_modules())}
    return sorted(name for name in names if not name.startswith("_"))


def _names_below(
    package: str, directories: Iterable[str], above: frozenset[str] = frozenset()
) -> Iterator[str]:
    from pkgutil import iter_modules

    for directory in directories:
        real = os.path.realpath(directory)
        if real in above:  # a symbolic link to a parent directory
            continue
        for entry in iter_modules([directory]):
            if entry.name == "__main__":
                continue
            if not entry.name.isidentifier():
                print(
                    f"bigflow: warning: skipped {entry.name!r} in {_shown(directory)}: "
                    "`import` cannot name it",
                    file=sys.stderr,
                )
                continue
            name = f"{package}.{entry.name}"
            yield name
            if entry.ispkg:
                below = os.path.join(directory, entry.name)
                yield from _names_below(name, [below], above | {real})


def _refuse_modules_without_package(package: ModuleType) -> None:
    """Refuse modules in a directory without ``__init__.py``: the wheel would lack them."""
    for directory in getattr(package, "__path__", ()):
        for below, directories, files in os.walk(directory):
            directories[:] = sorted(d for d in directories if d[0] != "." and d != "__pycache__")
            if "__init__.py" in files:
                if below != directory:  # a package: checked when its own turn comes
                    directories.clear()
                continue
            for file in sorted(files):
                if file.endswith(".py"):
                    init = _shown(os.path.join(below, "__init__.py"))
                    raise BigflowError(
                        f"the wheel would not have {_shown(os.path.join(below, file))}: "
                        "its directory has no __init__.py",
                        hint=f"create {init}; it can be empty",
                    )


def _import(name: str) -> ModuleType:
    try:
        return _import_without_exit(name)
    except BaseException as error:  # a module can raise anything, also SystemExit
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise BigflowError(
                f"module {name!r} not found", hint=f"searched in {_search_path()}"
            ) from error
        raise error_of_user_code(error, name, f"importing {name}") from error


def _import_without_exit(name: str) -> ModuleType:
    """Import a module; raise ``SystemExit`` when it calls ``os._exit()``.

    Else `bigflow run` could end with status 0 without running the job.
    """
    exit_process, process = os._exit, os.getpid()
    importing = True

    def refuse(status: int) -> NoReturn:
        if importing and os.getpid() == process:  # not a forked child
            raise SystemExit(f"os._exit({status}) called during the import")
        exit_process(status)

    os._exit = refuse
    try:
        return import_module(name)
    finally:
        importing = False
        os._exit = exit_process


def _workflows_in(module: ModuleType) -> Iterator[tuple[str, Workflow]]:
    for variable, value in list(vars(module).items()):
        for workflow in _workflows_of(value):
            yield variable, workflow


def _workflows_of(value: Any) -> Iterator[Workflow]:
    seen: set[int] = set()
    ahead = [value]
    while ahead:
        value = ahead.pop()
        # type(), because isinstance() reads __class__, and that can run code of a lazy proxy.
        if issubclass(type(value), Workflow):
            yield value
        elif issubclass(type(value), _CONTAINERS) and id(value) not in seen:
            seen.add(id(value))
            ahead += reversed(list(value.values() if isinstance(value, dict) else value))


def _place_of(error: BaseException, root: str) -> str:
    """Return ``file, line n: `` for the innermost line in the project, or nothing."""
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
    """Return the file of a module, for errors without a line, such as a null byte in it."""
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
