"""What follows from the lines of `accelerator.py`, and the Markdown that shows both."""

from collections.abc import Callable, Iterable
from typing import Any

from accelerator_lines import NO_TIME

Line = dict[str, Any]

OTHERS = {"convolution": "us_a_fold", "tvl1": "ms_a_pair", "rank_pooling": "us_a_clip", "augmentation": "us_a_batch"}
OTHERS |= {"batch_order": "us_a_step", "ceiling": ""}


def measured(lines: Iterable[Line], kind: str) -> list[Line]:
    """Lines of one kind that hold a measurement."""
    return [line for line in lines if line["kind"] == kind and "error" not in line]


def quickest(lines: Iterable[Line]) -> Line:
    """The line with the least time; {} of none."""
    return min(lines, key=lambda line: line["ms"], default={})


def derived(lines: list[Line]) -> dict[str, Any]:
    """Ratios to PyTorch, and what `auto` should follow."""
    return {"ratios": ratios(lines), "auto": auto(lines)}


def peer_precision(precision: str, environment: Line) -> str:
    """What PyTorch computes in for the same precision: TF32 is of GPUs alone."""
    return "float32" if precision == "tf32" and environment.get("backend") != "gpu" else precision


def ratios(lines: list[Line]) -> list[Line]:
    """The best of both sides, for each network and precision that both have."""
    environment = next(iter(measured(lines, "environment")), {})
    steps, peers = measured(lines, "fold_step"), measured(lines, "torch_step")
    parameters = {line["network"]: line["parameters"] for line in measured(lines, "plan")}
    found = []
    for network, precision in dict.fromkeys((s["network"], s["precision"]) for s in steps):
        ours = quickest(s for s in steps if (s["network"], s["precision"]) == (network, precision))
        same = (network, peer_precision(precision, environment))
        theirs = quickest(p for p in peers if (p["network"], p["precision"]) == same)
        if not theirs:
            continue
        found.append(
            {
                "network": network,
                "precision": precision,
                "lift": ours["lift"],
                "folds": ours["folds"],
                "ms": ours["ms"],
                "torch_mode": theirs["mode"],
                "torch_precision": theirs["precision"],
                "torch_ms": theirs["ms"],
                "times_as_fast": float(f"{theirs['ms'] / ours['ms']:.4g}"),
                "same_parameters": parameters[network] == theirs["parameters"] if network in parameters else None,
            }
        )
    return found


def auto(lines: list[Line]) -> Line:
    """The best of `map` and of `vmap` by the size of a step, in merjax's default precision."""
    environment = next(iter(measured(lines, "environment")), {})
    steps = [s for s in measured(lines, "fold_step") if s["precision"] == environment.get("default")]
    networks = []
    for network in dict.fromkeys(s["network"] for s in steps):
        of_network = [s for s in steps if s["network"] == network]
        by_map, by_vmap = (quickest(s for s in of_network if s["lift"] == way) for way in ("map", "vmap"))
        if by_map and by_vmap:
            faster = "map" if by_map["ms"] < by_vmap["ms"] else "vmap"
            found = {"network": network, "multiply_adds": by_map["multiply_adds"], "map_ms": by_map["ms"]}
            networks.append(found | {"vmap_ms": by_vmap["ms"], "vmap_folds": by_vmap["folds"], "faster": faster})
    networks.sort(key=lambda found: found["multiply_adds"])
    sizes = {way: [n["multiply_adds"] for n in networks if n["faster"] == way] for way in ("map", "vmap")}
    return {
        "networks": networks,
        "smallest_for_map": min(sizes["map"], default=None),
        "largest_for_vmap": max(sizes["vmap"], default=None),
        "fills": environment.get("fills"),
    }


def sentence_on_auto(found: Line) -> str:
    """What the two sizes say of `parallel.FILLS`."""
    least, most, fills = found["smallest_for_map"], found["largest_for_vmap"], found["fills"]
    now = f"`parallel.FILLS` is {fills:.3g} now." if fills else ""
    if least is None:
        return f"`map` wins for none of these networks, up to {most:.3g} multiply-adds a step. {now}"
    text = f"The smallest step for which `map` wins has {least:.3g} multiply-adds; "
    text += f"the largest for which `vmap` wins has {most:.3g}. " if most else "`vmap` wins for none. "
    if most and most > least:
        text += "No one number separates the two. "
    return text + now


def table(head: str, lines: Iterable[Line], *cells: Callable[[Line], Any]) -> list[str]:
    """A Markdown table; nothing of no lines."""
    body = [f"| {' | '.join(str(cell(line)) for cell in cells)} |" for line in lines]
    names = head.split(", ")
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}", *body, ""] if body else []


def of(name: str) -> Callable[[Line], Any]:
    """A cell of one field, empty where there is none."""

    def cell(line: Line) -> Any:
        value = line.get(name)
        if value is None or isinstance(value, bool):
            return {None: "", True: "yes", False: "NO"}[value]
        return f"{value:,}" if isinstance(value, int) else value

    return cell


def giga(line: Line) -> str:
    """Multiply-adds a second, in 1e9."""
    return f"{line['multiply_adds_a_second'] / 1e9:,.4g}" if "multiply_adds_a_second" in line else ""


def what(line: Line) -> str:
    """The words of a line that say what was measured."""
    left_out = {"kind", "error", "at_s", "compile_s", "planned_mib", "multiply_adds", OTHERS.get(line["kind"])}
    rates = ("multiply_adds_a_second", "bytes_a_second")
    return ", ".join(
        str(value) if isinstance(value, str) else f"{name} {value}"
        for name, value in line.items()
        if name not in left_out and name not in rates
    )


def other_time(line: Line) -> str:
    """Time of a line that is no step, or its rate."""
    name = OTHERS[line["kind"]]
    if name:
        return f"{line[name]:,} {name.replace('_', ' ')}"
    if "bytes_a_second" in line:
        return f"{line['bytes_a_second'] / 1e9:,.4g} GB/s"
    return f"{giga(line)} G multiply-adds/s"


def heading(lines: list[Line]) -> list[str]:
    """The device, and what runs on it."""
    environment = next(iter(measured(lines, "environment")), {})
    if not environment:
        return ["# merjax on no device that answered", ""]
    peers = [f"PyTorch {p['torch']} on {p['device']}" for p in measured(lines, "torch")]
    absent = [line["error"] for line in lines if line["kind"] == "torch" and "error" in line]
    words = [f"jax {environment['jax']}, {environment['backend']}, {environment['cores']} cores of the host"]
    words += [f"merjax computes in {environment['default']} by default", *peers, *absent]
    return [f"# merjax on {environment['device']}", "", "; ".join(word.rstrip(".") for word in words) + ".", ""]


def markdown(lines: list[Line]) -> str:
    """All of it."""
    found, text = derived(lines), heading(lines)
    time_of, pace = of("ms"), giga
    if found["ratios"]:
        text += ["## merjax against PyTorch", ""]
        head = "network, precision, merjax ms a fold-step, by, PyTorch ms a step, by, PyTorch / merjax, same parameters"
        text += table(
            head,
            found["ratios"],
            of("network"),
            of("precision"),
            time_of,
            lambda r: f"{r['lift']} of {r['folds']}",
            of("torch_ms"),
            lambda r: f"{r['torch_mode']}, {r['torch_precision']}",
            of("times_as_fast"),
            of("same_parameters"),
        )
    if found["auto"]["networks"]:
        text += ["## What `auto` should follow", ""]
        head = "network, multiply-adds a step, map ms, vmap ms, folds of vmap, faster"
        fields = ("network", "multiply_adds", "map_ms", "vmap_ms", "vmap_folds", "faster")
        text += [*table(head, found["auto"]["networks"], *map(of, fields)), sentence_on_auto(found["auto"]), ""]
    steps = measured(lines, "fold_step")
    if steps:
        text += ["## Fold-steps of merjax", ""]
        head = "network, precision, lift, folds, ms, G multiply-adds/s, compile s, program MiB, planned MiB, finite"
        fields = ("compile_s", "program_mib", "planned_mib", "finite")
        begin = map(of, ("network", "precision", "lift", "folds"))
        text += table(head, steps, *begin, time_of, pace, *map(of, fields))
    peers = measured(lines, "torch_step")
    if peers:
        text += ["## Steps of PyTorch", ""]
        text += table("network, precision, mode, ms", peers, *map(of, ("network", "precision", "mode", "ms")))
    plans = measured(lines, "plan")
    if plans:
        text += ["## What merjax plans by itself for all folds", ""]
        fields = ("network", "auto", "folds_at_once", "mib_a_fold", "multiply_adds", "parameters")
        head = "network, strategy, folds at once, MiB a fold, multiply-adds a step, parameters"
        text += table(head, plans, *map(of, fields))
    others = [line for kind in OTHERS for line in measured(lines, kind)]
    if others:
        text += ["## Everything else", ""]
        cells = (lambda line: line["kind"].replace("_", " "), what, other_time, of("compile_s"))
        text += table("kind, what, time or rate, compile s", others, *cells)
    failed = [line for line in lines if "error" in line]
    late = [line for line in failed if line["error"] == NO_TIME]
    if failed:
        text += ["## Not measured", ""]
        why = (of("kind"), what, lambda line: line["error"].replace("|", "/"))
        text += table("kind, what, why", [line for line in failed if line not in late], *why)
        text += [f"And {len(late)} lines for which no time was left; the JSON file has them."] if late else []
    return "\n".join(text).rstrip()
