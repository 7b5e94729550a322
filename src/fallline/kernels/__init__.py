"""Compiled loops: arrays in, arrays out.

Nothing here validates, and nothing here knows a loss or an optimizer by name: those are typed values that
arrive as arguments and choose their code at compile time (see `verbs`).

=============  =================================================================================
`compile`      the decorators: `kernel`, `inlined`, `generic`; the cache on disk
`verbs`        the generic functions that losses, penalties, optimizers, ... implement
`elementary`   exp and log1p that compilers can vectorise
`lanes`        vector registers as values
`blocks`       the block types and what each can do: score its rows, add up their gradient
`sweep`        the mini-batch updates; and the same walk without updates
`order`        the permutation of the rows
`text`         where records of a table of text end
`libsvm`       the numbers in libsvm text
`encode`       columns: their statistics, and rows of them
`hashing`      MurmurHash of strings and of words
=============  =================================================================================

This package imports NumPy and Numba only.
"""
