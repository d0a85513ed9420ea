"""Weights on disk: the peers' own files and our safetensors. Nothing that a file holds is ever run."""

from synctalk.checkpoints.load import load, save
from synctalk.checkpoints.tokenizer import PeerTokenizer, read_tokenizer

__all__ = ["PeerTokenizer", "load", "read_tokenizer", "save"]
