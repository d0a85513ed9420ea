"""The one door to media files: probing, decoding, resampling by time stamps, encoding, muxing."""

from synctalk.media.jpeg import dumped
from synctalk.media.probe import AudioStream, MediaInfo, VideoStream, probe
from synctalk.media.read import Video, iter_frames, read_audio, read_video, resample_index
from synctalk.media.write import write_audio, write_mpeg, write_video

__all__ = [
    "AudioStream",
    "MediaInfo",
    "Video",
    "VideoStream",
    "dumped",
    "iter_frames",
    "probe",
    "read_audio",
    "read_video",
    "resample_index",
    "write_audio",
    "write_mpeg",
    "write_video",
]
