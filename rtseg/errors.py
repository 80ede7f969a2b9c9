"""Every error rtseg raises on purpose.

    RtsegError                    exit code 1
    ├── InputError                exit code 2: the input cannot be used; nothing was written
    │   ├── SourceError           a video, image or folder that cannot be opened
    │   ├── ModelError            a model file or name that cannot be used
    │   ├── OutputError           an output path that cannot or must not be written
    │   └── RecipeError           a recipe, a data set or a command-line value
    ├── DecodeError               a source that broke while it was read
    ├── IncompleteRecordingError  a file cut off before its index was written
    ├── EngineError               an inference engine that failed or cannot run here
    ├── SinkError                 an output that broke while it was written (disk full, …)
    └── TrainingError             a training run that cannot go on (NaN loss, out of memory)

Messages say what was got, what was expected and what to do. Errors of other libraries are
translated once, where the library is called, with `raise … from exc`.
"""

from __future__ import annotations


class RtsegError(Exception):
    """Base of all errors; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(RtsegError):
    """The input cannot be used; nothing was written or overwritten."""

    exit_code = 2


class SourceError(InputError):
    """A source cannot be opened: missing, empty, not a video, no images, too large."""


class ModelError(InputError):
    """A model is unknown, damaged, or its contract and its graph disagree."""


class OutputError(InputError):
    """An output path cannot be written, exists already, or is the input itself."""


class RecipeError(InputError):
    """A training recipe, a data set or an option has a value that cannot be used."""


class DecodeError(RtsegError):
    """A source broke while it was being read."""


class IncompleteRecordingError(RtsegError):
    """A recording was cut off before its index was written; no frame can be decoded."""


class EngineError(RtsegError):
    """An inference engine failed, or cannot run on this machine."""


class SinkError(RtsegError):
    """An output broke while it was being written; the playable part is kept."""


class TrainingError(RtsegError):
    """A training run cannot go on."""
