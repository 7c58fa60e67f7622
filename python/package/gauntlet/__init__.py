"""Adversarial robustness of models that live in Python.

    from gauntlet import AutoAttack            # was: from autoattack import AutoAttack
    x_adv = AutoAttack(model, norm="Linf", eps=8/255, version="standard").run_standard_evaluation(x, y, bs=250)

    import gauntlet
    result = gauntlet.evaluate(model, x, y, attacks=["autoattack", {"name": "pgd", "steps": 40}], eps="8/255")
    print(result)

Attacks propose, a referee judges, and flags say where numbers are not to be believed.
"""

from . import attacks
from ._native import Network, __version__
from .attacks import Attack, attack
from .autoattack import AutoAttack
from .components import describe, list_attacks, list_datasets, list_models, list_recipes
from .data import load_examples
from .errors import EnvironmentFailure, Error, EvaluationFailed, InputError
from .evaluation import Cell, Flag, Progress, Result, evaluate
from .models import Labels, Model
from .networks import network
from .robustbench import benchmark
from .suites import Records, records, report, run
from .training import train

__all__ = [
    "Attack", "AutoAttack", "Cell", "EnvironmentFailure", "Error", "EvaluationFailed", "Flag", "InputError", "Labels", "Model", "Network",
    "Progress", "Records", "Result", "__version__", "attack", "attacks", "benchmark", "describe", "evaluate", "list_attacks",
    "list_datasets", "list_models", "list_recipes", "load_examples", "network", "records", "report", "run", "train",
]
