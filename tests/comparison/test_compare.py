"""The comparison as a whole, on a small table."""

import json
import math
import re
from copy import deepcopy
from html import escape
from types import SimpleNamespace

import numpy as np
import pytest

import fallline
from fallline.comparison import Comparison
from fallline.comparison.charts import _log_axis, figures
from fallline.comparison.contenders import Snapshot
from fallline.comparison.experiment import _crossing, _run
from fallline.comparison.method import first_notes
from fallline.comparison.results import Curves
from fallline.comparison.summary import summary_table
from fallline.comparison.tables import numbers_table
from fallline.comparison.verdict import _size_to_use_it_on, find_winners, judge
from fallline.errors import ParameterError


def test_all_numbers_are_there(comparison):
    """Each contender has its curves for each seed, its rate from the list, a score and what it reached."""
    assert isinstance(comparison, Comparison)
    assert [c.key for c in comparison.contenders][:4] == [
        "stochastic",
        "mini-batch-16",
        "batch",
        "scikit-learn",
    ]
    for result in comparison.contenders:
        curves = result.curves
        assert len(curves.gap) == len(curves.seconds) == len(result.test_score) == 2
        assert len(curves.updates) == len(curves.epochs) == len(curves.gap[0]) == len(curves.seconds[1])
        assert result.rate in comparison.settings.rates or result.key == "l-bfgs"
    assert comparison.optimum < comparison.start
    assert set(comparison.winners) == {"epochs", "updates", "rows", "seconds"}
    assert all(sentence.endswith(".") for sentence in comparison.verdict)


def test_it_is_deterministic_but_for_what_is_measured(frame, comparison):
    """The same seed gives the same gaps and scores again."""
    again = fallline.compare(frame, target="<i>target</i>", batch_sizes=[1, 16, "full"], epochs=6, seeds=2)
    for first, second in zip(comparison.contenders, again.contenders, strict=True):
        assert first.curves.gap == second.curves.gap
        assert (first.rate, first.test_score, first.trials) == (second.rate, second.test_score, second.trials)
    assert comparison.noise == again.noise


def test_noise_follows_theory(comparison):
    """The measured variance of the mini-batch gradient is what 1/B says, as far as so many draws can tell."""
    noise = comparison.noise
    np.testing.assert_allclose(noise.measured, noise.theory, rtol=0.25)


def test_memory_is_measured_where_the_system_tells(comparison):
    """Each contender has its own number, and none is absurd."""
    measured = [result.memory_bytes for result in comparison.contenders]
    assert all(count is None or 0 <= count < 500e6 for count in measured)
    assert any(count is not None for count in measured)


def test_the_numbers_are_plain_json(comparison):
    """The JSON has a format version and no NaN, and holds what the object holds."""
    numbers = json.loads(comparison.to_json(), parse_constant=pytest.fail)
    assert numbers["format"] == "fallline-comparison-1"
    assert len(numbers["contenders"]) == len(comparison.contenders)
    assert numbers["verdict"] == comparison.verdict


def test_a_time_limit_cuts_short_and_says_so(frame):
    """With no time to speak of, everyone still has something to show, and the result says that it was cut short."""
    found = fallline.compare(
        frame, target="<i>target</i>", batch_sizes=[1, "full"], epochs=300, seeds=1, time_limit=0.01
    )
    notes = " ".join(note for result in found.contenders for note in result.notes)
    assert "time limit was reached" in notes
    assert "were not tried" in notes
    assert all(math.isfinite(result.curves.gap[0][-1]) for result in found.contenders)


def test_who_diverges_is_not_said_to_be_late():
    """A run that ends because its weights grow beyond all numbers says so; one that came to its end says nothing."""
    objective = SimpleNamespace(value=np.sum, shape=(1, 2))
    problem = SimpleNamespace(objective=objective, X=np.zeros((8, 2)), outputs=1, n=8)

    def ended(*weights):
        snapshots = [Snapshot(i + 1, 8, 0.1, np.full((1, 2), weight)) for i, weight in enumerate(weights)]
        contender = SimpleNamespace(trace=lambda *_: snapshots, needs_rate=True, batch_size=8)
        run, why = _run(contender, problem, 1.0, 0, 3, 10.0)
        return len(run), why

    assert ended(1.0, 2.0, 3.0) == (3, "")
    length, why = ended(1.0, 2.0, np.inf)
    assert (length, "diverged" in why) == (2, True)


def test_who_made_no_epoch_has_no_speed(comparison):
    """A first, cold update is no measure: no ratio in the verdict, no point in the chart, a dash in the tables."""
    assert "scikit-learn" in _speeds(comparison)
    cut = _cut_short(comparison, "scikit-learn")
    assert "scikit-learn" not in _speeds(cut)
    assert not any("scikit-learn" in trace["name"] for trace in figures(cut)["throughput"]["data"])
    assert "so no speed is given: scikit-learn SGD (1 row)." in cut.to_html()
    [row] = [row for row in numbers_table(cut).split("<tr>") if "scikit-learn" in row]
    assert row.split("<td>")[9] == "–</td>"
    assert list(summary_table(cut).columns[6].cells)[3] == "-"


def test_who_was_cut_short_is_judged_by_its_own_epochs(comparison):
    """The page and the verdict say how far each came itself, not how many epochs were asked for."""
    cut = _cut_short(comparison, "scikit-learn")
    assert "scikit-learn SGD (1 row) after 0.01 epochs" in cut.to_html()
    assert "<td>0.01</td>" in numbers_table(cut)
    for key in ("stochastic", "mini-batch-16", "batch"):
        cut = _cut_short(cut, key)
    cut.winners = find_winners(cut.contenders)
    [sentence] = [sentence for sentence in judge(cut) if "None of the variants" in sentence]
    assert sentence.endswith("99% of the way still to go after 0.01 epochs. Give them more time.")


def test_what_is_no_better_than_a_constant_is_told_first(comparison, told):
    """In the verdict before all else, with both scores; and in the JSON. Where the model is good, nothing is said of it."""
    assert any(result.beats_constant for result in comparison.contenders)
    assert not any("always" in sentence for sentence in comparison.verdict)
    first = told.verdict[0]
    assert first.startswith(
        "No model here is clearly better on the 20 test rows than one that always predicts the mean"
    )
    assert f"against {told.constant_test_score:.3f}" in first
    assert first in told.to_html()
    assert "<td>Always the mean</td>" in told.to_html()
    numbers = json.loads(told.to_json())
    assert numbers["constant_test_score"] == pytest.approx(0, abs=0.2)
    assert not any(result["beats_constant"] for result in numbers["contenders"])


def test_scores_that_read_the_same_are_said_once(comparison):
    """No range from a number to itself, in the verdict or in the table."""
    same = deepcopy(comparison)
    for result in same.contenders:
        result.test_score = [0.80001, 0.80002]
    assert "test accuracy 80.0%, at the exact optimum" in judge(same)[-1]
    assert "<small>" not in numbers_table(same)


def _speeds(comparison):
    return " ".join(sentence for sentence in judge(comparison) if "through the rows" in sentence)


def _cut_short(comparison, key):
    """The same, but that a contender was stopped after one update of a hundred in an epoch, 99% of the way still to go."""
    cut = deepcopy(comparison)
    [result] = [result for result in cut.contenders if result.key == key]
    seeds = len(result.curves.gap)
    result.curves = Curves([1], [0.01], [1], [[0.002]] * seeds, [[0.99]] * seeds)
    result.reached = {gap: dict.fromkeys(axes) for gap, axes in result.reached.items()}
    return cut


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", 0), ("seeds", 0), ("alpha", -1), ("time_limit", 0), ("test_fraction", 1), ("seed", 1.5), ("batch_sizes", []),
     ("batch_sizes", "full"), ("batch_sizes", [0]), ("task", "both")],
)  # fmt: skip
def test_bad_settings_are_explained(frame, setting, value):
    """Each is an error of the project's own before any work starts."""
    with pytest.raises(ParameterError, match=f"{setting}|batch_size"):
        fallline.compare(frame, target="<i>target</i>", **{setting: value})


def test_crossings_lie_between_looks():
    """Half-way down a straight line in logarithms is half-way along."""
    assert _crossing([1, 100], np.array([1.0, 0.01]), 0.1) == pytest.approx(10)
    assert _crossing([5, 100], np.array([0.05, 0.01]), 0.1) == 5
    assert _crossing([1, 100], np.array([1.0, 0.5]), 0.1) is None


def test_files_are_written_whole(comparison, tmp_path):
    """`save` writes the page and the numbers beside it, and leaves nothing else behind."""
    comparison.save(tmp_path / "r.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.json"]
    comparison.save(tmp_path / "s.html", tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["format"]


@pytest.mark.parametrize(
    ("name", "message"), [("no/r.html", "no folder"), ("r.txt", "does not end in"), ("d.html", "is a folder")]
)
def test_places_that_cannot_be_written(comparison, tmp_path, name, message):
    """A wrong place is an error that says why."""
    (tmp_path / "d.html").mkdir()
    with pytest.raises(ParameterError, match=message):
        comparison.save(tmp_path / name)


def test_nothing_from_the_data_gets_into_the_page_as_html(comparison):
    """Names that are HTML appear escaped or not at all; only the page's own scripts may run."""
    page = comparison.to_html()
    assert "<img src=x" not in page
    assert "<i>target</i>" not in page
    assert "<b>c</b>" not in page
    assert "&lt;i&gt;target&lt;/i&gt;" in page
    assert page.count("</script>") == 3
    assert "unsafe-eval" not in page
    assert "script-src 'sha256-" in page


def test_the_figures_hold_nothing_from_the_data(comparison):
    """Plotly reads HTML in its text, so no name or class is ever part of a figure."""
    [figures] = re.findall(
        r'<script type="application/json" id="figures">(.*?)</script>', comparison.to_html(), re.DOTALL
    )
    assert "target" not in figures
    assert "plain" not in figures
    assert set(json.loads(figures)) == {
        "gap-epochs",
        "gap-updates",
        "gap-rows",
        "gap-seconds",
        "arrival",
        "throughput",
        "noise",
        "memory",
    }


def test_the_page_needs_no_network(comparison):
    """Beyond the charts' own library there is no address in the page, and its policy forbids loading anything."""
    page = comparison.to_html()
    from plotly.offline import get_plotlyjs

    rest = page.replace(get_plotlyjs(), "")
    assert "http://" not in rest
    assert "https://" not in rest
    assert "default-src 'none'" in rest


def test_what_the_encoder_did_is_shown(told):
    """Rows left out, columns dropped and how many rows were drawn are in the page, in the JSON and among the notes."""
    data = told.data
    assert (data.rows, data.rows_found, data.rows_without_target) == (100, 396, 4)
    assert data.columns == ["number", "word"]
    assert data.features == ["number", "number is missing", "word=a", "word=b", "word=c"]
    assert [one.features for one in data.encoding] == [2, 3, 0, 0]
    for sentence in (
        "Compared on 100 rows, drawn at random from 396",
        "Left out: 4 rows without a target",
        "'constant'",
        "'id'",
    ):
        assert sentence in " ".join(data.notes)
    page = told.to_html()
    assert "100 of 396 rows, drawn at random, of 5 features, made from 2 columns" in page
    assert "word=c" in page
    for sentence in data.notes:
        assert escape(sentence) in page
    numbers = json.loads(told.to_json())["data"]
    assert numbers["notes"] == data.notes
    assert numbers["encoding"][1] == {
        "column": "word",
        "type": "string",
        "kind": "category",
        "becomes": "one-hot of 3 values",
        "features": 3,
        "missing": 0.0,
    }
    assert data.why_task in page


def test_many_notes_are_cut_short():
    """At the head of the page are the first few, and where the others are."""
    notes = [f"Note {i}." for i in range(50)]
    assert first_notes(notes[:7], "here") == notes[:7]
    assert first_notes(notes, "here") == [*notes[:6], "44 more such notes are at here."]


def test_the_verdict_does_not_recommend_for_all_what_holds_for_a_part(told):
    """Where L-BFGS is best on the rows drawn, the verdict says how many those were, and what all would take."""
    advice = _size_to_use_it_on(told.data)
    assert "100 rows" in advice
    assert "396" in advice
    assert "memory" in advice


@pytest.mark.parametrize(
    ("its", "ours", "words"),
    [(0.000924, 0.000927, "Either serves"), (0.0003, 0.0019, "Either serves"), (0.0019, 0.0003, "Either serves"),
     (0.50, 0.52, "Either serves"), (0.52, 0.50, "Either serves"), (0.3, 0.5, "Another method serves better"),
     (0.0003, 0.3, "Another method serves better"), (0.5, 0.3, "the fastest gradient descent 300 ms")],
)  # fmt: skip
def test_another_method_is_recommended_only_for_a_difference(comparison, its, ours, words):
    """What is level, within a tenth or within two milliseconds, is called that."""
    timed = deepcopy(comparison)
    for result in timed.contenders:
        result.reached["0.1%"]["seconds"] = its if result.key == "l-bfgs" else ours
    [sentence] = [sentence for sentence in judge(timed) if "L-BFGS" in sentence]
    assert words in sentence


@pytest.mark.parametrize("width", [0.2, 0.23, 0.5, 0.6, 1.9, 2.5, 14.0])
def test_every_logarithmic_axis_has_numbers(width):
    """However near each other the values are: from one number to eight."""
    for place in np.linspace(-3, 3, 61):
        values = 10.0 ** np.array([place + 0.1, place + width - 0.1])
        axis = _log_axis("seconds", values)
        low, high = axis["range"]
        assert 1 <= len(axis["tickvals"]) <= 8
        assert all(low <= math.log10(tick) <= high for tick in axis["tickvals"])
        assert len(axis["ticktext"]) == len(axis["tickvals"])
