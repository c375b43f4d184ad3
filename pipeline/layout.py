"""Where every output of a study lies: one function per file, for the rules and the verbs alike."""

from pathlib import Path


class Layout:
    """The folder of one study. Labels may also be Snakemake wildcards such as `{subject}`."""

    def __init__(self, study_dir: Path | str):
        self.root = Path(study_dir)

    def words(self, run: str) -> Path:
        return self.root / "words" / f"run-{run}_words.tsv"

    def events(self, run: str) -> Path:
        return self.root / "words" / f"run-{run}_events.tsv"

    def activations(self, model: str, run: str) -> Path:
        return self.root / "models" / model / f"run-{run}_activations.nc"

    def weights(self, model: str) -> Path:
        return self.root / "models" / model / "weights.json"

    def recording(self, subject: str, recording: str, run: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_run-{run}_recording.nc")

    def scores(self, subject: str, recording: str, model: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_model-{model}_scores.nc")

    def ceiling(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_ceiling.nc")

    def ledger(self, subject: str, recording: str) -> Path:
        """Every ceiling of every region, side by side."""
        return self._of_subject(subject, f"recording-{recording}_ceilings.tsv")

    def layers(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_layers.tsv")

    def comparison(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_comparison.tsv")

    def blocks(self, subject: str, recording: str) -> Path:
        """What each block of the tested samples adds to every score."""
        return self._of_subject(subject, f"recording-{recording}_blocks.nc")

    def lags(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_lags.tsv")

    def tests(self, subject: str, recording: str) -> Path:
        """p of every target."""
        return self._of_subject(subject, f"recording-{recording}_tests.nc")

    def certificate(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_certificate.tsv")

    def latencies(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_latencies.tsv")

    def peaks(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_peaks.tsv")

    def clusters(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_clusters.tsv")

    def courses(self, subject: str, recording: str) -> Path:
        """Nested scores of every model by fold, channel and latency."""
        return self._of_subject(subject, f"recording-{recording}_courses.nc")

    def passive(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_passive.tsv")

    def beside(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_beside.tsv")

    def partition(self, subject: str, recording: str) -> Path:
        return self._of_subject(subject, f"recording-{recording}_partition.tsv")

    def map(self, subject: str, name: str) -> Path:
        """A map of the brain; `name` begins with the subject's label, as BIDS has it."""
        return self.root / f"sub-{subject}" / "func" / name

    def subject_page(self, subject: str) -> Path:
        return self.root / f"sub-{subject}.html"

    def top(self, name: str) -> Path:
        """A file of the study as a whole, such as `group.html`."""
        return self.root / name

    def log(self, stage: str, *which: str) -> Path:
        return self.root / "logs" / stage / f"{'_'.join(which) or stage}.log"

    def benchmark(self, stage: str, *which: str) -> Path:
        return self.root / "benchmarks" / stage / f"{'_'.join(which) or stage}.tsv"

    def name(self, path: Path) -> str:
        """A path as records tell it: relative to the study, so that no byte depends on where it lies."""
        return path.relative_to(self.root).as_posix()

    def _of_subject(self, subject: str, name: str) -> Path:
        return self.root / f"sub-{subject}" / f"sub-{subject}_{name}"
