"""Messages as the playground's server sends them, made from closed forms: the page is tested without the engine."""

from __future__ import annotations

import base64
import math

import numpy as np


def knob(name, kind, default, group="Net", live=False, **more):
    return {
        "name": name, "label": name.replace("_", " ").capitalize(), "help": f"What {name} does, in a sentence.",
        "group": group, "kind": kind, "default": default, "live": live, **more,
    }  # fmt: skip


def choice(name, values, group="Net", **more):
    choices = [{"value": value, "label": value.capitalize()} for value in values]
    return knob(name, "choice", values[0], group, choices=choices, **more)


NET_KNOBS = [
    choice("architecture", ["residual", "plain", "highway"]),
    knob("depth", "integer", 50, min=2, max=200, scale="log"),
    knob("width", "integer", 64, min=2, max=512, scale="log"),
    choice("activation", ["relu", "tanh", "sigmoid"]),
    knob("branch_scale", "number", 1.0, live=True, min=0, max=2, when={"architecture": ["residual"]}),
    knob("gate_bias", "number", -2.0, min=-5, max=5, when={"architecture": ["highway"]}),
    knob("s_w2", "number", 2.0, "Weights", min=0.1, max=10, scale="log"),
    knob("norm", "flag", False, "Weights"),
    knob("lr", "number", 0.01, "Training", live=True, min=1e-5, max=1e9, scale="log"),
    choice("data", ["moons", "spirals", "circles"], "Data"),
    knob("seed", "integer", 0, "Data", min=0),
]
GAME_KNOBS = [
    choice("target", ["ring8", "grid25", "dirac"], "Data"),
    choice("loss", ["nonsaturating", "saturating", "wasserstein"], "Training", live=True),
    knob("lr", "number", 1e-3, "Training", live=True, min=1e-6, max=1, scale="log"),
]


def setting(knobs, **changed):
    return {each["name"]: each["default"] for each in knobs} | changed


STORIES = [
    {
        "name": "plain56", "title": "Fifty-six layers, no skip", "lab": "net", "look": "depth",
        "text": "A plain net of 56 layers learns worse than one of 20. Look at what arrives at the first layer.",
        "source": "He et al. 2016", "paper": "Deep residual learning", "url": "https://arxiv.org/abs/1512.03385",
        "setting": setting(NET_KNOBS, architecture="plain", depth=56),
        "guess": {
            "question": "Of the gradient at the last block, what reaches the first?",
            "kind": "slider", "min": 1e-9, "max": 1, "scale": "log",
        },
        "answer": {"text": "Nothing that could move a weight.", "value": 2.5e-6},
    },
    {
        "name": "circling", "title": "Round and round", "lab": "game", "look": "orbit",
        "text": "Two players, a parameter each. Gradient descent on both goes round their equilibrium.",
        "source": "Mescheder et al. 2018", "url": None, "setting": setting(GAME_KNOBS, target="dirac"),
        "guess": {
            "question": "Do they meet?", "kind": "buttons",
            "choices": [{"value": "yes", "label": "They meet"}, {"value": "no", "label": "They never meet"}],
        },
        "answer": {"text": "The distance grows by √(1+h²/4) a step.", "value": "no"},
    },
]  # fmt: skip

LABS = [
    {"name": "net", "title": "Net", "knobs": NET_KNOBS},
    {"name": "game", "title": "Two players", "knobs": GAME_KNOBS},
]


def hello(lab="net", **changed):
    knobs = NET_KNOBS if lab == "net" else GAME_KNOBS
    given = setting(knobs, **changed)
    return {"type": "hello", "version": "0.1.0", "labs": LABS, "stories": STORIES, "setting": given, "lab": lab}


def moons(count=160):
    t = np.linspace(0, math.pi, count // 2)
    wave = 0.12 * np.sin(37 * np.arange(count))
    x = np.concatenate([np.cos(t), 1 - np.cos(t)]) + wave
    y = np.concatenate([np.sin(t), 0.5 - np.sin(t)]) + wave[::-1]
    return np.column_stack([x, y]).tolist(), [0] * (count // 2) + [1] * (count - count // 2)


def packed(array, dtype):
    little = np.asarray(array, {"u1": "u1", "f4": "<f4"}[dtype])
    return {"shape": list(little.shape), "dtype": dtype, "data": base64.b64encode(little.tobytes()).decode()}


def start(blocks=50, run=1, kind="residual", ask=None, **changed):
    """`blocks` counts the head, which is plain."""
    routes = kind == "residual"
    named = [{"name": f"blocks.{i}", "kind": kind, "routes": routes, "parameters": 8320} for i in range(blocks - 1)]
    named.append({"name": "head", "kind": "head", "routes": False, "parameters": 130})
    points, labels = moons()
    factor = 2.0 if routes else 0.6
    law = {
        "name": "Depth law", "formula": "(1 + a²)^l" if routes else "χ^l", "source": "Schoenholz et al. 2017",
        "gradient": [math.sqrt(factor) ** (blocks - 1 - i) for i in range(blocks)],
        "signal": [math.sqrt(factor) ** i for i in range(blocks)],
    }  # fmt: skip
    return {
        "type": "start", "run": run, "lab": "net", "ask": ask,
        "setting": setting(NET_KNOBS, architecture=kind, depth=blocks, **changed),
        "net": {"blocks": named, "parameters": sum(each["parameters"] for each in named)},
        "law": law, "data": {"points": points, "labels": labels, "box": [-1.5, 2.5, -1.2, 1.7]},
    }  # fmt: skip


def frame(step, blocks=50, run=1, kind="residual", kept=(0, 500), playing=False, since=None, **changed):
    """A step of a net; its history holds the steps after `since`, or this one alone."""
    routes = kind == "residual"
    factor = math.sqrt(2.0 if routes else 0.6)
    wobble = lambda i, s: math.exp(0.25 * math.sin(1.7 * i + 0.11 * s))
    gradient = lambda s: [factor ** (blocks - 1 - i) * 1e-3 * wobble(i, s) / (1 + 0.01 * s) for i in range(blocks)]
    loss = lambda s: 0.05 + 0.65 * math.exp(-s / 60) + 0.02 * math.sin(s)
    steps = [step] if since is None else list(range(since + 1, step + 1))
    now = gradient(step)
    body = range(blocks - 1)
    carried = [0.5 + 0.45 * math.sin(0.2 * i + 0.02 * step) for i in body]
    per_block = lambda value: [value(i) for i in body] + [None]
    u, v = np.meshgrid(np.linspace(-1.5, 2.5, 40), np.linspace(-1.2, 1.7, 29))
    answer = 1 / (1 + np.exp((1 + step / 30) * (v - 0.3 + 0.3 * np.sin(2 * u))))
    return {
        "type": "frame", "run": run, "step": step, "kept": list(kept), "playing": playing, "seconds": step / 40,
        "rate": 40.0, "loss": loss(step), "accuracy": 1 - 0.5 * math.exp(-step / 80),
        "signal": [8 * factor**i * wobble(i, 0) for i in range(blocks)], "gradient": now,
        "dead": per_block(lambda i: 0.02 * (i % 7)),
        "skip": per_block(lambda i: now[i] * carried[i] if routes else None),
        "branch": per_block(lambda i: now[i] * (1 - carried[i]) if routes else None),
        "share": per_block(lambda i: carried[i] if routes else None),
        "law_gap": 0.19,
        "history": {
            "step": steps, "loss": [loss(s) for s in steps], "accuracy": [1 - 0.5 * math.exp(-s / 80) for s in steps],
            "heat": [[math.log10(g) for g in gradient(s)] for s in steps],
        },
        "boundary": packed(np.round(255 * answer), "u1"), "diverged": None,
    } | changed  # fmt: skip


def game_start(run=1, **changed):
    return {
        "type": "start", "run": run, "lab": "game", "setting": setting(GAME_KNOBS, **changed), "net": None, "law": None,
        "data": None,
    }  # fmt: skip


def game_frame(step, run=1, kept=(0, 500), playing=False, **changed):
    rng = np.random.default_rng(0)
    angles = rng.integers(0, 8, 120) * math.pi / 4
    real = np.column_stack([np.cos(angles), np.sin(angles)]) + 0.04 * rng.standard_normal((120, 2))
    fake = 0.7 * rng.standard_normal((120, 2)) * (0.4 + 0.6 * min(1, step / 100))
    near = np.argmin(((fake[:, None] - real[None]) ** 2).sum(2), 1)
    u, v = np.meshgrid(np.linspace(-1.8, 1.8, 36), np.linspace(-1.8, 1.8, 36))
    level = 1 / (1 + np.exp(-6 * (0.4 - np.abs(np.hypot(u, v) - 1)) - np.cos(8 * np.arctan2(v, u))))
    confidence = np.linspace(0.02, 0.98, 25)
    t = np.arange(step + 1)
    return {
        "type": "frame", "run": run, "step": step, "kept": list(kept), "playing": playing, "seconds": step / 40,
        "rate": 120.0, "losses": {"d": 1.38 - 0.3 * math.sin(step / 9), "g": 0.7 + 0.3 * math.sin(step / 9)},
        "gradient_g": 0.02 * math.exp(-step / 80), "gradient_d": 0.3, "real": real.tolist(), "fake": fake.tolist(),
        "pull": ((real[near] - fake) * 0.01).tolist(), "level": packed(level, "f4"), "box": [-1.8, 1.8, -1.8, 1.8],
        "probe": {
            "confidence": confidence.tolist(), "closed": (1 - confidence).tolist(),
            "measured": ((1 - confidence) * (1 + 0.02 * np.sin(40 * confidence))).tolist(),
        },
        "orbit": np.column_stack([np.cos(t / 9) * 1.004**t, np.sin(t / 9) * 1.004**t]).tolist(),
        "modes": {"found": 5, "of": 8}, "diverged": None,
    } | changed  # fmt: skip
