"""deploy/Dockerfile, as far as a test needs it: its instructions, and what the last stage sets."""
import json
import os
import shlex

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCKERFILE = os.path.join(ROOT, "deploy", "Dockerfile")


def instructions(path=DOCKERFILE):
    """[(word, rest)]"""
    found, line = [], ""
    with open(path) as file:
        for text in file:
            if text.lstrip().startswith("#"):
                continue
            line += text.rstrip("\n")
            if line.endswith("\\"):
                line = line[:-1]
                continue
            if line.strip():
                word, _, rest = line.strip().partition(" ")
                found.append((word.upper(), rest.strip()))
            line = ""
    return found


class Image:
    """What a container of the last stage starts with."""

    def __init__(self, path=DOCKERFILE):
        self.stages = []  # [(base, name, [(word, rest)])]
        for word, rest in instructions(path):
            if word == "FROM":
                parts = rest.split()
                self.stages.append((parts[0], parts[2] if len(parts) > 2 else None, []))
            else:
                self.stages[-1][2].append((word, rest))
        self.base, _, last = self.stages[-1]
        self.environment, self.ports, self.user = {}, [], "root"
        for word, rest in last:
            if word == "ENV":
                self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "EXPOSE":
                self.ports.append(rest)
            elif word == "USER":
                self.user = rest
        self.entrypoint = json.loads(next(rest for word, rest in last if word == "ENTRYPOINT"))
        self.command = json.loads(next(rest for word, rest in last if word == "CMD"))
        health = next(rest for word, rest in last if word == "HEALTHCHECK")
        self.health = json.loads(health[health.index("CMD") + len("CMD"):])
