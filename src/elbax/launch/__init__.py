"""Work on other processes and machines: what travels, who performs it, and who is told.

What travels is the name of a function of elbax and JSON values. Engines are
`concurrent.futures.Executor`s, so anything that gives one serves: processes of this machine, SLURM,
Dask, or the caller's own.
"""
