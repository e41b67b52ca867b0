"""Where the command begins: Ctrl-C while the program is still being loaded ends it without a word."""

import sys


def main() -> None:
    """Entry point of ``reid-tracker`` and of ``python -m reid_tracker``."""
    try:
        from reid_tracker.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
