"""Beam runners: their names and options, what they need, the services that they start, their pipelines.

settings       names, shapes of options, the settings of a step; imports nothing heavy
options        options checked against Beam's own
beam           Beam pipelines and pipeline options
java           Java and the jars of job servers
needs          what a runner needs, has and lacks
services       the services of a run: job servers, Beam's job service, the pool of workers
guard          the process that ends a service when its run is gone
fetch          jars from Maven
boot           the program that a worker is started by, one file that needs Beam alone
packages       the wheels that a run brings to its workers
dataflow       what Dataflow has to be told, and dry runs
jobs           a job that is submitted, watched, and cancelled with its step
job_clients    whom to ask about jobs
job_service    Beam's own job service, which looks after its workers
probe          what a worker elsewhere proves before its first unit
remote_errors  what a runner tells of a failed job, for people
"""
