"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., arXiv 2409.11321, Algorithm 3).

A network that reads a physical quantity off a waveform is badly conditioned: its loss must fall by four orders of
magnitude, and Adam alone needs several times as many steps for it. The matrices here are at most a few hundred wide,
so the eigenbases cost less than the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["SOAP"]


class SOAP(Optimizer):
    """Steps along Adam's direction, computed in slowly turning eigenbases of the gradient's two second moments.

    Args:
        parameters: tensors of any rank; all axes after the first are taken together as columns.
        lr: step size, as for Adam.
        betas: decay of the mean gradient and of its square.
        shampoo_beta: decay of the two second-moment matrices.
        refresh: steps between two updates of the eigenbases.
        eps: added to the root of the squared gradient.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.97),
        shampoo_beta: float = 0.97,
        refresh: int = 10,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            parameters, {"lr": lr, "betas": betas, "shampoo_beta": shampoo_beta, "refresh": refresh, "eps": eps}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step along the gradients of the last backward pass."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_one(parameter, group)
        return loss

    def _step_one(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient = parameter.grad.reshape(len(parameter), -1) if parameter.dim() > 1 else parameter.grad.reshape(-1, 1)
        state = self.state[parameter]
        if not state:
            state.update(_fresh_state(gradient))
        state["step"] += 1
        state["left"].lerp_(gradient @ gradient.T, 1 - group["shampoo_beta"])
        state["right"].lerp_(gradient.T @ gradient, 1 - group["shampoo_beta"])
        if state["step"] == 1:
            state["left_basis"], state["right_basis"] = _eigenbasis(state["left"]), _eigenbasis(state["right"])
            return  # the first gradient only sets the basis, as in the paper's implementation
        if state["step"] % group["refresh"] == 0:
            # One step of orthogonal iteration follows the slowly turning eigenvectors at the price of a QR.
            state["left_basis"] = torch.linalg.qr(state["left"] @ state["left_basis"])[0]
            state["right_basis"] = torch.linalg.qr(state["right"] @ state["right_basis"])[0]
        parameter.add_(_direction(gradient, state, group).reshape(parameter.shape), alpha=-group["lr"])


def _fresh_state(gradient: Tensor) -> dict[str, Any]:
    rows, columns = gradient.shape
    return {
        "step": 0,
        "mean": torch.zeros_like(gradient),
        "square": torch.zeros_like(gradient),
        "left": gradient.new_zeros(rows, rows),
        "right": gradient.new_zeros(columns, columns),
    }


def _eigenbasis(moment: Tensor) -> Tensor:
    """Orthonormal eigenvectors; the small multiple of the identity keeps a rank-one first moment solvable."""
    size = len(moment)
    scaled = moment.double() / moment.double().trace().clamp_min(1e-30)
    return torch.linalg.eigh(scaled + 1e-6 * torch.eye(size, dtype=torch.float64))[1].to(moment.dtype)


def _direction(gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    beta1, beta2 = group["betas"]
    left, right, steps = state["left_basis"], state["right_basis"], state["step"] - 1
    turned = left.T @ gradient @ right
    state["mean"].lerp_(gradient, 1 - beta1)
    state["square"].mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
    mean = left.T @ state["mean"] @ right / (1 - beta1**steps)
    root = (state["square"] / (1 - beta2**steps)).sqrt_().add_(group["eps"])
    return left @ (mean / root) @ right.T
