import numpy as np
import pytest
from skimage.metrics import structural_similarity
from sklearn.datasets import load_digits

from elbax._errors import InputError
from elbax.evaluation.images import image_grid, ssim


def pairs(kind, shape, num=12):
    rng = np.random.default_rng(3)
    x = rng.random((num, *shape))
    other = {
        "equal": x,
        "noisy": np.clip(x + 0.2 * rng.normal(size=x.shape), 0, 1),
        "inverted": 1 - x,
        "independent": rng.random(x.shape),
        "black": np.zeros_like(x),
    }[kind]
    return x.astype(np.float32), other.astype(np.float32)


def oracle(x, y):
    # scikit-image averages over the windows inside the image, as Wang et al. do.
    return np.array(
        [
            structural_similarity(
                a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
            )
            for a, b in zip(x.astype(np.float64), y.astype(np.float64), strict=True)
        ]
    )


def by_definition(x, y, window):
    """Wang et al.'s Eq. 13 in float64, one window after another."""
    place = np.arange(window) - window // 2
    weights = np.exp(-0.5 * (place / 1.5) ** 2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    values = []
    for i in range(x.shape[0] - window + 1):
        for j in range(x.shape[1] - window + 1):
            a, b = (image[i : i + window, j : j + window].astype(np.float64) for image in (x, y))
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
            cov = (weights * (a - ma) * (b - mb)).sum()
            up = (2 * ma * mb + 0.01**2) * (2 * cov + 0.03**2)
            values.append(up / ((ma**2 + mb**2 + 0.01**2) * (va + vb + 0.03**2)))
    return np.mean(values)


@pytest.mark.parametrize("shape", [(28, 28), (11, 11), (20, 13)])
@pytest.mark.parametrize("kind", ["equal", "noisy", "inverted", "independent", "black"])
def test_ssim_agrees_with_scikit_image_to_five_decimals(kind, shape):
    x, y = pairs(kind, shape)
    np.testing.assert_allclose(ssim(x, y), oracle(x, y), atol=5e-6, rtol=0)


def test_ssim_of_colors_is_scikit_image_s_mean_over_channels():
    x, y = pairs("noisy", (16, 13, 3))
    expected = [
        structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1,
            channel_axis=2,
        )
        for a, b in zip(x.astype(np.float64), y.astype(np.float64), strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ssim(x, y), expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize(("shape", "window"), [((8, 8), 7), ((10, 28), 9), ((5, 5), 5)])
def test_small_images_take_the_largest_odd_window_that_fits(shape, window):
    x, y = pairs("noisy", shape)
    expected = [by_definition(a, b, window) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(ssim(x, y), expected, atol=5e-6, rtol=0)


def test_ssim_of_digits_is_one_for_equal_images_and_falls_with_noise():
    digits = (load_digits().images[:40] / 16).astype(np.float32)
    rng = np.random.default_rng(0)
    means = [
        float(np.mean(ssim(digits, np.clip(digits + s * rng.normal(size=digits.shape), 0, 1))))
        for s in (0.0, 0.1, 0.3)
    ]
    assert means[0] == pytest.approx(1.0, abs=1e-6)
    assert means[0] > means[1] > means[2]


def test_nan_stays_with_its_image():
    x, y = pairs("noisy", (8, 8))
    y[2, 3, 3] = np.nan
    assert np.flatnonzero(np.isnan(ssim(x, y))).tolist() == [2]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 8, 8)), np.zeros((2, 8, 9)), r"\[N, H, W, 3\]; got \[2, 8, 8\]"),
        (np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 8, 1)), "Drop a channel axis"),
        (np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8)), "got uint8. Divide by 255"),
    ],
)
def test_wrong_images_are_refused(x, y, message):
    x, y = (a.astype(np.float32) if a.dtype == np.float64 else a for a in (x, y))
    with pytest.raises(InputError, match=message):
        ssim(x, y)


def test_image_grid_places_row_by_row_with_one_pixel_between():
    images = np.stack([np.full((2, 3), value, dtype=np.float32) for value in (0.1, 0.2, 0.3)])
    sheet = image_grid(images, columns=2, fill=0.9)
    expected = np.full((5, 7), 0.9, dtype=np.float32)
    expected[:2, :3], expected[:2, 4:], expected[3:, :3] = 0.1, 0.2, 0.3
    np.testing.assert_array_equal(sheet, expected)
    assert sheet.dtype == np.float32


def test_image_grid_refuses_nothing():
    with pytest.raises(InputError, match="at least one image and one column"):
        image_grid(np.zeros((0, 2, 2), dtype=np.float32), columns=2)


def test_image_grid_of_colors_is_that_of_each():
    images = np.random.default_rng(0).random((5, 4, 3, 3))
    sheet = image_grid(images, columns=2)
    for channel in range(3):
        np.testing.assert_array_equal(sheet[..., channel], image_grid(images[..., channel], 2))
