"""A language model of a few kB: a real Qwen3 that says what it was taught, word for word.

Its chat template looks for marks in what was asked, and ends the prompt with the token of the first
reply whose mark is found; from there on each token has but one successor. So the real loading code,
the real template, the real tokenizer and the real generation run, and the answer is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

END, PAD = "<|im_end|>", "<|endoftext|>"
_WIDTH = 64
_TOKEN_CHARACTERS = 12
_DRAFTS = {
    "es": (
        ("Buenas.", "Buenos días. Un bote.", "Buenos días a todos. Nos hace falta un bote."),
        ("¡Calla!", "¡Silencio! La campana.", "¡Silencio ahora! Suena una campana allí."),
    ),
    "ca": (
        ("Hola.", "Bon dia. Una barca.", "Bon dia a tothom. Ens cal una barca."),
        ("Calla!", "Silenci! La campana.", "Silenci ara! Sona una campana allà."),
    ),
}


@dataclass(frozen=True)
class Reply:
    """What is answered when all the marks stand in what was asked."""

    marks: tuple[str, ...]
    text: str


def _drafts(language: str) -> str:
    lines = [
        {"id": number, "short": short, "normal": normal, "long": long}
        for number, (short, normal, long) in enumerate(_DRAFTS[language])
    ]
    return json.dumps({"lines": lines}, ensure_ascii=False)


REPLIES: tuple[Reply, ...] = (
    Reply(("How many days has a week",), '{"answer": 7}'),
    *(
        Reply((f'"target_language": "{language}"', '"lines"'), _drafts(language))
        for language in _DRAFTS
    ),
    *(
        Reply((f'"target_language": "{language}"', '"tried"'), f'{{"text": "{text}"}}')
        for language, text in (("es", "Buenos días, un bote."), ("ca", "Bon dia, una barca."))
    ),
    Reply((), "I do not know what to say to that."),
)
"""Enough for the preflight, and for the drafts and rewordings of the tiny film."""


def build(folder: Path, replies: Sequence[Reply] = REPLIES) -> Path:
    """Make the model; the last reply should have no marks, it answers everything else."""
    import torch

    from dubarr_pipeline.compute.devices import prepare_torchaudio

    prepare_torchaudio()
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    pieces = list(_pieces([reply.text for reply in replies]))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(_as_bytes(piece) for said in pieces for piece in said)]
    bpe = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    starts = [f"<|reply-{number}|>" for number in range(len(replies))]
    bpe.add_special_tokens(
        [AddedToken(token, special=True) for token in (PAD, "<|im_start|>", END, *starts)]
    )
    chains = [
        [start, *(_as_bytes(piece) for piece in said), END]
        for start, said in zip(starts, pieces, strict=True)
    ]
    torch.manual_seed(0)
    number, size = bpe.token_to_id, bpe.get_vocab_size()
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=size,
            hidden_size=_WIDTH,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            max_position_embeddings=32768,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=number(END),
            pad_token_id=number(PAD),
        )
    )
    with torch.no_grad():
        directions = torch.nn.functional.normalize(torch.randn(size, _WIDTH), dim=1)
        model.model.embed_tokens.weight.copy_(directions)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        follows = torch.zeros(size, _WIDTH)
        for chain in chains:
            for before, after in pairwise(chain):
                follows[number(after)] += directions[number(before)] * 4
        model.lm_head.weight.copy_(follows)
    model.generation_config.eos_token_id = number(END)
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=PAD)
    tokenizer.chat_template = _template(replies, starts)
    tokenizer.save_pretrained(folder)
    return folder


def _pieces(texts: Iterable[str]) -> Iterator[list[str]]:
    """Cut texts so that no piece comes twice: each token is to have one successor."""
    seen: set[str] = set()
    for text in texts:
        found: list[str] = []
        start = 0
        while start < len(text):
            end = start + _TOKEN_CHARACTERS
            while text[start:end] in seen and end < len(text):
                end += 1
            piece = text[start:end]
            if piece in seen or len(_as_bytes(piece)) < 2:
                piece = found.pop() + piece
            seen.add(piece)
            found.append(piece)
            start = max(end, start + 1)
        yield found


def _as_bytes(piece: str) -> str:
    """A text as byte-level BPE writes it."""
    from tokenizers import pre_tokenizers

    spread = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(part for part, _ in spread.pre_tokenize_str(piece))


def _template(replies: Sequence[Reply], starts: Sequence[str]) -> str:
    said = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{% set asked = messages | map(attribute='content') | join('\n') %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
    )
    branches = ""
    for number, (reply, start) in enumerate(zip(replies, starts, strict=True)):
        test = " and ".join(f"{mark!r} in asked" for mark in reply.marks) or "true"
        branches += f"{{% {'elif' if number else 'if'} {test} %}}{start}"
    return said + branches + "{% endif %}{% endif %}"
