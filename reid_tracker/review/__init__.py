"""What is done to a finished run: corrected by people who know better, learned from, and solved once more.

Everything here reads the folder of a run and never a picture. What is decided becomes events in ``revisions.jsonl``,
and the files that hold final ids are written anew.
"""
