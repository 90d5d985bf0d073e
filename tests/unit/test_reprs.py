"""What prints in a notebook: names, shapes and the headline number, no networks and no arrays."""

import jax
import numpy as np

import elbax


def test_results_print_as_what_they_hold(tmp_path):
    images = np.random.default_rng(0).integers(0, 2, (20, 6)).astype(np.float32)
    data = elbax.Dataset(name="coins", train=images, test=images[:5])
    config = elbax.TrainConfig(epochs=2, batch_size=10)
    model = elbax.ModelConfig(hidden=(3,), latents=2)
    looks = []
    result = elbax.fit(
        ["vae(m=2)"],
        data,
        model=model,
        config=config,
        seeds=range(12),
        directory=tmp_path / "runs",
        monitor=lambda look: looks.append(repr(look)),
    )
    runs = elbax.load_runs(tmp_path / "runs")
    key = jax.random.key(0)
    found = elbax.evaluate(result.models[0], images[:5], key=key, ks=(1, 4))
    one = elbax.Objective(elbax.bounds.VAE(2), elbax.bounds.VAE(2))
    ratios = elbax.snr(one, result.models[0], images[:5], key=key, num_draws=32)
    shown = (data, result, runs, found, ratios)
    printed = [repr(one) for one in shown]
    for text in [*printed, *looks, repr(elbax.origin_of(runs, [0]))]:
        assert "Linear" not in text
        assert "array(" not in text
    assert printed[0] == ("Dataset('coins', float32, binarise none)\n  train [20, 6], test [5, 6]")
    [*_, last] = [record for record in result.metrics if record["run"] == "vae-m2-seed0"]
    lines = printed[1].splitlines()
    assert len(lines) == 12  # a heading, ten runs, and how many more
    assert lines[-1] == "  and 2 more"
    assert lines[1] == f"  vae-m2-seed0: ok, epoch 2, bound {last['bound']:.2f}"
    assert printed[2].splitlines()[1] == "  vae-m2-seed0: ok"
    assert f"log p-hat {found.log_p_hat}, IWAE-1 " in printed[3]
    assert f"generative {ratios.snr['generative'].value:.3f} ± " in printed[4]
    del printed[2]  # has a path in it
    assert max(len(line) for text in printed for line in text.splitlines()) <= 80
