"""What holds for all tests."""

import gc

# Most of the time goes into compiling kernels, and a tenth of that into looking for garbage among what compilers make.
gc.set_threshold(50_000)
