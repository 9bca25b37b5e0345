"""A program of this machine as a voice: `command:NAME`.

A brief may come from a stranger, and to name a program is to run it. So a brief can only name a
voice by the word under which the user wrote the program down, in `voices.json` of the home:

    {"piper": {"command": "piper --model zh.onnx --output_file {output}"}}

Nothing that a brief says becomes part of the command but its text (an argument of its own, or
standard input), a voice's plain name, and numbers. There is no shell, no key in its environment,
and an end to its time and to what it may write.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wenfang import config
from wenfang.backends.endpoint.settings import Voices, key_variables, read_settings
from wenfang.backends.endpoint.stream import broken, printable
from wenfang.backends.speech.endpoint import unusable
from wenfang.backends.speech.hearing import SOUND_BYTES_MAX, BrokeOff, sound_of
from wenfang.backends.speech.phrasing import Piece, pieces_of, spoken
from wenfang.backends.speech.speaker import SpeechOptions, Spoken
from wenfang.errors import (
    ConfigError,
    DependencyError,
    EndpointError,
    MediaError,
    NotFoundError,
)
from wenfang.language import t
from wenfang.media.audio import Sound
from wenfang.store import Manifest

PREFIX = "command:"
SETTINGS_FILE = "voices.json"
FIELDS = ("text", "output", "voice", "speed", "length_scale")
FIELD = re.compile(r"\{(" + "|".join(FIELDS) + r")\}")
VARIANT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
WATCH_S = 0.05
COMPLAINT_BYTES = 4096  # of standard error, from its end


@dataclass(frozen=True, kw_only=True)
class CommandSettings:
    """A program that speaks.

    command   its name or absolute path and its arguments, in one text or as a list
    seconds   longest that it may take for one phrase
    voices    what {voice} is, by what a brief calls it
    model     what it speaks with, for the lineage
    licence   SPDX expression of what it says
    """

    command: str | tuple[str, ...]
    seconds: float = 60.0
    voices: Voices = Voices()
    model: str = ""
    licence: str = "NOASSERTION"

    @property
    def arguments(self) -> tuple[str, ...]:
        """The program and its arguments; ConfigError for a quotation without an end."""
        if not isinstance(self.command, str):
            return self.command
        try:
            return tuple(shlex.split(self.command))
        except ValueError as reason:
            raise ConfigError(
                "the command {command} cannot be read ({reason}); correct it",
                command=self.command,
                reason=reason,
            ) from None

    def __post_init__(self) -> None:
        """Refuse what cannot be run, and what a brief's text could become a part of."""
        arguments = self.arguments
        program = arguments[0] if arguments else ""
        if not program or FIELD.search(program):
            raise ConfigError("a voice's command needs a program; write one in {file}",
                              file=SETTINGS_FILE)  # fmt: skip
        if os.path.basename(program) != program and not Path(program).expanduser().is_absolute():
            raise ConfigError(
                "{program} is relative to whatever folder one stands in; give its whole path",
                program=program,
            )
        if any("{text}" in one and one != "{text}" for one in arguments):
            raise ConfigError(
                "{field} must be an argument of its own, so that no text becomes part of another",
                field="{text}",
            )
        if not 0 < self.seconds <= 3600:
            raise ConfigError(
                "settings.{name} is {value}; it must be {low} to {high}",
                name="seconds",
                value=self.seconds,
                low=0,
                high=3600,
            )

    def uses(self, field: str) -> bool:
        """Whether {field} stands in an argument."""
        return any("{" + field + "}" in one for one in self.arguments)


def named_command(name: str, home: Path) -> CommandSettings:
    """What `voices.json` of the home says of a name.

    raises NotFoundError for a name that is not in it, ConfigError for a broken file, or one that
    anybody may write
    """
    path = home / SETTINGS_FILE
    content = _read(path) if path.is_file() else {}
    found = content.get(name)
    if found is None:
        raise NotFoundError(
            "there is no command {name}; only those that you wrote into {file} of "
            "WENFANG_HOME are run",
            name=printable(name, 60),
            file=SETTINGS_FILE,
        )
    if not isinstance(found, Mapping):
        raise ConfigError("{path}: {key} is not a JSON object; correct it", path=path, key=name)
    settings: CommandSettings = config.from_dict(CommandSettings, found, where=f"{path}: {name}")
    return settings


def _read(path: Path) -> Mapping[str, object]:
    if os.name == "posix" and path.stat().st_mode & 0o002:
        raise ConfigError(
            "{path} can be written by anybody, and what stands there is run; chmod o-w {path}",
            path=path,
        )
    return read_settings(path)


class CommandSpeaker:
    """The voices of one program.

    home  whose `voices.json` names it; its relative paths begin there
    """

    def __init__(self, name: str, home: Path) -> None:
        self._settings = named_command(name, home)
        self._home = home
        self.name = PREFIX + name
        self.made_from: tuple[Manifest, ...] = (
            Manifest(
                kind="bundle",
                name=self._settings.model or name,
                media_type="application/x-wenfang-command",
                licence=self._settings.licence,
                facts={"command": name, "model": self._settings.model},
            ),
        )

    def speak(self, text: str, options: SpeechOptions) -> Spoken:
        """The text, the program run once a phrase.

        raises BriefError for nothing to read, ConfigError for a voice that it has not,
        DependencyError for a program that is not there, EndpointError where it gives no good sound
        """
        pieces = pieces_of(text, options)
        voice = self._voice(options)
        program = self._program()
        paced = self._settings.uses("speed") or self._settings.uses("length_scale")
        try:
            sounds = (self._said(program, piece, voice, options.speed, paced) for piece in pieces)
            return spoken(pieces, sounds, options, paced=paced)
        except MediaError as reason:
            raise unusable(self.name, reason) from None

    def _voice(self, options: SpeechOptions) -> str:
        own = options.variant or str(getattr(self._settings.voices, options.voice))
        if self._settings.uses("voice"):
            if not own:
                raise ConfigError(
                    "{name} has no voice for {voice}; name one with variant, or in {place}",
                    name=self.name,
                    voice=options.voice,
                    place=f"{SETTINGS_FILE}: voices",
                )
        elif options.variant or options.voice != "woman":
            raise ConfigError(
                "{name} has one voice: its command has no {field}; leave voice and variant out",
                name=self.name,
                field="{voice}",
            )
        if options.variant and not VARIANT.fullmatch(options.variant):
            raise ConfigError("settings.variant is no name of a voice; correct it")
        return own

    def _program(self) -> str:
        wanted = str(Path(self._settings.arguments[0]).expanduser())
        found = shutil.which(wanted)
        if found is None:
            raise DependencyError(
                "{program}, which {name} runs, is not installed; install it, or correct {file}",
                program=wanted,
                name=self.name,
                file=SETTINGS_FILE,
            )
        return os.path.abspath(found)

    def _said(self, program: str, piece: Piece, voice: str, speed: float, paced: bool) -> Sound:
        said = piece.text
        # So that no text is taken for an option, or for the name of a file.
        text = said if said[0].isalnum() else f" {said}"
        with tempfile.TemporaryDirectory(prefix="wenfang-") as folder:
            values = {
                "text": text,
                "output": str(Path(folder) / "speech.wav"),
                "voice": voice,
                "speed": f"{speed:g}",
                "length_scale": f"{1 / speed:g}",
            }
            own = self._settings.arguments[1:]
            arguments = [FIELD.sub(lambda found: values[found[1]], one) for one in own]
            silent = self._settings.uses("text")
            data = self._run([program, *arguments], "" if silent else said + "\n", Path(folder))
        try:
            return sound_of(data, piece.longest_s(speed if paced else 1.0))
        except BrokeOff:
            raise broken(self.name, t("a sound that breaks off")) from None

    def _run(self, command: list[str], heard: str, folder: Path) -> bytes:
        """The sound file that a command made of what it hears on standard input."""
        paths = {name: folder / name for name in ("in", "out", "err")}
        paths["in"].write_text(heard, "utf-8")
        with (
            paths["in"].open("rb") as standard_input,
            paths["out"].open("wb") as standard_output,
            paths["err"].open("wb") as standard_error,
        ):
            try:
                process = subprocess.Popen(  # of the user's own settings, without a shell
                    command,
                    stdin=standard_input,
                    stdout=standard_output,
                    stderr=standard_error,
                    cwd=self._home,
                    env=self._environment(),
                    start_new_session=True,
                )
            except OSError as reason:
                raise DependencyError(
                    "{name} cannot be started ({reason}); correct {file}",
                    name=self.name,
                    reason=reason.strerror or type(reason).__name__,
                    file=SETTINGS_FILE,
                ) from None
            output = folder / "speech.wav" if self._settings.uses("output") else paths["out"]
            try:
                self._watch(process, [output, paths["out"], paths["err"]])
            finally:
                _end(process)
        if process.returncode:
            raise EndpointError(
                "{name} ended with {code}: {what}; run its command by hand to see why",
                name=self.name,
                code=process.returncode,
                what=_last_line(paths["err"]) or "-",
            )
        if not output.is_file() or not output.stat().st_size:
            raise EndpointError(
                "{name} wrote no sound: {what}; correct its command in {file}",
                name=self.name,
                what=_last_line(paths["err"]) or "-",
                file=SETTINGS_FILE,
            )
        return output.read_bytes()

    def _watch(self, process: subprocess.Popen[bytes], written: list[Path]) -> None:
        """Until it ends; EndpointError where it takes too long, or writes too much."""
        deadline = time.monotonic() + self._settings.seconds
        running = True
        while running:
            try:
                process.wait(WATCH_S)
                running = False
            except subprocess.TimeoutExpired:
                pass
            if any(path.is_file() and path.stat().st_size > SOUND_BYTES_MAX for path in written):
                raise broken(
                    self.name, t("an answer of more than {count} bytes", count=SOUND_BYTES_MAX)
                )
            if running and time.monotonic() > deadline:
                raise EndpointError(
                    "{name} was still speaking after {seconds} s; raise seconds in {file}, or "
                    "correct its command",
                    name=self.name,
                    seconds=f"{self._settings.seconds:g}",
                    file=SETTINGS_FILE,
                )

    def _environment(self) -> dict[str, str]:
        """This process's own without the keys of endpoints."""
        secret = key_variables(self._home)
        return {name: value for name, value in os.environ.items() if name not in secret}


def _end(process: subprocess.Popen[bytes]) -> None:
    """A program that still runs, and all that it started."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - COMPLAINT_BYTES))
        lines = stream.read().decode("utf-8", "replace").split("\n")
    return next((told for line in reversed(lines) if (told := printable(line))), "")
