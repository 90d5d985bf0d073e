"""One training step of elbax beside the same step in plain eager PyTorch, in one run.

    python benchmarks/step.py [--rounds 7] [--steps 40]

Batch 20, T = 64, the reference model on 28 x 28 data, float32, on however many cores there are.
Both sides gather a minibatch of grey images, binarise it afresh, draw 64 samples, and take an Adam
step. They take turns, round by round, and the medians and their ratio are printed; without PyTorch
(`pip install torch`) only elbax's own objectives are compared.
"""

import argparse
import math
import statistics
import time

import numpy as np

import elbax
from elbax.training.setup import new_fleet

BATCH, SAMPLES, NUM_DATA = 20, 64, 4000
METHODS = {
    "iwae": "iwae(k=64)",
    "piwae": "piwae(m=8, k=8)",
    "miwae": "miwae(m=8, k=8)",
    "vae": "vae(m=64)",
    "ciwae": "ciwae(k=64, beta=0.5)",
    "iwae dreg": "iwae(k=64, gradient=dreg)",
    "piwae dreg": "piwae(m=8, k=8, gradient=dreg)",
}


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (NUM_DATA, 28, 28)).astype(np.uint8)


def elbax_steps(method: str):
    """A function that takes n steps of a run of its own, through the library's training loop."""
    data = elbax.Dataset(
        name="noise", train=images(), test=images()[:2], levels=255.0, binarise="dynamic"
    )
    config = elbax.TrainConfig(epochs=1000, batch_size=BATCH)
    _, fleet, _ = new_fleet(method, data, config=config)
    fleet.advance(1)
    return fleet.advance


def torch_steps():
    """The same in eager PyTorch, written as its users write it."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(784, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh())
    loc, log_scale = nn.Linear(200, 50), nn.Linear(200, 50)
    decoder = nn.Sequential(
        nn.Linear(50, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 784)
    )
    modules = nn.ModuleList([encoder, loc, log_scale, decoder])
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-3, eps=1e-4)
    grey = torch.from_numpy(images().reshape(NUM_DATA, 784).astype(np.float32) / 255)

    def step() -> None:
        x = torch.bernoulli(grey[torch.randint(NUM_DATA, (BATCH,))])
        hidden = encoder(x)
        q = torch.distributions.Normal(loc(hidden), log_scale(hidden).exp())
        z = q.rsample((SAMPLES,))
        log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
        logits = decoder(z)
        target = x.expand(SAMPLES, BATCH, 784)
        log_likelihood = -functional.binary_cross_entropy_with_logits(
            logits, target, reduction="none"
        ).sum(-1)
        log_w = log_prior + log_likelihood - q.log_prob(z).sum(-1)
        loss = -(torch.logsumexp(log_w, 0) - math.log(SAMPLES)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def steps(count: int) -> None:
        for _ in range(count):
            step()

    return steps


def contenders() -> dict:
    found = {name: elbax_steps(method) for name, method in METHODS.items()}
    try:
        found["torch iwae"] = torch_steps()
    except ImportError:
        print("PyTorch is not installed; comparing elbax's objectives with each other only.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    found = contenders()
    times = {name: [] for name in found}
    for steps in found.values():
        steps(5)
    for _ in range(options.rounds):
        for name, steps in found.items():
            begun = time.perf_counter()
            steps(options.steps)
            times[name].append((time.perf_counter() - begun) / options.steps * 1e3)
    print(
        f"{'objective':12} {'ms per step (median, min - max)':34} ratio to iwae (median, by round)"
    )
    for name, values in times.items():
        ratios = [a / b for a, b in zip(values, times["iwae"], strict=True)]
        spread = f"{min(values):.2f} - {max(values):.2f}"
        middle, ratio = statistics.median(values), statistics.median(ratios)
        print(f"{name:12} {middle:8.2f}   {spread:20} {ratio:8.3f}")


if __name__ == "__main__":
    main()
