"""Options of sbatch that a cluster file passes through, and those that it may not name."""

from collections.abc import Mapping

Options = Mapping[str, str | int | bool]

FOR_ALL, FOR_GPUS = "sbatch", "gpu_sbatch"  # keys of a cluster file
MAIL = "mail-"  # options that begin so are those of controllers alone

# Why an option may not be passed through -> the options. An abbreviation of one, which sbatch accepts, is refused too.
REFUSED = {
    "it is a key of the cluster file itself": "partition account qos wckey gres",
    "it comes from the resources of a task (`resources` of a node, SET=nodes.<node>.resources.<key>=...)": (
        "time time-min nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket "
        "cpus-per-task cpus-per-gpu mem mem-per-cpu mem-per-gpu gpus gpus-per-node gpus-per-socket "
        "gpus-per-task tres-per-task"
    ),
    "arrays are made here; array_parallelism says how many tasks run at a time": "array",
    "controllers wait for arrays by it": "dependency",
    "every wave of tasks would wait anew; start the command itself later (`at`, cron)": "begin",
    "jobs are found in the queue by their names": "job-name",
    "logs are looked for where they are written now": "output error input open-mode",
    "tasks continue after they were preempted, so all jobs may be put back into the queue": "requeue no-requeue",
    "a held job starts only when somebody releases it": "hold",
    "a signal before the end would end the ranks of a task": "signal",
    "jobs run in the snapshot of the code": "chdir",
    "what a task sees of your shell is decided here; use `env` or `setup` of the cluster file": (
        "export export-file get-user-env"
    ),
    "jobs of another cluster are not in the queue that is asked; submit there": "clusters",
    "sbatch would not submit, or not answer in the usual way": "wrap wait parsable test-only quiet help usage version",
}


def check(key: str, options: Options) -> None:
    """Raise ValueError naming the first option under `key` of a cluster file that is not passed through, and why."""
    names = [_long(name) for name in options]
    for name, value in options.items():
        where, long = f"{key}: {name}", _long(name)
        if reason := _reason(long):
            raise ValueError(f"{where}: {reason}")
        if key == FOR_GPUS and long.startswith(MAIL):
            raise ValueError(f"{where}: mail is sent for controllers, which have no GPU; write it under {FOR_ALL}")
        if names.count(long) > 1:
            raise ValueError(f"{where}: the option is named twice")
        _check_value(where, value)


def passed(options: Options, controller: bool) -> dict[str, str | int | bool]:
    """The options of a job, by their names without `_`. Mail is sent for controllers only."""
    found = {_long(name): value for name, value in options.items()}
    return {name: value for name, value in found.items() if controller or not name.startswith(MAIL)}


def _long(name: str) -> str:
    return name.replace("_", "-")


def _reason(name: str) -> str:
    """Why an option is refused; empty if it is not."""
    if len(name) < 2 or name.startswith("-"):
        return "write the long name of the option, without dashes before it"
    for reason, names in REFUSED.items():
        if any(refused.startswith(name) for refused in names.split()):
            return f"cannot be passed to sbatch: {reason}"
    return ""


def _check_value(where: str, value: str | int | bool) -> None:
    if value is False:
        raise ValueError(f"{where}: is false; leave the option out")
    if isinstance(value, str) and not value.isprintable():  # a new line would end the #SBATCH line
        raise ValueError(f"{where}: {value!r} has characters that cannot be printed, such as a new line")
