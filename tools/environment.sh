#!/usr/bin/env bash
# Make a virtual environment and install this checkout into it, in place:
#
#     tools/environment.sh FOLDER [EXTRA]
#
# Takes the first Python of 3.11 or newer among $PYTHON, python3, python3.13, python3.12, python3.11. Where the
# system lacks something, says which package brings it.
set -euo pipefail

venv=$1
extra=${2:-}

fail() {
    printf '\n%s\n' "$@" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of 3.11 or newer."
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found." \
        "Debian 12 or newer, Ubuntu 24.04 or newer:  apt-get install python3 python3-venv" \
        "Or name one:  make PYTHON=/path/to/python3 ..."
}

if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python)
    echo "Making $venv with $("$python" --version) ..."
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        fail "Python's venv module is incomplete." "Debian, Ubuntu:  apt-get install python3-venv"
    fi
fi

echo "Installing reid_tracker${extra:+[$extra]} into $venv (a minute or two the first time) ..."
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --editable ".${extra:+[$extra]}"

if ! why=$("$venv/bin/python" -c 'import cv2' 2>&1); then
    case $why in
    *libGL* | *libgthread* | *libglib*)
        fail "OpenCV needs a system library that is missing: ${why##*ImportError: }" \
            "Debian, Ubuntu:  apt-get install libgl1 libglib2.0-0" ;;
    *) fail "OpenCV cannot be imported:" "$why" ;;
    esac
fi
