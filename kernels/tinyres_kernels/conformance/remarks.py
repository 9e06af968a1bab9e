"""What a report remarks beside the failures: on cases that were stopped, and on those that no kernel sees."""

from tinyres_kernels.conformance.examine import Finding

UNSEEN = (
    "({} empty arrays, or shapes that do not fit together. Your kernel never sees {}: the code that calls it deals "
    "with {} first.)"
)


def patience(slow: list[Finding]) -> str:
    """What to do about cases that were stopped at the limit; nothing where there are none."""
    if not slow:
        return ""
    limit = slow[0].seconds
    return (
        f"A case that takes longer than {limit:g} s is stopped. It may never end, or the kernel may merely be slow: "
        f"`--limit {10 * limit:g}` gives each case {10 * limit:g} s, `--limit 0` as long as it takes."
    )


def unseen(cases: int) -> str:
    """What is said of so many named cases that the kernel is not called for."""
    return UNSEEN.format(
        *("1 more named case has", "it", "it") if cases == 1 else (f"{cases} more named cases have", "those", "them")
    )
