"""Compiled loops: arrays in, arrays out.

Nothing here validates, and nothing here knows a loss or an optimizer by name: those are typed values that
arrive as arguments and choose their code at compile time (see `verbs`).

=============  =================================================================================
`compile`      the decorators: `kernel`, `inlined`, `generic`; the cache on disk
`verbs`        the generic functions that losses, penalties, optimizers, ... implement
`elementary`   exp and log1p that compilers can vectorise
`lanes`        vector registers as values
`blocks`       the block types and what each can do: score its rows, add up their gradient
`chunk`        a few rows together: from scores to losses and slopes
`sweep`        the mini-batch updates of dense rows; and the same walk without updates
`scaled`       the same of sparse rows, for plain descent: what untouched columns have in common is kept apart
`lazy`         the same of sparse rows, for any optimizer: columns are caught up with when a row holds them next
`coasting`     what becomes of a column without gradients under momentum, and under moments
`order`        the permutation of the rows
`text`         where records of a table of text end
`libsvm`       the numbers in libsvm text
`encode`       columns: their statistics, and rows of them
`hashing`      MurmurHash of strings and of words
=============  =================================================================================

This package imports NumPy and Numba only.
"""
