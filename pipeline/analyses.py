"""What can be asked beyond a score: settings of analyses that a study may leave out."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, NonNegativeInt, model_validator

from pipeline.settings import Label, Settings

MOST_CONTROL_GROUPS = 2  # with the model's own, three: their parts can still be read
CONTROLS = "controls"  # the name of several controls that are one group
AUTO = "auto"


class Partition(Settings):
    """What a model explains that controls do not, and what they share."""

    version: ClassVar[int] = 1
    model: str = Field(
        AUTO, description="model that controls stand beside; by default the first network with trained weights"
    )
    controls: tuple[Label, ...] | None = Field(
        None,
        description="models that stand beside it as one group, each with a penalty of its own; by default every control of the "
        "study but `oasm`, which can tell nothing of an unseen run",
    )
    groups: dict[Label, tuple[Label, ...]] | None = Field(
        None,
        description="label -> controls of one group, instead of `controls`: two groups are told apart, and what they share",
    )
    shifts: NonNegativeInt = Field(
        3,
        description="times that a group's features are rolled around their runs and all fits made again, to see what as many and as "
        "smooth features add by chance; from 19 on there is a p-value, and each takes as long as a joint fit",
    )

    @model_validator(mode="after")
    def _one_way(self) -> "Partition":
        if self.controls is not None and self.groups is not None:
            raise ValueError("controls and groups are two ways to say the same; leave one of them out")
        if len(self.groups or {}) > MOST_CONTROL_GROUPS:
            raise ValueError(
                f"{len(self.groups or {})} groups of controls and the model are {len(self.groups or {}) + 1} groups, and a set partition "
                f"is told of {MOST_CONTROL_GROUPS + 1} at most; put several controls into one group"
            )
        if any(not labels for labels in (self.groups or {}).values()):
            raise ValueError("a group without controls explains nothing; name some, or leave it out")
        return self

    def groups_of(self, weights: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """The groups of features by name, the model's own first.

        Parameters
        ----------
        weights : model of the study -> "trained" or another word for a network, "" for a control.
        kinds : model -> its kind.

        Raises
        ------
        ValueError : the model or a control is unknown, stands twice, or there is nothing to stand beside the model.
        """
        model = self._model(weights)
        groups = self._controls(model, weights, kinds)
        for name, labels in groups.items():
            for label in labels:
                _known(label, weights, "analyses.partition names")
            if name in weights and labels != (name,):
                raise ValueError(
                    f"analyses.partition has a group {name!r}, which is a model's label too; call the group otherwise"
                )
        named = [label for labels in groups.values() for label in labels]
        if model in named:
            raise ValueError(
                f"analyses.partition: {model!r} is the model and one of its own controls; leave it out of the controls"
            )
        if twice := sorted({label for label in named if named.count(label) > 1}):
            raise ValueError(f"analyses.partition names {twice[0]!r} twice; a control belongs to one group")
        if not named:
            raise ValueError(
                f"analyses.partition needs 2 groups and has 1, the model {model!r}: there are no controls; "
                "add one to the models, such as `wordrate: {kind: wordrate}`"
            )
        return {model: (model,)} | groups

    def _model(self, weights: Mapping[str, str]) -> str:
        if self.model != AUTO:
            _known(self.model, weights, "analyses.partition.model names")
            return self.model
        for label, how in weights.items():
            if how == "trained":
                return label
        raise ValueError(
            "analyses.partition: there is no network with trained weights; say which model the controls stand beside "
            f"(model: one of {', '.join(weights)})"
        )

    def _controls(self, model: str, weights: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        if self.groups is not None:
            return dict(self.groups)
        every = tuple(label for label, how in weights.items() if not how and kinds[label] != "oasm" and label != model)
        labels = every if self.controls is None else self.controls
        return {labels[0] if len(labels) == 1 else CONTROLS: labels} if labels else {}


class Analyses(Settings):
    """What is asked beyond the scores."""

    version: ClassVar[int] = 1
    partition: Partition | None = Field(
        None, description="what a model explains that controls do not, and what they share"
    )

    def dump(self, **options: Any) -> dict[str, Any]:
        """Each analysis that is asked for, with its version."""
        told = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: one.dump(**options) for name, one in told.items() if one is not None} | {"version": self.version}


def _known(label: str, weights: Mapping[str, str], who: str) -> None:
    if label not in weights:
        raise ValueError(f"{who} {label!r}, which is not among the models: {', '.join(weights)}")
