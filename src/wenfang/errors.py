"""The error tree. One class is one exit code and one HTTP status.

An error's message says what was wrong, where, and what to do. It is written as an English
template with named fields, so that it can be shown in the reader's language:
`DataError("{path} is empty; give a file that holds text", path=path)`.
Exit codes 0-3 belong to the verdicts of `wenfang verify`; errors begin at 10.
"""

from __future__ import annotations

from typing import Any

from wenfang.language import t


class WenfangError(Exception):
    """Root of every error that a user can cause or must know of."""

    exit_code = 10
    http_status = 500

    def __init__(self, template: str, /, **values: object) -> None:
        super().__init__(template, values)
        self.template = template
        self.values = values

    def __str__(self) -> str:
        return t(self.template, **self.values)

    def __reduce__(self) -> tuple[Any, ...]:
        # An error must come back whole from a worker process.
        return _rebuild, (type(self), self.template, self.values)


def _rebuild(cls: type[WenfangError], template: str, values: dict[str, object]) -> WenfangError:
    return cls(template, **values)


class BriefError(WenfangError):
    """A brief that is missing, malformed, or asks for what its scenario does not know."""

    exit_code, http_status = 11, 422


class ConfigError(WenfangError):
    """A setting or recipe field that is unknown or of the wrong type or range."""

    exit_code, http_status = 12, 422


class DataError(WenfangError):
    """Material that cannot be read, or is not what it claims to be."""

    exit_code, http_status = 13, 422


class MediaError(WenfangError):
    """A media file that is broken, too large, or of a kind that nothing here handles."""

    exit_code, http_status = 14, 415


class BundleError(WenfangError):
    """A bundle that is damaged, unsafe to load, or does not fit what is asked of it."""

    exit_code, http_status = 15, 422


class NotFoundError(WenfangError):
    """A name (model, scenario, recipe, asset) that nothing here answers to."""

    exit_code, http_status = 16, 404


class StoreError(WenfangError):
    """A store whose contents are damaged or missing."""

    exit_code, http_status = 17, 500


class DiskError(WenfangError):
    """A disk that is full, read-only, or forbidden to this user."""

    exit_code, http_status = 18, 507


class BusyError(WenfangError):
    """A run, store or folder that another process holds."""

    exit_code, http_status = 19, 409


class TrainingError(WenfangError):
    """Training that cannot go on: a non-finite loss, a state of another run."""

    exit_code, http_status = 20, 500


class CheckError(WenfangError):
    """A check that blocks: no draw within the budget passed it."""

    exit_code, http_status = 21, 422


class SealError(WenfangError):
    """A file that could not be labelled, signed and read back; nothing was published."""

    exit_code, http_status = 22, 500


class IdentityError(WenfangError):
    """A signing identity that is missing, damaged or readable by others."""

    exit_code, http_status = 23, 500


class DependencyError(WenfangError):
    """An optional library, font or program that is not installed; the message names it."""

    exit_code, http_status = 24, 501


class RightsError(WenfangError):
    """A use that the licence of the material or of the model forbids."""

    exit_code, http_status = 25, 403


class EndpointError(WenfangError):
    """An endpoint of somebody else's that gives no answer, or a broken one."""

    exit_code, http_status = 26, 502


class BudgetError(WenfangError):
    """A request that could cost more than its cap; it was not sent."""

    exit_code, http_status = 27, 402


class DatabaseError(WenfangError):
    """A database that cannot be reached, is locked, or holds what nobody expects."""

    exit_code, http_status = 28, 503


class JobError(WenfangError):
    """A job that cannot be moved as asked: it is done already, or somebody else has it."""

    exit_code, http_status = 29, 409


class UsageError(WenfangError):
    """A command line that asks for something impossible."""

    exit_code, http_status = 64, 400


class StoppedError(WenfangError):
    """The user stopped the work; what is finished is kept, and the message says how to go on."""

    exit_code, http_status = 130, 499
