"""What was measured: which model, in which engine, and what its file says of its training."""

from __future__ import annotations

from dataclasses import dataclass

from rtseg.classes import LabelSet

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as it was measured.

    file: as people find it again; name, network: of the model and its architecture.
    engine, version, precision, device: what computed it. input_size: (width, height) of the
    network's input, None if each image went in at its own size.
    trained_on: data sets with their splits, such as "CamVid train"; empty if the file does not say.
    pretraining: None if the file does not say. training: the file's own sentence.
    """

    file: str
    name: str
    network: str
    classes: LabelSet
    engine: str
    version: str
    precision: str
    device: str
    input_size: tuple[int, int] | None
    trained_on: tuple[str, ...] = ()
    pretraining: str | None = None
    training: str = NOT_STATED

    def saw(self, data: str, split: str) -> bool | None:
        """Whether a split of a data set, or images of the same sequences, was trained on; None if
        the file does not say. Parts of splits are written as data sets have them: train:a+b::2."""
        if not self.trained_on:
            return None
        return any(_overlap(part, f"{data} {split}") for part in self.trained_on)

    def engine_line(self) -> str:
        """ "openvino 2026.1 f32 on CPU" """
        engine = " ".join(filter(None, (self.engine, self.version, self.precision)))
        return f"{engine} on {self.device}"

    def input_line(self) -> str:
        """ "480x360", or that it is the image's own size."""
        return "x".join(map(str, self.input_size)) if self.input_size else "each image's own size"


def _overlap(a: str, b: str) -> bool:
    """Whether two parts share images or neighbours of them: every n-th image counts as all."""
    (first, one), (second, two) = _parsed(a), _parsed(b)
    return first == second and (not one or not two or bool(one & two))


def _parsed(part: str) -> tuple[str, set[str]]:
    """ "CamVid train:a+b::2" → ("camvid train", {"a", "b"}); an empty set for all sequences."""
    whole, _, sequences = part.partition("::")[0].partition(":")
    return whole.lower(), set(filter(None, sequences.split("+")))
