r"""Growing-batch stochastic Newton: the optimum of a small linear model, with nothing to tune.

The objective over n rows, with z a row in standardised coordinates (`coordinates`), v the model, :math:`\ell` the loss, s a
row's weight and P the penalty, is

.. math:: F(v) = \frac1n \sum_{i=1}^n s_i\, \ell(v \cdot z_i, y_i) + P(v)                                           \tag{1}

**The first pass** takes fresh rows in batches :math:`B_1, B_2, \dots`: the first of max(2 Q, 256) rows, Q being the
coefficients that share a curvature, every later one half as large as all before it. With :math:`g_t` and :math:`H_t` the
sums over batch t of the rows' gradients and curvatures at a model :math:`v_t`, the rows seen so far have the quadratic
model

.. math:: q_t(v) = \tfrac12 v^T A_t v - b_t^T v + m_t P(v)                                                          \tag{2}

.. math:: A_t = f_t A_{t-1} + H_t, \quad b_t = f_t b_{t-1} + H_t v_t - g_t, \quad m_t = f_t m_{t-1} + |B_t|         \tag{3}

where :math:`f_t = (\text{seen before} / \text{seen after})^\kappa` forgets what was summed at worse models: not at all for
:math:`\kappa = 0`, which is exact for the squared error and the only choice there, more for :math:`\kappa = 1/2` and 2. Each
way proposes the minimiser of (2), damped by :math:`\mu\,\mathrm{diag}(A_t)` with :math:`\mu = \min(0.1, 0.01 (Q /
\text{seen})^2)`.

The next batch chooses. On its first rows, which no proposal has seen, the losses of the ways are compared by paired
t-tests: one that forgets is taken only if it is better by two standard errors. Then losses at points between :math:`v_t`
and the proposal,

.. math:: v_t + \alpha (\hat v - v_t), \quad \alpha \in \{0, 2^{-10}, \dots, \tfrac12, \tfrac34, 1\},               \tag{4}

say how far to go: all the way, unless a shorter step is better by a tenth of the gain. In this pass they are looked at from the
proposal back, as long as the objective falls: mostly three of them are enough. So every step's length is decided by rows that
did not make it: a line search without bias. The first batch has none before it, and is iterated on, up to four times, if it has
five rows a coefficient.

If after a fifth of the rows fresh ones score worse than the model of intercepts alone, by half its loss, the rows are not
exchangeable: they come sorted. Then the first pass is given up.

**Full passes** follow. One pass gives at once the losses along (4) from the model accepted last to the one proposed, and
the gradient g and the curvature H at the latter. If the whole step holds, it is accepted and the next proposal is

.. math:: v - \arg\min_d\; g^T d + \tfrac12 d^T (H + \mu\,\mathrm{diag} H)\, d + P(v + d) - P(v)                     \tag{5}

otherwise the next pass looks at the best point of the line, or, if that is its beginning, the step is damped: Levenberg's
and Marquardt's :math:`\mu` grows tenfold. The minimum of (5), negated, estimates what is left to gain; without an L1
penalty it is half the Newton decrement, :math:`\tfrac12 g^T H^{-1} g`. Training ends when it is less than `tolerance` times
what has been gained over the model of intercepts alone.

**What it costs.** Rows enter H by a matrix product, Q numbers squared a row. Beyond some 20 Q rows the curvature changes
little, so of large batches only some rows enter it, and are weighted for the rest; gradients take every row.

**Losses with kinks** (hinge, quantile, ...) are smoothed over a band of scores (`objective.losses.smoothed`) that holds
max(10 Q, 2%) of the rows, and in full passes is narrowed to a third or less whenever (5) promises less than 0.3 of what
smoothing leaves open. Slopes :math:`\sigma_i` of the smoothed loss are slopes of the loss itself at the kinks, where the rows
are not quite. By Fenchel's inequality the optimum lies no lower, but for what intercepts may gain, than

.. math:: F(v) - \frac1n \sum_i s_i |\ell'(u_i) - \sigma_i| \, |u_i - k_i| - \big(P(v) + P^*(-g) + g^T v\big)        \tag{6}

with scores :math:`u_i`, the kinks next to them :math:`k_i` and the mean gradient :math:`g = \frac1n \sum_i s_i \sigma_i z_i`.
The sum is what smoothing leaves open, as is what it adds to the objective. The bracket stands for (5) where hardly more rows
bend than there are coefficients: the curvature of a narrow band, divided by its width, says nothing of what lies beyond it.
Intercepts, which have no penalty, may go as far as rows are from kinks in the mean. What is left is counted from the highest
such bound. It may be one of a model that is itself worse than intercepts alone: while all models are, a band is narrowed only
once (5) promises nothing there. Then (6) is taken though many rows bend, but of Huber's loss, which bends by itself: the slopes
of a wide band may prove at once that no model is better.

**L1 penalties** stay in (2) and (5), which an active set of coordinates then minimises (`engines.quadratic`): zeros are exact.

Sources: full passes are the damped Newton method (Nocedal and Wright, Numerical Optimization, 2006, chapters 3 and 10) and
its proximal kin (Lee, Sun and Saunders, Proximal Newton-type methods, 2014); growing batches follow Bollapragada, Byrd and
Nocedal (Exact and inexact subsampled Newton methods, 2019), streams of quadratic models Bottou and Le Cun (Large scale
online learning, 2003).
"""

from __future__ import annotations

from fallline.engines.newton.engine import NewtonEngine

__all__ = ["NewtonEngine"]
