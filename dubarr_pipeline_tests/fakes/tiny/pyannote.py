"""A speaker diarization pipeline of a few kB, for the real loading code of pyannote.audio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

CONFIG = """\
dependencies: {pyannote.audio: 4.0.0}
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 8
    embedding: $model/embedding
    embedding_batch_size: 8
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering: {threshold: 0.6, Fa: 10.0, Fb: 0.8}
  segmentation: {min_duration_off: 0.0}
"""


def _save(model: Any, specifications: Any, folder: Path) -> None:
    import lightning
    import torch

    model.specifications = specifications
    model.setup()
    model.eval()
    folder.mkdir(parents=True)
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "hparams_name": "kwargs",
        "pytorch-lightning_version": lightning.__version__,
        "epoch": 0,
        "global_step": 0,
        "loops": None,
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def build(folder: Path) -> Path:
    """Build the pipeline in `folder`."""
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    from dubarr_pipeline.compute.devices import prepare_torchaudio

    prepare_torchaudio()
    import numpy as np
    from pyannote.audio.core.task import Problem, Resolution, Specifications

    from dubarr_pipeline_tests.fakes.tiny.pyannote_models import BandEmbedding, BandSegmentation

    voices = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
        warm_up=(0.0, 0.0),
    )
    prints = Specifications(
        problem=Problem.REPRESENTATION,
        resolution=Resolution.CHUNK,
        duration=5.0,
        classes=["a", "b"],
    )
    _save(BandSegmentation(), voices, folder / "segmentation")
    _save(BandEmbedding(), prints, folder / "embedding")
    plda = folder / "plda"
    plda.mkdir()
    np.savez(plda / "xvec_transform.npz", mean1=np.zeros(4), mean2=np.zeros(4), lda=np.eye(4))
    np.savez(plda / "plda.npz", mu=np.zeros(4), tr=np.eye(4), psi=np.linspace(3, 1, 4))
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    return folder
