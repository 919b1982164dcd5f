"""A real XTTS checkpoint (90 MB) that speaks bounded noise, as long as the text is.

Its one attention layer looks everywhere alike, and so counts: text tokens speak for going on, sound
tokens for stopping. Some 40 characters make a second: quicker than people, and than to render
more. What is said is random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_WIDTH = 32
_PER_CHARACTER = 0.5
"""Sound tokens (46 ms each) that a character is given."""
_TEXT, _SOUND, _COUNT = 0, 2, 4
"""Channels: the marks of text and of sound (each with its opposite beside it), and the count."""
_LETTERS = (
    "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-:;\"()äöüßéèêàçñáíóúабвгдежзийклмнопрстуфхцчшщъыьэюя"
)
_LOUDNESS = 12.0
VOICE = "Ana"
"""The only voice that is built in."""


def build(folder: Path) -> Path:
    """Make the model: config, weights, vocabulary and the voices that are built in."""
    import torch

    from dubarr_pipeline.compute.devices import prepare_torchaudio

    prepare_torchaudio()
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
    from TTS.tts.models.xtts import Xtts

    folder.mkdir(parents=True, exist_ok=True)
    config = XttsConfig()
    _save_vocabulary(folder / "vocab.json", list(config.languages))
    config.model_args = XttsArgs(
        gpt_layers=1,
        gpt_n_model_channels=_WIDTH,
        gpt_n_heads=2,
        gpt_max_audio_tokens=605,
        gpt_max_text_tokens=402,
        gpt_max_prompt_tokens=8,
        gpt_num_audio_tokens=34,
        gpt_start_audio_token=32,
        gpt_stop_audio_token=33,
        gpt_use_perceiver_resampler=True,
        decoder_input_dim=_WIDTH,
        d_vector_dim=512,
    )
    config.audio.output_sample_rate = 24000
    torch.manual_seed(0)
    model = Xtts.init_from_config(config)
    model.tokenizer = VoiceBpeTokenizer(str(folder / "vocab.json"))
    model.init_models()
    with torch.no_grad():
        _teach_length(model.gpt, config.model_args.gpt_stop_audio_token)
        model.hifigan_decoder.waveform_decoder.conv_post.weight.mul_(_LOUDNESS)
    torch.save(
        {"model": dict(model.state_dict()), "config": config.to_dict()}, folder / "model.pth"
    )
    config.model_args.gpt_number_text_tokens = None
    config.save_json(str(folder / "config.json"))
    torch.save({VOICE: _built_in_voice(torch)}, folder / "speakers_xtts.pth")
    return folder


def _save_vocabulary(path: Path, languages: list[str]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    special = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{language}]" for language in languages)]
    words = [*special, *sorted(set(_LETTERS)), "[START]"]
    vocabulary = {word: number for number, word in enumerate(words)}
    found = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.add_special_tokens([*special, "[START]"])
    found.save(str(path))


def _teach_length(gpt: Any, stop: int) -> None:
    """Set weights so that sound ends when it has `_PER_CHARACTER` tokens for each of the text."""
    tables = (gpt.text_embedding, gpt.mel_embedding, gpt.text_pos_embedding, gpt.mel_pos_embedding)
    weights = [getattr(table, "emb", table).weight for table in tables]
    for weight in weights:
        weight.mul_(0.1)
        weight[:, : _COUNT + 1] = 0
    for weight, channel in ((weights[0], _TEXT), (weights[1], _SOUND)):
        weight[:, channel], weight[:, channel + 1] = 1.0, -1.0
    gpt.conditioning_perceiver.norm.gamma[: _COUNT + 1] = 0
    (layer,) = gpt.gpt.h
    for part in (layer.attn.c_attn, layer.attn.c_proj, layer.mlp.c_proj):
        part.weight.zero_()
        part.bias.zero_()
    value = 2 * _WIDTH
    layer.attn.c_attn.weight[_TEXT, value] = _PER_CHARACTER
    layer.attn.c_attn.weight[_SOUND, value] = -1.0
    layer.attn.c_proj.weight[0, _COUNT] = 1.0
    gpt.mel_head.weight[stop] = 0
    gpt.mel_head.weight[stop, _COUNT] = -1e4
    gpt.mel_head.bias[stop] = 0


def _built_in_voice(torch: Any) -> dict[str, Any]:
    latent = torch.randn(1, _WIDTH, 32).transpose(1, 2) * 0.1
    latent[..., : _COUNT + 1] = 0
    speaker = torch.nn.functional.normalize(torch.randn(1, 512, 1), dim=1)
    return {"gpt_cond_latent": latent, "speaker_embedding": speaker}
