"""The same training step as users of other libraries write it: PyTorch, and pythae."""

import math

import numpy as np


def torch_steps(images: np.ndarray, batch: int, samples: int) -> dict:
    """IWAE in PyTorch, eager and compiled; functions of a number of steps.

    Raises:
        ImportError: PyTorch is not installed.
    """
    import torch

    networks, grey, binarised = _networks(images, batch)
    eager = _torch_loss(networks, samples)

    def stepper(loss):
        parameters = [p for network in networks for p in network.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=1e-3, eps=1e-4)

        def steps(count: int) -> None:
            for _ in range(count):
                value = loss(binarised(grey))
                optimizer.zero_grad()
                value.backward()
                optimizer.step()

        return steps

    return {"torch": stepper(eager), "torch.compile": stepper(torch.compile(eager))}


def _networks(images: np.ndarray, batch: int):
    import torch
    from torch import nn

    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(784, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh())
    loc, log_scale = nn.Linear(200, 50), nn.Linear(200, 50)
    decoder = nn.Sequential(
        nn.Linear(50, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 784)
    )
    grey = torch.from_numpy(images.reshape(len(images), 784).astype(np.float32) / 255)

    def binarised(grey):
        return torch.bernoulli(grey[torch.randint(len(grey), (batch,))])

    return (encoder, loc, log_scale, decoder), grey, binarised


def _torch_loss(networks, samples: int):
    import torch
    from torch.nn import functional

    encoder, loc, log_scale, decoder = networks

    def loss(x):
        hidden = encoder(x)
        q = torch.distributions.Normal(loc(hidden), log_scale(hidden).exp(), validate_args=False)
        z = q.rsample((samples,))
        log_prior = -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
        logits = decoder(z)
        log_likelihood = -functional.binary_cross_entropy_with_logits(
            logits, x.expand(samples, *x.shape), reduction="none"
        ).sum(-1)
        log_w = log_prior + log_likelihood - q.log_prob(z).sum(-1)
        return -(torch.logsumexp(log_w, 0) - math.log(samples)).sum()

    return loss


def pythae_steps(images: np.ndarray, batch: int, samples: int) -> dict:
    """IWAE and PIWAE of pythae with the same networks; functions of a number of steps.

    Raises:
        ImportError: pythae is not installed.
    """
    import torch
    from pythae.data.datasets import DatasetOutput
    from pythae.models import IWAE, PIWAE, IWAEConfig, PIWAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from torch import nn

    (hidden, loc, log_scale, decoder), grey, binarised = _networks(images, batch)

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden, self.loc, self.log_scale = hidden, loc, log_scale

        def forward(self, x):
            h = self.hidden(x.flatten(1))
            return ModelOutput(embedding=self.loc(h), log_covariance=2 * self.log_scale(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*decoder, nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))

    shared = {"input_dim": (1, 28, 28), "latent_dim": 50, "reconstruction_loss": "bce"}
    root = math.isqrt(samples)

    def stepper(model):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-4)

        def steps(count: int) -> None:
            for _ in range(count):
                data = binarised(grey).reshape(-1, 1, 28, 28)
                optimizer.zero_grad()
                model(DatasetOutput(data=data)).loss.backward()
                optimizer.step()

        return steps

    iwae = IWAE(IWAEConfig(**shared, number_samples=samples), Encoder(), Decoder())
    config = PIWAEConfig(**shared, number_gradient_estimates=root, number_samples=root)
    return {
        "pythae iwae": stepper(iwae),
        "pythae piwae": stepper(PIWAE(config, Encoder(), Decoder())),
    }
