"""Vowpal Wabbit with its cache: the table rewritten as its text, column by column, then trained on and predicted from."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from vowpalwabbit import Workspace

from columns import DATE, FEW, MANY, NUMBERS, TARGET
from pipelines import PASSES, Stages, main

NAME = "Vowpal Wabbit"


def _rewritten(source, destination):
    """Write lines such as `1 |n amount:3.5 age:33 ... |c country=DE ...`; what is missing becomes a feature of its own."""
    names = [*NUMBERS, *FEW, *MANY, DATE, TARGET]
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()) | {DATE: pa.date32()},
        null_values=[""],
        strings_can_be_null=True,
    )
    with (
        pyarrow.csv.open_csv(source, convert_options=convert) as reader,
        Path(destination).open("wb") as file,
    ):
        file.writelines(("\n".join(_lines(batch)) + "\n").encode() for batch in reader)


def _lines(batch):
    def features(separator, columns):
        return [
            pc.if_else(pc.is_null(batch[name]), f"{name}_missing", pc.binary_join_element_wise(name, batch[name], separator))
            for name in columns
        ]  # fmt: skip

    date = batch[DATE]
    labels = pc.if_else(pc.equal(batch[TARGET], "1"), "1", "-1")
    days = pc.cast(pc.cast(date, pa.int32()), pa.string())
    month, weekday = (pc.cast(part(date), pa.string()) for part in (pc.month, pc.day_of_week))
    lines = pc.binary_join_element_wise(
        labels, "|n", *features(":", NUMBERS), pc.binary_join_element_wise("day", days, ":"),
        "|c", *features("=", (*FEW, *MANY)), pc.binary_join_element_wise("month", month, "="),
        pc.binary_join_element_wise("weekday", weekday, "="), " ",
    )  # fmt: skip
    return lines.to_pylist()


def run(train, test, predictions, folder):
    """Convert, train for five passes over the cache, predict."""
    stages, folder = Stages(), Path(folder)
    _rewritten(train, folder / "train.vw")
    _rewritten(test, folder / "test.vw")
    stages.done("convert to its text")
    Workspace(
        f"-d {folder}/train.vw -f {folder}/model.vw --cache_file {folder}/train.cache -k --passes {PASSES} -b 22 "
        "--loss_function logistic --holdout_off --quiet"
    ).finish()
    stages.done("train")
    Workspace(
        f"-d {folder}/test.vw -t -i {folder}/model.vw --link logistic -p {folder}/scores --quiet"
    ).finish()
    scores = (folder / "scores").read_text()
    Path(predictions).write_text("probability_1\n" + scores)
    stages.done("predict")
    return stages


if __name__ == "__main__":
    main(NAME, run)
