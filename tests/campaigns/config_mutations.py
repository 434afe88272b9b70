"""Configs of strangers: right ones with odd values, and with damaged keys, types and files."""

import copy
import math
from datetime import date
from pathlib import Path

import yaml

from vie.config.settings import merge

ROOT = Path(__file__).parents[2]
OVERLAYS = {
    "config": (),
    "smoke": ("smoke",),
    "kinetics400": ("kinetics400",),
    "released_weights": ("kinetics400", "released_weights"),
    "own_videos": ("own_videos",),
}
NUMBERS = [float("inf"), float("-inf"), float("nan"), 1e300, -1e300, 1e-300, 10**9, 10**6, 10**30]
NUMBERS += [-1, 0, 1, 2, 3, 17, 0.5, 1.5, 0.999, 1e-4, 100, 1000, 4096, 65_537]
TEXTS = ["", " ", "x", "a b", "a\nb", "a\0b", "é", "=1+1", "$x^$", "../../etc", "/", "~", "{x}"]
TEXTS += ["~nobody", "x" * 5000, "nan", "inf", "1e300", "1e-4", "0x10", "1_0", "yes", "null", "*"]
TEXTS += ["-1 epochs", "0 steps", "0 epochs", "1 steps", "0.5 epochs", "1000 epochs", "7 steps"]
TEXTS += ["99999999999999 epochs", "0.0000001 epochs", "1e9 epochs", "3 hours", "pooled", "all"]
OTHERS = [
    True,
    False,
    None,
    [],
    [[]],
    [1],
    [None],
    {},
    {"a": 1},
    {1: 2},
    {True: 1},
    date(2020, 1, 1),
]
NAMES = ["single", "trn", "slow", "fast", "slowfast", "3dresnet", "opn", "vie_single", "trained"]
NAMES += ["untrained", "kinetics", "ucf101", "folders", "flat", "softmax", "nce_paper", "vie_*"]
SETS = {"numbers": NUMBERS, "texts": TEXTS, "others": OTHERS}


def base(rng):
    """A right config: config.yaml with overlays, as one mapping; and its name."""
    name = rng.choice(list(OVERLAYS))
    files = [
        ROOT / "config.yaml",
        *(ROOT / "experiments" / f"{one}.yaml" for one in OVERLAYS[name]),
    ]
    config = {}
    for file in files:
        merge(config, yaml.safe_load(file.read_text()))
    return name, config


def places(node, path=()):
    """Paths to everything in a config but itself."""
    if path:
        yield path
    for key in (
        node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    ):
        yield from places(node[key], (*path, key))


def at(config, path):
    for key in path:
        config = config[key]
    return config


def mutate(rng, config):
    """Change one place of a config, or two of them with each other; what was done."""
    every = list(places(config))
    path = rng.choice(every)
    if rng.random() < 0.5:  # a place of its own for each key, however often anchors repeat it
        key = rng.choice(sorted({str(one[-1]) for one in every}))
        path = rng.choice([one for one in every if str(one[-1]) == key])
    node, key = at(config, path[:-1]), path[-1]
    how = rng.choice(
        ["near"] * 8 + ["value"] * 5 + ["other", "remove", "null", "rename", "twin", "move", "wrap"]
    )
    if how == "near":  # of the same kind
        numbers = [one for one in every if isinstance(at(config, one), int | float | str)]
        path = rng.choice([one for one in numbers if str(one[-1]) == key] or numbers)
        node, key = at(config, path[:-1]), path[-1]
        node[key] = near(rng, node[key])
    elif how == "value":
        node[key] = copy.deepcopy(rng.choice(SETS[rng.choice(list(SETS))]))
    elif how == "other":  # a value that is right elsewhere
        node[key] = copy.deepcopy(at(config, rng.choice(every)))
    elif how == "remove":
        del node[key]
    elif how == "null":
        node[key] = None
    elif how in ("rename", "twin") and isinstance(node, dict):
        name = rng.choice([f"{key}x", f"{key}_2", str(key).upper(), 7, True, "a b", "x" * 300, ""])
        node[name] = copy.deepcopy(node[key])
        if how == "rename":
            del node[key]
    elif how == "move":
        mappings = [one for one in every if isinstance(at(config, one), dict)]
        target = at(config, rng.choice(mappings))
        target[key] = copy.deepcopy(node[key])
    else:
        node[key] = rng.choice([[node[key]], {"a": node[key]}, str(node[key])])
    return f"{how} {'.'.join(map(str, path))}"


def near(rng, value):
    """Another value of the same kind, which may well be right."""
    if isinstance(value, bool):
        return not value
    factor = rng.choice([0.01, 0.1, 0.5, 0.9, 1.1, 2, 3, 10, 100, 1000])
    if isinstance(value, int):
        return rng.choice([int(value * factor), value + rng.choice([-1, 1, 7]), value * 16])
    if isinstance(value, float):
        return value * factor
    amount, _, unit = value.partition(" ")
    if unit.rstrip("s") in ("step", "epoch") and amount.replace(".", "").isdigit():
        number = float(amount) * factor
        unit = rng.choice(["steps", "epochs"])
        return f"{math.ceil(number)} {unit}" if rng.random() < 0.8 else f"{number:.3f} epochs"
    return rng.choice([value.upper(), value + " ", value[:-1], value * 2, *NAMES])


def damage(rng, text):
    """Bytes of a file that holds `text`, damaged; what was done."""
    raw, lines = text.encode(), text.splitlines(keepends=True)
    at_line = rng.randrange(len(lines))
    cut = rng.randrange(1, len(raw))
    kinds = {
        "cut": lambda: raw[:cut],
        "flip": lambda: raw[:cut] + bytes([raw[cut] ^ (1 << rng.randrange(8))]) + raw[cut + 1 :],
        "utf-16": lambda: text.encode("utf-16"),
        "bad utf-8": lambda: raw[:cut] + b"\xff\xfe\x80" + raw[cut:],
        "nul": lambda: raw[:cut] + b"\0" + raw[cut:],
        "tab": lambda: insert(lines, at_line, "\tx: 1\n"),
        "line": lambda: insert(lines, at_line, lines[rng.randrange(len(lines))]),
        "lost": lambda: "".join(lines[:at_line] + lines[at_line + 1 :]).encode(),
        "twice": lambda: raw + lines[0].encode(),
        "tag": lambda: raw + b"licence: !!python/object/apply:os.getcwd []\n",
        "cyclic": lambda: raw + b"roots: &a {x: *a}\n",
        "cyclic list": lambda: raw + b"ablations: &a [*a]\n",
        "deep": lambda: raw + b"ablations: " + b"[" * 600 + b"]" * 600 + b"\n",
        "deep mapping": lambda: raw + b"roots: " + b"{a: " * 300 + b"1" + b"}" * 300 + b"\n",
        "digits": lambda: raw + b"gpus: " + b"9" * 5000 + b"\n",
        "hex": lambda: raw + b"gpus: 0x" + b"f" * 5000 + b"\n",
        "laughs": lambda: raw + laughs() + b"ablations: *f\n",
        "empty": lambda: b"",
        "list": lambda: b"- a\n- b\n",
        "scalar": lambda: b"hello\n",
        "documents": lambda: raw + b"---\nseeds: [1]\n",
        "bom": lambda: b"\xef\xbb\xbf" + raw,
        "carriage returns": lambda: raw.replace(b"\n", b"\r\n"),
    }
    kind = rng.choice(list(kinds))
    return kinds[kind](), kind


def insert(lines, at_line, line):
    return "".join([*lines[:at_line], line, *lines[at_line:]]).encode()


def laughs():
    """A list that aliases make as long as a million values, in a few lines."""
    lines, before = [], "x"
    for name in "abcdef":
        lines.append(f"{name}: &{name} [{', '.join([before] * 11)}]\n")
        before = f"*{name}"
    return "".join(lines).encode()
