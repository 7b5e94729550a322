"""`fallline train`, `predict`, `evaluate` and `inspect`, as users meet them, with the files that users have."""

import errno
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import fallline
from fallline.cli import main

ROWS = 300
DATA = os.environ.get("FALLLINE_DATA")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder of the test's own to work in, with a table and nothing else; caches go elsewhere."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(place)
    _table().to_csv("d.csv", index=False)
    return place


@pytest.fixture
def cache(tmp_path):
    """Where the cache goes by default."""
    return tmp_path / "cache" / "fallline"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of the table."""
    path = tmp_path_factory.mktemp("model") / "m.fall"
    fallline.train(_table(), "y", epochs=2, ignore=["id"]).save(path)
    return str(path)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that takes a moment. What trains on it for hours is compiled before anything is sent to it."""
    fallline.train(_table(), "y", epochs=1, optimizer="adam", learning_rate=0.001, cache=False)
    path = tmp_path_factory.mktemp("large") / "big.csv"
    _table(400_000).to_csv(path, index=False)
    return path


def _table(n=ROWS):
    rng = np.random.default_rng(0)
    x, colour = rng.normal(size=n), rng.choice(["red", "green"], n)
    y = np.where(2 * x + (colour == "red") + rng.logistic(size=n) > 0, "yes", "no")
    return pd.DataFrame({"id": np.arange(n), "x": x.round(5), "colour": colour, "y": y})


def _fails(arguments, *messages, code=2, capsys=None):
    """The command ends with this code and a sentence with these words, without a traceback or anything on standard output."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert "unexpected" not in err
    for message in messages:
        assert message in err
    return err


def _train(*more, data="d.csv", target="y"):
    return ["train", data, "--target", target, "-o", "m.fall", "--epochs", "2", *more]


def _names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


# ------------------------------------------------------------------------------------------------------ what they are for


def test_from_a_file_to_predictions(capsys):
    """Train, inspect, predict, evaluate: the README's way."""
    assert main(_train("--validation", "0.2")) == 0
    out, err = capsys.readouterr()
    assert "'y' taken as binary" in out
    assert "On 60 rows held out: accuracy" in out
    assert err == ""
    assert main(["predict", "m.fall", "d.csv", "-o", "p.csv", "--keep", "id", "--json", "done.json"]) == 0
    assert re.match(r"300 rows predicted in \d+\.\d s: p\.csv\n", capsys.readouterr().out)
    done = json.loads(Path("done.json").read_text())
    assert (done["rows"], done["output"]) == (300, "p.csv")
    assert done["seconds"] > 0
    found = pd.read_csv("p.csv")
    assert found.columns.tolist() == ["id", "prediction", "probability_no", "probability_yes"]
    assert found["id"].tolist() == list(range(ROWS))
    assert main(["evaluate", "m.fall", "d.csv"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == ["rows", "accuracy", "log", "roc"]
    assert main(["inspect", "m.fall"]) == 0
    out = capsys.readouterr().out
    assert "per unit of the column" in out
    assert "(intercept)" in out
    assert _names() == ["d.csv", "done.json", "m.fall", "p.csv"]


@pytest.mark.parametrize(
    "arguments",
    [
        _train(),
        _train("--loss", "hinge", "--validation", "0.2"),
        _train("--cache", "nowhere-yet", "--verbose"),
        ["inspect", "d.csv", "--target", "y"],
        ["inspect", "MODEL"],
        ["evaluate", "MODEL", "d.csv"],
    ],
)
def test_json_on_standard_output_is_all_there_is(arguments, model, capsys):
    """A program reads it as it is: no number that JSON does not have, nothing before, nothing after."""

    def refuse(constant):
        raise AssertionError(constant)

    arguments = [model if argument == "MODEL" else argument for argument in arguments]
    assert main([*arguments, "--json", "-"]) == 0
    out = capsys.readouterr().out
    assert isinstance(json.loads(out, parse_constant=refuse), dict)
    assert main([*arguments, "--json", "found.json"]) == 0
    assert json.loads(Path("found.json").read_text()).keys() == json.loads(out).keys()


def test_json_stays_json_when_there_are_warnings(capsys):
    """They go to standard error."""
    Path("d.csv").write_text(Path("d.csv").read_text() + "7,oops,red,no\n")
    assert main(_train("--json", "-", "--on-error", "skip")) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["data"]["rows_skipped"] == 1
    assert "Traceback" not in err


def test_the_second_run_finds_the_cache(cache, capsys):
    """And says so; --no-cache keeps none."""
    main(_train("--no-cache"))
    assert not cache.exists()
    main(_train())
    assert "written to" in capsys.readouterr().out
    main(_train())
    assert "found again in" in capsys.readouterr().out
    assert len(_names(cache)) == 1


def test_a_plan_is_written_edited_and_taken_back(capsys):
    """`inspect -o`, an editor, `train --plan`."""
    assert main(["inspect", "d.csv", "--target", "y", "-o", "plan.json"]) == 0
    plan = json.loads(Path("plan.json").read_text())
    plan["columns"] = [column for column in plan["columns"] if column["name"] != "id"]
    Path("plan.json").write_text(json.dumps(plan))
    assert main(["train", "d.csv", "--plan", "plan.json", "-o", "m.fall", "--epochs", "1"]) == 0
    assert fallline.load("m.fall").encoder.reads_features == ["x", "colour"]


def test_compressed_patterns_and_several_files(capsys):
    """As a shell passes them, or as patterns in quotes."""
    content = Path("d.csv").read_bytes()
    for i in range(3):
        Path(f"part-{i}.csv.gz").write_bytes(gzip.compress(content))
    assert main(_train(data="part-*.csv.gz")) == 0
    assert "900 rows" in capsys.readouterr().out
    assert main(["predict", "m.fall", "part-0.csv.gz", "part-2.csv.gz", "-o", "p.parquet"]) == 0
    assert parquet.read_metadata("p.parquet").num_rows == 2 * ROWS


# ------------------------------------------------------------------------------------------------------------- bad input


def test_files_that_hold_nothing(capsys):
    """An empty one, one with a header only, a pattern that matches nothing, a name that is nearly right."""
    Path("empty.csv").touch()
    Path("header.csv").write_text("x,y\n")
    _fails(_train(data="empty.csv"), "'empty.csv' is empty", capsys=capsys)
    _fails(_train(data="header.csv"), "'header.csv' holds columns but no rows", capsys=capsys)
    _fails(_train(data="no-*.csv"), "The pattern 'no-*.csv' matches no file", capsys=capsys)
    _fails(_train(data="heade.csv"), "Did you mean 'header.csv'", capsys=capsys)
    assert "m.fall" not in _names()


def test_damaged_files_are_named_with_the_row(cache, capsys):
    """A gzip that is cut off, and a Parquet file with a damaged row group; no cache is left of them."""
    content = gzip.compress(_table(100_000).to_csv(index=False).encode())
    Path("cut.csv.gz").write_bytes(content[: len(content) * 3 // 4])
    _fails(_train(data="cut.csv.gz"), "'cut.csv.gz', row ", "damaged or cut off", capsys=capsys)
    parquet.write_table(pa.Table.from_pandas(_table(60_000)), "bad.parquet", row_group_size=20_000)
    column = parquet.ParquetFile("bad.parquet").metadata.row_group(1).column(1)
    damaged = bytearray(Path("bad.parquet").read_bytes())
    damaged[column.data_page_offset : column.data_page_offset + 200] = bytes(200)
    Path("bad.parquet").write_bytes(damaged)
    _fails(_train(data="bad.parquet"), "'bad.parquet', row group 2", "20,001 to 40,000", capsys=capsys)
    assert not cache.exists() or _names(cache) == []


def test_a_file_of_several_lacks_a_column(capsys):
    """The file and the column are named."""
    for i in range(3):
        table = _table(50) if i < 2 else _table(50).drop(columns="x")
        table.to_csv(f"part-{i}.csv", index=False)
    _fails(_train(data="part-*.csv"), "'part-2.csv' lacks the column 'x'", capsys=capsys)


def test_a_number_that_becomes_text_late(capsys):
    """Long after what was looked at to tell the types: file and row; or the row is left out, if asked for."""
    lines = ["x,y", *(f"{i},{i % 2}" for i in range(300_000))]
    lines[290_001] = "oops,1"
    Path("late.csv").write_text("\n".join(lines) + "\n")
    _fails(
        _train(data="late.csv"), "'late.csv', row 290,001: column 'x': 'oops' is not a number", capsys=capsys
    )
    assert main([*_train("--on-error", "skip", "--no-cache", "--epochs", "1", data="late.csv")]) == 0
    out, err = capsys.readouterr()
    assert "Left out: 1 row that could not be read." in out
    assert "1 row was left out that could not be read: 'late.csv', row 290,001: column 'x'" in err


def test_two_encodings_in_one_file(capsys):
    """The row where the second begins."""
    lines = [f"Müller{i % 7},{i % 2}\n".encode("utf-8" if i < 4000 else "latin-1") for i in range(5000)]
    Path("two.csv").write_bytes(b"name,y\n" + b"".join(lines))
    _fails(_train(data="two.csv"), "'two.csv', row 4,001", "not UTF-8", capsys=capsys)
    assert main(_train("--encoding", "latin-1", data="two.csv")) == 0


def test_quotes_that_never_close(capsys):
    """The row where the first opens; or they are characters like others, if asked for."""
    lines = ["x,name,y", *(f"{i},{chr(34) if i == 2000 else ''}abc,{i % 2}" for i in range(5000))]
    Path("quotes.csv").write_text("\n".join(lines) + "\n")
    _fails(_train(data="quotes.csv"), "'quotes.csv', row 2,001", "quote", capsys=capsys)
    assert main(_train("--no-quotes", data="quotes.csv")) == 0
    assert "5,000 rows" in capsys.readouterr().out


def test_the_target_of_libsvm(capsys):
    """It is the label, which need not be said."""
    Path("d.libsvm").write_text("".join(f"{i % 2} 1:{i} 2:3\n" for i in range(100)))
    assert main(["train", "d.libsvm", "-o", "m.fall", "--no-cache"]) == 0
    assert "'label' taken as binary" in capsys.readouterr().out
    assert main(["inspect", "d.libsvm", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["target"] == "label"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 1:2 1000000000000:3", "'1000000000000:3' is larger than"),
        ("1 -1:2", "negative"),
        ("1 3:1 3:2", "twice"),
        ("1 5:1 2:1", "ascending"),
        ("1 5:x", "5:x"),
    ],
)
def test_indices_that_libsvm_does_not_have(row, message, capsys):
    """Too large, negative, repeated, unsorted: the row is named; or left out, if asked for."""
    rows = [f"{i % 2} 1:{i} 2:3" for i in range(100)]
    Path("d.libsvm").write_text("\n".join([*rows, row, *rows]) + "\n")
    _fails(_train(data="d.libsvm", target="label"), "'d.libsvm', row 101", message, capsys=capsys)
    assert main(_train("--on-error", "skip", data="d.libsvm", target="label")) == 0
    assert "200 rows" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["a", "3", "2.5"])
def test_a_target_with_one_value(value, capsys):
    """There is nothing to learn."""
    Path("one.csv").write_text("x,y\n" + "".join(f"{i},{value}\n" for i in range(100)))
    _fails(_train(data="one.csv"), "'y'", "in every row", capsys=capsys)


def test_targets_that_are_not_there(capsys):
    """The nearest name, or those that there are."""
    _fails(_train(target="Y"), "Did you mean 'y'", capsys=capsys)
    _fails(_train(target="color"), "Did you mean 'colour'", capsys=capsys)
    _fails(["train", "d.csv", "-o", "m.fall"], "'id', 'x', 'colour', 'y'", capsys=capsys)


def test_a_plan_without_a_target_takes_it_when_training(capsys):
    """`inspect` needs none; it is no feature then; and a column made a category there keeps its leading zeros."""
    pd.DataFrame({"zip": ["007", "07", "7"] * 20, "y": [0, 1, 1] * 20}).to_csv("z.csv", index=False)
    assert main(["inspect", "z.csv", "-o", "plan.json"]) == 0
    assert "The plan: plan.json" in capsys.readouterr().out
    plan = (
        Path("plan.json")
        .read_text()
        .replace('"type": "int64", "kind": "number"', '"type": "int64", "kind": "category"', 1)
    )
    Path("plan.json").write_text(plan)
    _fails(
        ["train", "z.csv", "--plan", "plan.json", "-o", "z.fall"],
        "Give a target, one of: 'zip', 'y'",
        capsys=capsys,
    )
    assert (
        main(["train", "z.csv", "--plan", "plan.json", "--target", "y", "-o", "z.fall", "--epochs", "1"]) == 0
    )
    assert fallline.load("z.fall").encoder.feature_names == ["zip=007", "zip=07", "zip=7"]


def test_columns_at_prediction(model, capsys):
    """Unknown ones are of no concern, missing ones are named, categories never seen predict as such."""
    table = _table().assign(more=1, colour="violet").drop(columns="id")
    table.to_csv("more.csv", index=False)
    assert main(["predict", model, "more.csv", "-o", "p.csv"]) == 0
    capsys.readouterr()
    table.drop(columns="x").to_csv("less.csv", index=False)
    _fails(["predict", model, "less.csv", "-o", "q.csv"], "'less.csv' has no column 'x'", capsys=capsys)
    table.assign(x="text").to_csv("text.csv", index=False)
    _fails(["predict", model, "text.csv", "-o", "q.csv"], "'x'", "text.csv", capsys=capsys)
    assert "q.csv" not in _names()


def test_evaluation_without_the_target(model, capsys):
    """Says which column it lacks."""
    _table().drop(columns="y").to_csv("new.csv", index=False)
    _fails(["evaluate", model, "new.csv"], "'new.csv' has no column 'y', the target", capsys=capsys)


def test_a_file_that_changes_while_it_is_read(capsys, monkeypatch):
    """Is noticed, and named."""
    _table(200_000).to_csv("big.csv", index=False)
    told = []

    def lines(lines):
        from contextlib import nullcontext

        def tell(share, what):
            if not told:
                with Path("big.csv").open("a") as file:
                    file.write("1,2,red,no\n")
            told.append(what)

        return nullcontext(tell)

    monkeypatch.setattr("fallline.cli.train.progress_shown", lines)
    _fails(_train(data="big.csv"), "'big.csv' changed while it was being read", capsys=capsys)
    assert _names() == ["big.csv", "d.csv"]


# ------------------------------------------------------------------------------------------- models that are none, and the world


def test_models_that_are_none(model, capsys):
    """Missing, cut off, damaged, another kind of file."""
    content = Path(model).read_bytes()
    Path("cut.fall").write_bytes(content[:-10])
    Path("damaged.fall").write_bytes(content[:-10] + bytes(10))
    for name, words in (
        ("no.fall", "There is no file 'no.fall'"),
        ("cut.fall", "'cut.fall' cannot be read as a model"),
        ("damaged.fall", "checksum"),
        ("d.csv", "'d.csv' cannot be read as a model"),
        (".", "cannot be read as a model"),
    ):
        _fails(["predict", name, "d.csv", "-o", "p.csv"], words, capsys=capsys)
        _fails(["evaluate", name, "d.csv"], words, capsys=capsys)
    assert "p.csv" not in _names()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "d.csv", "--target", "y", "-o", "nowhere/m.fall"], "There is no folder 'nowhere'"),
        (["train", "d.csv", "--target", "y", "-o", "."], "is a folder"),
        (_train("--json", "nowhere/s.json"), "There is no folder 'nowhere'"),
        (_train("--plan", "no.json"), "There is no file 'no.json' to read a plan from"),
        (_train("--plan", "."), "There is no file '.' to read a plan from"),
        (_train("--plan", "d.csv"), "not JSON"),
        (_train("--memory", "1KB"), "memory='1KB'"),
        (_train("--epochs", "two"), "epochs='two'"),
        (_train("--batch-size", "ful"), "batch_size='ful'"),
        (_train("--seed", "-3"), "-3"),
        (_train("--validation", "2"), "validation=2"),
        (_train("--validation", "no.csv"), "There is no file 'no.csv'"),
        (_train("--task", "regresion"), "Did you mean 'regression'"),
        (_train("--loss", "hing"), "Did you mean 'hinge'"),
        (_train("--loss", "squared_error"), "'y'"),
        (_train("--on-error", "ignore"), "'stop' or 'skip'"),
        (_train("--encoding", "klingon"), "klingon"),
        (_train("--delimiter", ";;"), "one character"),
        (_train("--format", "exel"), "exel"),
        (_train("--ignore", "idd"), "Did you mean 'id'"),
        (_train("--learning-rate", "1e30", "--optimizer", "sgd"), "learning rate"),
        (["inspect", "MODEL", "-o", "plan.json"], "--output writes the plan of data"),
        (["inspect", "MODEL", "--effects", "all"], "effects='all'"),
        (["inspect", "d.csv", "--target", "y", "-o", "nowhere/plan.json"], "There is no folder"),
        (["evaluate", "MODEL", "d.csv", "--json", "nowhere/s.json"], "There is no folder 'nowhere'"),
        (["predict", "MODEL", "d.csv", "-o", "p.xlsx"], "does not end in .parquet"),
        (["predict", "MODEL", "d.csv", "-o", "p.csv", "--keep", "idd"], "Did you mean 'id'"),
        (["predict", "MODEL", "*.csv", "-o", "./d.csv"], "would be overwritten"),
        (["train", "d.csv", "--target", "y", "-o", "d.csv"], "would be overwritten"),
        (_train("--json", "d.csv"), "json='d.csv' is one of the files that are read"),
        (_train("--checkpoint", "./m.fall"), "are the same file"),
        (["evaluate", "MODEL", "d.csv", "--json", "d.csv"], "would be overwritten"),
        (["evaluate", "MODEL", "d.csv", "--json", "MODEL"], "would be overwritten"),
        (["inspect", "d.csv", "--target", "y", "-o", "d.csv"], "would be overwritten"),
        (["inspect", "d.csv", "--target", "y", "-o", "p.json", "--json", "p.json"], "are the same file"),
    ],
)
def test_mistakes_end_with_2_and_a_sentence(arguments, message, model, capsys):
    """Before long work begins, and with nothing written."""
    arguments = [model if argument == "MODEL" else argument for argument in arguments]
    _fails(arguments, message, capsys=capsys)
    assert _names() == ["d.csv"]


def test_a_cache_folder_that_cannot_be_written(capsys):
    """Is the world's: exit code 1, and what to do instead."""
    Path("file").touch()
    _fails(_train("--cache", "file/cache"), "file/cache", "--no-cache", code=1, capsys=capsys)
    assert "m.fall" not in _names()


def _full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("what", ["model", "predictions", "json"])
def test_a_full_disk_says_which_file(what, model, capsys, monkeypatch):
    """And leaves nothing half-written."""
    arguments = {
        "model": _train("--no-cache"),
        "predictions": ["predict", model, "d.csv", "-o", "p.parquet"],
        "json": ["evaluate", model, "d.csv", "--json", "s.json"],
    }[what]
    name = {"model": "m.fall", "predictions": "p.parquet", "json": "s.json"}[what]
    monkeypatch.setattr("fallline.files.os.fsync", _full)
    _fails(arguments, f"No space left on device: {name}", code=1, capsys=capsys)
    assert _names() == ["d.csv"]


def test_a_full_disk_while_the_cache_is_written(cache, capsys, monkeypatch):
    """Says so, and leaves nothing half-written."""
    monkeypatch.setattr("fallline.data.cache.writer._write_index", _full)
    _fails(_train(), "The disk filled up", "--no-cache", code=1, capsys=capsys)
    assert _names(cache) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("what", ["train", "predict"])
def test_files_may_not_grow(what, model, tmp_path):
    """A limit of the system on the size of files: one sentence, nothing left."""
    _table(100_000).to_csv("big.csv", index=False)
    arguments = {"train": _train(data="big.csv"), "predict": ["predict", model, "big.csv", "-o", "p.csv"]}[
        what
    ]
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))"
    program = f"{limited}; from fallline.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert _names() == ["big.csv", "d.csv"]


def test_debug_shows_the_traceback():
    """With --debug the error itself comes through."""
    with pytest.raises(ValueError, match="no such column"):
        main([*_train(target="nothing"), "--debug"])


# --------------------------------------------------------------------------------------------------------------- signals

_SLOW = {
    "reading": "train",
    "encoding": "train",
    "training": "train",
    "predicting": "predict",
}


def _stopped(phase, number, model, then=0.05):
    """Send a signal to a command in this phase; the exit code and standard error. Training would go on for hours."""
    words = " rows" if phase == "predicting" else f"{phase}:"
    arguments = {
        "train": [
            "train",
            "big.csv",
            "--target",
            "y",
            "-o",
            "m.fall",
            "--epochs",
            "100000",
            "--optimizer",
            "adam",
            "--learning-rate",
            "0.001",
        ],
        "predict": ["predict", model, "big.csv", "-o", "p.csv", "--memory", "128MB"],
    }[_SLOW[phase]]
    command = [sys.executable, "-m", "fallline", *arguments, "--verbose"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:
            if words in line:
                break
        time.sleep(then)
        process.send_signal(number)
        rest: list[str] = []
        reader = threading.Thread(target=rest.extend, args=(process.stderr,))
        reader.start()
        process.wait(timeout=60)
        reader.join()
    return process.returncode, "".join(rest)


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize(
    ("number", "phase"),
    [
        *(("SIGINT", phase) for phase in _SLOW),
        *(("SIGTERM", phase) for phase in ("encoding", "training", "predicting")),
        *(("SIGKILL", phase) for phase in ("encoding", "predicting")),
    ],
)
def test_signals_leave_nothing_half_written(phase, number, model, cache, large):
    """In every phase: exit codes 130 and 143, no traceback, no damaged cache, and the next run works."""
    Path("big.csv").hardlink_to(large)
    code, err = _stopped(phase, getattr(signal, number), model)
    assert code == {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -9}[number]
    assert "Traceback" not in err
    # On a busy machine the signal may come a phase later than it was sent for.
    saved = number == "SIGINT" and (phase == "training" or "training:" in err)
    assert _names() == ["big.csv", "d.csv"] + ["m.fall"] * saved
    if saved:
        assert fallline.load("m.fall").summary["stop"]["reason"] == "interrupted"
    elif number != "SIGKILL":
        assert err.splitlines()[-1] == "Interrupted; no output was written."
    if number != "SIGKILL" and cache.exists():
        assert all(name.endswith(".fallcache") for name in _names(cache))
    if phase in {"encoding", "training"}:
        assert main(_train("--epochs", "1", data="big.csv")) == 0
        assert [Path(name).suffix for name in _names(cache)] == [".fallcache"]


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_ctrl_c_before_the_work_has_begun():
    """While modules load, too: one line, no traceback."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from fallline.cli import main; print(1, flush=True); sys.exit(main())",
            "inspect",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert err == "Interrupted; no output was written.\n"
    assert process.returncode in {130, -signal.SIGINT}  # Python itself may end by the signal


# --------------------------------------------------------------------------------------------------------------- networks


@pytest.fixture
def own():
    """A file of the user's own that makes networks, beside the data; `fallline` finds it without being told where."""
    pytest.importorskip("torch")
    Path("nets.py").write_text(
        "from torch import nn\n"
        "def make(n, k):\n    return nn.Sequential(nn.Linear(n, 4), nn.Tanh(), nn.Linear(4, k))\n"
        "def fails(n, k):\n    raise KeyError('width')\n"
        "def narrow(n, k):\n    return nn.Linear(n, k + 2)\n"
    )
    yield
    sys.modules.pop("nets", None)


def test_a_perceptron_from_a_file_to_predictions(capsys):
    """With its options; what it is, is printed when it is trained and when it is inspected."""
    pytest.importorskip("torch")
    options = ["--model", "mlp", "--hidden", "8,4", "--dropout", "0.1", "--batch-norm", "--device", "cpu"]
    assert main(_train(*options, "--precision", "bf16", "--learning-rate", "0.01", "--json", "s.json")) == 0
    assert "-> 8 -> 4 -> 1 score" in capsys.readouterr().out
    told = json.loads(Path("s.json").read_text())["training"]
    assert told["network"]["arguments"]["hidden"] == [8, 4]
    assert (told["device"], told["precision"]) == ("cpu", "bf16")
    assert main(["predict", "m.fall", "d.csv", "-o", "p.csv"]) == 0
    assert len(pd.read_csv("p.csv")) == ROWS
    capsys.readouterr()
    assert main(["inspect", "m.fall"]) == 0
    shown = capsys.readouterr().out
    assert "Network mlp" in shown
    assert "norms.0: BatchNorm(8" in shown


def test_a_network_of_ones_own(own, capsys):
    """Trained by the name of its function, and used by those who say that it may be imported."""
    assert main(_train("--model", "nets:make", "--learning-rate", "0.01", "--device", "cpu")) == 0
    sys.modules.pop("nets")
    capsys.readouterr()
    for command in (["evaluate", "m.fall", "d.csv"], ["predict", "m.fall", "d.csv", "-o", "p.csv"]):
        _fails(command, "--model nets:make", capsys=capsys)
        assert "nets" not in sys.modules
    assert main(["inspect", "m.fall"]) == 0
    assert "Network nets:make" in capsys.readouterr().out
    assert "nets" not in sys.modules
    for command in ("evaluate", "inspect"):
        data = ["d.csv"] if command == "evaluate" else []
        assert main([command, "m.fall", *data, "--model", "nets:make"]) == 0
    assert main(["predict", "m.fall", "d.csv", "-o", "p.csv", "--model", "nets:make"]) == 0
    capsys.readouterr()
    _fails(
        ["evaluate", "m.fall", "d.csv", "--model", "nets:narrow"],
        "is not the one that was trained",
        capsys=capsys,
    )
    _fails(["inspect", "d.csv", "--target", "y", "--model", "nets:make"], "data were given", capsys=capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nosuch.module:thing"], "No module named 'nosuch'"),
        (["--model", "nets:gone"], "no attribute 'gone'"),
        (["--model", "nets:fails"], "KeyError: 'width'"),
        (["--model", "nets:narrow"], "gives outputs of shape (3, 3)"),
        (["--model", "mpl"], "Did you mean 'mlp'"),
        (["--model", "mlp", "--solver", "newton"], "solver='newton' is of linear models"),
        (["--model", "mlp", "--penalty", "l1"], "penalty='l1'"),
        (["--model", "mlp", "--hidden", "8,x"], "hidden='x'"),
        (["--model", "mlp", "--dropout", "2"], "dropout=2.0"),
        (["--model", "mlp", "--device", "abacus"], "device='abacus'"),
        (["--model", "nets:make", "--hidden", "8"], "hidden=[8] is of model='mlp'"),
        (["--hidden", "8"], "hidden=[8] is of networks"),
        (["--batch-norm"], "batch_norm=True is of networks"),
        (["--precision", "bf16"], "precision='bf16' is of networks"),
    ],
)
def test_networks_that_cannot_be_trained(options, message, own, capsys):
    """End with 2 and a sentence, and leave nothing."""
    _fails(_train(*options), message, capsys=capsys)
    assert "m.fall" not in _names()


# -------------------------------------------------------------------------------------------------------------- real data


@pytest.mark.skipif(DATA is None, reason="FALLLINE_DATA does not name the folder of real data sets")
@pytest.mark.parametrize(
    ("arguments", "least"),
    [
        (["adult/adult.data", "--target", "x14"], {"accuracy": 0.84}),
        (["a9a/a9a", "--target", "label", "--format", "libsvm"], {"accuracy": 0.84}),
        (["nycflights13/flights.csv.gz", "--target", "arr_delay"], {"r2": 0.8}),
    ],
)
def test_real_data_train(arguments, least, capsys):
    """With the command only."""
    found = ["train", str(Path(DATA, arguments[0])), *arguments[1:]]
    assert main([*found, "-o", "m.fall", "--epochs", "3", "--validation", "0.2", "--json", "-"]) == 0
    metrics = json.loads(capsys.readouterr().out)["validation"]
    for name, value in least.items():
        assert metrics[name] > value
