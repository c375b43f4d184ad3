"""What there is to do: the runs that exist, person by person."""

from typing import NamedTuple

from pipeline.runs import Run, digest


class Batch(NamedTuple):
    """People whose recording has the same runs: their cleaning jobs have outputs of the same names."""

    recording: str
    runs: tuple[str, ...]
    subjects: tuple[str, ...]


class Plan(NamedTuple):
    """What there is to do: the runs that exist, person by person."""

    runs: dict[tuple[str, str], list[Run]]  # (subject, recording) -> its runs, in the order of the data set

    @property
    def subjects(self) -> list[str]:
        return list(dict.fromkeys(subject for subject, _ in self.runs))

    def recordings(self, subject: str) -> list[str]:
        return [recording for s, recording in self.runs if s == subject]

    def people(self, recording: str) -> list[str]:
        return [subject for subject, r in self.runs if r == recording]

    def labels(self, subject: str, recording: str) -> list[str]:
        return [run.run for run in self.runs[subject, recording]]

    def stimuli(self) -> dict[str, Run]:
        """Run label -> a run that holds its words."""
        found: dict[str, Run] = {}
        for runs in self.runs.values():
            for run in runs:
                found.setdefault(run.run, run)
        return found

    def batches(self) -> list["Batch"]:
        """People with the same runs of a recording, together."""
        found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for subject, recording in self.runs:
            found.setdefault((recording, tuple(self.labels(subject, recording))), []).append(subject)
        return [Batch(recording, runs, tuple(subjects)) for (recording, runs), subjects in found.items()]

    def digest(self, subject: str, recording: str) -> str:
        """Changes when any row of `runs.tsv` that concerns this recording does."""
        return digest(*self.runs[subject, recording])
