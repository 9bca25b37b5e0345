"""`python -m wenfang`, which is also what `torchrun -m wenfang train …` starts."""

from wenfang.cli import main

main()
