"""Networks that keep something of the trained one and lose the rest: what of its score is owed to which.

`shuffled` keeps every tensor's distribution of numbers, `spectrum` every
matrix' singular values. Both lose which feature speaks to which.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.models.weights import Network, fingerprint, trained


def shuffled(folder: Path, seed: int) -> Network:
    """Trained weights, each tensor's entries in random order: moments kept, structure gone."""
    return _changed(folder, seed, _permuted)


def spectrum(folder: Path, seed: int) -> Network:
    """Random singular vectors with the trained singular values; vectors (biases, gains) are permuted."""
    return _changed(folder, seed, _rotated)


def _changed(folder: Path, seed: int, change: Callable[[Any, Any], Any]) -> Network:
    import torch

    network = trained(folder)
    draws = torch.Generator().manual_seed(seed)
    for _, parameter in sorted(network.model.named_parameters()):  # tied tensors come once
        parameter.data = change(parameter.data, draws)
    return network._replace(sha256=fingerprint(network.model))


def _permuted(tensor: Any, draws: Any) -> Any:
    import torch

    return tensor.reshape(-1)[torch.randperm(tensor.numel(), generator=draws)].reshape(tensor.shape)


def _rotated(tensor: Any, draws: Any) -> Any:
    import torch

    if tensor.ndim < 2:
        return _permuted(tensor, draws)
    matrix = tensor.reshape(len(tensor), -1).float()
    values = torch.linalg.svdvals(matrix)
    left, right = (_orthonormal(rows, len(values), draws) for rows in matrix.shape)
    return ((left * values) @ right.T).reshape(tensor.shape).to(tensor.dtype)


def _orthonormal(rows: int, columns: int, draws: Any) -> Any:
    """Uniform over all such matrices: QR of a Gaussian one, with the signs that make it unique."""
    import torch

    axes, upper = torch.linalg.qr(torch.randn(rows, columns, generator=draws))
    return axes * upper.diagonal().sign()
