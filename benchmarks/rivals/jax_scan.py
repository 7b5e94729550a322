"""JAX: one compiled scan over the batches of an epoch, the gather included."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from rivals import RATE

NAME = "JAX, lax.scan"
ORDERS = (True,)


def _loss(parameters, rows, targets):
    w, b = parameters
    scores = rows @ w + b
    return jnp.mean(jnp.logaddexp(0.0, scores) - targets * scores) + 0.5e-4 * (w @ w)


@partial(jax.jit, static_argnames="batch_size")
def _epoch(parameters, X, y, key, batch_size):
    batches = len(X) // batch_size
    order = jax.random.permutation(key, len(X))[: batches * batch_size].reshape(batches, batch_size)

    def update(parameters, rows):
        gradient = jax.grad(_loss)(parameters, X[rows], y[rows])
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradient), None

    return jax.lax.scan(update, parameters, order)[0]


def fit(X, y, batch_size, shuffle, epochs):
    """Scan over epochs; the rows that fill no batch are left out."""
    X, y = jnp.asarray(X), jnp.asarray(y, dtype=X.dtype)
    parameters = (jnp.zeros(X.shape[1], X.dtype), jnp.zeros((), X.dtype))
    for key in jax.random.split(jax.random.key(0), epochs):
        parameters = _epoch(parameters, X, y, key, batch_size)
    jax.block_until_ready(parameters)
