"""Batches for a training loop of one's own."""

from __future__ import annotations

import json
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, Dataset, TensorDataset  # noqa: E402

import fallline.torch  # noqa: E402
from fallline.data.budget import Budget  # noqa: E402
from fallline.errors import ParameterError, StateError  # noqa: E402

ROWS, COLUMNS = 20_000, 60
BATCH = 96


class Samples(Dataset):
    """Samples that know their numbers, some at once."""

    def __len__(self):
        return 1000

    def __getitem__(self, i):
        return torch.tensor([i, 1.0]), i


def frame(n=ROWS, columns=COLUMNS):
    rng = np.random.default_rng(0)
    columns = {f"x{j}": rng.standard_normal(n).astype(np.float32) for j in range(columns)}
    return pd.DataFrame(
        {"number": np.arange(n, dtype=np.float32)} | columns | {"y": np.arange(n, dtype=float)}
    )


def tensors(folder):
    return (torch.arange(1000.0)[:, None].repeat(1, 3), torch.arange(1000)), {}


def sparse(folder):
    rows = sp.random(1000, 30, 0.1, "csr", dtype=np.float32, random_state=0)
    return (
        sp.csr_array(sp.hstack([np.arange(1000, dtype=np.float32)[:, None], rows])),
        torch.arange(1000),
    ), {}


def dataset(folder):
    return Samples(), {}


def with_workers(folder):
    return Samples(), {"workers": 2}


def files(folder):
    frame().to_parquet(folder / "rows.parquet")
    return str(folder / "rows.parquet"), {"target": "y", "task": "regression", "cache": folder}


KINDS = {"tensors": tensors, "sparse": sparse, "Dataset": dataset, "workers": with_workers, "windows": files}


@pytest.fixture(params=KINDS)
def make(request, tmp_path, monkeypatch):
    """A function that makes batches of some kind of data."""
    if request.param == "windows":
        monkeypatch.setattr(Budget, "holds", lambda budget, size: False)
        monkeypatch.setattr(Budget, "window_bytes", 3 * 2**20)
    data, settings = KINDS[request.param](tmp_path)
    return lambda **more: fallline.torch.batches(data, **{"batch_size": BATCH, "seed": 7} | settings | more)


def labels(parts):
    return [y.reshape(-1).tolist() for _, y in parts]


def flat(lists):
    return [number for numbers in lists for number in numbers]


def test_every_iteration_is_an_epoch(make):
    """Whole batches but for the last, each row once, in another order every time; the same for the same seed."""
    parts = make()
    first, second = labels(parts), labels(parts)
    n = parts.n_rows
    assert [len(batch) for batch in first] == [BATCH] * (n // BATCH) + [n % BATCH]
    assert len(first) == len(parts)
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(n))
    assert first != second
    assert parts.epoch == 2
    again = make()
    assert [labels(again), labels(again)] == [first, second]
    assert labels(make(seed=8)) != first
    parts.close()
    again.close()


def test_inputs_are_those_of_their_targets(make):
    """A batch's inputs belong to its targets, also where it was put together of two windows; and stay what they are."""
    found = list(make())
    numbers = torch.cat([x[:, 0] for x, _ in found])
    targets = torch.cat([y.reshape(-1) for _, y in found])
    values = np.arange(len(targets))
    if found[0][0].shape[1] == COLUMNS + 1:
        numbers = numbers * values.std() + values.mean()
    torch.testing.assert_close(numbers.double(), targets.double(), rtol=1e-5, atol=0.1)


def test_a_state_is_exact_in_the_middle_of_an_epoch(make):
    """From a state, which is plain JSON, other batches go on with those that are left, and with the epochs after."""
    parts = make()
    labels(parts)
    rest = []
    for k, (_, y) in enumerate(parts):
        if k == 4:
            state = json.loads(json.dumps(parts.state_dict()))
        if k > 4:
            rest.append(y.reshape(-1).tolist())
    after = labels(parts)
    other = make()
    other.load_state_dict(state)
    assert labels(other) == rest
    assert labels(other) == after
    parts.load_state_dict(state)
    assert labels(parts) == rest
    parts.close()
    other.close()


def test_between_epochs_a_state_leads_to_the_next(make):
    """A state of finished epochs goes on with the epoch after them."""
    parts, other = make(), make()
    labels(parts)
    other.load_state_dict(parts.state_dict())
    assert labels(other) == labels(parts)
    parts.close()
    other.close()


def test_broken_off_nothing_runs_on(make):
    """A break leaves neither threads nor processes; the next iteration is another epoch."""
    before = set(threading.enumerate())
    parts = make()
    begun = []
    for _, y in parts:
        begun.append(y.reshape(-1).tolist())
        if len(begun) == 3:
            break
    parts.close()
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)
    assert not torch.multiprocessing.active_children()
    epoch = labels(parts)
    assert parts.epoch == 2
    assert sorted(flat(epoch)) == list(range(parts.n_rows))
    assert epoch[:3] != begun
    parts.close()


def test_the_last_batch_can_be_left_out(make):
    """With drop_last, all batches have the same size, and len says how many."""
    parts = make(drop_last=True)
    found = labels(parts)
    assert {len(batch) for batch in found} == {BATCH}
    assert len(found) == len(parts) == parts.n_rows // BATCH
    assert labels(parts) != found
    parts.close()


def test_without_shuffling_rows_come_in_order(make):
    """The same every time: of tensors as they are, of files as they lie in the cache."""
    parts = make(shuffle=False)
    first = labels(parts)
    assert labels(parts) == first
    if parts.encoder is None:
        assert flat(first) == list(range(parts.n_rows))
    parts.close()


def test_nothing_is_done_row_by_row():
    """A batch of a thousand rows takes no more than thirty calls of functions."""
    X = torch.zeros(100_000, 3)
    parts = fallline.torch.batches((X, X), 1000)
    list(parts)
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        list(parts)
    finally:
        sys.setprofile(None)
    assert 100 < count < 30 * 100


def test_what_is_given_follows_from_what_there_is():
    """(x, y), (x, y, weight), or x alone; nested as it was."""
    X, y, weight = torch.zeros(10, 2), torch.arange(10), torch.ones(10)
    for data, parts in (((X, y), 2), ((X, y, weight), 3), (TensorDataset(X, y), 2)):
        assert len(next(iter(fallline.torch.batches(data, 4)))) == parts
    assert next(iter(fallline.torch.batches(X, 4))).shape == (4, 2)
    (x, other), targets = next(iter(fallline.torch.batches(((X, X), {"a": y}), 4)))
    assert x.shape == other.shape == (4, 2)
    assert targets["a"].shape == (4,)


def test_batches_share_no_memory():
    """What a loop does to a batch changes neither the data nor another batch."""
    X = torch.arange(20.0).reshape(10, 2)
    for shuffle in (True, False):
        kept = []
        for (x,) in ((part,) for part in fallline.torch.batches(X, 5, shuffle=shuffle, device="cpu")):
            x.neg_()
            kept.append(x)
        assert torch.equal(X, torch.arange(20.0).reshape(10, 2))
        assert sorted(-value for part in kept for value in part.flatten().tolist()) == list(range(20))


@pytest.mark.parametrize(
    "changed", [{"seed": 8}, {"batch_size": 50}, {"shuffle": False}, {"drop_last": True}, {"rows": 1}]
)
def test_a_state_of_other_batches_is_refused(changed):
    """Where rows, sizes or orders differ, going on would visit other rows: an error that says what differs."""
    X = torch.zeros(100, 2)
    state = fallline.torch.batches(X, 10, 7).state_dict()
    settings = {"batch_size": 10, "seed": 7} | changed
    other = torch.zeros(settings.pop("rows", 100), 2)
    with pytest.raises(StateError, match=f"{next(iter(changed))}="):
        fallline.torch.batches(other, **settings).load_state_dict(state)


@pytest.mark.parametrize(
    ("data", "settings", "words"),
    [
        (DataLoader(Samples()), {}, "has batches of its own"),
        (torch.zeros(3, 2), {"batch_size": 0}, "batch_size=0"),
        (torch.zeros(3, 2), {"seed": -1}, "-1 cannot be used as a seed"),
        (torch.zeros(3, 2), {"shuffle": "no"}, "shuffle='no'"),
        (torch.zeros(3, 2), {"device": "abacus"}, "device='abacus'"),
        (torch.zeros(3, 2), {"workers": 1}, "workers=1 is for a Dataset"),
    ],
)
def test_bad_settings(data, settings, words):
    """What has no meaning is an error that says so."""
    with pytest.raises(ParameterError, match=words):
        fallline.torch.batches(data, **{"batch_size": 2} | settings)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("resident", [True, False])
def test_batches_on_a_device(resident, monkeypatch):
    """On the device they are what they are on the processor, whether all rows fit there or not."""
    import fallline.torch.batching as page

    monkeypatch.setattr(page, "_RESIDENT_SHARE", 0.5 if resident else 0.0)
    data = torch.randn(10_000, 7), torch.arange(10_000)
    there = list(fallline.torch.batches(data, 64, device="cuda"))
    torch.cuda.synchronize()
    for (x, y), (x_there, y_there) in zip(fallline.torch.batches(data, 64), there, strict=True):
        assert x_there.is_cuda
        assert torch.equal(x, x_there.cpu())
        assert torch.equal(y, y_there.cpu())
