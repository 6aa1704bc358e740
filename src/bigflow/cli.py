"""The command `bigflow`.

``run`` and ``describe`` are here. All other commands are those of ``bigflow_backend``, which a pod
does not load.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from functools import partial

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Any

# Without a width argparse imports `shutil`: 5 ms in each pod.
_PARSER: dict[str, Any] = {
    "allow_abbrev": False,
    "formatter_class": partial(argparse.HelpFormatter, width=96),
}

if not TYPE_CHECKING:  # else type checkers accept every name

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # each `from ... import` asks for __path__
            raise AttributeError(name)
        from bigflow.absent import refuse_name

        refuse_name(__name__, name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for an error, or the status of a job.

    :raises SystemExit: with status 2 for wrong usage.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = bool(os.environ.get("BIGFLOW_VERBOSE"))
    quiet = False
    while arguments[:1] in (["-v"], ["--verbose"], ["-q"], ["--quiet"]):
        verbose |= arguments[0] in {"-v", "--verbose"}
        quiet |= arguments[0] in {"-q", "--quiet"}
        del arguments[0]
    if quiet and arguments[:1] not in (["run"], ["describe"], []):
        arguments.append("--quiet")
    if os.path.isfile(os.path.join(os.path.dirname(__file__), "dagbuilder.py")):
        return _report_bigflow()
    try:
        return _main(arguments, verbose=verbose)
    except KeyboardInterrupt:
        if arguments[:1] != ["describe"]:  # a child process, whose parent is interrupted as well
            print("bigflow: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _main(arguments: list[str], *, verbose: bool) -> int:
    if arguments[:1] not in (["run"], ["describe"], ["--version"]):
        if arguments and not arguments[0].startswith("-"):
            from bigflow_backend.cli.main import main as build

            return _printed(partial(build, [*arguments, "--verbose"] if verbose else arguments))
        if arguments in ([], ["-h"], ["--help"]):
            from bigflow_backend.cli.summaries import help_text

            # Without a command it is wrong usage, and stdout is for results.
            if not arguments:
                print(help_text(), file=sys.stderr)
                return 2
            return _printed(lambda: sys.stdout.write(help_text() + "\n") and 0)
    parser = _parser()
    if arguments[:1] == ["run"]:
        options, of_job = parser.parse_known_args(arguments)
        _warn_of_typing_errors(of_job)
    else:
        options = parser.parse_args(arguments)
    if options.version:
        import bigflow

        print(f"bigflow-backend {bigflow.__version__}")
        return 0
    if options.command == "describe":
        from bigflow.describe.command import describe

        describe(options)
    if options.command is None:
        parser.error("give a command")
    if options.image is not None:
        return _run_in_image(options, arguments[1:])
    return _run(options, verbose=verbose)


def _printed(command: Callable[[], int]) -> int:
    """Run a command. If the reader of stdout, such as `head`, ends, it ends without a message."""
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:
        import select

        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), 0)
        if not pipe.poll(0):
            raise  # it was another pipe
        # Python flushes stdout again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"bigflow: error: cannot write: {error.strerror}", file=sys.stderr)
        print("  free some space on the disk", file=sys.stderr)
        return 1
    return status


def _report_bigflow() -> int:
    """Report that BigFlow, which has a module of that name, is installed in this directory."""
    from bigflow_backend.ground.installation import check_installation
    from bigflow_backend.ground.report import reported

    with reported():
        check_installation()
    return 1


def _warn_of_typing_errors(of_job: list[str]) -> None:
    """Warn of arguments for the job that look like our own. The job reads them in sys.argv."""
    end = of_job.index("--") if "--" in of_job else len(of_job)
    for argument in of_job[:end]:
        name = argument.partition("=")[0]
        if name.startswith("--") and len(name) > len("--"):
            from difflib import get_close_matches

            for near in get_close_matches(name, _OPTIONS_OF_RUN, n=1, cutoff=0.8):
                print(
                    f"bigflow: warning: {name} is an argument of the job; did you mean {near}?",
                    file=sys.stderr,
                )


_OPTIONS_OF_RUN = (
    *("--job", "--workflow", "--runtime", "--config", "--project-package", "--module"),
    *(
        "--secrets",
        "--params",
        "--image",
        "--env",
        "--interval-end",
        "--run-id",
        "--try-number",
        "--verbose",
    ),
)


def _run_in_image(options: argparse.Namespace, arguments: list[str]) -> int:
    from bigflow_backend.cli.rerun import run_in_image
    from bigflow_backend.ground.report import reported
    from bigflow_backend.ground.signals import terminable

    with terminable(), reported():
        return run_in_image(options, arguments)


def _run(options: argparse.Namespace, *, verbose: bool) -> int:
    from bigflow.init import start_job
    from bigflow.verdict import await_readers, reason_of_exit, write_verdict

    workflow_id, job_id = options.job or (options.workflow, None)
    what = f"job {workflow_id}.{job_id}" if job_id else f"workflow {workflow_id}"

    def conclude(code: int, reason: str) -> None:
        if code:
            await_readers()
            write_verdict(what, reason or reason_of_exit(code))

    init = start_job(conclude)
    status, reason = _attempt(options, in_pod=init is not None, verbose=verbose)
    if init is not None:
        os.write(init, reason.encode("utf-8", "backslashreplace"))
    elif reason:
        write_verdict(what, reason)
    return status


def _attempt(options: argparse.Namespace, *, in_pod: bool, verbose: bool) -> tuple[int, str]:
    """Run a job or a workflow. Return the exit status, and the reason that is still to report."""
    from bigflow.configuration import set_current_env
    from bigflow.run import run
    from bigflow.verdict import await_readers, print_traceback, reason_of

    workflow_id, job_id = options.job or (options.workflow, None)
    try:
        try:
            if options.config is not None:
                set_current_env(options.config)
            given = options.project_package
            packages = (given,) if given else _packages_of_source_tree()
            _make_importable(os.getcwd(), packages[0])
            work = run(
                packages,
                workflow_id,
                job_id,
                module=options.module,
                secrets=options.secrets,
                runtime=options.runtime,
                run_id=options.run_id,
                try_number=options.try_number,
                interval_end=options.interval_end,
                params=options.params,
            )
        except BigflowError as error:
            return _report(error), str(error) if in_pod else ""
        _show_log_messages(verbose=verbose)
        try:
            work()
        except BigflowError as error:  # the message names the line, and the fix
            from bigflow.describe.discovery import error_of_user_code

            if in_pod:
                await_readers()
            _report(error_of_user_code(error, packages[0], "running the job"))
            return 1, reason_of(error)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            status = (error.code or 0) % 256
        else:
            print(error.code, file=sys.stderr)
            status = 1
        return status, reason_of(error) if status else ""
    except Exception as error:  # noqa: BLE001 - any error of a job
        if in_pod:
            await_readers()
        print_traceback(error)
        return 1, reason_of(error)
    return 0, ""


def _show_log_messages(*, verbose: bool) -> None:
    """Print what the job logs to stderr, as BigFlow does: INFO, or DEBUG if verbose.

    A project that has set up logging keeps its own. Importing it takes 3 ms in each pod.
    """
    if verbose or "logging" in sys.modules:
        import logging

        logging.basicConfig(
            level=logging.DEBUG if verbose else logging.INFO,
            format="%(asctime)s| %(message)s" if verbose else "%(message)s",
        )


def _packages_of_source_tree() -> tuple[str, ...]:
    """Return the packages of the project in or above the current directory."""
    from pathlib import Path

    try:
        from bigflow_backend.ground.errors import UserError
        from bigflow_backend.project.project import find_project
    except ModuleNotFoundError as error:  # Python 3.10 reads TOML with a library
        raise BigflowError(
            f"cannot read the project's files: {error.name} is not installed",
            hint="give --project-package, or install bigflow-backend[build]",
        ) from error
    try:
        project = find_project(Path.cwd())
    except UserError as error:
        raise BigflowError(
            error.message, hint=f"give --project-package; or {error.hint}"
        ) from error
    sys.path.insert(0, str(project.source))
    return project.packages


def _make_importable(directory: str, package: str) -> None:
    """Add the current directory to the path, as ``python -m`` does, for the console script."""
    path = os.path.join(directory, package.partition(".")[0])
    if directory not in sys.path and (os.path.isdir(path) or os.path.isfile(f"{path}.py")):
        sys.path.insert(0, directory)


def _report(error: BigflowError) -> int:
    print(f"bigflow: error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bigflow",
        description="Data pipelines as a Python package, an image and Airflow DAGs.",
        **_PARSER,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("-v", "--verbose", action="store_true", help="print debug messages")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="bigflow")
    _add_run(commands)
    _add_describe(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="run a job or a workflow in this process",
        description="Run a job, or all jobs of a workflow one after another, in this process."
        " Other arguments are for the job, which reads them in sys.argv.",
        epilog="example: bigflow run --job daily.load --runtime 2026-01-31 --config dev",
        **_PARSER,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-j", "--job", metavar="WORKFLOW.JOB", type=_job, help="the job to run")
    what.add_argument("-w", "--workflow", metavar="WORKFLOW", help="the workflow to run")
    parser.add_argument(
        "-r",
        "--runtime",
        metavar="TIME",
        type=_runtime,
        help="the start of the period to process, such as '2026-01-31 06:00:00' in UTC, or"
        " ISO 8601; by default the current time",
    )
    parser.add_argument(
        "--params",
        metavar="JSON",
        type=_params,
        help="values for the workflow's params, as a JSON object",
    )
    # Airflow's templates give an empty value where a run has none.
    parser.add_argument("--interval-end", metavar="TIME", type=_moment, help="given by Airflow")
    parser.add_argument("--run-id", metavar="ID", type=_text, help="given by Airflow")
    parser.add_argument("--try-number", metavar="N", type=_number, help="given by Airflow")
    parser.add_argument(
        "-c",
        "--config",
        metavar="NAME",
        type=_not_empty,
        help="the configuration, such as dev or prod; by default the variable bf_env",
    )
    parser.add_argument(
        "--project-package",
        metavar="PACKAGE",
        type=_module,
        help="the package to search; by default all of the project in this directory",
    )
    parser.add_argument(
        "--module",
        metavar="MODULE",
        type=_module,
        help="the module that has the workflow; by default all modules are searched",
    )
    parser.add_argument(
        "--secrets",
        metavar="NAME,NAME",
        type=_names,
        default=(),
        help="the secrets that must be environment variables: without one, the run fails at once",
    )
    parser.add_argument(
        "--image",
        metavar="IMAGE",
        type=_not_empty,
        help="run in a container of this image, with docker or podman",
    )
    parser.add_argument(
        "--env",
        metavar="NAME[=VALUE]",
        action="append",
        help="with --image: a variable of the container, by default that of this shell",
    )


def _add_describe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "describe",
        help="print workflows and deployment as JSON, for the build",
        **_PARSER,
    )
    parser.add_argument(
        "--project-package",
        metavar="PACKAGE",
        type=_module,
        action="append",
        help="describe its workflows; may be repeated",
    )
    parser.add_argument(
        "--workflow",
        metavar="ID",
        action="append",
        default=[],
        help="describe this workflow only; may be repeated",
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        default=".",
        help="the directory of the package, by default this one",
    )
    parser.add_argument(
        "--start-time",
        metavar="TIME",
        type=_start_time,
        help="the start time of the build, in UTC",
    )
    parser.add_argument("--deployment-config", metavar="FILE")
    parser.add_argument("--progress", action="store_true", help="print a line before each step")
    parser.add_argument("-c", "--config", metavar="NAME", type=_not_empty)


def _job(text: str) -> tuple[str, str]:
    workflow_id, _, job_id = text.partition(".")
    if not workflow_id or not job_id:
        raise argparse.ArgumentTypeError(f"{text!r} is not WORKFLOW.JOB")
    return workflow_id, job_id


def _module(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid name of a package or module")
    return text


def _names(text: str) -> list[str]:
    return [_not_empty(name) for name in text.split(",")]


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("cannot be empty")
    return text


def _text(text: str) -> str | None:
    return text or None


def _number(text: str) -> int | None:
    return int(text) if text else None


def _moment(text: str) -> datetime | None:
    return _start_time(text) if text else None


def _params(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    import json

    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(params, dict):
        raise argparse.ArgumentTypeError("not a JSON object, such as '{\"days\": 7}'")
    return params


def _runtime(text: str) -> str:
    _start_time(text)
    return text


def _start_time(text: str) -> datetime:
    from bigflow.job import parse_runtime

    try:
        return parse_runtime(text)
    except BigflowError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
