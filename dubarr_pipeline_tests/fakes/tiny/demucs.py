"""A real HTDemucs of 11,016 random weights, in a folder as its authors publish theirs."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

NAME = "tinydemucs"
WINDOW_S = 2
RATE = 44_100


def build(folder: Path) -> Path:
    """Make the model's folder: ``tinydemucs.yaml`` and a network whose name holds its checksum."""
    import torch
    from demucs.htdemucs import HTDemucs

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = HTDemucs(
        sources=["drums", "bass", "other", "vocals"],
        audio_channels=2,
        channels=4,
        growth=1,
        nfft=4096,
        depth=4,
        bottom_channels=16,
        t_layers=1,
        t_heads=2,
        t_hidden_scale=1.0,
        dconv_depth=1,
        dconv_comp=2,
        cac=True,
        segment=Fraction(WINDOW_S),
        samplerate=RATE,
    )
    arguments, options = network._init_args_kwargs
    package = {
        "klass": HTDemucs,
        "args": arguments,
        "kwargs": options,
        "state": {name: weight.half() for name, weight in network.state_dict().items()},
        "training_args": {},
    }
    unnamed = folder / "network.tmp"
    torch.save(package, unnamed)
    checksum = hashlib.sha256(unnamed.read_bytes()).hexdigest()[:8]
    unnamed.rename(folder / f"tiny0001-{checksum}.th")
    (folder / f"{NAME}.yaml").write_text('models: ["tiny0001"]\n', encoding="utf-8")
    return folder
