"""The command line: it prints what the engine's verbs answer, and holds no logic."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence

from wenfang.errors import DiskError, UsageError, WenfangError
from wenfang.language import t

INTERRUPTED = 130
SHOWN_CHARACTERS = 120


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `wenfang`; every failure is one line on standard error and its own exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know no Chinese characters
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:  # while the command line itself was being imported
        code = _interrupted()
    sys.exit(code)


def _run(argv: list[str]) -> int:
    """The exit code of a command line."""
    from typer import exceptions

    from wenfang.cli.app import app
    from wenfang.cli.help import restated

    try:
        code = app(args=argv, prog_name="wenfang", standalone_mode=False)
    except exceptions.TyperException as error:
        reason = restated(_reason(error))
        return _fail(UsageError("{reason}; see wenfang --help", reason=reason), argv)
    except (exceptions.Abort, KeyboardInterrupt):
        return _interrupted()
    except WenfangError as error:
        return _fail(error, argv)
    except ImportError as error:
        if not _of_interrupt(error):
            raise
        return _interrupted()
    except BrokenPipeError:
        # The reader of our output has left; say nothing into its closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(_refusal(error), argv)
    # typer answers a KeyboardInterrupt with this code and without a word.
    if code == INTERRUPTED:
        return _interrupted()
    return code if isinstance(code, int) else 0


def _of_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: a compiled module that it stops while it is imported
    reports that it could not be initialised.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _interrupted() -> int:
    again = t("stopped; what was finished is kept, and the same command goes on")
    print("wenfang: " + again, file=sys.stderr)
    return INTERRUPTED


def _refusal(error: OSError) -> DiskError:
    """What the operating system refused, where no room below has said it better."""
    return DiskError(
        "the system refused {path} ({reason}); look at the path and its permissions",
        path=str(error.filename or "-")[:SHOWN_CHARACTERS],
        reason=error.strerror or type(error).__name__,
    )


def _reason(error: Exception) -> str:
    format_message = getattr(error, "format_message", None)
    text = str(format_message()) if format_message else str(error)
    return text.rstrip(".") or type(error).__name__


def _fail(error: WenfangError, argv: list[str]) -> int:
    """One line for people on standard error; with --json also one document on standard output."""
    print(f"wenfang: {error}", file=sys.stderr)
    if "--json" in argv:
        document = {"error": {"type": type(error).__name__, "message": str(error)}}
        print(json.dumps(document, ensure_ascii=False))
    return error.exit_code
