"""How it was measured, for the foot of the page."""

from __future__ import annotations

from html import escape

from fallline.comparison.optimum import MOST_COLUMNS
from fallline.comparison.results import Comparison, Facts, Settings
from fallline.comparison.words import counted, joined, sentence_case

__all__ = ["first_notes", "method_list", "remarks", "rows_words", "task_words"]

_SOME = 12
_MOST_NOTES = 6
_LOSSES = {
    "binary": "Logistic regression: the mean log loss",
    "multiclass": "Logistic regression, each class against the rest: the mean of the sum of the classes’ log losses",
    "regression": "Linear regression: half the mean squared error",
}


def rows_words(data: Facts) -> str:
    """How many rows of what: 1,797 rows of 64 columns; or 9,000 of 32,561 rows of 108 features, made from 14 columns."""
    rows = f"{data.rows:,} rows"
    if data.rows < data.rows_found:
        rows = f"{data.rows:,} of {data.rows_found:,} rows, drawn at random,"
    columns = counted(len(data.columns), "column")
    if data.features == data.columns:
        return f"{rows} of {columns}"
    return f"{rows} of {counted(len(data.features), 'feature')}, made from {columns}"


def task_words(data: Facts) -> str:
    """What is to be predicted."""
    if data.task == "regression":
        return "an amount (regression)"
    return f"one of {len(data.classes)} classes (classification)"


def method_list(comparison: Comparison) -> str:
    """What anyone needs to judge the numbers, or to get them again, as a definition list."""
    settings, data = comparison.settings, comparison.data
    items = {
        "Data": f"{data.name}: {rows_words(data)}",
        "Target": f"{data.target}, {task_words(data)}: {data.why_task}{_classes(data)}",
        "Split": _split(data, settings),
        "Objective": f"{_LOSSES[data.task]}, plus an L2 penalty (alpha = {settings.alpha:g}) on all weights but the intercepts. "
        "It is convex: there is one best value, and it can be computed",
        "Scale": _scale(data),
        "Runs": f"{settings.epochs} epochs from zero weights, once for each of the seeds "
        f"{', '.join(map(str, settings.seeds))}, which change the order of the rows",
        "Learning rate": _rates(data, settings),
        "Clock": "Compiling, loading and looking on do not count: everyone warms up first, and the clock stands still while "
        "the objective is evaluated. Everyone runs on one thread",
        "Optimum": f"Found by {_solver(data)} to a gradient of length {comparison.optimum_gradient_norm:.0e}: "
        f"objective {comparison.optimum:.6g}, from {comparison.start:.6g} at zero weights",
        "Machine": "; ".join(comparison.machine[key] for key in ("processor", "system")),
        "Versions": _versions(comparison.machine),
        "Made": comparison.made,
        "Command": comparison.command,
    }
    if data.notes:
        items["Notes"] = " ".join(data.notes)
    if remarks(comparison):
        items["Remarks"] = " ".join(remarks(comparison))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{escape(text)}</dd>' for name, text in items.items())}</dl>"


def first_notes(notes: list[str], where: str) -> list[str]:
    """The first few, the most important ones, and where the others are."""
    more = len(notes) - _MOST_NOTES
    return notes if more <= 1 else [*notes[:_MOST_NOTES], f"{more:,} more such notes are at {where}."]


def remarks(comparison: Comparison) -> list[str]:
    """Who was left out, and what to know about those who were not; those of whom the same is said together."""
    notes: dict[str, list[str]] = {}
    for result in comparison.contenders:
        for note in result.notes:
            notes.setdefault(note, []).append(result.label)
    return [
        *comparison.absent,
        *(f"{sentence_case(joined(labels))}: {note}" for note, labels in notes.items()),
    ]


def _classes(data):
    if not data.classes:
        return ""
    more = f" and {len(data.classes) - _SOME} more" if len(data.classes) > _SOME else ""
    return f" ({', '.join(data.classes[:_SOME])}{more})"


def _split(data, settings):
    how = " class by class" if data.classes else ""
    return (
        f"{data.train_rows:,} rows to train on and {data.test_rows:,} to test on, drawn at random{how} "
        f"(seed {settings.split_seed}); the same for everyone"
    )


def _solver(data):
    return "L-BFGS and Newton’s method" if len(data.features) < MOST_COLUMNS else "L-BFGS"


def _scale(data):
    target = "" if data.classes else ", and so has the target"
    others = len(data.features) - data.standardised
    if not others:
        return f"Every feature has mean 0 and standard deviation 1 on the training rows{target}"
    kept = (
        "that are categories, words, flags or sparse stay as the encoder makes them (see the columns below)"
    )
    if not data.standardised:
        return f"Features {kept}" + (
            target and "; the target has mean 0 and standard deviation 1 on the training rows"
        )
    return (
        f"The {counted(data.standardised, 'feature')} made of numbers and times: mean 0 and standard deviation 1 on the training "
        f"rows{target}. The {counted(others, 'feature')} {kept}"
    )


def _rates(data: Facts, settings: Settings) -> str:
    some = f" ({settings.search_rows:,} of the training rows, drawn at random)"
    return (
        f"Constant. Each contender tried the same {len(settings.rates)} rates, from {settings.rates[0]:g} to "
        f"{settings.rates[-1]:g}, with the same {settings.search_visits:,} row visits to each"
        f"{some if settings.search_rows < data.train_rows else ''}, and kept the one that came closest to the optimum"
    )


def _versions(machine):
    return ", ".join(
        f"{name} {version}" for name, version in machine.items() if name not in ("processor", "system")
    )
