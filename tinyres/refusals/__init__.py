"""What a caller is told whose call fails, above all one who comes from PyTorch.

absent.py     names that are left out: why, and what is near
arguments.py  arguments that PyTorch's functions take and ours do not
kinds.py      the kind of value that an argument of a name must have
blame.py      calls that failed: which argument is to blame
wording.py    how an error says what came

Nothing here computes. A call that is right pays nothing for it.
"""
