"""The command line: it prints what the engine's verbs answer, and holds no logic."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from wenfang.errors import UsageError, WenfangError
from wenfang.language import t

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `wenfang`; every failure is one line on standard error and its own exit code."""
    from typer import exceptions

    from wenfang.cli.app import app
    from wenfang.cli.help import restated

    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=argv, prog_name="wenfang", standalone_mode=False)
    except exceptions.TyperException as error:
        reason = restated(_reason(error))
        code = _fail(UsageError("{reason}; see wenfang --help", reason=reason), argv)
    except exceptions.Abort:
        code = INTERRUPTED
    except WenfangError as error:
        code = _fail(error, argv)
    except KeyboardInterrupt:
        print("wenfang: " + t("stopped; what was finished is kept"), file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left; say nothing into its closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


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
