"""What the methods text says of each recording: how it was cleaned, and how features of words met its samples."""

from collections.abc import Mapping
from typing import Any

from pipeline.report.meg_text import meg_text

_HOW = {
    "lanczos": "resampled with a Lanczos filter of three lobes (cut-off {cutoff}, not causal)",
    "causal": "resampled with a Lanczos filter of three lobes (cut-off {cutoff}), delayed so far that no word reached a volume before it",
    "mean": "averaged within each sample",
    "sum": "summed within each sample",
    "last": "taken from the last word of each sample",
    "glover": "convolved with the haemodynamic response of Glover (1999){derivatives}",
    "spm": "convolved with SPM's haemodynamic response (Friston et al., 1998){derivatives}",
}
_DERIVATIVES = ("", " and its derivative in time", " and its derivatives in time and dispersion")
_TERMS = {
    "basic": "",
    "power2": " with squares",
    "derivatives": " with derivatives",
    "full": " with derivatives, squares and squared derivatives",
}


def recording_text(label: str, of: Mapping[str, Any]) -> str:
    """One recording in words.

    Parameters
    ----------
    of : its settings, defaults filled in.
    """
    if of["kind"] == "meg":
        return f"Recording `{label}`: {meg_text(of)}"
    return f"Recording `{label}`: {_CLEANED[of['kind']](of)} {_laid(of)}"


def _laid(of: Mapping[str, Any]) -> str:
    cutoff = f"{of['cutoff_hz']:g} Hz" if of["cutoff_hz"] else "one over the sample spacing"
    how = _HOW[of["how"]].format(cutoff=cutoff, derivatives=_DERIVATIVES[of["derivatives"]])
    filtered = ", high-passed as the responses were" if of.get("filter_features") else ""
    delays = ", ".join(map(str, of["delays"]))
    delayed = (
        f"entered at delays of {delays} samples, within each run only (finite impulse response; Huth et al., 2016)."
    )
    entered = "entered once, within each run only." if of["how"] in ("glover", "spm") else delayed
    return f"Features of words were {how}{filtered}, z-scored within each run, and {entered}"


def _arrays(of: Mapping[str, Any]) -> str:
    same = " Columns of one name were taken to mean the same in everyone." if of.get("common_targets") else ""
    return "responses were used as delivered" + (", z-scored within each run." if of["standardize"] else ".") + same


def _fmri(of: Mapping[str, Any]) -> str:
    high_pass = f"high-passed at {of['high_pass']:g} Hz (cosines)" if of["high_pass"] else "not high-passed"
    smooth = (
        f" Volumes were smoothed before, with a Gaussian of {of['smoothing_mm']:g} mm full width at half maximum."
        if of["smoothing_mm"]
        else ""
    )
    return (
        f"{_motion(of['correct_motion'])} {_targets(of)} were detrended, {high_pass}, cleared of confounds and z-scored within each run, in one "
        f"least-squares step, so that filter and confounds were orthogonal (nilearn).{smooth} {_confounds(of)}{_left_out(of)}"
    )


def _motion(corrected: bool | None) -> str:
    if corrected is False:
        return "Volumes were taken as they are, without correction of motion."
    whose = "Volumes" if corrected else "Volumes that no fMRIPrep had prepared"
    return f"{whose} were realigned rigidly to the mean of a first run (DIPY); neither slice timing nor distortion was corrected there."


def _targets(of: Mapping[str, Any]) -> str:
    where = f"the mask {_name(of['mask'])}" if of["mask"] else "the masks of all runs"
    if of["mask_space"] == "template":
        where += " (in MNI152 space, brought onto raw images by an affine registration)"
    where += ", resampled where it lay on other voxels" if of["resample_mask"] else ""
    parcels = f"means of the parcels of {_name(of['parcels'])} in " if of["parcels"] else "voxels of "
    return f"{parcels[0].upper()}{parcels[1:]}{where}, or vertices and grayordinates,"


def _confounds(of: Mapping[str, Any]) -> str:
    told = {
        "motion": f"six parameters of head motion{_TERMS[of['motion']]}",
        "wm_csf": f"mean signals of white matter and cerebrospinal fluid{_TERMS[of['wm_csf']]}",
        "global_signal": f"the global signal{_TERMS[of['global_signal']]}",
        "compcor": f"{of['n_compcor']} components of anatomical CompCor (of the voxels of highest variance without fMRIPrep)",
        "high_pass": "the cosines of fMRIPrep's high-pass",
    }
    named = [told[c] for c in of["confounds"] if c in told]
    if not named:
        return "No confounds were regressed out."
    return (
        f"Confounds, where a run had them: {'; '.join(named)}; gaps in the first row were filled with the next value."
    )


def _left_out(of: Mapping[str, Any]) -> str:
    unsteady = " Volumes before the steady state were left out." if "non_steady_state" in of["confounds"] else ""
    if "scrub" not in of["confounds"]:
        return unsteady
    return unsteady + (
        f" Volumes with a framewise displacement above {of['fd_threshold_mm']:g} mm or a standardised DVARS above {of['std_dvars_threshold']:g}, and "
        f"stretches shorter than {of['shortest_stretch']} volumes between them, were left out of fits and scores (Power et al., 2014)."
    )


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


_CLEANED = {"arrays": _arrays, "fmri": _fmri}
