"""Hashes of values and of files."""

from __future__ import annotations

from pathlib import Path

from synctalk.runtime.fingerprints import content_key, fingerprint


def test_fingerprints_see_content_and_not_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint("a", "b") != fingerprint("ab")
    assert len(fingerprint()) == 16


def test_the_key_of_inputs_follows_their_bytes_and_not_their_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.parquet").write_bytes(b"rows")
    (tmp_path / "file").write_bytes(b"x")
    key = content_key(tmp_path / "one", tmp_path / "file", None)
    assert key == content_key(tmp_path / "two", tmp_path / "file", None)
    (tmp_path / "two" / "index.parquet").write_bytes(b"rowz")
    assert content_key(tmp_path / "two", tmp_path / "file", None)[0] != key[0]
    assert key[1] != key[0]
    assert key[2] == ""
