"""`python -m predictors.serving CARD`: what `kelp serve` starts."""

from predictors.serving.process import main

main()
