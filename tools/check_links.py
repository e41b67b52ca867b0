"""Check that relative links in the project's Markdown files lead to something: ``python tools/check_links.py``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|<img[^>]+src=\"([^\"]+)\"")


def broken_links(document: Path) -> list[str]:
    """Targets of relative links in ``document`` that do not exist."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [first or second for first, second in LINK.findall(text)]
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    return [target for target in local if not (document.parent / target).exists()]


def documents() -> list[Path]:
    """The Markdown files that belong to the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return [REPOSITORY / line for line in listed.stdout.splitlines() if (REPOSITORY / line).exists()]


def main() -> int:
    """Print each broken link; 1 where there is one."""
    broken = [(document, target) for document in documents() for target in broken_links(document)]
    for document, target in broken:
        sys.stderr.write(f"{document.relative_to(REPOSITORY)}: {target} does not exist\n")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
