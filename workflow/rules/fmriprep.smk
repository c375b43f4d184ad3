# Only a study that says how to call fMRIPrep has these: one job of its container for each person
# whose prepared images are not all there. Outputs of one rule cannot differ in number between its
# jobs, so each person has a rule.
FMRIPREP = getattr(STUDY.dataset, "fmriprep", None)

for NUMBER, SUBJECT in enumerate(PLAN.subjects if FMRIPREP else []):

    rule:
        name:
            f"fmriprep{NUMBER or str()}"
        input:
            description=FOLDER / "dataset_description.json",
            licence=within(FMRIPREP.licence),
        output:
            STUDY.dataset.made_by_fmriprep(PATHS.root, SUBJECT),
        log:
            PATHS.log("fmriprep", SUBJECT),
        benchmark:
            PATHS.benchmark("fmriprep", SUBJECT)
        conda:
            "../envs/brainalign.yaml"
        threads: FMRIPREP.threads
        resources:
            mem_mb=round(FMRIPREP.mem_gb * 1000),
        params:
            subject=SUBJECT,
            root=FOLDER.resolve(),
            derivatives=STUDY.dataset.derived(PATHS.root).resolve(),
            container=within(FMRIPREP.container),
            work=PATHS.root / "fmriprep_work",
            spaces=FMRIPREP.output_spaces,
            options=FMRIPREP.options,
        shell:
            "mkdir -p {params.derivatives:q} {params.work:q} &&"
            " apptainer run --cleanenv --bind {params.root:q}:/data:ro --bind {params.derivatives:q}:/out"
            " --bind {params.work:q}:/scratch --bind {input.licence:q}:/licence.txt:ro {params.container:q}"
            " /data /out participant --participant-label {params.subject:q} --fs-license-file /licence.txt"
            " --work-dir /scratch --output-spaces {params.spaces:q} --nthreads {threads}"
            " --mem-mb {resources.mem_mb} --notrack --skip-bids-validation {params.options:q} &> {log:q}"
