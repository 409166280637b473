"""``python -m throughtime``, as torchrun and accelerate launch start it."""

from throughtime.cli import main

main()
