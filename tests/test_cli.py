"""The command line, as its users meet it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fallline.cli import main


@pytest.fixture
def table(tmp_path):
    """A CSV file of forty rows."""
    x = np.random.default_rng(0).normal(size=40)
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "".join(f"{value},{int(value > 0)}\n" for value in x))
    return path


def test_compare_writes_a_page_and_numbers(table, tmp_path, capsys):
    """One command; a table, a verdict and where the page is on standard output, nothing on standard error."""
    page = tmp_path / "r.html"
    options = [
        "--target",
        "y",
        "--output",
        str(page),
        "--batch-sizes",
        "1,0.5,full",
        "--epochs",
        "3",
        "--seeds",
        "1",
    ]
    assert main(["compare", str(table), *options]) == 0
    out, err = capsys.readouterr()
    assert f"The page: {page}" in out
    assert err == ""
    numbers = json.loads(page.with_suffix(".json").read_text())
    assert numbers["settings"]["batch_sizes"] == [1, 16, 32]
    assert numbers["command"].startswith("fallline compare ")
    assert page.read_text().startswith("<!doctype html>")


def test_compare_takes_files_as_train_does(tmp_path, capsys):
    """Several files, without a header, with a delimiter, a text for missing values and bad rows of their own; all is told."""
    for part in range(2):
        rows = [f"{i % 7}|{'red' if i % 3 else 'blue'}|-9|note {i}|{i % 2}" for i in range(50)]
        rows[5] = "1|red|0|note|-9"
        rows[9] = "too|few"
        (tmp_path / f"{part}.txt").write_text("\n".join(rows) + "\n")
    page = tmp_path / "r.html"
    options = ["--target", "x4", "--format", "csv", "--delimiter", "|", "--no-header", "--missing", "-9", "--on-error", "skip",
               "--categorical", "x0", "--ignore", "x2", "--text", "x3", "--task", "classification", "--memory", "1GB",
               "--epochs", "2", "--seeds", "1", "--batch-sizes", "8", "--output", str(page)]  # fmt: skip
    assert main(["compare", str(tmp_path / "*.txt"), *options]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("*.txt: 96 rows of ")
    assert "'x4' taken as binary (as asked for)." in out
    assert "Left out: 2 rows without a target and 2 rows that could not be read." in out
    numbers = json.loads(page.with_suffix(".json").read_text())
    kinds = {one["column"]: one["kind"] for one in numbers["data"]["encoding"]}
    assert kinds == {"x0": "category", "x1": "category", "x2": "ignore", "x3": "text"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to compare"),
        (["nothing.csv", "--target", "y"], "'nothing.csv'"),
        (["--demo", "wine", "--task", "clustering"], "task='clustering' is not one of"),
        (["--demo", "wine", "--memory", "lots"], "memory='lots'"),
        (["--demo", "wine", "--on-error", "ignore"], "on_error is 'ignore'"),
        (["--demo", "wine", "--ignore", "alcohl"], "Did you mean 'alcohol'"),
        (["--demo", "digts"], "Did you mean 'digits'"),
        (["--demo", "wine", "--output", "missing/r.html"], "no folder"),
        (["--demo", "wine", "--epochs", "many"], "epochs='many'"),
        (["--demo", "wine", "--batch-sizes", "1,ful"], "batch_size='ful'"),
    ],
)
def test_mistakes_end_with_2_and_a_sentence(options, message, capsys, tmp_path, monkeypatch):
    """A user's mistake is explained in a line, without a traceback."""
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_what_the_world_does_ends_with_1(monkeypatch, capsys):
    """A full disk is not the user's mistake."""

    def full(*_, **__):
        raise OSError(28, "No space left on device", "r.html")

    monkeypatch.setattr("fallline.compare", full)
    assert main(["compare", "--demo", "wine"]) == 1
    assert "No space left on device: r.html" in capsys.readouterr().err


def test_debug_shows_the_traceback():
    """With --debug the error itself comes through."""
    with pytest.raises(ValueError, match="nothing to compare"):
        main(["compare", "--debug"])


def test_no_command_is_a_mistake(capsys):
    """Without a command: usage, and 2."""
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "usage: fallline" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_ctrl_c_ends_with_130_and_no_half_written_file(tmp_path):
    """One line, no traceback, nothing on the disk."""
    command = [
        sys.executable,
        "-m",
        "fallline",
        "compare",
        "--demo",
        "digits",
        "--output",
        "r.html",
        "--verbose",
        "--epochs",
        "100000",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "rate" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "Interrupted; no output was written."
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
