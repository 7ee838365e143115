"""Dictionaries of parameters that a grid search can reach into."""


class ParameterDicts:
    """Show the entries of ``encoder_params`` and ``net_params`` as parameters.

    ``encoder_params={"hidden_units": (64,)}`` is also ``encoder__hidden_units`` in
    `get_params` and `set_params`, so that a grid search can vary it; ``net_params`` is
    ``net__`` likewise.
    """

    _parameter_dicts = {"encoder": "encoder_params", "net": "net_params"}

    def __new__(cls, *args, **kwargs):
        """Refuse entries among the arguments, as skorch takes them, with a repair."""
        for key, value in kwargs.items():
            prefix, _, entry = key.partition("__")
            if entry and prefix in cls._parameter_dicts:
                name = cls._parameter_dicts[prefix]
                raise TypeError(
                    f"{cls.__name__} takes {key} as an entry of {name}: give "
                    f"{name}={{{entry!r}: {value!r}}}, or call "
                    f"set_params({key}={value!r})."
                )
        return super().__new__(cls)

    def get_params(self, deep=True):
        params = super().get_params(deep=deep)
        if deep:
            for prefix, name in self._parameter_dicts.items():
                for key, value in entries(getattr(self, name)).items():
                    params[f"{prefix}__{key}"] = value
        return params

    def set_params(self, **params):
        plain, nested = {}, {}
        for key, value in params.items():
            prefix, _, rest = key.partition("__")
            if rest and prefix in self._parameter_dicts:
                nested.setdefault(self._parameter_dicts[prefix], {})[rest] = value
            else:
                plain[key] = value
        super().set_params(**plain)
        for name, changes in nested.items():
            # A new dict: the old one may be shared with a clone.
            setattr(self, name, {**entries(getattr(self, name)), **changes})
        return self


def entries(params):
    """The entries of a parameter dict; none where it is None or not valid at all.

    What is not valid is reported by `fit`, as for every parameter.
    """
    return params if isinstance(params, dict) else {}
