"""One command, about ten minutes: what merjax's training costs on an accelerator, and PyTorch's on the same one.

    python benchmarks/accelerator.py [--tiny] [--budget SECONDS] [--out FILE.json] [--networks NAME ...]

It runs on a GPU, a TPU or a CPU, whatever jax finds, and writes FILE.json and a table, FILE.md, which it prints at the
end. Every measured line is in both files as soon as it is there, so that a run that is cut keeps what came.

1. A training step of one fold (`train.fit` lifted by `parallel.over_folds`), folds one after another (`map`) and side
   by side (`vmap`), 1 to 68 of them or as many as fit, in every precision: time, multiply-adds a second, seconds of
   compiling, memory of the compiled program beside what merjax plans. Programs compile side by side in threads, so
   that their seconds are not those of one that compiles alone; nothing is timed while something compiles.
2. The same step in PyTorch, eagerly, as a CUDA graph, by torch.compile. Adam, batches and layers are the same, and so
   is the number of parameters, which the table checks. Every process begins when the last has ended.
3. Value and gradient of one convolution over 8 folds, by merjax's own and by three ways that XLA offers.
4. TV-L1 flow, rank pooling, augmentation, the order of a batch, and what the device reaches in a matrix product.

From this follow the ratio to PyTorch at merjax's best number of folds, and how large a step must be for `map` to be
the faster: what `parallel.FILLS` should be. On a CPU, fold_step.py is the fairer comparison: it has a fold a core.

What does not fit, compile or end in time is a line that says so. What matters most comes first. The lines of PyTorch
need torch; without it, or without its CUDA on a machine with a card, merjax is measured alone.

So far this was run on a CPU alone, with --tiny and cut short in full size, on no card and on no TPU: CUDA graphs,
running out of a device's memory and many compilations at the same time have never been seen; torch.compile was tried
by hand on a CPU.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from accelerator_lines import CASES, TINY_NETWORKS
from accelerator_table import derived, markdown

HERE = Path(__file__).parent
GRACE = 10.0  # seconds that a process may take beyond its time, to start and to end
SHARE = 0.3  # of all time, for the first program and for PyTorch


class Record:
    """All lines so far, in both files.

    Attributes:
        lines: as they came.
        out: the JSON file.
    """

    def __init__(self, out: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        self.out, self.began = out, time.monotonic()

    def add(self, line: dict[str, Any]) -> None:
        """Keeps a line, on disk too."""
        if line["kind"] == "environment" and self.environment:
            return  # of a further process
        self.lines.append(line | {"at_s": round(time.monotonic() - self.began, 1)})
        print(json.dumps(line), file=sys.stderr, flush=True)
        self.save()

    def save(self) -> None:
        """Writes both files anew; a reader finds either the old or the new."""
        whole = {"lines": self.lines, **derived(self.lines)}
        for path, text in ((self.out, json.dumps(whole, indent=1)), (self.table, markdown(self.lines))):
            fresh = path.with_name(path.name + ".new")
            fresh.write_text(text + "\n", encoding="utf-8")
            os.replace(fresh, path)

    @property
    def table(self) -> Path:
        """The Markdown file."""
        return self.out.with_suffix(".md")

    @property
    def environment(self) -> dict[str, Any]:
        """What runs here; {} until a process has said it."""
        return next((line for line in self.lines if line["kind"] == "environment"), {})


def end(process: subprocess.Popen) -> None:
    """Ends a process and those that it started, as torch.compile does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(record: Record, script: str, seconds: float, *arguments: str) -> None:
    """Runs one process to its end and keeps its lines; ends it where it outlasts its time.

    Args:
        record: of all lines.
        script: a file beside this one.
        seconds: that it has.
        *arguments: of its command line.
    """
    command = [sys.executable, str(HERE / script), f"--seconds={max(seconds, 1.0)}", *arguments]
    stage = {"stage": " ".join([script, *(a for a in arguments if a == "--first")])}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            end(process)

        timer = threading.Timer(max(seconds, 1.0) + GRACE, stop)
        timer.start()
        try:
            for text in process.stdout or ():
                if text.startswith('{"kind"') and text.endswith("}\n"):  # libraries print as well
                    record.add(json.loads(text))
            code = process.wait()
        except BaseException:
            end(process)
            raise
        finally:
            timer.cancel()
        errors.seek(0)
        last = ([line.strip() for line in errors if line.strip()] or [""])[-1]
    if stopped.is_set():
        record.add({"kind": "stage", **stage, "error": f"stopped after {seconds + GRACE:.0f} s"})
    elif code:
        record.add({"kind": "stage", **stage, "error": f"ended with status {code}: {last[:240]}"})


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description="merjax on an accelerator, and PyTorch beside it.")
    parser.add_argument("--tiny", action="store_true", help="every kind of line in small, for a CPU: about a minute")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds for all of it; by default 600")
    parser.add_argument("--out", type=Path, default=Path("accelerator.json"), help="the table is beside it, in .md")
    parser.add_argument("--networks", nargs="+", choices=list(CASES), help=", ".join(CASES))
    given = parser.parse_args()
    names = given.networks or (TINY_NETWORKS if given.tiny else list(CASES))
    common = (*(["--tiny"] if given.tiny else []), "--networks", *names)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    record = Record(given.out)

    def left() -> float:
        return given.budget - (time.monotonic() - record.began) - GRACE

    run(record, "accelerator_steps.py", min(left(), SHARE * given.budget), "--first", *common)
    found = record.environment
    precision = found.get("default", "float32")
    where = (f"--backend={found.get('backend', 'cpu')}", f"--precision={precision}")
    run(record, "accelerator_torch.py", min(left(), SHARE * given.budget), *where, *common)
    run(record, "accelerator_steps.py", left(), *common)
    record.save()
    print(record.table.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
