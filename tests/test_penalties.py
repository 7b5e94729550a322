"""Penalties: what kernels are given for each of them."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.kernels.verbs import decay, shrink, shrinks
from fallline.objective.penalties import L1, L2, ElasticNet, NoPenalty, for_kernels, penalty_value

PENALTIES = [NoPenalty(), L2(0.3), L1(0.2), ElasticNet(0.4, 0.25)]


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: type(penalty).__name__)
def test_kernels_are_given_the_same_penalty(penalty):
    """Of one of two kinds: it decays and shrinks as much, and has the same value."""
    given, w = for_kernels(penalty), np.linspace(-1.0, 1.0, 21)
    assert isinstance(given, (L2, ElasticNet))
    assert decay(given) == decay(penalty)
    assert shrinks(given) == shrinks(penalty)
    assert penalty_value(given, w) == pytest.approx(penalty_value(penalty, w), abs=0.0)
    assert [shrink(given, one, 0.7) for one in w] == [shrink(penalty, one, 0.7) for one in w]
