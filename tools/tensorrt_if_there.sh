#!/usr/bin/env bash
# Install TensorRT for RTX for the tests that build engines, which it does without a GPU:
#
#     tools/tensorrt_if_there.sh FOLDER auto|no VERSION
#
# auto: what is there already is kept; otherwise it is installed (95 MB to fetch) where the package index has it for
# this system. Without it those tests are skipped, and say so.
set -euo pipefail

python=$1/bin/python
wish=$2
version=$3

if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("tensorrt_rtx") is None)'; then
    exit 0
fi
if [ "$wish" = no ]; then
    echo "Tests that build engines will be skipped: TENSORRT_RTX=no"
    exit 0
fi
echo "Installing TensorRT for RTX $version for the tests that build engines ..."
if ! "$python" -m pip install --quiet --disable-pip-version-check --no-input "tensorrt-rtx-cu13==$version" >/dev/null 2>&1
then
    echo "Tests that build engines will be skipped: tensorrt-rtx-cu13 $version is not to be had for this system"
fi
