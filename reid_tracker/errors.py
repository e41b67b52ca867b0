"""Errors of the package, one small tree.

    ReidTrackerError                 whatever this package raises on purpose
    ├── ConfigError                  a setting or an argument is wrong: fix the call        (exit code 2)
    ├── InputError (ValueError)      data handed to the package cannot be used
    │   └── SourceError              a video, folder or camera cannot be read
    ├── ModelError                   a model file is missing, damaged or of the wrong kind
    └── OutputError                  results cannot be written
        └── StoreError               the database of identities cannot be reached or used

A message names the culprit (file, camera, frame, key), what was expected, what came, and what to do.
"""


class ReidTrackerError(Exception):
    """Whatever this package raises on purpose; ``except ReidTrackerError`` catches all of it."""


class ConfigError(ReidTrackerError):
    """A setting or an argument is wrong; nothing was started."""


class InputError(ReidTrackerError, ValueError):
    """Data handed to the package cannot be used."""


class SourceError(InputError):
    """A video, an image folder or a camera cannot be read."""


class ModelError(ReidTrackerError):
    """A model file is missing, damaged, of the wrong kind, or gives what no model should (NaN)."""


class OutputError(ReidTrackerError):
    """Results cannot be written."""


class StoreError(OutputError):
    """The database of identities cannot be reached or used."""
