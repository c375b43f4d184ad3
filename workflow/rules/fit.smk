rule encode:
    input:
        recordings=recordings_of,
        activations=activations_for,
        targets=targets_file,
    output:
        PATHS.scores("{subject}", "{recording}", "{model}"),
    log:
        PATHS.log("encode", "{subject}", "{recording}", "{model}"),
    benchmark:
        PATHS.benchmark("encode", "{subject}", "{recording}", "{model}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings("encode"),
        rows=row_digest,
        out=PATHS.root,
    shell:
        "python -m pipeline encode --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
        " --model {wildcards.model:q} --threads {threads} &> {log:q}"


rule ceiling:
    input:
        recordings=recordings_of,
    output:
        PATHS.ceiling("{subject}", "{recording}"),
    log:
        PATHS.log("ceiling", "{subject}", "{recording}"),
    benchmark:
        PATHS.benchmark("ceiling", "{subject}", "{recording}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings("ceiling"),
        rows=row_digest,
        out=PATHS.root,
    shell:
        "python -m pipeline ceiling --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
        " --threads {threads} &> {log:q}"


rule compare:
    input:
        scores=scores_of,
        ceiling=PATHS.ceiling("{subject}", "{recording}"),
    output:
        PATHS.layers("{subject}", "{recording}"),
        PATHS.comparison("{subject}", "{recording}"),
    log:
        PATHS.log("compare", "{subject}", "{recording}"),
    benchmark:
        PATHS.benchmark("compare", "{subject}", "{recording}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        settings=settings("compare"),
        out=PATHS.root,
    shell:
        "python -m pipeline compare --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
        " --threads {threads} &> {log:q}"
