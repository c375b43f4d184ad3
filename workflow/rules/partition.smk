# What a model explains that controls do not: every union of them is fitted, and once more with each of them rolled.
if STUDY.partitioned():

    rule partition:
        input:
            recordings=recordings_of,
            activations=activations_partitioned,
            scores=scores_partitioned,
        output:
            PATHS.partition("{subject}", "{recording}"),
        log:
            PATHS.log("partition", "{subject}", "{recording}"),
        benchmark:
            PATHS.benchmark("partition", "{subject}", "{recording}")
        conda:
            "../envs/brainalign.yaml"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            settings=settings("partition"),
            rows=row_digest,
            out=PATHS.root,
        shell:
            "python -m pipeline partition --out {params.out:q} --settings {params.settings:q}"
            " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
            " --threads {threads} &> {log:q}"
