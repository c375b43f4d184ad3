# One job reads the words of every stimulus: a table takes milliseconds, and a job of its own a second to start.
rule words:
    input:
        tables=[FOLDER / name for name in WORDS.values()],
    output:
        [PATHS.words(run) for run in WORDS],
    log:
        PATHS.log("words"),
    benchmark:
        PATHS.benchmark("words")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        settings=settings("words"),
        runs=list(WORDS),
        tables=list(WORDS.values()),
        out=PATHS.root,
    shell:
        "python -m pipeline words --out {params.out:q} --settings {params.settings:q}"
        " --runs {params.runs:q} --tables {params.tables:q} --threads {threads} &> {log:q}"


if EVENTS:

    rule events:
        input:
            tables=[FOLDER / name for name in EVENTS.values()],
        output:
            [PATHS.events(run) for run in EVENTS],
        log:
            PATHS.log("events"),
        benchmark:
            PATHS.benchmark("events")
        conda:
            "../envs/brainalign.yaml"
        threads: 1
        resources:
            mem_mb=500,
        params:
            settings=settings("events"),
            runs=list(EVENTS),
            tables=list(EVENTS.values()),
            out=PATHS.root,
        shell:
            "python -m pipeline events --out {params.out:q} --settings {params.settings:q}"
            " --runs {params.runs:q} --tables {params.tables:q} --threads {threads} &> {log:q}"


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
