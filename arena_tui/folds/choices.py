"""Maximum likelihood for outcomes that are choices among alternatives. Pure; knows no games.

An outcome takes one of several alternatives, each in proportion to its weight times the exponential
of a sum of parameters. The log-likelihood is concave, and a normal prior on every parameter makes
its maximum unique and finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import mul
from typing import Final, NamedTuple, TypeAlias

Terms: TypeAlias = tuple[tuple[int, float], ...]
"""Parameters, by their number, and the factor of each in a sum."""

Matrix: TypeAlias = list[list[float]]

_STEPS_MAX: Final = 60
_CLOSE: Final = 1e-10
_STEP_MAX: Final = 2.0
"""A longer step of Newton's method might leave the region where it converges."""


class Alternative(NamedTuple):
    """One of the things that could have happened."""

    terms: Terms
    weight: float = 1.0


Choice: TypeAlias = tuple[Alternative, ...]


class Fit(NamedTuple):
    """Estimates of all parameters, and the covariance of their errors.

    Attributes:
        log_posterior: The log-likelihood less the prior's penalty, up to a constant that depends
            on the outcomes alone.
        complexity: By how much the logarithm of the outcomes' marginal likelihood, over all that
            the prior permits, is less than that; by Laplace's approximation.
    """

    values: list[float]
    covariance: Matrix
    log_posterior: float
    complexity: float

    def variance(self, terms: Iterable[tuple[int, float]]) -> float:
        """Of the error of a sum."""
        own = list(terms)
        return max(
            0.0, sum(f * g * self.covariance[one][other] for one, f in own for other, g in own)
        )


def fit(sds: Sequence[float], counts: Mapping[Choice, Sequence[float]]) -> Fit:
    """Estimate the parameters by Newton's method.

    Args:
        sds: Standard deviation of each parameter's prior, whose mean is 0.
        counts: How often each alternative of each choice was taken.
    """
    precision = [sd**-2 for sd in sds]
    values = [0.0] * len(sds)
    for _ in range(_STEPS_MAX):
        gradient, information = _derivatives(counts, values, precision)
        step = _solved(_cholesky(information), gradient)
        largest = max(map(abs, step), default=0.0)
        scale = 1.0 if largest <= _STEP_MAX else _STEP_MAX / largest
        values = [value + scale * change for value, change in zip(values, step, strict=True)]
        if largest < _CLOSE:
            break
    _, information = _derivatives(counts, values, precision)
    lower = _cholesky(information)
    size = range(len(values))
    covariance = [_solved(lower, [float(i == j) for j in size]) for i in size]
    complexity = sum(math.log(row[-1] * sd) for row, sd in zip(lower, sds, strict=True))
    return Fit(values, covariance, _log_posterior(counts, values, precision), complexity)


def _log_posterior(
    counts: Mapping[Choice, Sequence[float]], values: Sequence[float], precision: Sequence[float]
) -> float:
    """The log-likelihood and the prior's penalty."""
    found = -sum(weight * value**2 for weight, value in zip(precision, values, strict=True)) / 2
    for choice, taken in counts.items():
        sums = [sum(factor * values[place] for place, factor in each.terms) for each in choice]
        top = max(sums)
        total = sum(
            each.weight * math.exp(one - top) for each, one in zip(choice, sums, strict=True)
        )
        found += sum(count * (one - top) for count, one in zip(taken, sums, strict=True))
        found -= sum(taken) * math.log(total)
    return found


def _derivatives(
    counts: Mapping[Choice, Sequence[float]], values: Sequence[float], precision: Sequence[float]
) -> tuple[list[float], Matrix]:
    """Gradient of the penalised log-likelihood, and its negative second derivatives."""
    gradient = [-weight * value for weight, value in zip(precision, values, strict=True)]
    information = [[0.0] * len(values) for _ in values]
    for place, weight in enumerate(precision):
        information[place][place] = weight
    for choice, taken in counts.items():
        sums = [sum(factor * values[place] for place, factor in each.terms) for each in choice]
        top = max(sums)
        shares = [
            each.weight * math.exp(total - top) for each, total in zip(choice, sums, strict=True)
        ]
        scale, times = 1 / sum(shares), sum(taken)
        mean: dict[int, float] = {}
        for (terms, _), share, count in zip(choice, shares, taken, strict=True):
            for place, factor in terms:
                mean[place] = mean.get(place, 0.0) + scale * share * factor
                gradient[place] += count * factor
                for other, its_factor in terms:
                    information[place][other] += times * scale * share * factor * its_factor
        for place, one in mean.items():
            gradient[place] -= times * one
            row = information[place]
            for other, two in mean.items():
                row[other] -= times * one * two
    return gradient, information


def _cholesky(matrix: Matrix) -> Matrix:
    lower: Matrix = []
    for row, values in enumerate(matrix):
        own: list[float] = []
        for column in range(row):
            left = lower[column]
            own.append((values[column] - sum(map(mul, own, left))) / left[column])
        own.append(math.sqrt(values[row] - sum(map(mul, own, own))))
        lower.append(own)
    return lower


def _solved(lower: Matrix, vector: Sequence[float]) -> list[float]:
    """Solve the system whose decomposition is `lower`."""
    found: list[float] = []
    for own, value in zip(lower, vector, strict=True):
        found.append((value - sum(map(mul, own, found))) / own[-1])
    for row in range(len(found) - 1, -1, -1):
        own = lower[row]
        value = found[row] = found[row] / own[row]
        for column in range(row):
            found[column] -= own[column] * value
    return found
