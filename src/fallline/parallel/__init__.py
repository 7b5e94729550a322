"""One process or many: the same five verbs, with a null object for one.

::

    find ──▶ Alone | Processes ──▶ sum, broadcast, gather, agreed, wait
    what is          rank, size
    there

Who trains says these verbs, and need not ask whether there are others; what many processes do otherwise than one is chosen once,
where a run begins. Only `Processes` imports torch.
"""

from fallline.parallel.agreeing import said_elsewhere, together, told_by_first
from fallline.parallel.alone import Alone
from fallline.parallel.find import find
from fallline.parallel.place import Place, place_in

__all__ = ["Alone", "Place", "find", "place_in", "said_elsewhere", "together", "told_by_first"]
