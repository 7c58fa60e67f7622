"""RobustBench's `benchmark`: the same call, the same two numbers."""

import os
from typing import Any, overload

from .autoattack import AutoAttack
from .budgets import norm_of
from .data import load_examples
from .errors import InputError
from .keywords import strict

_Path = str | os.PathLike[str]


@overload
def benchmark(
    model: dict[Any, Any] | list[Any] | tuple[Any, ...], n_examples: int = ..., dataset: Any = ..., threat_model: Any = ..., to_disk: bool = ..., model_name: str | None = ...,
    data_dir: _Path | None = ..., corruptions_data_dir: _Path | None = ..., device: Any = ..., batch_size: int = ..., eps: Any = ...,
    log_path: _Path | None = ..., preprocessing: Any = ..., aa_state_path: _Path | None = ...,
) -> dict[Any, tuple[float, float]]: ...
@overload
def benchmark(
    model: Any, n_examples: int = ..., dataset: Any = ..., threat_model: Any = ..., to_disk: bool = ..., model_name: str | None = ...,
    data_dir: _Path | None = ..., corruptions_data_dir: _Path | None = ..., device: Any = ..., batch_size: int = ..., eps: Any = ...,
    log_path: _Path | None = ..., preprocessing: Any = ..., aa_state_path: _Path | None = ...,
) -> tuple[float, float]: ...
@strict
def benchmark(
    model: Any,
    n_examples: int = 10_000,
    dataset: Any = "cifar10",
    threat_model: Any = "Linf",
    to_disk: bool = False,
    model_name: str | None = None,
    data_dir: _Path | None = "./data",
    corruptions_data_dir: _Path | None = None,
    device: Any = None,
    batch_size: int = 32,
    eps: Any = None,
    log_path: _Path | None = None,
    preprocessing: Any = None,
    aa_state_path: _Path | None = None,
) -> Any:
    """Clean and robust accuracy of a model under AutoAttack `standard`, in [0, 1].

    Args:
        model: a module in eval mode, or several: then a dictionary of pairs by their names or places.
        n_examples: the first so many of the test split.
        dataset: `cifar10`, or any other of `gauntlet.list_datasets()`.
        threat_model: `Linf`, `L2` or `L1`.
        to_disk: whether the record is written to `model_info/DATASET/THREAT_MODEL/MODEL_NAME`, where gauntlet's reports read it.
        model_name: what the model is called there.
        data_dir: where the data set lies; where nothing does, it comes from the Hugging Face hub.
        device: where images are sent; None: where the model's parameters are.
        batch_size: images in flight.
        eps: the budget in pixels.
        log_path: a file that what is told is appended to.
        aa_state_path: a folder that verdicts are kept in, from which the same call goes on after an interruption.

    Example:
        >>> import torch, gauntlet
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)).eval()
        >>> clean, robust = gauntlet.benchmark(model, n_examples=10, dataset="glyphs", eps=8/255)   # doctest: +ELLIPSIS
        using standard version including apgd-ce, apgd-t, fab-t, square
        ...
        >>> 0 <= robust <= clean <= 1
        True
    """
    several = model if isinstance(model, dict) else dict(enumerate(model)) if isinstance(model, (list, tuple)) else None
    if several is not None:
        given: dict[str, Any] = dict(
            n_examples=n_examples, dataset=dataset, threat_model=threat_model, to_disk=to_disk, data_dir=data_dir, device=device,
            batch_size=batch_size, eps=eps, log_path=log_path, corruptions_data_dir=corruptions_data_dir,
            preprocessing=preprocessing, aa_state_path=aa_state_path,
        )
        return {key: benchmark(one, model_name=str(key), **given) for key, one in several.items()}
    name, threat = str(getattr(dataset, "value", dataset)), getattr(threat_model, "value", threat_model)
    if str(threat).startswith("corruptions") or corruptions_data_dir is not None:
        raise InputError("threat_model: corruptions are no attack of gauntlet's; it takes Linf, L2 or L1")
    norm_of(threat)
    if eps is None:
        raise InputError("eps is required: the budget, such as 8/255 in Linf or 0.5 in L2")
    if preprocessing is not None:
        raise InputError("preprocessing: images come as they are in [0, 1]; put what the model needs inside of it")
    if to_disk and model_name is None:
        raise InputError("model_name is required where to_disk is set")
    here = data_dir if data_dir is not None and os.path.isdir(data_dir) and os.listdir(data_dir) else None
    x, y = load_examples(name, take=n_examples, data_dir=here)
    if len(x) < n_examples and n_examples != 10_000:
        raise InputError(f"n_examples is {n_examples}, {name} has {len(x)} test images")
    import torch

    x, y = torch.from_numpy(x), torch.from_numpy(y)
    adversary = AutoAttack(model, norm=threat, eps=eps, version="standard", device=device, log_path=log_path)
    adversary.run_standard_evaluation(x, y, bs=batch_size, state_path=aa_state_path)
    result = adversary.result
    assert result is not None
    if to_disk and model_name is not None:
        result.save(os.path.join("model_info", name, str(threat), model_name), name=model_name)
    return result.clean_accuracy, result.robust_accuracy
