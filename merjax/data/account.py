"""The account of a run's clips in sentences: rows read, clips used and left out, and whatever else lay there."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from merjax.data.loader import clips_of, counted, some
from merjax.data.record import Account, Record

LINES = 3  # data sets that have a line each; with more of them all share one, so that an account stays short


def printable(words: str) -> str:
    """Text that any terminal and file takes: bytes of a file's name that are no text are escaped."""
    return words.encode("utf-8", "backslashreplace").decode()


def summed(account: Account, used: int, outside: int, left_out: int) -> str:
    """Counts the rows of one data set by what became of them: the numbers after the colon add up to those before it.

    Args:
        account: of the data set.
        used: clips that the run takes.
        outside: clips whose label is outside the scheme.
        left_out: clips that can't be used.
    """
    more = f" and {account.further} more micro-expressions in them" if account.further else ""
    parts = [f"{clips_of(used)} used", f"{left_out} left out"]
    parts += [f"{outside} outside the label scheme"] * bool(outside)
    parts += [f"{count} of type {kind}" for kind, count in account.others.items()]
    parts += [f"{len(account.strange)} no sample{'s' * (len(account.strange) > 1)}"] * bool(account.strange)
    return f"{account.rows} {account.unit}{'s' * (account.rows != 1)} read{more}: {', '.join(parts)}"


def lines(data_sets: Sequence[str]) -> list[str]:
    """Sentences on data sets as a few lines."""
    return list(data_sets) if len(data_sets) <= LINES else [" ".join(data_sets)]


def grouped(names: Mapping[str, str]) -> str:
    """Reasons with the names that have them, the most frequent first: `folder_missing 2 (a, b), unreadable 1 (c)`."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in names.items():
        by_reason.setdefault(reason, []).append(name)
    order = sorted(by_reason, key=lambda reason: (-len(by_reason[reason]), reason))
    return ", ".join(f"{reason} {len(by_reason[reason])} ({some(by_reason[reason], 3)})" for reason in order)


def beside(accounts: Iterable[Account], records: Iterable[Record]) -> list[str]:
    """Names what lay beside the clips: rows that are no samples, cells filled down, folders of no row, stray images."""
    accounts = tuple(accounts)
    strange = [row for account in accounts for row in account.strange]
    filled = sum(account.filled for account in accounts)
    unnamed = [folder for account in accounts for folder in account.unnamed]
    strays = [f"{some(record.strays, 2)} in {record.sample_id}" for record in records if record.strays]
    sentences = [f"Rows that are no samples: {some(strange, 3)}."] * bool(strange)
    sentences += [f"Cells that have the value of the cell above, as merged cells do: {filled}."] * bool(filled)
    sentences += [f"Clip folders that no row names: {len(unnamed)} ({some(unnamed, 3)})."] * bool(unnamed)
    images = f"Images that are no frames lie beside {clips_of(len(strays))}: {some(strays, 3)}."
    return [" ".join(sentences)] * bool(sentences) + [images] * bool(strays)


def faults(records: Iterable[Record]) -> list[str]:
    """The codes of the clips that are used."""
    issues = Counter(issue for record in records for issue in record.issues)
    return [f"Faults of the clips that are used, as the reader met them: {counted(issues)}."] * bool(issues)
