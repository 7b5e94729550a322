"""How much memory may be used."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fallline.data.budget import MINIMUM, Budget, _free_in_cgroups, free_memory, memory_budget
from fallline.data.cache.shuffle import BUFFER_BYTES
from fallline.errors import ParameterError


@pytest.mark.parametrize(
    ("given", "total"),
    [
        ("1GB", 10**9),
        ("1 gb", 10**9),
        ("1.5g", 15 * 10**8),
        ("512MiB", 2**29),
        ("2Gi", 2**31),
        ("1TiB", 2**40),
        ("200000KB", 2 * 10**8),
        ("300000000", 3 * 10**8),
        (400_000_000, 4 * 10**8),
    ],
)
def test_amounts_are_read_as_people_write_them(given, total):
    """Powers of ten and of two, with or without B, in any case."""
    assert memory_budget(given).total == total


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("64MB", "less than the 128 MB"),
        (0, "less than the 128 MB"),
        (-5, "less than the 128 MB"),
        ("1 parsec", "unit 'parsec'"),
        ("1GBB", "unit 'GBB'"),
        ("much", "no amount of memory"),
        ("-1GB", "no amount of memory"),
        ("", "no amount of memory"),
        ("1e9", "no amount of memory"),
        (True, "is a bool"),
        (1.5, "is a float"),
    ],
)
def test_what_is_no_amount_or_too_little_is_said(given, message):
    """The error repeats what was given and says what is wanted."""
    with pytest.raises(ParameterError, match=message):
        memory_budget(given)


def test_by_default_half_of_what_is_free():
    """No more than half of the free memory, and never less than the minimum."""
    free = free_memory()
    assert free > 0
    assert MINIMUM <= memory_budget().total <= max(MINIMUM, 0.6 * free)


@pytest.mark.parametrize("total", [MINIMUM, 10**9, 10**11])
def test_a_budget_is_divided_within_its_bounds(total):
    """Neither writing, with its buffers and four copies of each batch, nor training takes more than all."""
    budget = Budget(total)
    for batch in (2**16, 2**22):
        assert budget.in_flight(batch) >= 2
        assert 4 * BUFFER_BYTES + 4 * batch * budget.in_flight(batch) <= total
    assert budget.window_bytes <= total
    assert budget.holds(budget.window_bytes)
    assert not budget.holds(total)


def test_columns_leave_less_for_batches():
    """What reading takes for each column counts, and where it is more than there is, that is known."""
    source = SimpleNamespace(bytes_a_column=2**21, size=10**12)
    few, many = (Budget(2 * 10**8).reading(source, columns) for columns in (1, 90))
    assert 2 <= many.in_flight(2**20) < few.in_flight(2**20)
    assert Budget(10**10, beside=10**9).spare(2**20) == Budget(10**10).spare(2**20) - 10**9
    assert many.lacks(2**20)
    assert not few.lacks(2**20)
    assert many.window_bytes == few.window_bytes
    assert Budget(2 * 10**8).reading(SimpleNamespace(bytes_a_column=2**21, size=1000), 90).beside == 3000


def cgroups(tmp_path, line, groups):
    """Files as the system has them, for a process whose groups `line` tells."""
    (tmp_path / "self").write_text(line)
    for folder, files in groups.items():
        (tmp_path / "fs" / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (tmp_path / "fs" / folder / name).write_text(content)
    return list(_free_in_cgroups(tmp_path / "self", tmp_path / "fs"))


def test_limits_of_all_groups_around_count(tmp_path):
    """cgroups, version 2: the process's own group has no limit, but one around it has; file pages that can go are free."""
    free = cgroups(
        tmp_path,
        "0::/outer/inner\n",
        {
            "outer/inner": {"memory.max": "max\n", "memory.current": "5\n", "memory.stat": ""},
            "outer": {
                "memory.max": "1000\n",
                "memory.current": "700\n",
                "memory.stat": "anon 5\ninactive_file 100\n",
            },
        },
    )
    assert free == [400]


def test_version_1_in_a_container(tmp_path):
    """cgroups, version 1: the group's path is one outside of the container, where its own group is the root."""
    free = cgroups(
        tmp_path,
        "12:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n",
        {
            "memory": {
                "memory.limit_in_bytes": "800",
                "memory.usage_in_bytes": "900",
                "memory.stat": "total_inactive_file 20\n",
            }
        },
    )
    assert free == [0]


def test_without_cgroups_nothing_limits(tmp_path):
    """No such files, as on other systems: no limit, and no error."""
    assert list(_free_in_cgroups(tmp_path / "missing", tmp_path)) == []
