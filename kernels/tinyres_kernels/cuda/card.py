"""The card that the convolutions are planned for: an H100 or H200.

No card is asked for its own figures, so all of them give the same bits. The simulator gets small numbers.
"""

from tinyres_kernels.cuda.host import SIMULATED

MULTIPROCESSORS = 3 if SIMULATED else 132
WARPS = 1 if SIMULATED else 8  # on a multiprocessor, that it is busy: two for each of its four schedulers
LATENCY = 0 if SIMULATED else 600  # cycles until a number has come from memory
SUM, RATE = (0 if SIMULATED else 4000), 285  # cycles until another launch begins, and then numbers a cycle
MEET = 0 if SIMULATED else 1700  # cycles until a block knows whether it is the last one: two fences and an atomic
LAUNCH = 0 if SIMULATED else 12_000  # cycles in which the host launches one kernel more: some 6 us
FIT = (1 << 31) - (1 << 20)  # numbers of an array that 32 bits count, and a tile more
