"""Convert a folder of checkpoints with a cluster of Dask: ``python examples/convert_zoo.py FOLDER OUT [SCHEDULER]``.

Without the address of a scheduler, two workers are started on this machine. Needs ``pip install 'pywts[dask]'``.
"""

from __future__ import annotations

import sys

import pywts


def main() -> int:
    """Convert, say what failed and why, and exit with 1 if anything did."""
    folder, out, scheduler = (*sys.argv[1:], None)[:3]
    options = {"sidecar": True}
    plan = pywts.plan_batch(folder, out, **options)
    print(f"{len(plan.jobs)} checkpoints to convert, {len(plan.done)} are done and unchanged")
    report = pywts.batch(folder, out, engine="dask", scheduler=scheduler, jobs=None if scheduler else 2, **options)
    for failure in report.failures:
        print(failure, file=sys.stderr)
    print(f"{len(report.converted)} converted, {len(report.failed)} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":  # the workers are processes that import this file
    sys.exit(main())
