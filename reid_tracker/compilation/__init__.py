"""Building engines of the networks that a run names, and judging them by what they say of real people.

Stands on top of ``runtime``, which knows no people, and of the parts that do.
"""

from reid_tracker.compilation.build import EngineOptions, build_engines, prepare_engines
from reid_tracker.compilation.parity import Parity, compare
from reid_tracker.compilation.switching import live_embedder

__all__ = ["EngineOptions", "Parity", "build_engines", "compare", "live_embedder", "prepare_engines"]
