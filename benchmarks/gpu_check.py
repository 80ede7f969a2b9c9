"""Runs the parts of a check one after another; what one cannot do does not stop the others.

What a machine lacks packages for is left out, by name; what breaks has failed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpu_document as documents

from rtseg.backends import available
from rtseg.errors import EngineError, SourceError
from rtseg.model import list_models

if TYPE_CHECKING:
    from rtseg.benchmark.roofline import Rates

FOLDER = Path(__file__).parent
NEEDS_RATES = ("engines", "kernels")


class Check:
    """Runs the parts that are asked for, and keeps what comes of them in a document."""

    def __init__(self, asked: argparse.Namespace, document: documents.Document, out: Path) -> None:
        self.asked, self.document, self.out = asked, document, out

    def run(self) -> None:
        """All parts in turn, with the device's state before and after."""
        document = self.document
        self._forget()
        document["before"] = document["before"] or self.part("readings", self._readings)
        if set(self.asked.only) & set(NEEDS_RATES):
            document["rates"] = {"matrix": None, "copy": None}
            self.part("rates", self._copy_rates)
            self.part("rates: matrix", self._matrix_rate)
        for name in self.asked.only:
            print(f"\n{name}", flush=True)
            self.part(name, getattr(self, f"_{name}"))
            document["after"] = self.part("readings", self._readings)
            self._save()

    def part(self, name: str, work: Callable[[], Any]) -> Any:
        """What `work` gives; None where it cannot run, and the document says why."""
        try:
            return work()
        except ModuleNotFoundError as exc:
            if _is_ours(exc.name or "rtseg"):
                self.failed(name, str(exc))
            else:
                self.left_out(name, f"{exc.name} is not installed")
        except Exception as exc:  # the other parts go on
            self.failed(name, f"{type(exc).__name__}: {(str(exc).splitlines() or [''])[0]}")
        return None

    def left_out(self, what: str, why: str) -> None:
        self._note("left_out", what, why)

    def failed(self, what: str, why: str) -> None:
        self._note("failed", what, why)

    def _note(self, kind: str, what: str, why: str) -> None:
        item = {"what": what, "why": why}
        if item not in self.document[kind]:
            self.document[kind].append(item)
            print(f"  {kind.replace('_', ' ')}: {what}: {why}", flush=True)

    def _forget(self) -> None:
        """Drop what an earlier run noted on the parts that are run now."""
        parts = ("rates", "readings", "document", *self.asked.only)
        for kind in ("left_out", "failed"):
            items = self.document[kind]
            items[:] = [i for i in items if not i["what"].startswith(parts)]

    def _save(self) -> None:
        from gpu_marks import marks

        self.document["marks"] = marks(self.document)
        for problem in documents.problems(self.document):
            self.failed("document", problem)
        documents.write(self.out, self.document)

    def _readings(self) -> dict[str, Any] | None:
        from rtseg.benchmark.nvidia import readings

        try:
            return readings(self.document["machine"]["pci"])
        except EngineError as exc:  # some containers come without
            self.left_out("readings", str(exc))
            return None

    def _copy_rates(self) -> None:
        from rtseg.benchmark.device_rates import copy_rates

        self.document["rates"].update(copy_rates())

    def _matrix_rate(self) -> None:
        from rtseg.benchmark.device_rates import matrix_rate

        why = available.torch_gpu_missing()
        if why:
            self.left_out("rates: matrix", f"no roofline: {why}")
        else:
            self.document["rates"]["matrix"] = matrix_rate()

    def _rates(self) -> Rates | None:
        from rtseg.benchmark.roofline import Rates

        found = self.document["rates"]
        if not found["matrix"] or not found["copy"]:
            return None
        return Rates(found["matrix"], found["copy"])

    def _rows(self, name: str, how: str | None, rows: Iterable[dict[str, Any]]) -> None:
        """Keep rows as they come, so that those before a failure stay; and those of the file that
        is added to, but for what is measured again."""
        earlier = (self.document[name] or {}).get("rows", ()) if self.asked.add else ()
        kept: list[dict[str, Any]] = [*earlier]
        rates = self.document["rates"] if name in NEEDS_RATES else None
        self.document[name] = {"how": " ".join((how or "").split()), "rates": rates, "rows": kept}
        for row in rows:
            documents.keep(name, kept, row)
            shown = documents.COLUMNS[name]
            print("  " + "  ".join(f"{k} {row[k]}" for k in shown if k in row), flush=True)

    def _tests(self) -> None:
        import gpu_tests

        found = gpu_tests.run()
        self.document["tests"] = found
        for case in found["not_passed"]:
            if case["outcome"] == "left out":
                self.left_out(f"tests: {case['test']}", case["why"])

    def _engines(self) -> None:
        import gpu_engines

        for name, why in gpu_engines.absent().items():
            self.left_out(f"engines: {name}", why)
        models = self.asked.models or [*list_models(), *gpu_engines.PEERS]
        if self.asked.compile != "all":
            which = f"--compile {self.asked.compile}, not all"
            self.left_out("engines: torch, compiled, of some networks", which)
        job = gpu_engines.Job(
            tuple(models), self.asked.sizes or gpu_engines.SIZES, self.asked.compile,
            self.asked.rounds, self._rates(),
        )  # fmt: skip
        rows = gpu_engines.measure(job, self.left_out, self.failed)
        self._rows("engines", gpu_engines.__doc__, rows)

    def _kernels(self) -> None:
        import gpu_kernels

        rate = self.document["rates"]["copy"]
        if not rate:
            raise EngineError("the copy bandwidth is not known")
        job = gpu_kernels.Job(gpu_kernels.SIZES, gpu_kernels.TARGET, self.asked.rounds, rate)
        self._rows("kernels", gpu_kernels.__doc__, gpu_kernels.measure(job))

    def _stream(self) -> None:
        import gpu_stream

        job = gpu_stream.Job(gpu_stream.CASES, gpu_stream.FRAME, self.asked.frames)
        self._rows("stream", gpu_stream.__doc__, gpu_stream.measure(job))

    def _video(self) -> None:
        import gpu_video
        import scenes

        why = gpu_video.missing()
        if why:
            self.left_out("video", why)
            return
        with gpu_video.scratch() as folder:
            clip = self.asked.clip or scenes.rendered(Path(folder), (1920, 1080), 250)
            size = (1024, 512)
            rows = (gpu_video.measure(name, size, clip) for name in ("dilanet-s", "dilanet-m"))
            try:
                self._rows("video", gpu_video.__doc__, rows)
            except SourceError as exc:  # NVDEC's library is not there, or does not take the file
                self.left_out("video", str(exc))


def _is_ours(module: str) -> bool:
    """Whether a module that is missing belongs to this checkout."""
    first = module.split(".")[0]
    return first == "rtseg" or (FOLDER / f"{first}.py").exists()
