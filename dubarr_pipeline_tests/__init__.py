"""Tests of everything, each library on one thread unless a test asks for more."""

import os

# Several test processes share the cores. Threads of one of them would wait for each other by
# spinning, for matrices so small that one thread has long done with them.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
