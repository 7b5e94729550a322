"""What holds for all tests."""

import gc
import signal

# Most of the time goes into compiling kernels, and a tenth of that into looking for garbage among what compilers make.
gc.set_threshold(50_000)

# A shell's background jobs ignore interruptions, and so would those that the tests make.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
