r"""Large linear models: one row at a time through the dual, quasi-Newton passes where that is slow; nothing to tune.

The objective over n rows x with targets y, w the model, :math:`\ell` the loss, s a row's weight, is

.. math:: F(w) = \frac1n \sum_{i=1}^n s_i\, \ell(w \cdot x_i, y_i) + \tfrac{\lambda}{2} \|w\|^2 + \lambda_1 \|w\|_1    \tag{1}

**The table.** As in SAGA (Defazio, Bach and Lacoste-Julien, 2014), every row's slope :math:`a_i`, the derivative of its
weighted loss when last visited, is kept: one number a row and output. The model is where the kept slopes leave it,

.. math:: w = \arg\min_w\; \frac1n \sum_i a_i\, w \cdot x_i + \tfrac{\lambda}{2} \|w\|^2 + \lambda_1 \|w\|_1
          + \frac1{2n} \sum_j k_j (w_j - c_j)^2                                                                     \tag{2}

with a pull k to a centre c, of which more below. Column by column, with the metric :math:`M_j = n \lambda + k_j`,

.. math:: w_j = \mathrm{shrink}(u_j,\; n \lambda_1 / M_j), \qquad u_j = \Big( k_j c_j - \sum_i a_i x_{ij} \Big) / M_j  \tag{3}

.. math:: k_j = \kappa \sqrt{n_j\, Q_j}, \qquad n_j = \sum_i x_{ij}^2, \quad Q_j = \max_i |x_i|_0\, x_{ij}^2            \tag{4}

where :math:`|x_i|_0` counts a row's numbers: the pull lies between the least that keeps a column still that one row has
(Q: all the row's columns may move together) and the curvature of a column that all rows have (n).

**A step** visits one row. Its slope becomes the one that fits the score to which it leads itself (`kernels.implicit`), and
the model follows:

.. math:: a_i' = s_i \ell'\big( w \cdot x_i - q_i (a_i' - a_i),\; y_i \big), \qquad q_i = \sum_j x_{ij}^2 / M_j       \tag{5}

.. math:: u_j \leftarrow u_j - (a_i' - a_i)\, x_{ij} / M_j                                                            \tag{6}

This is Point-SAGA's step (Defazio, 2016), and for fixed c and no L1 penalty exact ascent of one coordinate of the dual (SDCA,
Shalev-Shwartz and Zhang, 2013): it needs no rate, its noise goes as the slopes settle, kinks need no smoothing, zeros
are exact, and only a row's own numbers are touched. Mini-batches would gain nothing, so a batch is a row. Dense columns
are shifted to the mean of the first rows where there is an intercept, which changes no objective.

**The centre** makes up for penalties too weak to hold a model still, intercepts among them, which have none. After every
pass c becomes w, and u is what (3) then says: a proximal point method (Rockafellar, 1976), whose fixed points minimise (1)
whatever k is. Where the metric of a column changes from M to M', as more of it becomes known,

.. math:: u_j' = c_j + (u_j - c_j)\, M_j / M_j'                                                                       \tag{7}

leaves all slopes in place. With L the mean curvature of the losses at the scores met, :math:`R_0` and :math:`R_1` the means
of :math:`\sum_j x_{ij}^2` divided by :math:`n \lambda` and by the root in (4), the pull is as strong as makes
:math:`L q = \tau = 0.3`:

.. math:: \kappa = e R_1 \max(0,\, L / \tau - 1 / R_0)                                                                 \tag{8}

All are measured on the rows as they come: the first are only looked at, and (8) is asked again whenever the number of rows
seen has doubled, later after every pass. Losses of straight pieces have for L 0.3 times the curvature of a parabola with
slopes and values like theirs, :math:`\overline{\ell'^2} / 2 \bar\ell`. The pull of intercepts makes out 1% of q, times an e
of their own. Both e begin at 1. Where two successive moves of the centre have the same direction, in the norm of k, e is cut
to a quarter, since the pull is what holds them back; where they have not, it recovers.

**What is left.** That the slopes kept are slopes at scores other than the model's is the first thing amiss. With
:math:`z_i = w \cdot x_i` and :math:`\phi_i = s_i \ell(\cdot, y_i)`, whose conjugate is :math:`\phi_i^*`, it amounts to

.. math:: S = \frac1n \sum_i \phi_i(z_i) + \phi_i^*(a_i) - a_i z_i \;\geq\; 0                                         \tag{9}

The second is the pull, which a pass leaves as a residual :math:`r_j = k_j (w_j - c_j) / n`: by (2), r and a slope of the
penalty at w balance the kept slopes. As these bound the losses from below, at any distance d from w

.. math:: F(w) - F(w + d) \;\leq\; S + r \cdot d - \tfrac{\lambda}{2} \|d\|^2
          \;\leq\; S + \sum_j \frac{r_j^2}{2 \lambda}                                                              \tag{10}

which is the duality gap. Where the penalty is weak, the losses bend too: a pull on a function of curvature h leaves a
share c of the residual from one pass to the next, with :math:`c = k / (k + nh)`, so smooth losses have about

.. math:: h_j = \lambda + \theta k_j / n, \qquad \theta = 1 / c - 1                                                   \tag{11}

to be put in the place of :math:`\lambda`. c is the largest of what the last three passes left, in norm; where it has grown,
it is taken to grow as much again, since what falls slowly comes to light when the rest is gone. An intercept has L for its h.
Where there is neither, the optimum is supposed to be no farther from the model than twice the model's size: with
:math:`\sigma_j^2 = n_j / n`

.. math:: r \cdot d \;\leq\; 2\, \Big( \sum_j \sigma_j^2 w_j^2 \Big)^{1/2} \Big( \sum_j r_j^2 / \sigma_j^2 \Big)^{1/2}   \tag{12}

The least of (10) to (12) counts; (11) for smooth losses only. r is known after every dual pass. S takes a pass to itself, a
**check**, in which nothing moves and :math:`\phi_i^*` comes of (5), with a q so large that the slope stays. Until then
S is guessed: as the rest of the geometric series of what the dual has gained, :math:`\frac1{2n} \sum (q_i + 1/L) (a_i' -
a_i)^2`. Where that and r say that little is left, and from time to time in long runs, a check follows. **Training ends when
what a check finds is less than** `tolerance` **times what has been gained over the model of intercepts alone.** Otherwise the
guess is multiplied from then on by as much as it was wrong, and the dual passes go on.

So with a penalty strong enough to matter (10) is a bound for any loss, but for what the intercept may still gain. (11) is an
estimate, and (12) rests on what it supposes.

**Quasi-Newton passes** take over from dual ones that over five, after 15, leave more than 0.8 of what was left, or of what checks
found, if the loss has no kinks. Each goes through all rows in order and gives objective and gradient g at the model tried; if the
objective has fallen enough (Armijo), the model is accepted, and L-BFGS (`engines.quasi_newton`) says where to try next, with the
diagonal of the curvature as its first matrix; otherwise the next try is nearer, by interpolation. So a pass is a step, its line
search and its stopping test at once. With all slopes those of the model, S is 0 and r is g: (10) and (12) hold as they are. (12)
is taken to be no less than :math:`\tfrac12 g^T H g`, H the matrix of L-BFGS, nor than what the last five steps have gained.

Beside an L1 penalty g is the gradient of all but that, and r the slope of (1) that is nearest to zero,

.. math:: r_j = g_j + \lambda_1 \operatorname{sign}(w_j) \;\text{ if } w_j \neq 0, \text{ otherwise }\;
          \mathrm{shrink}(g_j, \lambda_1)                                                                         \tag{13}

and they go orthant by orthant (Andrew and Gao, 2007): L-BFGS learns from changes of g and makes a direction of r, which only
those coefficients follow that each for itself go down by it; and none crosses zero in a step: it stops there, which makes exact
zeros.

**Active passes** come before them where there is an L1 penalty, after five dual passes of which the last three left half of what
was left. The columns that it lets count are few: a set A of those that are not zero, and of those at zero with
:math:`|g_j| \geq 0.8\, \lambda_1`, as many as double their number or make it 100, the steepest first. A pass gives the curvature
H of A too, and the next model is

.. math:: w + \arg\min_{d_A}\; g \cdot d + \tfrac12 d^T (H + \mu\, \mathrm{diag} H)\, d
          + \lambda_1 \|w + d\|_1 - \lambda_1 \|w\|_1                                                             \tag{14}

or nearer on the way there, if the objective does not fall enough. :math:`\mu` grows where a step had to be shortened or (14)
promises more than there is, and falls otherwise. Some sweeps of coordinate descent come near the minimum (as in Yuan, Ho and Lin,
2012). Once that promises less than a hundredth of what was gained, :math:`\mu` is 0, and more sweeps and an active-set method go
on to the minimum as far as a bounded effort leads: what is promised there is what is left to gain, with :math:`r_j^2 / 2 H_{jj}`
for each coefficient whose slope r in (14) is not 0 yet, and for each column beyond A. So it is an estimate.

They begin at intercepts alone, if the dual passes may have left more than they have gained or too many columns count: losses that
have gone flat on the way say nothing of curvature. There is an A for each output, or one for all where the loss couples them. One
has room for 3,000 coefficients; several, for as many squares of them together. Where more columns want to count, or for fewer
than 30 there is room, quasi-Newton passes take over, and leave the end to active ones when they can.

**Memory**: a coefficient takes 3 numbers of 8 bytes, a column 4, and the table a number of the data's type a row and output.
Quasi-Newton passes take 5 numbers more a coefficient and 2 for each step remembered: at most 20, as many as fit in 1 GiB; where
that is fewer than 3, there are no such passes. Active passes take 5 more a coefficient, and some four times the square of those
that are active.

The pages::

    engine        what is remembered, and the answers to the loop
    passes        what all kinds of pass share
    dual          (5) and (6)                                      metric       (4), (7) and (8)
    check         (9)                                              remainder    (10) to (12)
    full          what the two kinds of full pass share
    quasi_newton  quasi-Newton passes, (13)                        active       active passes, (14)
    turns         which pass follows which
"""

from __future__ import annotations

from fallline.engines.saga.engine import SagaEngine

__all__ = ["SagaEngine"]
