rule words:
    input:
        table=words_of_run,
    output:
        PATHS.words("{run}"),
    log:
        PATHS.log("words", "{run}"),
    benchmark:
        PATHS.benchmark("words", "{run}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        settings=settings("words"),
        table=name_of_words,
        out=PATHS.root,
    shell:
        "python -m pipeline words --out {params.out:q} --settings {params.settings:q}"
        " --run {wildcards.run:q} --table {params.table:q} --threads {threads} &> {log:q}"


rule events:
    input:
        table=events_of_run,
    output:
        PATHS.events("{run}"),
    log:
        PATHS.log("events", "{run}"),
    benchmark:
        PATHS.benchmark("events", "{run}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        settings=settings("events"),
        table=name_of_events,
        out=PATHS.root,
    shell:
        "python -m pipeline events --out {params.out:q} --settings {params.settings:q}"
        " --run {wildcards.run:q} --table {params.table:q} --threads {threads} &> {log:q}"


# One job cleans all runs of a subject's recording. Outputs cannot differ between jobs of
# one rule, so subjects who have other runs than the first ones get a rule of their own.
for NUMBER, BATCH in enumerate(PLAN.batches()):

    rule:
        name:
            f"clean{NUMBER or str()}"
        input:
            files=files_of(BATCH.recording),
            targets=targets_file,
        output:
            [PATHS.recording("{subject}", BATCH.recording, run) for run in BATCH.runs],
        log:
            PATHS.log("clean", "{subject}", BATCH.recording),
        benchmark:
            PATHS.benchmark("clean", "{subject}", BATCH.recording)
        wildcard_constraints:
            subject="|".join(BATCH.subjects),
        conda:
            "../envs/brainalign.yaml"
        threads: THREADS_TO_CLEAN
        resources:
            mem_mb=4000,
        params:
            settings=settings("clean", recording=BATCH.recording),
            rows=rows_of(BATCH.recording),
            recording=BATCH.recording,
            out=PATHS.root,
        shell:
            "python -m pipeline clean --out {params.out:q} --settings {params.settings:q}"
            " --subject {wildcards.subject:q} --recording {params.recording:q}"
            " --threads {threads} &> {log:q}"


rule activate:
    input:
        words=read_by_model,
        model=files_of_model,
    output:
        [PATHS.activations("{model}", run) for run in PLAN.stimuli()],
    log:
        PATHS.log("activate", "{model}"),
    benchmark:
        PATHS.benchmark("activate", "{model}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings("activate"),
        runs=list(PLAN.stimuli()),
        out=PATHS.root,
    shell:
        "python -m pipeline activate --out {params.out:q} --settings {params.settings:q}"
        " --model {wildcards.model:q} --runs {params.runs:q} --threads {threads} &> {log:q}"
