"""Several modules of the same shape run as one, each on a batch of its own.

A stack takes tensors with the members along a new first axis, and applies the weights
of each member to its own part. Modules whose code counts axes from the end need only
stacked weights for that; they declare it by an attribute ``stacks = True``.
"""

from collections.abc import Sequence
from copy import copy
from typing import cast, overload

import torch
from torch import Tensor, nn

# These functions act on every number by itself.
ELEMENTWISE = (
    nn.ELU,
    nn.GELU,
    nn.Identity,
    nn.LeakyReLU,
    nn.ReLU,
    nn.SELU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Tanh,
)


class StackedLinear(nn.Module):
    r"""Linear layers side by side: :math:`x_k W_k^\top + b_k` for each member k.

    Parameters
    ----------
    layers : sequence of nn.Linear
        Layers of the same size, one for each member.

    Examples
    --------
    >>> layers = [nn.Linear(4, 2), nn.Linear(4, 2)]
    >>> StackedLinear(layers)(torch.zeros(2, 5, 4)).shape
    torch.Size([2, 5, 2])
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        self.weight = stack_tensors([layer.weight for layer in layers])
        self.bias = stack_tensors([layer.bias for layer in layers])

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return torch.bmm(x, self.weight.mT)  # (k, m, n_in) -> (k, m, n_out)
        return torch.baddbmm(self.bias[:, None], x, self.weight.mT)


@overload
def stack_tensors(tensors: Sequence[Tensor]) -> Tensor: ...


@overload
def stack_tensors(tensors: Sequence[Tensor | None]) -> Tensor | None: ...


def stack_tensors(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """Stack tensors of one shape along a first axis; parameters give a parameter."""
    first = tensors[0]
    if first is None:
        return None
    stack = torch.stack([cast(Tensor, tensor).detach() for tensor in tensors])
    if isinstance(first, nn.Parameter):
        return nn.Parameter(stack, requires_grad=first.requires_grad)
    return stack


def stack_modules(modules: Sequence[nn.Module]) -> nn.Module:
    """Merge modules for which `can_stack` and `are_alike` hold into one.

    The names in its `state_dict` are the names in theirs.

    Examples
    --------
    >>> modules = [nn.Sequential(nn.Linear(4, 2), nn.ReLU()) for _ in range(3)]
    >>> stack_modules(modules)(torch.zeros(3, 5, 4)).shape
    torch.Size([3, 5, 2])
    """
    if type(modules[0]) is nn.Linear:
        return StackedLinear(cast(Sequence[nn.Linear], modules))
    stack = copy(modules[0])
    for kind in ("_parameters", "_buffers", "_modules"):
        join = stack_modules if kind == "_modules" else stack_tensors
        parts = [getattr(module, kind) for module in modules]
        vars(stack)[kind] = {
            name: join([part[name] for part in parts]) for name in parts[0]
        }
    return stack


def load_members(modules: Sequence[nn.Module], stack: nn.Module) -> None:
    """Copy the weights of a stack back into its members."""
    state = stack.state_dict()
    for k, module in enumerate(modules):
        module.load_state_dict({name: tensor[k] for name, tensor in state.items()})


def can_stack(module: nn.Module) -> bool:
    """Check whether a module can be a member of a stack.

    Each part must declare ``stacks = True``, or be a linear layer, an elementwise
    function or a chain of such parts, as in `MLP`. No part may occur twice, share
    weights or have hooks.
    """
    parts = [*module.modules()]
    n_shared = sum(len([*part.parameters(recurse=False)]) for part in parts)
    return (
        all(map(_is_stackable, parts))
        and all(len({*p.children()}) == len(p._modules) for p in parts)
        and n_shared == len([*module.parameters()])
    )


def _is_stackable(part: nn.Module) -> bool:
    return (
        getattr(part, "stacks", False)
        or type(part) in (nn.Linear, *ELEMENTWISE)
        or type(part).forward is nn.Sequential.forward
    ) and not (part._forward_hooks or part._forward_pre_hooks)


def are_alike(modules: Sequence[nn.Module]) -> bool:
    """Check whether modules have the same parts, with weights of the same shapes."""

    def shape(module: nn.Module) -> tuple[str, list[tuple[str, torch.Size, bool]]]:
        return repr(module), [
            (name, tensor.shape, tensor.requires_grad)
            for name, tensor in module.state_dict(keep_vars=True).items()
        ]

    first, *others = map(shape, modules)
    return all(other == first for other in others)
