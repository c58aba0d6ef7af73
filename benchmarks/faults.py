"""Does every run survive what can happen to it? Disturb runs in every way and compare with one that was left alone.

    python -m benchmarks.faults --kills 100          # all faults; the table of docs/reliability.md
    python -m benchmarks.faults --only kill:7        # one round again, by its number

A fault is lost when the same command does not finish the run afterwards, and wrong when what comes out is not, to the
byte, what the undisturbed run made. It is found when the run names it, and survived when it has no effect. Faults are
drawn from the seed, the fault's name and the number of the round, so that each comes again with the same `--kills`.
Exit code 1 where anything was lost or wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._bench import HUNG, RECIPE, SMALL, Bench, Entry, Process
from w2s_rm.experiment.run import print_line
from w2s_rm.runs.folder import MANIFEST, StageFolder

_AT_ONCE = 5
"""Stages that are disturbed before a run is let finish, which takes as long as all the rest."""
_MOST = 26
"""Tries of the faults that are no kills: more show nothing new."""
_TRAINED = ("truth", "student", "finetune", "pretrain", "policy", "features")
_DISK_MB = 512
_OPERATION = "deepspeed_shm_comm"
_PAGE = 4096
# Of a score, against the run in one process: sums come in another order, and a step that was lost is 100 times as much.
_OTHER_ORDER = 1e-4


@dataclass
class Tally:
    """What became of the tries of a fault.

    Args:
        tries (`int`): How many there were.
        found (`int`): Named by the run.
        survived (`int`): Without effect on the run.
        lost (`list[str]`): Of runs that did not finish.
        wrong (`list[str]`): Of runs with another result.
        skipped (`str`, *optional*): Why there were none.
    """

    tries: int = 0
    found: int = 0
    survived: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    skipped: str | None = None

    def add(self, other: Tally) -> None:
        """Take in the tries of a round."""
        self.tries, self.found, self.survived = (
            self.tries + other.tries,
            self.found + other.found,
            self.survived + other.survived,
        )
        self.lost += other.lost
        self.wrong += other.wrong
        self.skipped = self.skipped or other.skipped


Round = Callable[[Bench, random.Random, int], Tally]
"""Disturbs a run at so many stages, lets it finish and says what became of it."""


def _chosen(bench: Bench, rng: random.Random, count: int, kinds: Sequence[str] | None = None) -> list[Entry]:
    """Different stages in the order of the plan, of as many kinds as there are before any comes twice."""
    pool = [entry for entry in bench.entries if kinds is None or entry.kind in kinds]
    rng.shuffle(pool)
    seen: dict[str, int] = {}
    rank = {}
    for entry in pool:
        seen[entry.kind] = rank[entry.folder] = seen.get(entry.kind, 0) + 1
    pool.sort(key=lambda entry: rank[entry.folder])
    taken = {entry.folder for entry in pool[:count]}
    return [entry for entry in bench.entries if entry.folder in taken]


def _finish(bench: Bench, tally: Tally, what: str) -> None:
    """Run what is left, undisturbed, and compare."""
    process = bench.run()
    if process.wait() != 0:
        tally.lost.append(f"{what}: the run that was to finish ended with {process.code}: {_end_of(process)}")
    elif differences := bench.differences():
        tally.wrong.append(f"{what}: {'; '.join(differences[:4])}")


def _end_of(process: Process) -> str:
    return f"{process.log}: {' | '.join(process.said().splitlines()[-3:])}"


def _refused(process: Process, words: str, *, tracebacks: bool = False) -> str | None:
    """What is wrong with how a run ended that was to end with a message; `None` if nothing is."""
    said = process.said()
    if HUNG in said:
        return f"hung: {_end_of(process)}"
    if process.code != 2 or words.lower() not in said.lower() or ("Traceback" in said and not tracebacks):
        return f"ended with {process.code}, without a message of {words!r}: {_end_of(process)}"
    return None


def _killed(bench: Bench, rng: random.Random, entries: Sequence[Entry], *arguments: str) -> Iterator[Entry]:
    """Kill a run in each of some stages, one run after the other."""
    for entry in entries:
        process = bench.run(*arguments)
        if bench.begun(process, entry):
            # Not later than its end, or what comes after would be done before it can be killed itself.
            process.kill_within(rng.uniform(0.0, entry.seconds), f"] {entry.title}: done in")
            yield entry
        else:
            process.wait()


def kill(bench: Bench, rng: random.Random, count: int) -> Tally:
    """SIGKILL of the whole process group at a random moment of a stage"""
    entries, tally = _chosen(bench, rng, count), Tally()
    bench.restore(entry.folder for entry in entries)
    for _ in _killed(bench, rng, entries):
        tally.tries += 1
        tally.survived += 1
    _finish(bench, tally, f"killed in {[entry.title for entry in entries]}")
    return tally


def kill_report(bench: Bench, rng: random.Random, count: int) -> Tally:
    """SIGKILL while the report is written"""
    tally = Tally()
    bench.restore()
    last = f"{bench.entries[-1].title}: cached"
    for _ in range(count):
        process = bench.run()
        process.wait_to_say(last)
        process.kill_within(rng.uniform(0.0, 6.0), "report.md")
        tally.tries += 1
        tally.survived += 1
    _finish(bench, tally, "killed in the report")
    return tally


def kill_ray(bench: Bench, rng: random.Random, count: int) -> Tally:
    """SIGKILL of a run on Ray, workers and stages with it"""
    entries, tally = _chosen(bench, rng, count, _TRAINED), Tally()
    try:
        import ray  # noqa: F401
    except ImportError:
        return Tally(skipped="Ray is not installed")
    for entry in entries:
        # One at a time: Ray runs what can be run, and would have finished the next one before its turn came.
        bench.restore([entry.folder])
        process = bench.run("--executor", "ray")
        if not bench.begun(process, entry):
            process.wait()
            tally.lost.append(f"on Ray {entry.title} never began: {_end_of(process)}")
            continue
        # A stage on Ray imports the libraries first.
        time.sleep(rng.uniform(0.0, 3.0 * entry.seconds + 15.0))
        process.kill()
        tally.tries += 1
        tally.survived += 1
        _finish(bench, tally, f"killed on Ray in {entry.title}")
    return tally


def _kill_rank(bench: Bench, rng: random.Random, engine: str) -> Tally:
    import psutil

    entry = next(entry for entry in bench.entries if entry.title.startswith("student naive"))
    arguments = (f"accelerate_config={engine}", "train.per_device_train_batch_size=4")
    tally = Tally(tries=1)
    _stale_build_locks(bench)
    bench.restore([entry.folder])
    process = bench.run(*arguments)
    if not process.wait_for(lambda: bool(list(entry.folder.glob("trainer/checkpoint-*/complete")))):
        tally.lost.append(f"{engine}: ended before its first checkpoint: {_end_of(process)}")
        return tally
    ranks = [child for child in psutil.Process(process.pid).children(recursive=True) if "LOCAL_RANK" in child.environ()]
    victim = rng.choice(sorted(ranks, key=lambda child: child.environ()["LOCAL_RANK"])[-2:])
    victim.send_signal(signal.SIGKILL)
    process.wait()
    # A launcher tells with tracebacks of its own which rank has ended how.
    if problem := _refused(process, "failed with exit code", tracebacks=True):
        tally.lost.append(f"{engine}: a rank was killed and the run {problem}")
        return tally
    process = bench.run(*arguments)
    if process.wait() != 0:
        tally.lost.append(f"{engine}: the run that was to go on ended with {process.code}: {_end_of(process)}")
        return tally
    tally.found += 1
    # Cards and the report tell of the recipe, which names the engine here.
    own = (entry.folder.name, bench.run_folder.name)
    others = [line for line in bench.differences() if not line.startswith(own) and not line.endswith(": card")]
    difference = _weights_differ(bench.whole / entry.folder.relative_to(bench.place), entry.folder)
    if others or not difference <= _OTHER_ORDER:
        tally.wrong.append(f"{engine}: weights differ by {difference:.2g} from one process; {others}")
    return tally


def kill_rank_zero2(bench: Bench, rng: random.Random, count: int) -> Tally:
    """SIGKILL of one rank under ZeRO-2, a stale lock of DeepSpeed's compilation in the way"""
    return _kill_rank(bench, rng, "cpu_zero2")


def kill_rank_zero3(bench: Bench, rng: random.Random, count: int) -> Tally:
    """SIGKILL of one rank under ZeRO-3, a stale lock of DeepSpeed's compilation in the way"""
    return _kill_rank(bench, rng, "cpu_zero3")


def _stale_build_locks(bench: Bench) -> None:
    """What builds that were killed have left, in a copy of this user's: other processes wait at these locks."""
    from torch.utils.cpp_extension import _get_build_directory

    folder = bench.root / "extensions"
    if not folder.exists():
        built = Path(_get_build_directory(_OPERATION, False))
        shutil.copytree(built, folder / _OPERATION, ignore=shutil.ignore_patterns("lock"))
    os.environ["TORCH_EXTENSIONS_DIR"] = str(folder)
    (folder / _OPERATION / "lock").touch()


def _weights_differ(one: Path, other: Path) -> float:
    from safetensors.torch import load_file

    first, second = (load_file(path / "model" / "model.safetensors") for path in (one, other))
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def full_disk(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A disk that is full at a write of a stage"""
    entries, tally = _chosen(bench, rng, count), Tally()
    if os.geteuid() != 0:
        return Tally(skipped="only root mounts a small disk")
    with _mounted(bench):
        bench.restore(entry.folder for entry in entries)
        for entry in entries:
            room = _room_for(bench, rng, entry)
            usage = os.statvfs(bench.place)
            _resize((usage.f_blocks - usage.f_bfree) * usage.f_frsize + room * _PAGE)
            process = bench.run()
            process.wait()
            tally.tries += 1
            if process.code == 0:
                tally.survived += 1
            elif problem := _refused(process, "make room"):
                tally.lost.append(f"full disk in {entry.title}: {problem}")
            else:
                tally.found += 1
            _resize(_DISK_MB * 2**20)
        _finish(bench, tally, f"a disk full in {[entry.title for entry in entries]}")
        # What is in memory alone goes with the mount, and the next fault begins with a copy.
        for part in bench.place.iterdir():
            shutil.rmtree(part)
    return tally


def _room_for(bench: Bench, rng: random.Random, entry: Entry) -> int:
    """Pages that a stage's files take up to the last one of a random file, which does not fit."""
    original = bench.whole / entry.folder.relative_to(bench.place)
    files = sorted((path for path in original.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    number = rng.randrange(len(files))
    pages = [-(-path.stat().st_size // _PAGE) for path in files[: number + 1]]
    return max(0, sum(pages) - 1)


_MOUNTED: list[Path] = []


@contextlib.contextmanager
def _mounted(bench: Bench) -> Iterator[None]:
    shutil.rmtree(bench.place, ignore_errors=True)
    bench.place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(bench.place)], check=True)
    _MOUNTED.append(bench.place)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(_MOUNTED.pop())], check=True)


def _resize(size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(_MOUNTED[-1])], check=True)


def read_only_stage(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A folder of a stage that nobody may write to"""
    entries, tally = _chosen(bench, rng, count), Tally()
    bench.restore(entry.folder for entry in entries)
    for entry in entries:
        entry.folder.mkdir(parents=True)
        try:
            with _write_protected(entry.folder):
                process = bench.run()
                process.wait()
        except subprocess.CalledProcessError as error:
            return Tally(skipped=f"{error.cmd[0]} does not work here")
        tally.tries += 1
        if problem := _refused(process, "take a place where you may"):
            tally.lost.append(f"read-only {entry.title}: {problem}")
        else:
            tally.found += 1
    _finish(bench, tally, f"read-only {[entry.title for entry in entries]}")
    return tally


@contextlib.contextmanager
def _write_protected(folder: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)
        return
    # Permissions do not hold root.
    subprocess.run(["chattr", "+i", str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(folder)], check=True)


def read_only_runs(bench: Bench, rng: random.Random, count: int) -> Tally:
    """All runs on a disk that is mounted for reading only"""
    entries, tally = _chosen(bench, rng, 1), Tally(tries=1)
    if os.geteuid() != 0:
        return Tally(skipped="only root mounts a disk")
    bench.restore(entry.folder for entry in entries)
    place = str(bench.place)
    subprocess.run(["mount", "--bind", place, place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        process = bench.run()
        process.wait()
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
    if problem := _refused(process, "take a place where you may"):
        tally.lost.append(f"read-only runs: {problem}")
    else:
        tally.found += 1
    _finish(bench, tally, "read-only runs")
    return tally


def clock(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A clock that jumps: after a kill every file has a time of the years 1980 to 2100"""
    entries, tally = _chosen(bench, rng, count, _TRAINED), Tally()
    bench.restore(entry.folder for entry in entries)
    for _ in _killed(bench, rng, entries):
        tally.tries += 1
        tally.survived += 1
        for path in bench.place.rglob("*"):
            moment = rng.randrange(315_532_800, 4_102_444_800)
            os.utime(path, (moment, moment))
    _finish(bench, tally, f"other times after kills in {[entry.title for entry in entries]}")
    return tally


def damage(path: Path, rng: random.Random) -> str:
    """Change a file as a failing disk does; return how.

    Args:
        path (`Path`): The file.
        rng (`random.Random`): Draws the change.
    """
    content = bytearray(path.read_bytes())
    how = rng.choice(("bit flipped", "truncated", "emptied", "gone", "longer"))
    if how == "bit flipped" and content:
        bit = rng.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
    elif how == "truncated" and content:
        del content[rng.randrange(len(content)) :]
    elif how == "longer":
        content += bytes(rng.randrange(1, 9))
    elif how == "gone" or not content:
        path.unlink()
        return "gone"
    else:
        content = bytearray()
    path.write_bytes(content)
    return how


def files_of(folder: Path) -> list[Path]:
    """The files that the manifest of a finished stage vouches for, and itself."""
    return [*(folder / name for name in StageFolder(folder).manifest()["files"]), folder / MANIFEST]


def damaged_results(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A file of a finished stage changed, which others read: a bit flipped, truncated, emptied, longer, gone"""
    entries, tally = _chosen(bench, rng, count), Tally()
    chosen = {entry.folder for entry in entries}
    readers = {reader for entry in entries for reader in entry.readers if reader not in chosen}
    bench.restore(readers)
    changed: dict[Path, str] = {}
    for entry in entries:
        # A folder without its manifest is an unfinished stage, which is another fault.
        file = rng.choice(files_of(entry.folder))
        while (how := damage(file, rng)) == "gone" and file.name == MANIFEST:
            shutil.copy(bench.whole / file.relative_to(bench.place), file)
        changed[file] = how
    process = bench.run()
    process.wait()
    said = process.said()
    for file, how in changed.items():
        tally.tries += 1
        folder = next(entry.folder for entry in entries if file.is_relative_to(entry.folder))
        name = file.relative_to(folder).as_posix()
        lines = [line for line in said.splitlines() if line.startswith(f"! {folder.name}: ")]
        if any(name in line and "set aside" in line for line in lines):
            tally.found += 1
        else:
            tally.wrong.append(f"{folder.name}/{name} {how}: not found: {_end_of(process)}")
    _finish(bench, tally, f"damaged {[f'{file.parent.name}/{file.name} {how}' for file, how in changed.items()]}")
    return tally


def damaged_files(bench: Bench, rng: random.Random, count: int) -> Tally:
    """Every file of every finished stage changed, one after the other: does a run find it before it begins?"""
    from w2s_rm.experiment.intact import set_aside_changed

    tally = Tally()
    bench.restore()
    for entry in bench.entries:
        for file in files_of(entry.folder):
            how = damage(file, rng)
            if how == "gone" and file.name == MANIFEST:
                shutil.copy(bench.whole / file.relative_to(bench.place), file)
                continue
            for reader in entry.readers:
                (reader / MANIFEST).rename(reader / "away")
            said: list[str] = []
            set_aside_changed(bench.stages, said.append)
            tally.tries += 1
            name = file.relative_to(entry.folder).as_posix()
            if entry.folder.exists() or len(said) != 1 or name not in said[0]:
                tally.wrong.append(f"{entry.folder.name}/{name} {how}: {said}")
            else:
                tally.found += 1
            for reader in entry.readers:
                (reader / "away").rename(reader / MANIFEST)
            for aside in entry.folder.parent.glob(f"{entry.folder.name}*"):
                shutil.rmtree(aside)
            shutil.copytree(bench.whole / entry.folder.relative_to(bench.place), entry.folder)
    return tally


def damaged_rest(bench: Bench, rng: random.Random, count: int) -> Tally:
    """What an interrupted stage has left is changed: checkpoints, shards, half of a result"""
    entries, tally = _chosen(bench, rng, count, _TRAINED), Tally()
    bench.restore(entry.folder for entry in entries)
    changed = []
    for entry in _killed(bench, rng, entries):
        left = sorted(path for path in entry.folder.rglob("*") if path.is_file() and path.name != ".lock")
        if StageFolder(entry.folder).was_finished or not left:
            continue
        file = rng.choice(left)
        changed.append(f"{entry.title}: {file.relative_to(entry.folder)} {damage(file, rng)}")
        tally.tries += 1
        tally.survived += 1
    _finish(bench, tally, f"{changed}")
    return tally


def damaged_report(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A result or the plan changed before `w2s-rm report`"""
    tally = Tally()
    bench.restore()
    run = bench.run()
    run.wait()
    for _ in range(count):
        read = [entry for entry in bench.entries if entry.kind in ("evaluate", "relabel", "prepare", "policy")]
        files = [file for entry in read for file in files_of(entry.folder) if file.suffix != ".safetensors"]
        file = rng.choice([*files, bench.run_folder / "plan.json"])
        kept = file.read_bytes()
        how = damage(file, rng)
        process = bench.start("report", str(bench.run_folder))
        process.wait()
        tally.tries += 1
        if problem := _refused(process, file.name):
            tally.wrong.append(f"{file} {how}: {problem}")
        else:
            tally.found += 1
        file.write_bytes(kept)
    _finish(bench, tally, "after damaged reports")
    return tally


def two_runs(bench: Bench, rng: random.Random, count: int) -> Tally:
    """Two runs of one recipe at once, or of two recipes that share stages"""
    tally = Tally(tries=1)
    entries = _chosen(bench, rng, 2)
    bench.restore(entry.folder for entry in entries)
    other = ("name=other",) if rng.random() < 0.5 else ()
    first = bench.run()
    time.sleep(rng.uniform(0.0, 2.0))
    processes = [first, bench.run(*other)]
    codes = [process.wait() for process in processes]
    problems = [problem for process in processes if process.code and (problem := _refused(process, "is in use by"))]
    if 0 not in codes or problems:
        tally.lost.append(f"two runs ended with {codes}: {problems}")
    elif codes == [0, 0]:
        tally.survived += 1
    else:
        tally.found += 1
    shutil.rmtree(bench.runs / "other", ignore_errors=True)
    _finish(bench, tally, f"two runs over {[entry.title for entry in entries]}")
    return tally


def stale_lock(bench: Bench, rng: random.Random, count: int) -> Tally:
    """Files `.lock` of processes that are gone, in every folder"""
    entries, tally = _chosen(bench, rng, count), Tally()
    bench.restore(entry.folder for entry in entries)
    for folder in (bench.run_folder, *(entry.folder for entry in bench.entries)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").write_text(f"process {os.getpid()} on elsewhere", encoding="utf-8")
        tally.tries += 1
        tally.survived += 1
    _finish(bench, tally, "stale locks")
    return tally


FAULTS: dict[str, Round] = {
    "kill": kill,
    "kill_report": kill_report,
    "kill_ray": kill_ray,
    "kill_rank_zero2": kill_rank_zero2,
    "kill_rank_zero3": kill_rank_zero3,
    "full_disk": full_disk,
    "read_only_stage": read_only_stage,
    "read_only_runs": read_only_runs,
    "clock": clock,
    "damaged_files": damaged_files,
    "damaged_results": damaged_results,
    "damaged_rest": damaged_rest,
    "damaged_report": damaged_report,
    "two_runs": two_runs,
    "stale_lock": stale_lock,
}
"""What can happen, by name."""


def rounds(name: str, kills: int) -> list[int]:
    """How many tries each round of a fault has.

    Args:
        name (`str`): The fault.
        kills (`int`): How many kills the campaign has.
    """
    on_ray = max(1, kills // 10)
    once = {
        "kill": max(1, kills - on_ray),
        "kill_ray": on_ray,
        "kill_report": max(1, min(kills // 5, _AT_ONCE)),
    }
    if name in once:
        total = once[name]
    elif name in ("kill_rank_zero2", "kill_rank_zero3", "two_runs"):
        return [1] * max(1, kills // 20)
    elif name in ("read_only_runs", "damaged_files", "stale_lock"):
        return [2]
    else:
        total = min(kills, _MOST)
    return [min(_AT_ONCE, total - start) for start in range(0, total, _AT_ONCE)]


def campaign(bench: Bench, kills: int, seed: int, only: Sequence[str], say: Callable[[str], None]) -> dict[str, Tally]:
    """Run the faults.

    Args:
        bench ([`Bench`]): Where; its undisturbed run is done.
        kills (`int`): How many kills there are; the other faults have as many tries, up to a limit.
        seed (`int`): From which all is drawn.
        only (`Sequence[str]`): Faults, or single rounds of them as `name:number`; empty for all.
        say (`Callable[[str], None]`): Receives a line for each round.
    """
    tallies: dict[str, Tally] = {}
    for name, fault in FAULTS.items():
        for number, count in enumerate(rounds(name, kills)):
            if only and name not in only and f"{name}:{number}" not in only:
                continue
            started = time.monotonic()
            result = fault(bench, random.Random(f"{seed}/{name}/{number}"), count)
            tallies.setdefault(name, Tally()).add(result)
            text = result.skipped or f"{result.tries} tries, {len(result.lost)} lost, {len(result.wrong)} wrong"
            say(f"{name}:{number}: {text} ({time.monotonic() - started:.0f} s)")
            for line in (*result.lost, *result.wrong):
                say(f"  ! {line}")
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """Return the table as Markdown."""
    lines = ["| fault | tries | found | survived | lost | wrong |", "|---|---|---|---|---|---|"]
    for name, tally in tallies.items():
        text = f"{FAULTS[name].__doc__}"
        if tally.skipped and not tally.tries:
            lines.append(f"| {text} | skipped: {tally.skipped} | | | | |")
            continue
        numbers = (tally.tries, tally.found, tally.survived, len(tally.lost), len(tally.wrong))
        lines.append(f"| {text} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="kills at random moments (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="from which all faults are drawn (default: 0)")
    text = f"these faults, or single rounds of them as name:number; of {', '.join(FAULTS)}"
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT", help=text)
    parser.add_argument(
        "--small", action="store_true", help="a weak model, a student and a ceiling, and no other stages"
    )
    parser.add_argument("--folder", type=Path, help="where to work, kept afterwards (default: a temporary folder)")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.only if name.partition(":")[0] not in FAULTS]
    if unknown:
        parser.error(f"no fault {', '.join(unknown)}")
    with contextlib.ExitStack() as held:
        folder = arguments.folder or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(folder.resolve(), SMALL if arguments.small else RECIPE)
        bench.prepare()
        tallies = campaign(bench, arguments.kills, arguments.seed, arguments.only, print_line)
    print(table(tallies))
    return 1 if any(tally.lost or tally.wrong for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
