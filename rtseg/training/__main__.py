"""`torchrun --nproc-per-node N -m rtseg.training RECIPE …`: `rtseg train` in several processes."""

from __future__ import annotations

import sys

from rtseg.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    main()
