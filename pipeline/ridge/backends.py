"""The one switch between numpy on the processor and torch on a GPU.

Both know the same operators and indexing; what they spell differently is
here. A fit on the processor does not import torch, which takes seconds.
"""

from typing import Any, ClassVar

import numpy as np

PRECISIONS = ("float32", "float64", "mixed")

_ROWS = 256  # summed in single precision at most, before going on in double


class Numpy:
    """Arrays in memory."""

    # eigendecomposition of an n x n matrix, in multiples of n^3 multiply-adds of a double-precision product
    eigh_cost: ClassVar[float] = 5.0
    turns: ClassVar[bool] = True  # into principal axes, one more decomposition per fold
    targets_at_once: ClassVar[int] = 512  # what is made of one chunk stays in the processor's cache

    def __init__(self, precision: str):
        self.low = np.float64 if precision == "float64" else np.float32
        self.exact = precision == "float64"
        self._room = np.empty((0, 0), self.low)

    def room(self) -> int:
        """Bytes beside the targets' own in which chunks of them may stay: none."""
        return 0

    def double(self, values: np.ndarray) -> Any:
        """To the device, in double precision."""
        return np.asarray(values, np.float64)

    def fresh(self, values: np.ndarray, low: bool = False) -> Any:
        """To the device, in double precision or in the working one, in memory of its own that may be written over."""
        return np.array(values, self.low if low else np.float64, order="C")

    def like(self, values: np.ndarray, other: Any) -> Any:
        """To the device, in the precision of the other."""
        return values.astype(other.dtype)

    def put(self, values: Any) -> Any:
        """To the device in the working precision, contiguous."""
        return np.ascontiguousarray(values, self.low)

    narrow = put  # of an array that is on the device already

    def get(self, values: Any) -> np.ndarray:
        """From the device, in double precision."""
        return np.asarray(values, np.float64)

    def rows(self, index: np.ndarray) -> Any:
        """What selects these rows: a slice where they follow each other, which copies nothing."""
        ascending = len(index) and index[-1] - index[0] == len(index) - 1 and (np.diff(index) == 1).all()
        return slice(int(index[0]), int(index[-1]) + 1) if ascending else index

    def eigh(self, matrix: Any) -> tuple[Any, Any]:
        """Eigenvalues and eigenvectors of a symmetric matrix."""
        return np.linalg.eigh(matrix)

    axes = eigh  # an orthogonal basis in the order of the eigenvectors; values where they are exact

    def solver(self, matrix: Any, alpha: float) -> Any:
        """rows -> rows @ inverse(matrix + alpha identity), by Cholesky."""
        from scipy.linalg import cho_factor, cho_solve

        shifted = matrix.copy()
        shifted.flat[:: len(matrix) + 1] += alpha
        factor = cho_factor(shifted, overwrite_a=True, check_finite=False)
        return lambda rows: cho_solve(factor, rows.T, check_finite=False).T

    def full_rank(self, matrix: Any, floor: float) -> bool:
        """Is no pivot as small as `floor`?"""
        if floor < 0:
            return True
        try:
            return bool((np.diag(np.linalg.cholesky(matrix)) ** 2 > floor).all())
        except np.linalg.LinAlgError:
            return False

    def concatenate(self, parts: list[Any]) -> Any:
        return np.concatenate(parts)

    def empty_low(self, *shape: int) -> Any:
        """Room in the working precision."""
        return np.empty(shape, self.low)

    def empty_like(self, values: Any) -> Any:
        """Room of the same shape and precision."""
        return np.empty_like(values)

    def halved(self, values: Any) -> Any:
        """In half precision where the device multiplies it faster: not here."""
        return values

    def halved_product(self, a: Any, b: Any) -> Any:
        """a @ b, `a` as `halved` gave it; the answer is overwritten by the next one of its size."""
        shape = (len(a), b.shape[1])
        if self._room.shape != shape:
            self._room = np.empty(shape, self.low)
        return np.matmul(a, b, out=self._room)

    def dots(self, a: Any, b: Any) -> np.ndarray:
        """Sum of products over the rows: (..., row, target) x (row, target) -> (..., target), in double precision."""
        total = np.zeros((*a.shape[:-2], a.shape[-1]))
        for start in range(0, a.shape[-2], _ROWS):
            rows = slice(start, start + _ROWS)
            total += np.einsum("...rt,...rt->...t", a[..., rows, :], b[..., rows, :])
        return total

    def spread(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest of each column."""
        return values.min(axis=0), values.max(axis=0)


class Torch:
    """Arrays on a GPU (or, to test the same code, on the processor)."""

    eigh_cost: ClassVar[float] = 150.0  # a GPU is slow at it: Cholesky factors take its place
    targets_at_once: ClassVar[int] = 8192

    def __init__(self, precision: str, device: str = "cuda"):
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device='cuda' needs a GPU that torch can use, and it finds none; use device='cpu'")
        self.torch, self.device = torch, torch.device(device)
        self.low = torch.float64 if precision == "float64" else torch.float32
        self.exact, self.half = precision == "float64", precision == "mixed"
        self.turns = self.half  # in axes as given, eight bits would drown the small directions

    def room(self) -> int:
        # half of what is free: operators and predictions need the rest
        return self.torch.cuda.mem_get_info(self.device)[0] // 2 if self.device.type == "cuda" else 0

    def double(self, values: Any) -> Any:
        return self._tensor(values).to(self.torch.float64)

    def fresh(self, values: np.ndarray, low: bool = False) -> Any:
        dtype = self.low if low else self.torch.float64
        return self.torch.from_numpy(np.array(values)).to(self.device).to(dtype, copy=True)

    def like(self, values: np.ndarray, other: Any) -> Any:
        return self._tensor(values).to(other.dtype)

    def put(self, values: Any) -> Any:
        return self._tensor(values).to(self.low).contiguous()

    narrow = put

    def _tensor(self, values: Any) -> Any:
        return self.torch.as_tensor(values, device=self.device)

    def get(self, values: Any) -> np.ndarray:
        if isinstance(values, np.ndarray):
            return values
        return values.to(self.torch.float64).cpu().numpy()

    def rows(self, index: np.ndarray) -> Any:
        found = Numpy.rows(self, index)  # type: ignore[arg-type]
        return found if isinstance(found, slice) else self._tensor(np.asarray(index, np.int64))

    def eigh(self, matrix: Any) -> tuple[Any, Any]:
        return self.torch.linalg.eigh(matrix)

    def axes(self, matrix: Any) -> tuple[None, Any]:
        # any orthogonal basis near the principal one serves half precision; single precision finds it fast enough
        vectors = self.torch.linalg.eigh(matrix.to(self.torch.float32))[1]
        return None, self.torch.linalg.qr(vectors.to(self.torch.float64))[0]

    def solver(self, matrix: Any, alpha: float) -> Any:
        shifted = matrix.clone()
        shifted.diagonal().add_(alpha)
        factor = self.torch.linalg.cholesky(shifted)
        return lambda rows: self.torch.cholesky_solve(rows.T, factor).T

    def full_rank(self, matrix: Any, floor: float) -> bool:
        if floor < 0:
            return True
        factor, failed = self.torch.linalg.cholesky_ex(matrix)
        return not int(failed) and bool((factor.diagonal() ** 2 > floor).all())

    def concatenate(self, parts: list[Any]) -> Any:
        return self.torch.cat(parts)

    def empty_low(self, *shape: int) -> Any:
        return self.torch.empty(shape, dtype=self.low, device=self.device)

    def empty_like(self, values: Any) -> Any:
        return self.torch.empty_like(values)

    def halved(self, values: Any) -> Any:
        # rounding to eight bits is independent from row to row, so sums over rows hardly feel it
        return values.to(self.torch.bfloat16) if self.half else values

    def halved_product(self, a: Any, b: Any) -> Any:
        return a @ self.halved(b)

    def dots(self, a: Any, b: Any) -> np.ndarray:
        total = 0
        for start in range(0, a.shape[-2], _ROWS):
            rows = slice(start, start + _ROWS)
            part = a[..., rows, :].to(self.low) * b[..., rows, :].to(self.low)
            total = total + part.sum(dim=-2).to(self.torch.float64)
        return self.get(total)

    def spread(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.get(values.amin(dim=0)), self.get(values.amax(dim=0))


def backend(precision: str, device: str) -> Any:
    """Where to compute."""
    if device == "cpu" and precision == "mixed" and _has_bfloat16():
        return Torch(precision, "cpu")
    return BACKENDS[device](precision)


def _has_bfloat16() -> bool:
    """Does this processor multiply bfloat16 faster than float32? Elsewhere it would be emulated, slowly."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return bool({"amx_bf16", "avx512_bf16"} & set(flags.split()))


BACKENDS = {"cpu": Numpy, "cuda": Torch}
