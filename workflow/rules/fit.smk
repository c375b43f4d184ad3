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


# The score of one model at every single lag: not a result, but whether words and responses lie on one clock.
if STUDY.scanned():

    rule lags:
        input:
            recordings=recordings_of,
            activations=activations_scanned,
            scores=scanned_of,
        output:
            PATHS.lags("{subject}", "{recording}"),
        log:
            PATHS.log("lags", "{subject}", "{recording}"),
        benchmark:
            PATHS.benchmark("lags", "{subject}", "{recording}")
        conda:
            "../envs/brainalign.yaml"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            settings=settings("lags"),
            rows=row_digest,
            model=STUDY.scanned(),
            out=PATHS.root,
        shell:
            "python -m pipeline lags --out {params.out:q} --settings {params.settings:q}"
            " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
            " --model {params.model:q} --threads {threads} &> {log:q}"


rule ceiling:
    input:
        recordings=recordings_of,
        people=recordings_of_people,
        targets=targets_file,
    output:
        PATHS.ceiling("{subject}", "{recording}"),
        PATHS.ledger("{subject}", "{recording}"),
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


# Outputs cannot differ between jobs of one rule: maps of volumes, hemispheres and spaces have rules of their own.
for NUMBER, ((RECORDING, PAINTED), SUBJECTS) in enumerate(pictured().items()):

    rule:
        name:
            f"maps{NUMBER or str()}"
        input:
            recording=first_recording(RECORDING),
            scores=[
                PATHS.scores("{subject}", RECORDING, model) for model in STUDY.models
            ],
            ceiling=PATHS.ceiling("{subject}", RECORDING),
        output:
            PAINTED,
        log:
            PATHS.log("maps", "{subject}", RECORDING),
        benchmark:
            PATHS.benchmark("maps", "{subject}", RECORDING)
        wildcard_constraints:
            subject="|".join(SUBJECTS),
        conda:
            "../envs/brainalign.yaml"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            settings=settings("maps", recording=RECORDING),
            recording=RECORDING,
            out=PATHS.root,
        shell:
            "python -m pipeline maps --out {params.out:q} --settings {params.settings:q}"
            " --subject {wildcards.subject:q} --recording {params.recording:q} --threads {threads} &> {log:q}"


rule compare:
    input:
        scores=scores_of,
        ceiling=PATHS.ceiling("{subject}", "{recording}"),
    output:
        PATHS.layers("{subject}", "{recording}"),
        PATHS.comparison("{subject}", "{recording}"),
        PATHS.blocks("{subject}", "{recording}"),
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


# Where recordings are resolved in time. Words have epochs: from scores alone. The continuous form: models are fitted again at every delay.
rule latencies:
    input:
        scores=scores_of,
        ceiling=PATHS.ceiling("{subject}", "{recording}"),
        recordings=recordings_by_delay,
        activations=activations_by_delay,
    output:
        PATHS.latencies("{subject}", "{recording}"),
        PATHS.peaks("{subject}", "{recording}"),
        PATHS.clusters("{subject}", "{recording}"),
        PATHS.courses("{subject}", "{recording}"),
    log:
        PATHS.log("latencies", "{subject}", "{recording}"),
    benchmark:
        PATHS.benchmark("latencies", "{subject}", "{recording}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings("latencies"),
        rows=row_digest,
        out=PATHS.root,
    shell:
        "python -m pipeline latencies --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
        " --threads {threads} &> {log:q}"


rule passive:
    input:
        recordings=recordings_of,
        activations=activations_heard,
        scores=scores_predicting,
    output:
        PATHS.passive("{subject}", "{recording}"),
    log:
        PATHS.log("passive", "{subject}", "{recording}"),
    benchmark:
        PATHS.benchmark("passive", "{subject}", "{recording}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings("passive"),
        rows=row_digest,
        out=PATHS.root,
    shell:
        "python -m pipeline passive --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
        " --threads {threads} &> {log:q}"


rule beside:
    input:
        recordings=recordings_of,
        activations=activations_beside,
        scores=scores_beside,
    output:
        PATHS.beside("{subject}", "{recording}"),
    log:
        PATHS.log("beside", "{subject}", "{recording}"),
    benchmark:
        PATHS.benchmark("beside", "{subject}", "{recording}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings("beside"),
        rows=row_digest,
        out=PATHS.root,
    shell:
        "python -m pipeline beside --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --recording {wildcards.recording:q}"
        " --threads {threads} &> {log:q}"
