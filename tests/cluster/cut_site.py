"""A program for the test of a cut network: starts a site on the cluster at an address, and says each second how it is.

python -m tests.cluster.cut_site ADDRESS CONFIG.toml
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reid_tracker.cluster.engine import connected
from reid_tracker.cluster.group import SiteAway
from reid_tracker.cluster.launch import ClusterSite
from reid_tracker.config import load_config
from tests.cluster.scenes import steady_pipeline
from tests.cluster.test_live import site_pipeline


def state(site: ClusterSite) -> dict[str, Any]:
    """What the site says of itself; nothing where it does not answer."""
    try:
        present, losses, groups = (site.ask(what) for what in ("present", "losses", "groups"))
    except SiteAway as error:
        return {"away": str(error)}
    return {
        "present": present,
        "losses": {camera: asdict(each) for camera, each in losses.items()},
        "groups": {name: [each.condition, each.restarts] for name, each in groups.items()},
    }


def main() -> None:
    """Run until the other end of standard input is closed."""
    config = load_config(Path(sys.argv[2]), environment={})
    with (
        connected(sys.argv[1], config.cluster) as ray,
        ClusterSite(ray, config, steady_pipeline, site_pipeline, serving=False) as site,
    ):
        while sys.stdin.readline():
            sys.stdout.write(json.dumps(state(site)) + "\n")
            sys.stdout.flush()
            time.sleep(0.2)


if __name__ == "__main__":
    main()
