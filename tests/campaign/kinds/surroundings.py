"""Shells, locales, clocks and time zones in which the command is typed."""

import os

from tests.campaign import shim
from tests.campaign.registry import kind
from tests.campaign.scene import Scene

SHELLS = {
    "stdin closed": 'exec "$@" <&-',
    "stdout closed": 'exec "$@" >&-',
    "stderr closed": 'exec "$@" 2>&-',
    "all streams closed": 'exec "$@" <&- >&- 2>&-',
    "stdout is full": 'exec "$@" >/dev/full',
    "stdout is a pipe that ends": 'set -o pipefail; "$@" | head -n 1',
    "interrupts ignored": 'trap "" INT HUP QUIT; exec "$@"',
    "umask 077": 'umask 077; exec "$@"',
    "few open files": 'ulimit -n 64; exec "$@"',
    "no core, small stack": 'ulimit -c 0; ulimit -s 1024; exec "$@"',
    "children ignored": 'trap "" CHLD; exec "$@"',
    "in the background": '"$@" & wait $!',
}
MAY_FAIL = ("stdout is full", "stdout is a pipe that ends", "all streams closed", "stdout closed")
VARIABLES = {
    "LC_ALL": ("C", "POSIX", "xx_XX.broken", "C.UTF-8"),
    "LANG": ("C", "de_DE.ISO-8859-1"),
    "PYTHONUTF8": ("0", "1"),
    "PYTHONIOENCODING": ("ascii", "latin-1"),
    "TZ": ("Pacific/Kiritimati", "America/St_Johns", "nonsense", "UTC-14"),
    "HOME": ("/nonexistent", "/proc", ""),
    "TMPDIR": ("/nonexistent",),
    "TERM": ("dumb", "", "xterm-256color"),
    "COLUMNS": ("1", "20", "abc"),
    "PYTHONPATH": ("/nonexistent", "{decoy}"),
    "PYTHONDONTWRITEBYTECODE": ("1",),
    "PYTHONHASHSEED": ("0", "7"),
    "PYTHONWARNINGS": ("error::DeprecationWarning", "default"),
    "OMP_NUM_THREADS": ("nonsense", "0", "64"),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("1",),
    "TESSERA_WARM": ("/nonexistent",),
    "TESSERA_CAMPAIGN": ("another",),
    "TESSERA_RANKS": ("8",),
    "RANK": ("1",),
    "WORLD_SIZE": ("2",),
    "OMPI_COMM_WORLD_RANK": ("1",),
    "SLURM_JOB_ID": ("77",),
    "SLURM_PROCID": ("1",),
    "HF_HUB_OFFLINE": ("0", "nonsense"),
    "CUDA_VISIBLE_DEVICES": ("", "7"),
}


@kind("local", "a shell of another state", weight=2)
def shell(scene: Scene) -> None:
    """Streams closed, full or ended, signals ignored, limits, umask, the background: the command runs as ever."""
    name = scene.rng.choice(sorted(SHELLS))
    scene.note(name)
    scene.wrapper = ("bash", "-c", SHELLS[name], "bash")
    command = scene.type()
    command.cut_off = name in MAY_FAIL
    if command.code and not command.cut_off:
        scene.problem(f"{name}: the command ended with {command.code}")
    scene.expect_end()
    scene.wrapper = ()


@kind("local", "variables of the shell", weight=2)
def variables(scene: Scene) -> None:
    """One to four variables are set to what a site or a user may have: the command runs as ever."""
    names = scene.rng.sample(sorted(VARIABLES), scene.rng.randint(1, 4))
    decoy = scene.folder / "decoy"
    for package in ("lib", "jobs"):
        (decoy / package).mkdir(parents=True)
        (decoy / package / "__init__.py").write_text("raise SystemExit('the wrong code')\n")
    chosen = {name: scene.rng.choice(VARIABLES[name]).format(decoy=decoy) for name in names}
    command = scene.type(environment=chosen)
    if command.code:
        scene.problem(f"the command ended with {command.code} under {chosen}")


@kind("local", "typed in another folder")
def elsewhere(scene: Scene) -> None:
    """The command is typed in another folder, one that is gone, or one that holds other code of the same name."""
    place = scene.folder / "other place"
    (place / "lib").mkdir(parents=True)
    (place / "lib" / "__init__.py").write_text("raise SystemExit('the wrong code')\n")
    flags, scene.flags = scene.flags, (*scene.flags, f"--outputs={scene.outputs}")
    scene.type(cwd=place)
    scene.flags = flags


@kind("local", "the clock is off", needs_shim=True)
def clock(scene: Scene) -> None:
    """The clock of the launcher or of the stages is hours or days off in one of two commands."""
    role = scene.rng.choice(("launcher", "runner", "stage"))
    seconds = scene.rng.choice((-1, 1)) * scene.rng.choice((61, 3700, 90000, 3 * 86400, 400 * 86400))
    command = scene.start("submit", "--set=seconds=0.3", environment=shim.shifted(scene.base.shim, role, seconds))
    scene.pause(3.0)
    if scene.rng.random() < 0.5:
        command.signal(9)
    command.wait()


@kind("local", "a terminal")
def terminal(scene: Scene) -> None:
    """A terminal of a random width: the progress is drawn, and the tables are the same."""
    main, other = os.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, scene.rng.choice((1, 20, 80, 300)), 0, 0))
    command = scene.start(environment={"TERM": "xterm"}, stdin=other, stdout=other, stderr=other)
    os.close(other)
    with open(command.output, "ab") as log:
        while True:
            try:
                log.write(os.read(main, 65536))
            except OSError:
                break
    os.close(main)
    if command.wait().code:
        scene.problem(f"the command ended with {command.code}")


@kind("local", "one core, the lowest priority")
def nice(scene: Scene) -> None:
    """Slower, and the same."""
    scene.wrapper = ("nice", "-n", "19", "taskset", "-c", str(sorted(os.sched_getaffinity(0))[0]))
    scene.type()
    scene.wrapper = ()
