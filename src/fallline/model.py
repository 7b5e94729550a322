"""What is left when training ends: encoder, weights and how they came about. It predicts, evaluates, saves and loads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fallline.data.budget import memory_budget
from fallline.data.encoder import Effects, Encoder
from fallline.data.further import encoded_ahead
from fallline.data.rows import ArraySource, Rows
from fallline.data.sinks import SINKS, writing
from fallline.data.sources.base import Batch
from fallline.data.sources.options import ReadOptions
from fallline.errors import InputError, ParameterError
from fallline.files import require_writable
from fallline.kernels.blocks import Block, row_weights
from fallline.metrics import ClassMetrics, NumberMetrics
from fallline.modelfile import encoder_tensors, reading_model, write_model
from fallline.names import listed
from fallline.networks.factories import factory_named, name_of_factory
from fallline.objective.links import highest
from fallline.objective.losses import loss_from_json, loss_to_json, name_of
from fallline.reports import training_report
from fallline.scorers import LinearScorer, NetworkScorer, Scorer

__all__ = ["Model", "load"]


class _Scored(NamedTuple):
    """Some rows of the data, encoded, and their scores (rows, outputs)."""

    batch: Batch
    rows: Rows
    scores: np.ndarray


@dataclass(frozen=True)
class Model:
    """A trained model and the encoder of the columns that it takes.

    `fallline.train` makes one, and `fallline.load` reads one from a file.

    Attributes
    ----------
    encoder : Encoder
        From columns to numbers.
    scorer : Scorer
        From encoded rows to scores: what was trained.
    weights : ndarray of shape (outputs, features + 1), float32
        Of a linear model: one row an output; the last entry is the intercept.
    loss : NamedTuple
        The loss that was minimised; its link leads from scores to predictions.
    summary : dict
        What was done: rows, epochs, seconds, losses, why training stopped, and with which settings.
    history : list of dict
        One record an epoch, and more within long ones.
    """

    encoder: Encoder
    scorer: Scorer
    loss: Any
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def weights(self) -> np.ndarray:
        """See `Attributes`; `ParameterError` where the model is not linear."""
        if not isinstance(self.scorer, LinearScorer):
            raise ParameterError(
                "Only a linear model has weights and effects, one for each feature, but this one is a network. Its parameters "
                "are in model.scorer."
            )
        return self.scorer.weights

    @property
    def task(self) -> str:
        """One of "binary", "multiclass" and "regression"."""
        return self.encoder.task

    @property
    def classes(self) -> list[Any] | None:
        """The classes in the order of their probabilities; None for regression."""
        return self.encoder.classes

    def predict(
        self,
        data: Any,
        output: str | os.PathLike | None = None,
        *,
        keep: Sequence[str] = (),
        memory: str | int | None = None,
        options: ReadOptions = ReadOptions(),
        progress: Callable[[float, str], None] | None = None,
    ) -> Any:
        """Predict every row, in order.

        Parameters
        ----------
        data : path, list of paths, data frame, table, array or sparse matrix
            Rows with the columns that the model was trained on; others are not looked at.
        output : path, optional
            A file to write predictions to, row for row, in a column `prediction` and, where there are probabilities, a column
            `probability_<class>` for each class: Parquet, CSV or JSON lines by its ending. The data may be larger than memory.
        keep : sequence of str
            Columns of the data to carry over into the file.
        memory : str or int, optional
            How much memory to use, such as "1GB"; by default half of what is free.
        options : ReadOptions
            How to read files.
        progress : callable, optional
            Told from time to time the share of the work that is done, and what is being done.

        Returns
        -------
        ndarray of shape (n,), or the number of rows written
            Classes or numbers.

        Raises
        ------
        InputError
            If a column is missing or does not hold what it held in training.
        ParameterError
            If the output cannot be written.
        """
        if output is None:
            if keep:
                raise ParameterError(
                    "keep= carries columns over into a file, but there is no output. Give one."
                )
            parts = [self._predicted(found.scores) for found in self._scored(data, memory, options, progress)]
            return np.concatenate(parts)
        require_writable(output, "output", tuple(SINKS))
        self._require_free(keep)
        return self._write(output, list(keep), self._scored(data, memory, options, progress, keep))

    def predict_proba(
        self, data: Any, *, memory: str | int | None = None, options: ReadOptions = ReadOptions()
    ) -> np.ndarray:
        """The probability of every class, for every row in order.

        Parameters
        ----------
        data, memory, options
            As for `predict`.

        Returns
        -------
        ndarray of shape (n, classes)
            In the order of `classes`.

        Raises
        ------
        ParameterError
            If the model has none: for regression, and for losses of margins.
        """
        if not self._has_probabilities:
            raise ParameterError(
                f"A model trained with {name_of(self.loss)} has no probabilities. Use predict, or train a classifier with "
                "loss='log_loss'."
            )
        scored = self._scored(data, memory, options, None)
        return np.concatenate([self.loss.link.probabilities(found.scores) for found in scored])

    def evaluate(
        self,
        data: Any,
        *,
        memory: str | int | None = None,
        options: ReadOptions = ReadOptions(),
        progress: Callable[[float, str], None] | None = None,
    ) -> dict[str, float]:
        """How well the model predicts rows whose target is known.

        Rows without a target are left out, and weighted as in training where the model has a column of weights.

        Parameters
        ----------
        data, memory, options, progress
            As for `predict`; the target has to be among the columns.

        Returns
        -------
        dict
            "rows"; "accuracy", "log_loss" and "roc_auc", or "rmse", "mae" and "r2"; "rows_of_unknown_classes", if there are any.
        """
        metrics = self.metrics()
        for found in self._scored(data, memory, options, progress, truth=True):
            self.measure(metrics, found.rows.y, found.scores, found.rows.weight)
        results = metrics.results()
        if not results.get("rows"):
            raise InputError(
                "No row has a target, so there is nothing to evaluate. Check the target's column."
            )
        if results["rows"] == results.get("rows_of_unknown_classes"):
            target = self.encoder.target.name
            there = found.batch.rows.column(target).drop_null().unique().to_pylist()
            raise InputError(
                f"None of the classes in {target!r} ({listed(there, 3)}) is one that was trained on "
                f"({listed(self.classes or [], 3)}). Check how they are written."
            )
        return results

    def metrics(self) -> ClassMetrics | NumberMetrics:
        """An empty account of how good predictions are."""
        return NumberMetrics() if self.classes is None else ClassMetrics(len(self.classes))

    def measure(
        self, metrics: ClassMetrics | NumberMetrics, y: np.ndarray, scores: np.ndarray, weight: np.ndarray
    ) -> None:
        """Enter encoded targets and the scores of the same rows into an account."""
        if isinstance(metrics, NumberMetrics):
            metrics.add(self._original(y[:, 0]), self._predicted(scores), weight)
            return
        classes = y[:, 0] > 0 if self.task == "binary" else y[:, 0]
        truth = np.where(np.isnan(y[:, 0]), -1, classes).astype(np.intp)
        probabilities = self.loss.link.probabilities(scores) if self._has_probabilities else None
        metrics.add(truth, highest(scores), probabilities, weight)

    def measure_block(self, metrics: ClassMetrics | NumberMetrics, block: Block) -> None:
        """Enter the rows of a block into an account."""
        scores = self.scorer.score(block, offset=self._offset)
        self.measure(metrics, block.y[block.rows], scores, row_weights(block)[block.rows])

    def effects(self) -> list[Effects]:
        """What each feature adds to each score, in the units of the columns, largest effects first."""
        return [
            output._replace(effects=sorted(output.effects, key=lambda effect: -abs(effect.standardised)))
            for output in self.encoder.original_units(self.weights)
        ]

    def report(self) -> str:
        """What was done, for people."""
        return training_report(self.summary)

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to one safetensors file, whole or not at all; see `fallline.modelfile`."""
        tensors, document = self.encoder.to_tensors()
        scorer_tensors, scorer = self.scorer.to_file()
        write_model(
            path,
            {**scorer_tensors, **{f"encoder.{name}": tensor for name, tensor in tensors.items()}},
            {
                **scorer,
                "loss": loss_to_json(self.loss),
                "summary": self.summary,
                "history": self.history,
                "encoder": document,
            },
        )

    # ------------------------------------------------------------------------------------------------- streaming

    @property
    def _has_probabilities(self):
        return self.classes is not None and self.loss.link.probabilities is not None

    @property
    def _offset(self):
        return self.encoder.plan.offset is not None

    @cached_property
    def _labels(self):
        """The classes (n,), each exactly: as Python's numbers where no type of NumPy holds them all."""
        labels = np.array(self.classes)
        return np.array(self.classes, object) if labels.dtype.kind in "fO" else labels

    @cached_property
    def _arrow_labels(self):
        """The classes for files; as text where there is no type of numbers that holds them all."""
        return pa.array(self._labels if self._labels.dtype.kind != "O" else map(str, self._labels))

    def _original(self, y):
        """Numbers in the units of the target, float64: a year is of little account beside a mean of seconds since 1970."""
        return y.astype(np.float64) * self.encoder.target_scale + self.encoder.target_mean

    def _predicted(self, scores):
        """Classes or numbers, (rows,)."""
        if self.classes is None:
            return self._original(self.loss.link.mean(scores[:, 0]))
        return self._labels[highest(scores)]

    def _scored(
        self,
        data: Any,
        memory: str | int | None,
        options: ReadOptions,
        progress: Callable[[float, str], None] | None,
        keep: Sequence[str] = (),
        *,
        truth: bool = False,
    ) -> Iterator[_Scored]:
        """Every row of the data, part by part, in order."""
        encoder = self.encoder

        def score(rows):
            everything = np.arange(rows.n_rows, dtype=np.uint64)
            scores = self.scorer.score(rows.block(everything), offset=self._offset)
            if not np.isfinite(scores).all():
                ArraySource(rows, columns=encoder.feature_names).require_finite(everything)
            return rows, scores

        for batch, (rows, scores) in encoded_ahead(
            data,
            encoder,
            score,
            options=options,
            budget=memory_budget(memory),
            keep=keep,
            truth=truth,
            progress=progress,
        ):
            yield _Scored(batch, rows, scores)

    def _write(self, output, keep, scored):
        """Write predictions to a file; return how many."""
        first = next(scored)
        rows = 0
        with writing(output, self._table(first, keep).schema) as sink:
            for found in chain([first], scored):
                sink.write_batch(self._table(found, keep))
                rows += len(found.scores)
        return rows

    def _table(self, found, keep):
        """Kept columns, predictions and probabilities of some rows as a record batch."""
        columns = {name: found.batch.rows.column(name) for name in keep}
        if self.classes is None:
            columns["prediction"] = pa.array(self._predicted(found.scores))
        else:
            columns["prediction"] = self._arrow_labels.take(pa.array(highest(found.scores)))
        if self._has_probabilities:
            probabilities = self.loss.link.probabilities(found.scores)
            columns |= zip(self._probability_columns, map(pa.array, probabilities.T.copy()), strict=True)
        return pa.RecordBatch.from_pydict(columns)

    @property
    def _probability_columns(self):
        return [f"probability_{label}" for label in self.classes or []] if self._has_probabilities else []

    def _require_free(self, keep):
        """Raise for kept columns whose names are those of predictions."""
        for name in keep:
            if name in {"prediction", *self._probability_columns}:
                raise ParameterError(
                    f"The column {name!r} cannot be kept: that is what a column of predictions is called. Rename it in the data."
                )


def load(path: str | os.PathLike, model: str | Callable | None = None) -> Model:
    """Read a model that `Model.save` or `fallline train` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : path
    model : str or callable, optional
        The function that made the network, or its name as "package.module:function", where it is one of your own: the file only
        names it, and it is not imported unasked. Without it, such a model tells how it was trained, but does not predict.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If the file is missing, damaged, no model, or of a format that this version does not read.
    ParameterError
        If `model` is not what made the network.
    MissingDependencyError
        If it is a network and PyTorch is not installed.
    """
    with reading_model(path) as (tensors, document):
        kind: Any = NetworkScorer if "network" in document else LinearScorer
        found = Model(
            encoder=Encoder.from_tensors(encoder_tensors(tensors), document["encoder"]),
            scorer=kind.from_file(tensors, document),
            loss=loss_from_json(document["loss"]),
            summary=document["summary"],
            history=document["history"],
        )
    return found if model is None else _made(found, model)


def _made(found, model):
    """The same, its network made by a function that was given or named."""
    if not isinstance(found.scorer, NetworkScorer) or found.scorer.network.model == "mlp":
        raise ParameterError(
            f"model={model!r} is to make a network, but the file holds all of its model. Leave it out."
        )
    factory, name = (
        (factory_named(model), model) if isinstance(model, str) else (model, name_of_factory(model))
    )
    return replace(found, scorer=found.scorer.made_by(factory, name, found.encoder))
