rule report:
    input:
        tables=tables_of_subject,
        words=words_of_subject,
        maps=maps_of_subject,
    output:
        PATHS.subject_page("{subject}"),
    log:
        PATHS.log("report", "{subject}"),
    benchmark:
        PATHS.benchmark("report", "{subject}")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        settings=settings("report"),
        out=PATHS.root,
    shell:
        "python -m pipeline report --out {params.out:q} --settings {params.settings:q}"
        " --subject {wildcards.subject:q} --threads {threads} &> {log:q}"


rule group:
    input:
        tables=tables_of_study,
        courses=courses_of_study,
        parts=parts_of_study,
    output:
        group_courses(),
        group_parts(),
        PATHS.top("group_layers.tsv"),
        PATHS.top("group_comparison.tsv"),
        PATHS.top("group.html"),
        PATHS.top("index.html"),
        PATHS.top("methods.md"),
    log:
        PATHS.log("group"),
    benchmark:
        PATHS.benchmark("group")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        settings=settings("group"),
        subjects=PLAN.subjects,
        left_out=list(LEFT_OUT),
        out=PATHS.root,
    shell:
        "python -m pipeline group --out {params.out:q} --settings {params.settings:q}"
        " --subjects {params.subjects:q} --left-out {params.left_out:q} --threads {threads} &> {log:q}"


rule finish:
    input:
        pages=pages_of_study,
        group=PATHS.top("group.html"),
    output:
        PATHS.top("manifest.json"),
        PATHS.top("dataset_description.json"),
    log:
        PATHS.log("finish"),
    benchmark:
        PATHS.benchmark("finish")
    conda:
        "../envs/brainalign.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        settings=settings("finish"),
        left_out=list(LEFT_OUT),
        out=PATHS.root,
    shell:
        "python -m pipeline finish --out {params.out:q} --settings {params.settings:q}"
        " --left-out {params.left_out:q} --threads {threads} &> {log:q}"
