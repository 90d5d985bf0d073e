"""What the 2021 report's authors logged while they trained, as means over the ends of stages.

Source: madhubabuv/TightIWAE at commit a03f44159fb5, plotting_utils/*/logs/*.h5, the field
metrics_iwae_5000 with its sign changed: log p-hat by 5000 samples, one run each. Their code slices
the list of minibatches where it means samples: the first 64 minibatches of 20 for "IWAE-64", and so
all 10 000 test images for this field. Its scatter agrees: 0.065 nats from one epoch to the next.
An image's log p changes by 5.4 nats (sd) when it is binarised afresh (VAE(1) after 40 epochs, 2000
images), which is 0.054 in a mean of 10 000 and 0.15 in one of 1280.
"""

# A value is the mean over so many epochs, the last of which is the one that it is listed under.
# Most are the end of a stage of Burda et al.'s schedule, before the rate falls.
WINDOWS = {4: 3, 7: 3, 13: 5, 21: 5, 40: 9, 81: 21, 121: 21, 364: 41, 1093: 81, 3280: 161}
OMNIGLOT_WINDOWS = {4: 3, 7: 3, 13: 5, 21: 5, 40: 9, 81: 21, 121: 21, 364: 41, 1000: 81}
STAGES = (4, 13, 40, 121, 364, 1000, 1093, 3280)

# Negative log p-hat by data, size and what was run, which is not always what it was called: "VAE"
# had one sample; "CIWAE" one for each of its two terms, which is VAE(2); "PIWAE(8,8)" gave the
# encoder MIWAE(10,10) and the decoder IWAE(10) of ten samples, drawn anew after the encoder's step.
_LOGGED = """
mnist    reference VAE(1)       110.89 103.35 98.84 95.61 93.40 91.62 90.92 89.39 88.32 87.66
mnist    reference VAE(2)       109.31 102.26 97.63 94.62 92.45 90.75 90.01 88.54 87.55 87.00
mnist    reference IWAE(64)     104.68  97.73 94.20 91.72 89.99 88.51 87.87 86.42 85.38 84.63
mnist    reference MIWAE(8,8)   101.07  95.40 92.71 90.85 89.51 88.30 87.74 86.50 85.66 85.03
mnist    reference PIWAE(10,10) 102.16  96.48 93.47 91.29 89.77 88.41 87.76 86.47 85.51 84.92
mnist    larger    VAE(1)       100.91  96.52 94.20 91.86 90.36 88.81 88.25 86.92 86.01 85.34
mnist    larger    VAE(2)        99.23  95.12 92.87 90.80 89.44 88.07 87.56 86.36 85.57 84.99
mnist    larger    IWAE(64)      97.51  93.91 91.94 89.89 88.60 87.13 86.66 85.42 84.54 83.93
mnist    larger    MIWAE(8,8)    95.40  91.93 90.15 88.45 87.39 86.24 85.88 84.87 84.18 83.67
mnist    larger    PIWAE(10,10)  96.32  93.07 91.20 89.29 88.10 86.77 86.27 85.12 84.38 83.85
omniglot reference VAE(1)       148.08 140.05 134.70 129.44 124.06 119.76 117.45 113.50 111.12
omniglot reference VAE(2)       145.91 138.44 132.95 128.12 122.82 118.48 116.20 112.56 110.82
omniglot reference IWAE(64)     138.53 130.45 124.39 119.79 115.64 112.20 110.53 107.53 105.88
omniglot reference MIWAE(8,8)   137.23 128.95 123.18 119.09 115.00 111.95 110.42 107.75 106.25
omniglot reference PIWAE(10,10) 137.11 129.25 123.34 119.18 115.18 111.99 110.34 107.56 106.03
"""
PIWAE = "PIWAE(10,10) decoder-k 10"
_ROWS = [line.split() for line in _LOGGED.strip().splitlines()]
LOG_P_HAT = {
    (data, size, {"PIWAE(10,10)": PIWAE}.get(name, name)): [-float(value) for value in values]
    for data, size, name, *values in _ROWS
}
METHODS = {
    "VAE(1)": "vae(m=1)",
    "VAE(2)": "vae(m=2)",
    "IWAE(64)": "iwae(k=64)",
    "MIWAE(8,8)": "miwae(m=8, k=8)",
    PIWAE: "piwae(m=10, k=10, decoder_k=10)",
}
CALLED = {"VAE(1)": "VAE", "VAE(2)": "CIWAE", PIWAE: "PIWAE(8,8)"}


def windows(data: str) -> dict[int, int]:
    """Lengths of the windows by the epoch in which they end."""
    return OMNIGLOT_WINDOWS if data == "omniglot" else WINDOWS


def published(data: str, size: str, method: str) -> dict[int, float]:
    """Mean log p-hat of a method over the windows, by the epoch in which they end; or nothing.

    >>> published("mnist", "reference", "IWAE(64)")[40]
    -89.99
    """
    values = LOG_P_HAT.get((data, size, method), [])
    return dict(zip(windows(data), values, strict=False))


def looks(data: str, until: int) -> tuple[int, ...]:
    """First, middle and last epoch of every window that ends by `until`.

    >>> looks("mnist", 13)
    (2, 3, 4, 5, 6, 7, 9, 11, 13)
    """
    ends = [(end, length) for end, length in windows(data).items() if end <= until]
    return tuple(epoch for end, length in ends for epoch in three(end, length))


def three(end: int, length: int) -> tuple[int, int, int]:
    """First, middle and last epoch of a window of odd length."""
    return end - length + 1, end - (length - 1) // 2, end


def window_mean(values: tuple[float, float, float], length: int) -> float:
    """The mean over a window from its first, middle and last value; exact for any parabola.

    >>> window_mean((0.0, 1.0, 4.0), 3), window_mean((4.0, 0.0, 4.0), 5)  # 0 1 4; 4 1 0 1 4
    (1.6666666666666665, 2.0)
    """
    half = (length - 1) // 2
    outer = (half + 1) / (6 * half)
    first, middle, last = values
    return outer * (first + last) + (1 - 2 * outer) * middle
