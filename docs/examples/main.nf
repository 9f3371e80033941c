// fibrovol as a Nextflow workflow, one process a shard (not tried here: Nextflow is not packaged):
//   nextflow run main.nf --study study.csv --results results --shards 8
params.study = "study.csv"
params.results = "results"
params.shards = 8

process shard {
    cpus 1

    input:
    tuple val(number), val(study), val(results)

    output:
    val number

    script:
    """
    fibrovol run '${study}' -o '${results}' --shard ${number}/${params.shards} || [ \$? -eq 3 ]
    """
}

process merge {
    input:
    val numbers
    val study
    val results

    script:
    """
    fibrovol merge '${study}' -o '${results}' || [ \$? -eq 3 ]
    """
}

workflow {
    // the file itself, not a copy: paths in it are relative to where it is
    study = file(params.study, checkIfExists: true).toAbsolutePath()
    results = file(params.results).toAbsolutePath()
    done = shard(Channel.of(1..params.shards).map { [it, study, results] })
    merge(done.collect(), study, results)
}
