"""What a mosaic is: how large, with which header; and that what is none is refused in words."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synctalk.shards.mosaic import COLUMNS, MAX_SIDE, decode_frames, decode_mosaic, encode_mosaic


def mosaic(n_frames: int, side: int = 8) -> bytes:
    rng = np.random.default_rng(n_frames)
    return encode_mosaic(rng.integers(0, 256, (n_frames, side, side), np.uint8), 90)


def jpeg(height: int, width: int, *options: int) -> bytes:
    return cv2.imencode(".jpg", np.zeros((height, width), np.uint8), options)[1].tobytes()


def test_as_many_frames_come_at_once_as_one_jpeg_is_high() -> None:
    blob, most = mosaic(3), MAX_SIDE // 8
    numbers = [0, 1, 2] * (most // 3) + [2] * (most % 3)
    np.testing.assert_array_equal(decode_frames(blob, numbers), decode_mosaic(blob, 3)[numbers])
    with pytest.raises(ValueError, match=f"{most + 1} frames are asked for; 1 to {most} fit"):
        decode_frames(blob, [*numbers, 0])


def test_a_clip_that_is_higher_than_a_jpeg_is_refused() -> None:
    most = MAX_SIDE // 8 * COLUMNS
    assert decode_mosaic(encode_mosaic(np.zeros((most, 8, 8), np.uint8), 90), most).shape == (most, 8, 8)
    with pytest.raises(ValueError, match=r"could not encode a mosaic of \(65504, 128\)"):
        encode_mosaic(np.zeros((most + 1, 8, 8), np.uint8), 90)


def test_one_frame_that_is_not_there_is_refused_beside_others_that_are() -> None:
    blob = mosaic(17)
    assert decode_frames(blob, [31, 0]).shape == (2, 8, 8)  # the last row is filled up
    with pytest.raises(ValueError, match="at most 32 frames, 33 are asked for"):
        decode_frames(blob, [32, 0])
    with pytest.raises(ValueError, match="frame -1 is asked for"):
        decode_frames(blob, [3, -1])
    with pytest.raises(ValueError, match="at most 32 frames, 33 are asked for"):
        decode_mosaic(blob, 33)


@pytest.mark.parametrize(("height", "width"), [(20, 256), (16, 15), (8, 256)])
def test_a_picture_of_another_shape_is_no_mosaic(height: int, width: int) -> None:
    for decode in (lambda blob: decode_mosaic(blob, 1), lambda blob: decode_frames(blob, [0])):
        with pytest.raises(ValueError, match=f"{width} x {height} pixels is no mosaic of 16 columns"):
            decode(jpeg(height, width))


def test_a_header_that_breaks_off_anywhere_is_no_jpeg() -> None:
    blob = mosaic(1)
    begin = blob.index(b"\xff\xda")
    for length in range(begin + 4):
        with pytest.raises(ValueError, match="no JPEG"):
            decode_mosaic(blob[:length], 1)


def test_coded_pictures_that_the_decoder_does_not_know_are_no_jpeg() -> None:
    blob = bytearray(mosaic(1))
    blob[blob.index(b"\xff\xc0") + 4] = 99  # bits of a sample
    with pytest.raises(ValueError, match="no JPEG"):
        decode_mosaic(bytes(blob), 1)


def test_a_progressive_jpeg_is_refused() -> None:
    progressive = jpeg(8, 128, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert b"\xff\xc2" in progressive
    with pytest.raises(ValueError, match="no JPEG"):
        decode_mosaic(progressive, 1)


def test_other_restart_intervals_are_refused() -> None:
    blob = bytearray(mosaic(16))
    at = blob.index(b"\xff\xdd") + 4
    assert int.from_bytes(blob[at : at + 2], "big") == 1
    for interval in (0, 2, 257):
        blob[at : at + 2] = interval.to_bytes(2, "big")
        with pytest.raises(ValueError, match="restart marker"):
            decode_frames(bytes(blob), [0])
    with pytest.raises(ValueError, match="restart marker"):
        decode_frames(jpeg(8, 128), [0])


def test_long_segments_before_the_picture_are_passed_over() -> None:
    blob = mosaic(5)
    comment = b"\xff\xfe" + (2 + 700).to_bytes(2, "big") + b"\xff\xc0\0\x11" * 175
    commented = blob[:2] + comment + blob[2:]
    np.testing.assert_array_equal(decode_mosaic(commented, 5), decode_mosaic(blob, 5))
    np.testing.assert_array_equal(decode_frames(commented, [4, 1]), decode_mosaic(blob, 5)[[4, 1]])
