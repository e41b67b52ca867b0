"""Describing people: crops, what a network says of them, and how far that can be trusted."""

from reid_tracker.embedding.crops import crop_people
from reid_tracker.embedding.embedder import NetworkEmbedder, open_embedder

__all__ = ["NetworkEmbedder", "crop_people", "open_embedder"]
