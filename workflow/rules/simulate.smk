# Only a simulated study has these: its recordings and its language model are made here.
if STUDY.dataset.kind == "synthetic":

    rule simulate:
        output:
            STUDY.dataset.recording_files(PATHS.root),
        log:
            PATHS.log("simulate"),
        benchmark:
            PATHS.benchmark("simulate")
        conda:
            "../envs/brainalign.yaml"
        threads: 1
        resources:
            mem_mb=1500,
        params:
            settings=settings("simulate"),
            out=PATHS.root,
        shell:
            "python -m pipeline simulate --out {params.out:q} --settings {params.settings:q}"
            " --threads {threads} &> {log:q}"

    rule train:
        output:
            STUDY.dataset.model_files(PATHS.root),
        log:
            PATHS.log("train"),
        benchmark:
            PATHS.benchmark("train")
        conda:
            "../envs/brainalign.yaml"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            settings=settings("simulate"),
            out=PATHS.root,
        shell:
            "python -m pipeline train --out {params.out:q} --settings {params.settings:q}"
            " --threads {threads} &> {log:q}"
