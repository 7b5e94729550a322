"""Engines: what turns blocks into updates. All have the verbs of `base`.

::

    choice ──▶ newton     growing batches, then full passes     coordinates, summing, threads, quadratic
               saga       the dual a row at a time, then        quasi_newton
                          quasi-Newton passes
               descent    mini-batches, at a rate               sparse, work

On the right, the pages that each is made of.
"""
