#!/usr/bin/env bash
# Build the wheel, install it into an empty environment, and make a card with it elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

say() { printf 'wheel: %s\n' "$*"; }

"$checkout/.venv/bin/pip" wheel -qq --no-deps --no-build-isolation -w "$trial" "$checkout"
say "$(cd "$trial" && du -h ./*.whl)"
"$checkout/.venv/bin/python" -m venv "$trial/empty"
"$trial/empty/bin/pip" install -qq -c constraints.txt "$trial"/*.whl
cd "$trial"
export WENFANG_HOME="$trial/home"
unset PYTHONPATH
cp "$checkout/examples/spring-river.json" brief.json
say "wenfang create, from an installed wheel"
empty/bin/wenfang create brief.json -o piece
empty/bin/wenfang verify piece
