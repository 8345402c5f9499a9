"""What every search here shares: checked parameters, a stream of its own, a pending ask, and sleep."""

import copy
import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from server.optimizers.parameters import OptimizerError, changed, checked
from server.optimizers.random_stream import RandomStream, freeze, open_stream, thaw

P = TypeVar("P")
Codes = NDArray[np.floating[Any]]
Vectors = NDArray[np.float64]
"""Codes laid flat, [n, d]; or one of them, [d]."""
SHORTEST = 1e-100
"""What is shorter has no length: to divide by it would overflow."""


class Search(Generic[P]):
    """Goes from generation to generation; a subclass says what to show and what to learn from it.

    It gives `_propose` and `_learn`, both in flat codes, and names in `KEPT` what it remembers in between:
    plain values and arrays that it replaces and never writes into.
    """

    NAME: ClassVar[str]
    Parameters: ClassVar[type]
    KEPT: ClassVar[tuple[str, ...]] = ()
    NEEDED: ClassVar[int] = 2
    """Scores without which a generation is shown again; fewer than two rank nothing."""

    def __init__(
        self,
        code_shape: Sequence[int],
        seed: int | Sequence[int],
        *,
        initial_codes: ArrayLike | None = None,
        subspace: ArrayLike | None = None,
        **parameters: Any,
    ) -> None:
        self.code_shape = _shape(self.NAME, code_shape)
        self.subspace = None if subspace is None else self._subspace(subspace)
        self.n_genes = int(np.prod(self.code_shape)) if self.subspace is None else len(self.subspace)
        self.parameters: P = checked(self.Parameters, self.NAME, parameters)
        self.generation = 0
        self.random: RandomStream = open_stream(seed, legacy=self._compatible)
        self.initial = None if initial_codes is None else self._initial(initial_codes)
        self._wanted: P = self.parameters
        self._pending: Vectors | None = None
        self._asked = False
        self._prepare()

    def ask(self) -> Codes:
        """Return the codes to show next, [n_codes, *code_shape]; the same ones until they are told."""
        if self._pending is None:
            self._adopt(self._wanted)
            self._pending = self._at_norm(self._propose())
        self._asked = True
        return self._shaped(self._pending)

    def tell(self, scores: ArrayLike) -> None:
        """Learn from the scores, [n_codes], of the codes asked; NaN is not measured."""
        if self._pending is None or not self._asked:
            raise OptimizerError(f"optimizer {self.NAME!r} was told scores before it was asked for codes.")
        told = self._told(scores, len(self._pending))
        self._asked = False
        if np.count_nonzero(~np.isnan(told)) < self.NEEDED:
            return
        codes, self._pending = self._pending, None
        self._learn(codes, told)
        self.generation += 1

    def recommend(self) -> Codes:
        """Return the code, [*code_shape], that the search believes in, or its start if it knows nothing."""
        best = self._centre()
        if best is None:
            start = self._pending if self._pending is not None else self.initial
            best = np.zeros(self.n_genes) if start is None else np.mean(start, axis=0)
        recommended: Codes = self._shaped(self._at_norm(best[None]))[0]
        return recommended

    def change(self, **parameters: Any) -> None:
        """Change parameters from the next generation on; a pending one is finished as it was begun."""
        self._wanted = changed(self._wanted, self.NAME, parameters)

    def snapshot(self) -> dict[str, Any]:
        """Return all there is to remember, as plain values and arrays."""
        kept = {name: getattr(self, name) for name in self._remembered()}
        return {
            "optimizer": self.NAME,
            "code_shape": list(self.code_shape),
            "subspace": self._subspace_sha256(),
            "parameters": dict(vars(self.parameters)),
            "wanted": dict(vars(self._wanted)),
            "random": freeze(self.random),
            "kept": copy.deepcopy(kept),
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a snapshot as if nothing had happened since."""
        theirs = (snapshot["optimizer"], tuple(snapshot["code_shape"]))
        if theirs != (self.NAME, self.code_shape):
            raise OptimizerError(
                f"this is {self.NAME!r} for codes of shape {self.code_shape}; "
                f"the snapshot is of {theirs[0]!r} for codes of shape {theirs[1]}."
            )
        if snapshot.get("subspace", "") != self._subspace_sha256():
            raise OptimizerError(f"optimizer {self.NAME!r}: the snapshot is of a search in another subspace than this.")
        self.parameters = checked(self.Parameters, self.NAME, snapshot["parameters"])
        self._wanted = checked(self.Parameters, self.NAME, snapshot["wanted"])
        self.random = thaw(snapshot["random"])
        for name in self._remembered():
            setattr(self, name, copy.deepcopy(snapshot["kept"][name]))

    def _prepare(self) -> None:
        """Set what is kept to its beginning; the parameters are there."""

    def _propose(self) -> Vectors:
        """Return the codes of the next generation, [n, d]."""
        raise NotImplementedError

    def _learn(self, codes: Vectors, scores: Vectors) -> None:
        """Take in a generation as it was shown; at least `NEEDED` of its scores are not NaN."""
        raise NotImplementedError

    def _centre(self) -> Vectors | None:
        """Return the code [d] to recommend, or None before there is one."""
        raise NotImplementedError

    def _adopt(self, wanted: P) -> None:
        """Take over changed parameters, between two generations."""
        self.parameters = wanted

    @property
    def norm(self) -> float | None:
        """The length every code has; None where it is free."""
        norm: float | None = getattr(self.parameters, "norm", None)
        return norm

    @property
    def _compatible(self) -> bool:
        """Whether to be XDream to the last digit, its random stream included."""
        return bool(getattr(self.parameters, "xdream_compatible", False))

    def _remembered(self) -> tuple[str, ...]:
        return ("generation", "initial", "_pending", "_asked", *self.KEPT)

    def _beginners(self, initial: Vectors, n: int) -> Vectors:
        """Return n codes from the initial ones: a random choice of too many, with children of too few."""
        chosen = self.random.permutation(len(initial))[:n] if len(initial) > n else slice(None)
        given = initial[chosen]
        return np.concatenate([given, self._children(given, n - len(given))])

    def _children(self, codes: Vectors, n: int) -> Vectors:
        """Return n codes that have each gene of one of two of these codes."""
        parents = self.random.random((2, n)) * len(codes)
        mother, father = codes[parents.astype(int)]
        return np.asarray(np.where(self.random.random(mother.shape) < 0.5, mother, father))

    def _at_norm(self, codes: Vectors) -> Vectors:
        """Return codes at the fixed norm, where there is one: the image's contrast hangs on it.

        A code of no length points nowhere, so that it cannot be made longer: it stays 0.
        """
        if self.norm is None:
            return codes
        lengths = np.linalg.norm(codes, axis=1, keepdims=True)
        return np.asarray(codes * (self.norm / np.where(lengths > SHORTEST, lengths, np.inf)))

    def _shaped(self, codes: Vectors) -> Codes:
        """Return a copy as the outside wants it: shaped, and float32 but for XDream's trace."""
        whole = codes if self.subspace is None else codes @ self.subspace
        return whole.reshape(-1, *self.code_shape).astype(np.float64 if self._compatible else np.float32)

    def _told(self, scores: ArrayLike, n_codes: int) -> Vectors:
        told = np.array(scores, np.float64)
        if told.shape != (n_codes,):
            raise OptimizerError(
                f"optimizer {self.NAME!r} asked {n_codes} codes and wants {n_codes} scores, "
                f"got an array of shape {list(told.shape)}."
            )
        if np.isinf(told).any():
            raise OptimizerError(f"optimizer {self.NAME!r}: a score must be finite, or NaN if not measured.")
        return told

    def _initial(self, codes: ArrayLike) -> Vectors:
        given = np.array(codes, np.float64)
        if given.shape[1:] != self.code_shape or len(given) == 0 or not np.isfinite(given).all():
            raise OptimizerError(
                f"optimizer {self.NAME!r}: initial_codes must be finite, of shape "
                f"[n, {', '.join(map(str, self.code_shape))}], got {list(given.shape)}."
            )
        flat = given.reshape(len(given), -1)
        return flat if self.subspace is None else flat @ np.linalg.pinv(self.subspace)

    def _subspace(self, axes: ArrayLike) -> Vectors:
        """Return the directions [k, d] that the search is confined to; its genes are the steps along them."""
        given, n = np.array(axes, np.float64), int(np.prod(self.code_shape))
        if given.ndim != 2 or given.shape[1] != n or not 1 <= len(given) <= n or not np.isfinite(given).all():
            raise OptimizerError(
                f"optimizer {self.NAME!r}: subspace must be finite, of shape [n_axes, {n}], at most {n} axes, "
                f"got {list(given.shape)}."
            )
        return given

    def _subspace_sha256(self) -> str:
        """Return what axes are told apart by: a snapshot need not hold millions of numbers that never change."""
        return "" if self.subspace is None else hashlib.sha256(self.subspace.tobytes()).hexdigest()


def _shape(optimizer: str, code_shape: Sequence[int]) -> tuple[int, ...]:
    try:
        shape = tuple(int(length) for length in code_shape)
    except (TypeError, ValueError):
        shape = ()
    if not shape or min(shape) < 1:
        raise OptimizerError(
            f"optimizer {optimizer!r}: code_shape must be a sequence such as [4096], got {code_shape!r}."
        )
    return shape
