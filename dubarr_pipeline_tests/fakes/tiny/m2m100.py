"""A tiny M2M100 that says one scripted sentence per target language, through the real converter."""

from __future__ import annotations

import io
import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

SAYS = {
    "es": "hola amigo mío querido",
    "fr": "bonjour mon cher ami",
    "de": "guten tag mein freund",
    "ca": "adéu amic meu",
    "en": "good day my friend",
}
"""Target language -> what the model always says; it may also stop after three words."""
LINES = ("the house is old", "who are you my friend", "good day to you all", *SAYS.values())
WIDTH = 128


def build(folder: Path) -> Path:
    """Write a CTranslate2 model, int8, with its pieces."""
    from dubarr_pipeline.compute.devices import prepare_torchaudio

    prepare_torchaudio()
    import torch
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):
        """The converter, told of the tokens of languages, which transformers 5 keeps apart."""

        def load_tokenizer(self, *args: Any, **facts: Any) -> Any:
            tokenizer = super().load_tokenizer(*args, **facts)
            tokenizer.get_vocab = lambda: {**tokenizer.encoder, **tokenizer.lang_token_to_id}
            return tokenizer

    torch.manual_seed(0)
    source = folder / "source"
    source.mkdir(parents=True)
    pieces = _spelling(source / "sentencepiece.bpe.model")
    (source / "vocab.json").write_text(json.dumps(pieces), encoding="utf-8")
    _model(source, pieces)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = Converter(str(source), copy_files=["sentencepiece.bpe.model"])
        return Path(converter.convert(str(folder / "m2m100"), quantization="int8"))


def _spelling(path: Path) -> dict[str, int]:
    """Make a piece of every word of the sentences; return the vocabulary."""
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in LINES for _ in range(20)]),
        model_writer=out,
        vocab_size=90,
        model_type="word",
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
    )
    path.write_bytes(out.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    trained = [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]
    return {p: i for i, p in enumerate(["<s>", "<pad>", "</s>", "<unk>", *trained])}


def _model(folder: Path, vocabulary: dict[str, int]) -> None:
    """A model whose next token follows from the last one alone, by its first decoder layer."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    tokenizer = M2M100Tokenizer(
        vocab_file=str(folder / "vocab.json"), spm_file=str(folder / "sentencepiece.bpe.model")
    )
    tokenizer.save_pretrained(folder)
    size = len(vocabulary) + 108  # a hundred languages and eight made-up words follow
    model = M2M100ForConditionalGeneration(
        M2M100Config(
            vocab_size=size,
            d_model=WIDTH,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=256,
            scale_embedding=False,
        )
    ).eval()
    steps = _steps(tokenizer)
    with torch.no_grad():
        table = 12 * torch.nn.functional.normalize(torch.randn(size, WIDTH), dim=1)
        model.model.shared.weight.copy_(table)
        layer = model.model.decoder.layers[0]
        for part in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc1, layer.fc2):
            part.weight.zero_()
            part.bias.zero_()
        for unit, (last, following) in enumerate(steps.items()):
            layer.fc1.weight[unit] = table[last] / 12
            layer.fc1.bias[unit] = -0.6 * WIDTH**0.5
            for rank, token in enumerate(following):
                layer.fc2.weight[:, unit] += table[token] * (3 - rank)
    model.save_pretrained(folder)


def _steps(tokenizer: object) -> dict[int, list[int]]:
    """Token -> what follows it, the likeliest first."""
    found: dict[int, list[int]] = {}
    ids = tokenizer.convert_tokens_to_ids  # type: ignore[attr-defined]
    for language, words in SAYS.items():
        spelled = tokenizer.tokenize(words)  # type: ignore[attr-defined]
        chain = [f"__{language}__", *spelled, "</s>"]
        for last, following in pairwise(chain):
            options = found.setdefault(ids(last), [])
            if ids(following) not in options:
                options.append(ids(following))
    return found
