"""What keeps the weights of a layer small: penalties and a bound. Biases and normalizations are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Regularization:
    """Penalties on the weights of a layer, which are added to the loss, and a bound on their length.

    Attributes:
        l1: times the sum of their absolute values; makes many of them nearly 0.
        l2: times the sum of their squares.
        max_norm: the greatest length of the weights that come into one unit, or into one channel of a
            convolution; they are scaled down to it after each step. 0 for no bound. From Srivastava et al.,
            "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, which takes 3 to 4.
    """

    l1: float = 0.0
    l2: float = 0.0
    max_norm: float = 0.0

    @property
    def penalty(self) -> Any:
        """The regularizer of Keras, or None."""
        return keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None

    def bound(self, axes: Sequence[int]) -> Any:
        """The constraint of Keras, or None.

        Args:
            axes: of the weights, those that a unit or channel sums over.
        """
        return keras.constraints.MaxNorm(self.max_norm, list(axes)) if self.max_norm else None

    def of_kernel(self, axes: Sequence[int] = (0,)) -> dict[str, Any]:
        """The arguments of a layer of Keras.

        Args:
            axes: see `bound`; `(0, 1, 2)` for convolutions.
        """
        return {"kernel_regularizer": self.penalty, "kernel_constraint": self.bound(axes)}


NONE = Regularization()
"""No penalty and no bound."""
