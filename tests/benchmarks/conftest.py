"""The benchmarks are run from the checkout and are not installed: its folder has to be on the path."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
