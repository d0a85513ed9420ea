"""Which utterances a corpus has: splits, speakers, recordings and ids, before anything is spoken or painted."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from synctalk.corpora import grid, lrs3
from synctalk.corpora.records import SPLITS
from synctalk.corpora.synthetic.recipe import Range, SyntheticCorpus
from synctalk.corpora.synthetic.scene import BACKGROUNDS
from synctalk.corpora.synthetic.seeds import digest
from synctalk.corpora.synthetic.speech import FASTEST, SLOWEST, require_voice
from synctalk.errors import UserError

SPLITS_OF_LAYOUT = {
    "lrs2": ("pretrain", "train", "val", "test"),
    "lrs3": ("pretrain", "train", "val", "test"),
    "voxceleb2": ("pretrain", "test"),
    "grid": ("train", "val", "test"),
    "folder": ("pretrain", "train", "val", "test"),
}
CLIPS_PER_RECORDING = 99_999
"""Clip names have five digits."""
GRID_SPEAKERS = tuple(f"s{number}" for number in range(1, 35) if number != 21)
"""GRID has no videos of s21."""
GRID_SENTENCES = 1_000
"""Of a speaker; here of a recording."""
GRID_NAME = ("blps", "bgrw", "abiw", "abcdefghijklmnopqrstuvxyz", "z123456789", "anps")
"""Letters that a sentence's name is made of: those of its verb, colour, preposition, letter, digit and adverb."""
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


@dataclass(frozen=True)
class PlannedRecording:
    """A recording and its utterances.

    Attributes:
        split: one of `SPLITS`.
        speaker: number in the corpus, over all splits.
        take: number among the speaker's recordings.
        folder: path inside the corpus that holds its clips ("main/5535415699068794046").
        n_utterances: clips "00001", "00002", ..., in a look-alike of GRID "bbaaza", "bbaazn", ...
        layout: of the corpus.
    """

    split: str
    speaker: int
    take: int
    folder: str
    n_utterances: int
    layout: str

    def clip_id(self, number: int) -> str:
        """Id of utterance `number`, counted from 0."""
        if self.layout == "grid":
            return f"{self.folder}/{grid_name(self.take * GRID_SENTENCES + number)}"
        return f"{self.folder}/{number + 1:05d}"


def grid_name(number: int) -> str:
    """The name of a sentence, in GRID's letters: "bbaaza", "bbaazn", ... The sentence itself is another one."""
    name = ""
    for letters in reversed(GRID_NAME):
        number, digit = divmod(number, len(letters))
        name = letters[digit] + name
    return name


def _youtube_id(*names: str | int) -> str:
    return base64.urlsafe_b64encode(digest(*names)).decode()[:11]


def _grid_speakers(split: str) -> list[str]:
    return [speaker for speaker in GRID_SPEAKERS if grid.split_of(speaker) == split]


def _folder(recipe: SyntheticCorpus, split: str, speaker: int, take: int) -> str:
    names = (recipe.seed, recipe.layout, "folder", speaker, take)
    if recipe.layout == "lrs2":
        number = 10**18 + int.from_bytes(digest(*names)[:8], "big") % (9 * 10**18)
        return f"{'pretrain' if split == 'pretrain' else 'main'}/{number}"
    if recipe.layout == "folder":
        return f"speaker{speaker + 1:02d}/take{take + 1}"
    if recipe.layout == "grid":
        first = sum(recipe.speakers.of(other) for other in SPLITS[: SPLITS.index(split)])
        return f"{_grid_speakers(split)[speaker - first]}/video/mpg_6000"
    if recipe.layout == "voxceleb2":
        return f"{'dev' if split == 'pretrain' else 'test'}/mp4/id{speaker + 1:05d}/{_youtube_id(*names)}"
    # LRS3 has no validation list: the reader picks by name, so validation speakers get names that it picks
    attempt = 0
    while split in ("train", "val") and lrs3.is_validation(_youtube_id(*names, attempt)) != (split == "val"):
        attempt += 1
    return f"{ {'train': 'trainval', 'val': 'trainval'}.get(split, split) }/{_youtube_id(*names, attempt)}"


def check_recipe(recipe: SyntheticCorpus) -> None:
    """Check what types alone do not say.

    Raises:
        UserError: a split that the layout lacks, utterances without speakers, an odd size, a range upside down, an
            unknown voice, place or preset.
    """
    where = f"synthetic {recipe.layout}"
    for split in SPLITS:
        n_utterances, n_speakers = recipe.utterances.of(split), recipe.speakers.of(split)
        if n_utterances < 0 or n_speakers < 0:
            raise UserError(where, f"has negative counts for {split}", "set them to 0 or more")
        if n_utterances and split not in SPLITS_OF_LAYOUT[recipe.layout]:
            raise UserError(where, f"has no split {split}", f"set utterances.{split} to 0")
        if n_utterances and not n_speakers:
            raise UserError(where, f"has utterances but no speakers in {split}", f"set speakers.{split}")
        if recipe.layout == "grid" and n_speakers > len(_grid_speakers(split)):
            n_there = len(_grid_speakers(split))
            raise UserError(where, f"has {n_there} speakers in {split}", f"set speakers.{split} to {n_there} or less")
        most = GRID_SENTENCES if recipe.layout == "grid" else CLIPS_PER_RECORDING
        if n_utterances > most * n_speakers * max(1, recipe.recordings_per_speaker):
            raise UserError(where, f"has too many utterances a speaker in {split}", f"raise speakers.{split}")
    if recipe.pretrain_sentences < 1:
        raise UserError(where, "has pretrain_sentences below 1", "set it to 1 or more")
    if recipe.recordings_per_speaker < 1:
        raise UserError(where, "has recordings_per_speaker below 1", "set it to 1 or more")
    if recipe.size < 64 or recipe.size % 4:
        raise UserError(where, f"has the size {recipe.size}", "take a multiple of 4, 64 or more")
    for name, value in vars(recipe).items():
        if isinstance(value, Range) and not value.low <= value.high:
            raise UserError(where, f"has {name} from {value.low} to {value.high}", "set low below high")
    if not SLOWEST <= recipe.words_per_minute.low <= recipe.words_per_minute.high <= FASTEST:
        raise UserError(where, "has words_per_minute that espeak-ng cannot speak", f"stay in {SLOWEST} to {FASTEST}")
    if recipe.preset not in PRESETS or not 0 <= recipe.crf <= 51:
        mend = f"take a preset of {', '.join(PRESETS)} and a crf of 0 to 51"
        raise UserError(where, f"has the preset {recipe.preset!r} and crf {recipe.crf}", mend)
    if not recipe.voices or not recipe.accents or not recipe.backgrounds:
        raise UserError(where, "has an empty list of voices, accents or backgrounds", "name one at least")
    if unknown := sorted(set(recipe.backgrounds) - set(BACKGROUNDS)):
        raise UserError(where, f"has the background {unknown[0]!r}", f"take one of {', '.join(BACKGROUNDS)}")
    for accent in recipe.accents:
        for voice in recipe.voices:
            require_voice(f"{accent}+{voice}")


def plan(recipe: SyntheticCorpus) -> list[PlannedRecording]:
    """All recordings of a corpus; utterances are dealt out evenly. A pure function of the recipe.

    Raises:
        UserError: as `check_recipe`.
    """
    check_recipe(recipe)
    recordings: list[PlannedRecording] = []
    first_speaker = 0
    for split in SPLITS:
        n_speakers, n_utterances = recipe.speakers.of(split), recipe.utterances.of(split)
        n_folders = n_speakers * recipe.recordings_per_speaker
        for k in range(n_folders):
            speaker, take = first_speaker + k % n_speakers, k // n_speakers
            share = n_utterances // n_folders + (k < n_utterances % n_folders)
            if share:
                folder = _folder(recipe, split, speaker, take)
                recordings.append(PlannedRecording(split, speaker, take, folder, share, recipe.layout))
        first_speaker += n_speakers
    return recordings
