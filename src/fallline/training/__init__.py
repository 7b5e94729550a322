"""From files or arrays to a trained model.

::

    source ──▶ plan ──▶ prepared ──▶ held out ──▶ recipe ──▶ loop ──▶ model, summary
    where rows  what     encoded      rows to      loss,      epoch    what is left,
    come from   columns  rows         measure on   optimizer  after    and what was
                become                                        epoch    done
"""

from fallline.training.job import train

__all__ = ["train"]
