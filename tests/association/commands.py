"""The commands over a finished run, as the program has them."""

from __future__ import annotations

import typer
from typer.testing import CliRunner, Result

from reid_tracker.cli_association import register

_app = typer.Typer()
register(_app)


def reid_tracker(*arguments: object) -> Result:
    """Run a command; errors that the program would put into one line are raised."""
    return CliRunner().invoke(_app, [str(argument) for argument in arguments], catch_exceptions=False)
