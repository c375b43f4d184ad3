"""One study, from its YAML to its pages. `brainalign run STUDY` calls this; so may you:

snakemake --configfile configs/demo.yaml --cores 2
"""

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/fmriprep.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/trust.smk"
include: "workflow/rules/partition.smk"
include: "workflow/rules/report.smk"


wildcard_constraints:
    subject="[A-Za-z0-9]+",
    recording="[A-Za-z0-9]+",
    model="[A-Za-z0-9]+",
    run="[A-Za-z0-9]+",


localrules:
    all,


rule all:
    default_target: True
    input:
        PATHS.top("manifest.json"),
