"""The same steps in PyTorch. `accelerator.py` starts this as a process: both never hold a card's memory at once.

A step is forward pass, gradient and fused Adam on the clips of the next batch, all in memory, channels-last. On a card
it is run eagerly, as one CUDA graph, compiled, and compiled within a graph; on the CPU with all threads and with one.
"""

import contextlib
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from accelerator_lines import CLASSES, NO_TIME, Case, Clock, Skipped, cases, child_arguments, excused, rounded, say

try:
    import torch
    import torch_nets
except ImportError as error:
    torch, missing = None, error

BATCHES = 4  # that are taken in turns
COMPILE_SECONDS = 90  # of one network's torch.compile
PEERS: dict[str, str] = {
    "ststnet": "STSTNet",
    "fmanet": "FMANet",
    "learnet": "LEARNet",
    "afn": "AFN",
    "dianet": "DIANet",
    "resnet18": "ResNet18",
}


def peer(name: str, case: Case) -> Any:
    """The network of a case, with random weights."""
    own = dict(case.own)
    if name == "fmanet":  # the peer is written for the small net alone
        own = {"width": own["width"]}
    return getattr(torch_nets, PEERS[name])(CLASSES, **own)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Ends what runs inside where it takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not compiled within {seconds:.0f} s.")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


class Training:
    """A network in training on one device.

    Attributes:
        parameters: how many it has.
        step: takes one step on the clips in `taken`.
        taken: numbers of the clips of a batch, changed in place.
    """

    def __init__(self, name: str, case: Case, device: str, precision: str, mode: str) -> None:
        cuda = device == "cuda"
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
        torch.backends.cudnn.allow_tf32 = precision != "float32"
        torch.backends.cudnn.benchmark = True
        net = peer(name, case).to(device).to(memory_format=torch.channels_last).train()
        self.parameters = sum(p.numel() for p in net.parameters())
        adam = torch.optim.Adam(net.parameters(), 1e-3, fused=True, capturable=cuda)
        images = torch.randn(case.clips, 3 * case.streams, case.side, case.side, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        label = torch.randint(0, CLASSES, (case.clips,), device=device)
        self.batches = torch.randint(0, case.clips, (BATCHES, case.batch), device=device)
        self.taken, loss, number = self.batches[0].clone(), torch.nn.CrossEntropyLoss(), [0]
        apply = net
        if mode.startswith("compile"):
            torch.compiler.reset()  # or it would count this as yet another variant of the last, and give up silently
            apply = torch.compile(net)
        lower = {"device_type": device, "dtype": torch.bfloat16, "enabled": precision == "bfloat16"}

        def step() -> None:
            adam.zero_grad(set_to_none=True)
            # Every weight is cast once a step anyway, and what is kept of a cast must not outlive a graph's capture.
            with torch.autocast(**lower, cache_enabled=False):
                value = loss(apply(images[self.taken]).float(), label[self.taken])
            value.backward()
            adam.step()

        self.number, self.step = number, step

    def captured(self) -> Callable[[], None]:
        """The step as one CUDA graph, after some steps on a stream of its own."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(5):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        return graph.replay

    def steps(self, step: Callable[[], None], count: int) -> float:
        """Seconds of one of some steps in succession."""
        synchronize = torch.cuda.synchronize if self.taken.is_cuda else lambda: None
        synchronize()
        start = time.perf_counter()
        for _ in range(count):
            self.number[0] += 1
            self.taken.copy_(self.batches[self.number[0] % BATCHES])
            step()
        synchronize()
        return (time.perf_counter() - start) / count


def median(training: Training, step: Callable[[], None], *, tiny: bool) -> float:
    """The median seconds of a step, of some runs of a tenth of a second each."""
    once = training.steps(step, 1 if tiny else 3)
    count = 1 if tiny else max(1, min(200, int(0.1 / max(once, 1e-6))))
    return statistics.median(training.steps(step, count) for _ in range(2 if tiny or once > 1.0 else 5))


def measure(name: str, case: Case, device: str, precision: str, mode: str, *, tiny: bool, clock: Clock) -> None:
    """Says one line."""
    torch.set_num_threads(1 if mode == "one thread" else len(os.sched_getaffinity(0)))
    limit = min(clock.left, COMPILE_SECONDS)
    training = Training(name, case, device, precision, mode)
    began = time.perf_counter()
    with time_limit(limit) if "compile" in mode else contextlib.nullcontext():
        step = training.captured() if "graph" in mode else training.step
        for _ in range(1 if tiny else 4):
            training.steps(step, 1)
    ready = time.perf_counter() - began
    found = median(training, step, tiny=tiny)
    say(
        "torch_step",
        network=name,
        precision=precision,
        mode=mode,
        ms=rounded(1e3 * found),
        parameters=training.parameters,
        ready_s=rounded(ready),
    )


def where(backend: str) -> str:
    """The device that is a peer to merjax's.

    Raises:
        Skipped: PyTorch is not installed or has no such device.
    """
    if torch is None:
        raise Skipped(f"PyTorch can't be imported ({missing}), so merjax is measured without a peer.")
    cuda = torch.cuda.is_available()
    if backend not in ("cpu", "gpu") or (backend == "gpu" and not cuda):
        raise Skipped(f"PyTorch {torch.__version__} knows no {backend.upper()}, so merjax is measured without a peer.")
    return "cuda" if backend == "gpu" else "cpu"


def main() -> None:
    """Says all lines; first those in merjax's default precision."""
    parser = child_arguments("Steps of PyTorch.")
    parser.add_argument("--backend", required=True, help="of jax")
    parser.add_argument("--precision", required=True, help="to begin with")
    given = parser.parse_args()
    clock, label = Clock(given.seconds), {"network": "all"}
    with excused("torch", label):
        device = where(given.backend)
        cuda = device == "cuda"
        say(
            "torch",
            torch=torch.__version__,
            device=torch.cuda.get_device_name() if cuda else "cpu",
            cores=len(os.sched_getaffinity(0)),
        )
        table = cases(given.networks, tiny=given.tiny)
        precisions = sorted(("float32", *(["tf32"] if cuda else []), "bfloat16"), key=lambda p: p != given.precision)
        if given.tiny:
            precisions = precisions[:1]
        modes = ("eager", "graph") if cuda else ("eager", "one thread")
        plan = [(name, precision, mode) for precision in precisions for mode in modes for name in table]
        if cuda:
            plan += [(n, p, mode) for p in precisions for mode in ("compile", "compile, graph") for n in table]
        for name, precision, mode in plan:
            label = {"network": name, "precision": precision, "mode": mode}
            with excused("torch_step", label):
                if not clock.left:
                    raise Skipped(NO_TIME)
                measure(name, table[name], device, precision, mode, tiny=given.tiny, clock=clock)
            if cuda:
                torch.cuda.empty_cache()
    sys.stdout.flush()
    os._exit(0)  # threads of torch.compile are not waited for


if __name__ == "__main__":
    main()
