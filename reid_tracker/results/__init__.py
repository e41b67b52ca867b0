"""What a run leaves: sinks that write as frames come, readers for what they wrote, and exporters to other formats.

The files and their fields are described in docs/output-format.md.
"""

from reid_tracker.results.exporters import export as export
from reid_tracker.results.facts import CameraFacts as CameraFacts
from reid_tracker.results.facts import ModelFacts as ModelFacts
from reid_tracker.results.facts import RunFacts as RunFacts
from reid_tracker.results.facts import read_run as read_run
from reid_tracker.results.identities import IdentitySummary as IdentitySummary
from reid_tracker.results.jsonl import JsonLinesSink as JsonLinesSink
from reid_tracker.results.jsonl import final_ids as final_ids
from reid_tracker.results.jsonl import read_tracks as read_tracks
from reid_tracker.results.jsonl import tracks_file as tracks_file
from reid_tracker.results.looks import LooksSink as LooksSink
from reid_tracker.results.looks import TrackletLooks as TrackletLooks
from reid_tracker.results.looks import read_looks as read_looks
from reid_tracker.results.replay import final_identities as final_identities
from reid_tracker.results.run_folder import RunFolder as RunFolder
