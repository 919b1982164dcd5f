"""A Whisper of 14 MB that says what it is told to, for the real faster-whisper.

The decoder's next token depends on its position alone, so that it recites a script; its
cross-attention looks where the script says, so that the words get the script's times. The encoder
passes on nothing but the time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th "
    "ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr "
    "pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt "
    "haw ln ha ba jw su"
).split()
WIDTH, FRAMES, POSITIONS = 128, 1500, 448
FRAME_S = 0.02
END = "<|endoftext|>"


@dataclass(frozen=True)
class Recited:
    """A word of the script, and the seconds of its passage in which it is said."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Script:
    """What the model says in every passage; ASCII words without blanks."""

    words: tuple[Recited, ...]
    language: str = "en"


def evenly(text: str, start_s: float, end_s: float) -> tuple[Recited, ...]:
    """A line whose words all take the same time."""
    words = text.split()
    step = (end_s - start_s) / len(words)
    return tuple(
        Recited(word, start_s + i * step, start_s + (i + 1) * step) for i, word in enumerate(words)
    )


RECITED = (
    *evenly("Good morning. We need a boat.", 0.0, 1.85),
    *evenly("Silence! I hear a bell.", 2.6, 4.15),
)
"""What the tests' model says: the lines of the tests' tiny film, as its first passage has them."""


def _tokenizer(words: Sequence[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    # Ġ is the blank before a word in byte-level pair encoding.
    vocabulary: dict[str, int] = {}
    for token in [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(f"Ġ{w}" for w in words)]:
        vocabulary.setdefault(token, len(vocabulary))
    while len(vocabulary) < 50256:
        vocabulary[f"Ġ§{len(vocabulary)}"] = len(vocabulary)
    # By this token CTranslate2 knows models of many languages.
    vocabulary[""] = 50256
    special = [END, "<|startoftranscript|>", *(f"<|{language}|>" for language in LANGUAGES)]
    tasks = "translate transcribe startoflm startofprev nospeech notimestamps".split()
    special += [f"<|{task}|>" for task in tasks]
    found = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    found.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    times = [f"<|{number * FRAME_S:.2f}|>" for number in range(FRAMES + 1)]
    found.add_tokens([AddedToken(t, special=False, normalized=False) for t in times])
    return found


def _network(tokenizer: Any) -> Any:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    end = tokenizer.token_to_id(END)
    return WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size(),
            num_mel_bins=80,
            d_model=WIDTH,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_source_positions=FRAMES,
            max_target_positions=POSITIONS,
            decoder_start_token_id=tokenizer.token_to_id("<|startoftranscript|>"),
            eos_token_id=end,
            bos_token_id=end,
            pad_token_id=end,
            suppress_tokens=[],
            begin_suppress_tokens=[],
        )
    ).eval()


def _recite(network: Any, tokenizer: Any, script: Script) -> None:
    """Make the decoder say the script, whatever it has said before."""
    import torch

    ids = tokenizer.token_to_id
    decoder = network.model.decoder
    tokens = torch.nn.functional.normalize(torch.randn(decoder.embed_tokens.weight.shape), dim=1)
    decoder.embed_tokens.weight.copy_(tokens * 4)
    for layer in decoder.layers:
        for linear in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
            linear.weight.zero_()
            linear.bias.zero_()
    head = [f"<|{script.language}|>", "<|transcribe|>", "<|0.00|>"]
    end = f"<|{round(script.words[-1].end_s / FRAME_S) * FRAME_S:.2f}|>"
    said = [*head, *(f"Ġ{word.text}" for word in script.words), end]
    positions = tokens[ids(END)].repeat(POSITIONS, 1) * 200
    for position, token in enumerate(said):
        positions[position] = tokens[ids(token)] * 200
    # The same word twice must not be said at the same time.
    positions += torch.randn(positions.shape) * 2
    decoder.embed_positions.weight.copy_(positions)


def _look(network: Any, script: Script) -> None:
    """Make the last layer's cross-attention look at each word where the script has it."""
    import torch

    encoder, decoder = network.model.encoder, network.model.decoder
    for convolution in (encoder.conv1, encoder.conv2):
        convolution.weight.zero_()
        convolution.bias.zero_()
    for linear in (encoder.layers[0].self_attn.out_proj, encoder.layers[0].fc2):
        linear.weight.zero_()
        linear.bias.zero_()
    time = encoder.layer_norm(encoder.embed_positions.weight)
    attention = decoder.layers[-1].encoder_attn
    # Every other sinusoid for the first head: the fast tell frames, the slow tell half minutes.
    rows = torch.cat([torch.arange(first, WIDTH, 2) for first in (0, 1)])
    attention.k_proj.weight.copy_(torch.eye(WIDTH)[rows])
    middles = [round((w.start_s + w.end_s) / 2 / FRAME_S) for w in script.words]
    frames = [0, 0, 0, *middles, round(script.words[-1].end_s / FRAME_S) + 20]
    places = decoder.embed_positions.weight[: len(frames)]
    seen = decoder.layers[-1].encoder_attn_layer_norm(places)
    wanted = time[frames][:, rows] * 12
    solved = torch.linalg.lstsq(seen, wanted).solution
    attention.q_proj.weight.copy_(solved.T)
    attention.q_proj.bias.zero_()


def build(folder: Path, script: Script = Script(RECITED)) -> Path:
    """Build a model that recites the script."""
    from dubarr_pipeline.compute.devices import prepare_torchaudio

    prepare_torchaudio()
    import torch
    from ctranslate2.converters import TransformersConverter
    from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

    source = folder.with_name(f"{folder.name}-source")
    tokenizer = _tokenizer([word.text for word in script.words])
    torch.manual_seed(0)
    network = _network(tokenizer)
    with torch.no_grad():
        _recite(network, tokenizer, script)
        _look(network, script)
    network.save_pretrained(source)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(source)
    fast = {f"{name}_token": END for name in ("eos", "bos", "unk", "pad")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **fast).save_pretrained(source)
    tokenizer.save(str(source / "tokenizer.json"))
    files = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(source), copy_files=files).convert(str(folder))
    config = json.loads((folder / "config.json").read_text())
    # Where transformers 5 has put them, the converter does not look.
    config["lang_ids"] = [tokenizer.token_to_id(f"<|{language}|>") for language in LANGUAGES]
    config["alignment_heads"] = [[1, 0]]
    (folder / "config.json").write_text(json.dumps(config))
    return folder
