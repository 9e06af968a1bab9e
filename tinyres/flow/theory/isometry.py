"""Dynamical isometry in closed form: the spread of the singular values of a deep net's Jacobian.

Saxe et al. 2014 [saxe2014exact], "Exact solutions to the nonlinear dynamics of learning in deep linear neural
networks"; Pennington et al. 2017 [pennington2017resurrecting], "Resurrecting the sigmoid in deep learning through
dynamical isometry".
"""

from __future__ import annotations


def spread(depth: int, *, orthogonal: bool, active: float = 1.0) -> float:
    """Var / mean^2 of the eigenvalues of J J^T: depth (1 / active - 1 + [1 if the weights are Gaussian, else 0]).

    The general form is depth (mu_2 / mu_1^2 - 1 - s_1), where mu_k is the mean of phi'^(2k). Here phi' is 1 for a share
    `active` of the units and 0 for the rest, so mu_2 / mu_1^2 = 1 / active: 1 for linear units, 2 for ReLU.
    """
    return depth * (1 / active - 1 + (0 if orthogonal else 1))
