"""A small study under two hundred SIGKILLs, a disk that is full, and a clock that is set back.

    make torture

After every accident that ends it the same command is given again, until the study is done. Then records, models and
tables must be those of a run that nothing disturbed, byte for byte; no record that was there may ever have vanished,
changed or been made twice; and nothing may be left over. The table goes into docs/running.md. `make test` runs a
shortened form of the same.
"""

import argparse
import os
import random
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["OMP_NUM_THREADS"] = "1"  # threads would be lost in copies of this process
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
from accidents import CALLS, ROLES, AimedKill, ClockSetBack, FullDisk, Kill, Place  # noqa: E402
from command import Command, orphans, wait_until  # noqa: E402
from store import Committed, difference, done_twice, left_over, said  # noqa: E402

PAGE = HERE.parents[2] / "docs" / "running.md"
HALVING = "search.stopping={epochs=[1,2],factor=2}"
#: What a study is given, how many commands work on one store, and the weights of who is killed.
IN_PROCESS = {"command": 1}
PROCESSES = {"command": 1, "server": 1, "worker": 6}
ROUNDS = {
    "in process": (("--workers", "0"), 1, IN_PROCESS),
    "two workers": (("--workers", "2"), 1, PROCESSES),
    "two workers, halving": (("--workers", "2", "--set", HALVING), 1, PROCESSES),
    "in process, halving": (("--workers", "0", "--set", HALVING), 1, IN_PROCESS),
    "two commands": (("--workers", "1"), 2, PROCESSES),
}
#: How a command may end by itself before its study is done: another process of it was killed, or its disk was full.
_EXPLAINED = re.compile(r"a worker process ended before it was ready|No space left on device")
#: Of so many accidents one is no kill, but a full disk or a clock.
_OTHERS = 0.12


class Torture:
    """Rounds of one study until so many kills are spent.

    Args:
        folder: An empty one.
        kills: How many.
        seed: Of everything that is random here.
    """

    def __init__(self, folder, kills, seed):
        self.folder, self.kills, self.random = folder, kills, random.Random(seed)
        self.share = kills
        self.happened, self.wrong = Counter(), []
        self.starts = self.studies = 0
        self.began = time.monotonic()
        generator = np.random.default_rng(0)
        labels = np.repeat(np.arange(12), 8)
        vectors = generator.normal(size=(12, 8))[labels] + generator.normal(size=(96, 8))
        np.savez(folder / "vectors.npz", embeddings=vectors.astype("float32"), labels=labels)
        self.expected = {}

    @property
    def spent(self):
        """Kills so far."""
        return sum(number for (role, _), number in self.happened.items() if role not in ("disk", "clock"))

    def undisturbed(self, arguments):
        """What a study says that nothing disturbs; it is carried out here, which also imports everything."""
        options = [value for value in arguments if "=" in value]
        if tuple(options) not in self.expected:
            import mlbench

            folder = self.folder / f"undisturbed-{len(self.expected)}"
            options_here = [*options, "runtime.workers=0", f"dataset.path={self.folder / 'vectors.npz'}"]
            mlbench.run(HERE / "study.toml", overrides=options_here, store=folder)
            assert not left_over(folder)
            self.expected[tuple(options)] = said(folder)
        return self.expected[tuple(options)]

    def run(self, rounds):
        """Study after study."""
        self.share = -(-self.kills // len(rounds))  # at most so many in one study, so that all kinds get some
        for each in rounds.values():
            self.undisturbed(each[0])
        while self.spent < self.kills and not self.wrong:
            for name, (arguments, commands, weights) in rounds.items():
                if self.spent < self.kills and not self.wrong:
                    self.study(name, arguments, commands, weights)

    def study(self, name, arguments, commands, weights):
        """One study from its beginning to its end."""
        self.studies += 1
        place = Place(self.folder / f"study-{self.studies}", self.folder / f"orders-{self.studies}")
        try:
            _Study(self, place, arguments, commands, weights).run()
            wait_until(lambda: not orphans(place.orders))
            self.check(place, self.undisturbed(arguments))
        finally:
            place.close()
        self.say(name)

    def check(self, place, expected):
        """Whether it is as if nothing had happened."""
        found = {
            "differs": difference(place.store, expected),
            "was done twice": done_twice(place.store),
            "left over": left_over(place.store),
            "orphan": orphans(place.orders),
        }
        self.wrong += [f"study {self.studies}: {what}: {name}" for what, names in found.items() for name in names]

    def say(self, name):
        """How far it is."""
        verdict = "WRONG" if self.wrong else "as undisturbed"
        minutes = (time.monotonic() - self.began) / 60
        counts = f"{self.spent}/{self.kills} kills, {self.starts} starts, {minutes:.1f} min"
        print(f"study {self.studies} ({name}): {verdict}; {counts}", flush=True)

    def report(self):
        """What happened and what came of it, in Markdown."""
        places = ["at a random moment", *CALLS]
        head = ["Killed", *(place if place not in CALLS else f"at `{place}`" for place in places)]
        rows = [[role, *(str(self.happened[role, place]) for place in places)] for role in ROLES]
        table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
        minutes = (time.monotonic() - self.began) / 60
        others = f"{self.happened['disk', FullDisk.where]} times a full disk"
        others += f", {self.happened['clock', ClockSetBack.where]} times a clock set back an hour"
        verdict = "**WRONG**" if self.wrong else "nothing lost, doubled, changed or left over"
        return (
            f"{table}\n\n{self.spent} kills in {self.studies} studies, {others}; {self.starts} starts of the command, "
            f"{minutes:.0f} minutes: {verdict}."
        )


class _Study:
    """Commands on one store, started again until the study is done."""

    def __init__(self, torture, place, arguments, commands, weights):
        self.torture, self.place, self.random = torture, place, torture.random
        self.weights = weights
        shutil.copy(torture.folder / "vectors.npz", place.folder)
        self.arguments = ["run", str(HERE / "study.toml"), "--store", "store", *arguments]
        self.messages = torture.folder / f"messages-{torture.studies}"
        self.messages.touch()
        self.committed = Committed(place.store)
        self.limit = min(torture.kills, torture.spent + torture.share)
        self.commands = [self.start() for _ in range(commands)]
        self.excused = False

    def start(self):
        """Give the command."""
        self.torture.starts += 1
        return Command(self.arguments, self.place.folder, self.place.orders, self.messages)

    def run(self):
        """Until all commands came to their end."""
        while self.commands:
            command = self.random.choice(self.commands)
            if self.torture.spent < self.limit:
                accident = self.accident()
                if accident.happen(command, self.place):
                    self.torture.happened[accident.role, accident.where] += 1
                    self.excused |= accident.role in ("server", "disk")
            else:
                wait_until(lambda command=command: not command.running())
            self.torture.wrong += [f"{name}: vanished or changed" for name in self.committed.look()]
            self.commands = [each for each in map(self.again, self.commands) if each]

    def accident(self):
        """The next one."""
        if self.random.random() < _OTHERS:
            return self.random.choice([FullDisk, ClockSetBack])(self.random)
        role = self.random.choices(list(self.weights), list(self.weights.values()))[0]
        if role == "server" or self.random.random() < 0.5:  # a server writes nothing
            return Kill(role, self.random)
        # A worker does one run, and a command in whose process runs are done would not get far with so few.
        return AimedKill(role, self.random, runs=8 if self.weights is IN_PROCESS else 1)

    def again(self, command):
        """The command if it runs, one that is started in its place if it was ended, None if it came to its end."""
        if command.running():
            return command
        if command.code == 0:
            return None
        said = self.messages.read_text()[-4000:]
        if command.code != -9 and not (self.excused and _EXPLAINED.search(said)):
            self.torture.wrong.append(f"study {self.torture.studies}: exit code {command.code}:\n{said}")
            return None
        return self.start()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", nargs="*", choices=ROUNDS, default=list(ROUNDS))
    parser.add_argument("--write", action="store_true", help="put the table into docs/running.md")
    parser.add_argument("--keep", type=Path, help="an empty folder in which everything stays")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        torture = Torture(options.keep.resolve() if options.keep else Path(temporary), options.kills, options.seed)
        torture.run({name: ROUNDS[name] for name in options.rounds})
    report = torture.report()
    print("\n".join([report, *torture.wrong]))
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        text = re.sub(r"(<!-- torture -->\n).*(\n<!-- end -->)", rf"\1\n{report}\n\2", page, flags=re.S)
        PAGE.write_text(text, encoding="utf-8")
    sys.exit(bool(torture.wrong))


if __name__ == "__main__":
    main()
