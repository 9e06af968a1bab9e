"""The CUDA kernels on a GPU, beside PyTorch with cuDNN, in stages and in one table. `tinyres bench gpu-report` runs the
stages A and B within 8 minutes; `python -m tinyres.bench.gpu run A B C` all of them within 10, from a plain checkout.

    parts.py   what is measured: each part in a process and a time of its own, and which stage it belongs to
    stages.py  a run of stages: the gate, earlier rows and machine code;   __main__.py   its command, and a part's
    report.py  how a process is begun and ended, the files of a report;   alone.py   some parts by themselves
    facts.py, warm.py, smoke.py   (A) what is installed; kernels compiled in a pool; short checks, which are the gate
    conform.py, suite.py   (A, C) conformance on CuPy arrays; the suite's tests on a GPU, also under a checker
    card.py    (B) the card, its copy bandwidth and matrix rates, what a launch costs
    races.py   (B) convolutions, what streams memory, training steps; race.py, clocks.py and works.py are the CPU's, too
    findings.py, table.py   what the rows say, verdicts on the targets, the README's table;   pages.py   all of it
    kernels.json   the kernels that `warm.py` compiles, written by `python -m tests.bench.record`

A row is a dictionary that JSON can hold: its `part`, its `name`, and what was found, or the `error` that came instead;
`on` names the card. Of several rows with the same part and name the last one counts.
"""
