#!/usr/bin/env bash
# Set-up of the checkout: virtual environment, packages by constraints.txt, byte code, fonts, sound.
# Safe to run again; with nothing to do it ends at once and touches no network.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
READY="$VENV/wenfang-ready"
FONTS="$VENV/wenfang-fonts"
SOUND="$VENV/wenfang-sound"
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf 'setup: %s\n' "$*"; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
install_system() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1 ||
    { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends "$@" >/dev/null; }
}

need_python() {
  command -v "$PYTHON" >/dev/null ||
    stop "$PYTHON is not there; install Python 3.11 or newer (Debian: apt-get install python3)"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "$("$PYTHON" --version) is too old; give Python 3.11 or newer: PYTHON=python3.11 make setup"
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null && return
  if can_install; then
    say "installing the system package python3-venv"
    install_system python3-venv || true
  fi
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "Python's venv is missing; run: apt-get install python3-venv"
}

# What the environment was made from: an equal key means that nothing is to be installed.
key() {
  { pwd; "$PYTHON" --version; cat pyproject.toml constraints.txt tools/setup.sh; } | sha256sum
}

make_environment() {
  if [ -e "$VENV" ] && ! "$VENV/bin/pip" --version >/dev/null 2>&1; then
    say "$VENV was made elsewhere or is broken; making it anew"
    rm -rf "$VENV"
  fi
  [ -e "$VENV" ] || { say "making $VENV"; "$PYTHON" -m venv "$VENV"; }
}

# First what builds this package, so that nothing is fetched for it later, then the rest.
install_packages() {
  local version
  version=$(sed -n 's/^torch==//p' constraints.txt)
  if ! "$VENV/bin/python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
    say "installing torch $version and the other packages of constraints.txt."
    say "Which build of torch comes is decided by pip's configuration. To download: about 190 MB"
    say "for the CPU build (750 MB on the disk), or 527 MB and its CUDA companions, some 3 GB in all;"
    say "about 320 MB for everything else."
  fi
  local progress=(-qq)
  [ ! -t 1 ] || progress=()
  "$VENV/bin/pip" install "${progress[@]}" -c constraints.txt hatchling editables
  "$VENV/bin/pip" install "${progress[@]}" -c constraints.txt --no-build-isolation -e '.[dev]'
}

warn_of_cuda() {
  local cuda
  cuda=$("$VENV/bin/python" -c 'import importlib.util as u, pathlib, runpy
torch = pathlib.Path(u.find_spec("torch").origin).parent
print(runpy.run_path(str(torch / "version.py"))["cuda"] or "")')
  [ -z "$cuda" ] || say "warning: pip installed the CUDA $cuda build of torch. It works, and is" \
    "several GB larger than the CPU build; README.md says how to get that one."
}

# Switched-off byte code (PYTHONDONTWRITEBYTECODE) would make every start slow.
compile_all() {
  "$VENV/bin/python" -m compileall -q -j 0 "$@" >/dev/null || true
}

fonts_missing() {
  "$VENV/bin/python" - <<'PY'
from wenfang.errors import DependencyError
from wenfang.media.fonts import PACKAGES, installed

missing = []
for package, style in zip(PACKAGES, ("kai", "serif"), strict=True):
    try:
        found = any(face.style == style and face.chinese for _, face in installed(style))
    except DependencyError:
        found = False
    if not found:
        missing.append(package)
print(" ".join(missing))
PY
}

need_fonts() {
  local missing
  missing=$(fonts_missing)
  if [ -n "$missing" ] && can_install; then
    say "installing the fonts $missing (8 MB and 57 MB to download)"
    # shellcheck disable=SC2086
    install_system $missing || true
    missing=$(fonts_missing)
  fi
  if [ -n "$missing" ]; then
    say "fonts are missing; cards need them. Run: apt-get install $missing"
    say "or name a folder of Chinese fonts in WENFANG_FONTS"
  else
    touch "$FONTS"
  fi
}

# Instruments and a voice; pieces without sound need neither.
sound_missing() {
  "$VENV/bin/python" - <<'PY'
import ctypes

from wenfang.errors import WenfangError
from wenfang.media.soundfont import PACKAGE, find_soundfont

missing = []
try:
    find_soundfont()
except WenfangError:
    missing.append(PACKAGE)
for package, library in (
    ("libfluidsynth3", "libfluidsynth.so.3"),
    ("libespeak-ng1", "libespeak-ng.so.1"),
):
    try:
        ctypes.CDLL(library)
    except OSError:
        missing.append(package)
print(" ".join(missing))
PY
}

need_sound() {
  local missing
  missing=$(sound_missing)
  if [ -n "$missing" ] && can_install; then
    say "installing for music and speech: $missing (up to 130 MB to download)"
    # shellcheck disable=SC2086
    install_system $missing || true
    missing=$(sound_missing)
  fi
  if [ -n "$missing" ]; then
    say "music and speech need more. Run: apt-get install $missing"
    say "or name a .sf2 file in WENFANG_SOUNDFONT for the first of them"
  else
    touch "$SOUND"
  fi
}

[ -x "$VENV/bin/python" ] || need_python
if [ "$(cat "$READY" 2>/dev/null)" != "$(key)" ]; then
  need_python
  make_environment
  install_packages
  say "compiling byte code"
  compile_all "$VENV"/lib/python*/site-packages
  warn_of_cuda
  key >"$READY"
  say "done: $VENV/bin/wenfang"
fi
compile_all src
[ -e "$FONTS" ] || need_fonts
[ -e "$SOUND" ] || need_sound
