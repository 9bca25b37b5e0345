"""One class, one exit code, one HTTP status."""

from __future__ import annotations

import http
import pickle

import pytest

from wenfang import errors
from wenfang.errors import DataError, UsageError, WenfangError

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, WenfangError)
]


def test_exit_codes_are_unique_and_leave_the_verdicts_to_verify() -> None:
    codes = [cls.exit_code for cls in CLASSES]
    assert len(CLASSES) > 10
    assert len(set(codes)) == len(codes)
    assert all(10 <= code <= 255 for code in codes)
    assert UsageError.exit_code == 64


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_its_own_exit_code_and_a_status_of_failure(cls: type[WenfangError]) -> None:
    assert cls is WenfangError or "exit_code" in vars(cls)
    assert cls is WenfangError or "http_status" in vars(cls)
    known = {status.value for status in http.HTTPStatus} | {499}
    assert cls.http_status in known
    assert 400 <= cls.http_status < 600


def test_an_error_fills_its_template_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WENFANG_LANG", raising=False)
    error = DataError("{path} is empty; give {what}", path="a{b}.txt", what="text")
    assert str(error) == "a{b}.txt is empty; give text"
    assert error.values == {"path": "a{b}.txt", "what": "text"}


def test_an_error_comes_back_whole_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(DataError("{path} is empty", path="a")))
    assert type(error) is DataError
    assert (error.template, error.values, str(error)) == (
        "{path} is empty",
        {"path": "a"},
        "a is empty",
    )
