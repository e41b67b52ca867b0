#!/usr/bin/env bash
# Install torch for the tests of training, where that is cheap:
#
#     tools/torch_if_cheap.sh FOLDER auto|yes|no VERSION
#
# auto: a torch that is there already is kept; otherwise the package index is asked what VERSION would bring, and it
# is installed unless that is a CUDA build (more than 2.6 GB). Without torch those tests are skipped, and say so.
set -euo pipefail

python=$1/bin/python
wish=$2
version=$3

if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'; then
    exit 0
fi

would_bring_cuda() {
    local report
    report=$(mktemp)
    trap 'rm -f "$report"' RETURN
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --dry-run --no-deps --ignore-installed \
        --report "$report" "torch==$version" >/dev/null 2>&1 || return 0
    "$python" - "$report" <<'PYTHON'
import json
import sys

needed = json.load(open(sys.argv[1], encoding="utf-8"))["install"][0]["metadata"].get("requires_dist", [])
sys.exit(not any(line.lower().startswith(("nvidia-", "cuda-", "triton")) for line in needed))
PYTHON
}

case $wish in
no) reason="TORCH=no" ;;
yes) reason="" ;;
*) if would_bring_cuda; then
    reason="the package index has no CPU build of torch $version; TORCH=yes installs what it has"
else
    reason=""
fi ;;
esac

if [ -n "$reason" ]; then
    echo "Tests of training will be skipped, for want of torch: $reason"
    exit 0
fi
echo "Installing torch $version for the tests of training ..."
"$python" -m pip install --quiet --disable-pip-version-check --no-input "torch==$version"
