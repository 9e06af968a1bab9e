"""`tinyres bench gpu-report`: the CUDA rung on a GPU, beside PyTorch with cuDNN, within 8 minutes and in one table.

    parts.py   what is measured, each part in a process and a time of its own;   __main__.py   such a process
    report.py  `gpu-report`: part after part, the table complete with whatever came;   alone.py   one of them by itself
    clocks.py, race.py   device events; peers in turns over inputs that no cache holds
    card.py    (a) the card, its copy bandwidth and matrix rates, what a launch costs
    conform.py, suite.py   (b, c) conformance on CuPy arrays; the suite's tests that need a GPU
    kernels.py, streams.py   (d, g) convolutions, with their errors against float64; what streams memory
    steps.py   (e, f) whole training steps of ResNet-20 and DCGAN, and their memory
    findings.py, table.py   what the rows say, verdicts on the targets, the README's table;   pages.py   all of it

A row is a dictionary that JSON can hold: its `part`, its `name`, and what was found, or the `error` that came instead.
"""
