# What the study proves about itself: a p for every target, its own false positives, and canaries that must not sing.
rule certify:
    input:
        recordings=recordings_of,
        activations=activations_certified,
        scores=scores_certified,
        lags=lags_certified,
    output:
        PATHS.tests("{subject}", "{recording}"),
        PATHS.certificate("{subject}", "{recording}"),
    log:
        PATHS.log("certify", "{subject}", "{recording}"),
    benchmark:
        PATHS.benchmark("certify", "{subject}", "{recording}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings("certify"),
        rows=row_digest,
        out=PATHS.root,
    shell:
        "python -m pipeline certify --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
        " --threads {threads} &> {log:q}"
