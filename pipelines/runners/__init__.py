"""Beam runners: their names and options, what they need, the services that they start, their jobs.

settings       names, shapes of options, the settings of a step; imports nothing heavy
schema         the JSON Schema of the section `runner`
options        options checked against Beam's own; `java_options` are those of job servers
needs          what a runner needs, has and lacks, looked at before a run
java, fetch    Java and the jars of job servers: where they are, and how to get them
opened         the runners of one run, each opened when the first step has work for it
services       the services of a run, each under a `guard` that ends it when the run is gone
job_service    Beam's own job service, with workers that it looks after
packages, boot what workers get, and the program that runs them
beam           Beam pipelines and pipeline options
jobs           a job that is submitted, watched, and cancelled with its step; `job_clients`: whom to ask
probe          what a worker elsewhere proves before its first unit
remote_errors  what a runner tells of a failed job, for people
dataflow       Google Cloud Dataflow: its options, and dry runs
"""
