"""Types of parameters in the signatures of estimators."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

Augment = Callable[[Tensor], Tensor] | None
AutoFloat = float | Literal["auto"]
AutoInt = int | Literal["auto"]
Callbacks = Sequence[Any] | None
Contamination = float | Literal["auto"]
ContaminationOrBoundary = float | Literal["auto", "boundary"]
Decoder = nn.Module | None
Device = str | torch.device
Encoder = nn.Module | Callable[..., nn.Module] | None
Estimator = Any
Floats = NDArray[np.float64]
Label = int | float | str | None
Params = dict[str, Any] | None
PerClass = float | ArrayLike
Samples = ArrayLike
Seed = int | np.random.RandomState | None
