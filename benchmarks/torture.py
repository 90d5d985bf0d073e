"""Damaged and hostile files: every kind of file that elbax reads, changed at random, read again.

Each must be read, or refused by an error of elbax's own: anything else is a defect, and so is a
reader that does not come back. JSON is changed by value too: few changed bytes are still JSON.

    python benchmarks/torture.py --files 10000
"""

import argparse
import collections
import contextlib
import copy
import io
import json
import os
import random
import resource
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when JAX is imported

import elbax
from elbax._errors import ElbaxError
from elbax.cli.main import main as command
from elbax.data.pictures import read_image_folder
from elbax.data.readers import read_amat, read_idx, read_mat
from elbax.report import figures
from elbax.runs.chapter import chapter_of, together
from elbax.runs.read import read, read_training
from elbax.studies.chapter import study_chapter
from elbax.training import checkpoints
from elbax.training.folder import RunFolder
from elbax.training.recorded import identity_of

SECONDS = 20  # after which a reader hangs
ODD = [None, True, -1, 0, 10**30, 1e308, -1e308, 0.5, "", "x" * 300, "\0", "../../x", [], [[]], {},
       {"a": {}}, [1, "a", None], [0] * 50]  # fmt: skip

Reader = Callable[[Path], object]


def made(root: Path) -> dict[str, tuple[Path, Reader]]:
    """One file of each kind with what reads it, in a small run, a study and a folder of data."""
    run, data = root / "run", root / "data"
    data.mkdir(parents=True)
    tiny = ["--hidden", "4", "--latents", "2", "--epochs", "2", "--batch-size", "100"]
    run_words = ["--seeds", "0", "1", "--ks", "1", "8", "--num-data", "30", "--out", str(run)]
    methods = ["--methods", "vae(4)", "iwae(4)"]
    for words in (
        ["compare", *methods, *tiny, *run_words],
        ["evaluate", str(run), "--ks", "1", "8", "--num-data", "30", "--active-units",
         "--ais", "--ais-steps", "2", "--ais-chains", "2", "--calibration"],
        ["snr", str(run), "--sizes", "4", "8", "--num-draws", "32", "--ess-samples", "20"],
        ["reproduce", "log-expectation", "--epochs", "1", "--num-data", "20",
         "--out", str(root / "studies")],
    ):  # fmt: skip
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = command(words)
        assert code == 0, (words, said.getvalue())
    found: dict[str, tuple[Path, Reader]] = {}
    for name in ("config.json", "metrics.jsonl", "results.json", "images.npz", "per_datum.npz",
                 "snr.json", "units.json", "calibration.json"):  # fmt: skip
        found[f"page: {name}"] = (run / name, lambda path: _page(path.parent))
    checkpoint = sorted((run / "checkpoints").iterdir())[-1]
    for file in (run / "config.json", checkpoint):
        found[f"load_runs: {file.suffix}"] = (file, lambda path: elbax.load_runs(run))
    config = json.loads((run / "config.json").read_text())
    for name in ("config.json", "metrics.jsonl", "training.json"):
        found[f"resume: {name}"] = (run / name, lambda path: _resumed(path.parent, config))
    study = root / "studies" / "log-expectation"
    found["study.json"] = (study / "study.json", lambda path: _drawn(study_chapter(path.parent)))
    return found | _data(data, checkpoint, identity_of(config))


def _data(data: Path, checkpoint: Path, identity: str) -> dict[str, tuple[Path, Reader]]:
    import scipy.io
    from PIL import Image

    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (6, 4, 4), dtype=np.uint8)
    np.save(data / "a.npy", grey)
    np.savez_compressed(data / "a.npz", train=grey, test=grey)
    (data / "a.idx").write_bytes(
        b"\0\0\x08\x03" + np.array([6, 4, 4], ">u4").tobytes() + grey.tobytes()
    )
    (data / "a.amat").write_text("\n".join(" ".join("01"[v % 2] for v in row) for row in grey[0]))
    scipy.io.savemat(data / "a.mat", {"data": rng.random((4, 5)), "target": rng.random((2, 5))})
    found: dict[str, tuple[Path, Reader]] = {
        "a.npy": (data / "a.npy", elbax.load_data),
        "a.npz": (data / "a.npz", elbax.load_data),
        "a.idx": (data / "a.idx", read_idx),
        "a.amat": (data / "a.amat", read_amat),
        "a.mat": (data / "a.mat", read_mat),
    }
    for kind in ("png", "gif", "tiff", "jpg"):
        folder = data / kind
        folder.mkdir()
        Image.fromarray(grey[0]).save(folder / f"a.{kind}")
        found[f"image: {kind}"] = (
            folder / f"a.{kind}",
            lambda path: read_image_folder(path.parent),
        )
    model = elbax.one_layer((4, 4), elbax.ModelConfig(hidden=(3,), latents=2), key=_key())
    elbax.save(model, data / "model.safetensors")
    found["model"] = (data / "model.safetensors", elbax.load)
    return found


def _key():
    import jax

    return jax.random.key(0)


def _page(folder: Path) -> None:
    found = read(folder)
    _drawn(chapter_of(found, "run"))
    together({"a": found, "b": read_training(folder)})


def _drawn(chapter) -> None:
    for exhibit in chapter.exhibits:
        if exhibit.kind != "table":
            figures.figure_of(exhibit)


def _resumed(folder: Path, config: dict) -> None:
    opened = RunFolder(folder, config, resume=True)
    checkpoints.is_whole(sorted((opened.path / "checkpoints").iterdir())[-1])


def changed(whole: bytes, kind: str, rng: random.Random) -> bytes:
    """The file with some bytes changed, cut, put in or taken out, or JSON with other values."""
    if kind.endswith((".json", ".jsonl")) and rng.random() < 0.7:
        return _changed_json(whole, kind.endswith("l"), rng)
    content = bytearray(whole)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(content) + 1) if content else 0
        what = rng.random()
        if what < 0.6 and at < len(content):
            content[at] = rng.choice(
                [0, 255, rng.randrange(256), content[at] ^ (1 << rng.randrange(8))]
            )
        elif what < 0.75:
            del content[at:]
        elif what < 0.9:
            content[at:at] = rng.randbytes(rng.choice([1, 4, 64]))
        else:
            del content[at : at + rng.choice([1, 4, 64])]
    return bytes(content)


def _changed_json(whole: bytes, lines: bool, rng: random.Random) -> bytes:
    documents = [json.loads(line) for line in (whole.splitlines() if lines else [whole])]
    for _ in range(rng.choice([1, 1, 3])):
        documents = copy.deepcopy(documents)
        parent, key = rng.choice(list(_places(documents)))
        if rng.random() < 0.2 and isinstance(parent, dict):
            del parent[key]
        else:
            parent[key] = rng.choice(ODD)
    if lines:
        return b"".join(json.dumps(one).encode() + b"\n" for one in documents)
    return json.dumps(documents[0]).encode()


def _places(value) -> Iterator[tuple]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _hangs(*_):
    raise TimeoutError(f"no answer in {SECONDS} s")


def outcome(reader: Reader, path: Path) -> str:
    """ "read", "refused", or the defect."""
    signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader(path)
    except ElbaxError:
        return "refused"
    except Exception as error:  # noqa: BLE001 (this is what is looked for)
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"[
            :160
        ]
    finally:
        signal.alarm(0)
    return "read"


def campaign(root: Path, num_files: int, seed: int) -> dict[str, collections.Counter]:
    """As many changed files of every kind; the folder is put back after each."""
    rng, kinds = random.Random(seed), made(root)
    shutil.copytree(root, whole := Path(f"{root}-whole"))
    found: dict[str, collections.Counter] = {}
    for kind, (path, reader) in kinds.items():
        content = path.read_bytes()
        found[kind] = collections.Counter()
        for _ in range(-(-num_files // len(kinds))):
            path.write_bytes(changed(content, kind, rng))
            found[kind][outcome(reader, path)] += 1
            original = whole / path.relative_to(root)
            for name in ("metrics.jsonl", "config.json", "training.json"):
                if (original.parent / name).exists():
                    shutil.copyfile(original.parent / name, path.parent / name)
            path.write_bytes(content)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder) / "all", options.files, options.seed)
        shutil.rmtree(Path(folder) / "all-whole", ignore_errors=True)
    defects = 0
    for kind, counts in found.items():
        others = {what: n for what, n in counts.items() if what not in ("read", "refused")}
        defects += sum(others.values())
        told = f"read {counts['read']:5}, refused {counts['refused']:5}"
        print(f"{kind:26} {told}, other {sum(others.values())}")
        for what, count in sorted(others.items(), key=lambda item: -item[1]):
            print(f"    {count:4} {what}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = sum(sum(counts.values()) for counts in found.values())
    print(f"{total} files, {defects} defects; peak memory {peak:.0f} MiB")
    raise SystemExit(defects > 0)


if __name__ == "__main__":
    main()
