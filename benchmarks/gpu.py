"""What the studio's networks need of a GPU: time, memory at work, memory left behind.

    python benchmarks/gpu.py           full size, random weights: needs a GPU with 24 GB
    python benchmarks/gpu.py --quick   the same with less work for each network
    python benchmarks/gpu.py --tiny    the same code on networks of a few kB, on the CPU: for tests

Each network has the shapes of the real one, and random weights: time and memory are the real ones,
what comes out means nothing. Lengths of what is generated are fixed for the same reason. Whisper
runs in PyTorch here; CTranslate2, which the pipeline uses, is faster. Each network has a process of
its own, as in the pipeline, so that what stays behind on the GPU when it ends can be told. At last
the language model and the voice work side by side, as they do while lines are produced.

Without a GPU it says so, and ends with the exit code 3.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import subprocess
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from figures import Row, show

from dubarr_pipeline.compute.devices import devices, prepare_torchaudio

NO_GPU = 3
"""Exit code."""
_MARK = "told: "
TOKENS_PER_HOUR = 800 * 120
"""What a film's hour asks of the language model in one language: 800 lines, 120 tokens each for
three versions. It turns tokens a second into times real time."""


@dataclass(frozen=True)
class Work:
    """How much each network has to do, and of which size it is."""

    tiny: bool
    rounds: int

    def pick(self, full: int, tiny: int) -> int:
        return tiny if self.tiny else full


@dataclass(frozen=True)
class Turn:
    """What a network did in one turn; memory in bytes, as PyTorch counts its own."""

    work_s: float
    done: float
    peak: int

    @property
    def rate(self) -> float:
        return self.done / self.work_s


class Network(ABC):
    """A network of the studio with random weights."""

    unit: str = "s of sound"
    """What `work` counts."""

    def __init__(self, device: str, work: Work) -> None:
        self.device = device
        self.size = work

    @abstractmethod
    def load(self) -> None:
        """Make it on its device."""

    @abstractmethod
    def work(self) -> float:
        """Let it work once, and say how much it did."""


class Separation(Network):
    """htdemucs: four windows at once, overlapping by a quarter."""

    def load(self) -> None:
        import torch
        from demucs.htdemucs import HTDemucs

        small = {"channels": 4, "growth": 1, "bottom_channels": 16, "t_layers": 1, "t_heads": 2}
        small["dconv_comp"] = 2
        shape: dict[str, Any] = small if self.size.tiny else {"bottom_channels": 512}
        self.window_s = Fraction(self.size.pick(39, 5), 5)
        sources = ["drums", "bass", "other", "vocals"]
        network = HTDemucs(sources, samplerate=44100, segment=self.window_s, **shape)
        self.network = network.to(self.device).eval()
        self.mix = torch.randn(
            self.size.pick(4, 2), 2, int(self.window_s * 44100), device=self.device
        )

    def work(self) -> float:
        import torch

        with torch.inference_mode():
            self.network(self.mix)
        return float(self.window_s) * len(self.mix) * 0.75


class Transcription(Network):
    """Whisper large-v3: eight half minutes at once, 128 tokens each, as dense speech has."""

    def load(self) -> None:
        import torch
        from transformers import WhisperConfig, WhisperForConditionalGeneration

        wide, layers = self.size.pick(1280, 32), self.size.pick(32, 1)
        config = WhisperConfig(
            vocab_size=self.size.pick(51866, 64),
            num_mel_bins=self.size.pick(128, 8),
            d_model=wide,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=self.size.pick(20, 2),
            decoder_attention_heads=self.size.pick(20, 2),
            encoder_ffn_dim=4 * wide,
            decoder_ffn_dim=4 * wide,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
            decoder_start_token_id=0,
        )
        with _made_on(self.device):
            self.network = WhisperForConditionalGeneration(config).eval()
        batch = self.size.pick(8, 1)
        self.sound = torch.randn(batch, config.num_mel_bins, 3000, device=self.device)
        self.sound = self.sound.to(self.network.dtype)

    def work(self) -> float:
        import torch

        with torch.inference_mode():
            heard = self.network.model.encoder(self.sound)
            first = torch.zeros(len(self.sound), 1, dtype=torch.long, device=self.device)
            _generate(
                lambda tokens, past: self.network(
                    encoder_outputs=heard,
                    decoder_input_ids=tokens,
                    past_key_values=past,
                    use_cache=True,
                ),
                first,
                self.size.pick(128, 4),
            )
        return 30.0 * len(self.sound)


class LanguageModel(Network):
    """A dense model of 8 billion weights: eight requests at once, 1,024 tokens in, 128 out."""

    unit = "tokens"

    def load(self) -> None:
        import torch
        from transformers import Qwen3Config, Qwen3ForCausalLM

        vocabulary = self.size.pick(151936, 64)
        config = Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=self.size.pick(4096, 32),
            intermediate_size=self.size.pick(12288, 64),
            num_hidden_layers=self.size.pick(36, 1),
            num_attention_heads=self.size.pick(32, 2),
            num_key_value_heads=self.size.pick(8, 1),
            head_dim=self.size.pick(128, 16),
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
        )
        with _made_on(self.device):
            self.network = Qwen3ForCausalLM(config).eval()
        shape = (self.size.pick(8, 1), self.size.pick(1024, 8))
        self.asked = torch.randint(vocabulary, shape, device=self.device)

    def work(self) -> float:
        import torch

        with torch.inference_mode():
            written = _generate(
                lambda tokens, past: self.network(
                    input_ids=tokens, past_key_values=past, use_cache=True, logits_to_keep=1
                ),
                self.asked,
                self.size.pick(128, 4),
            )
        return float(written)


class Voice(Network):
    """XTTS: lines of 80 text tokens, 5 seconds each."""

    def load(self) -> None:
        import torch
        from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
        from TTS.tts.models.xtts import Xtts

        self.wide, sounds = self.size.pick(1024, 32), self.size.pick(1026, 34)
        config = XttsConfig()
        config.model_args = XttsArgs(
            gpt_layers=self.size.pick(30, 1),
            gpt_n_model_channels=self.wide,
            gpt_n_heads=self.size.pick(16, 2),
            gpt_number_text_tokens=self.size.pick(6681, 64),
            gpt_max_audio_tokens=605,
            gpt_max_text_tokens=402,
            gpt_max_prompt_tokens=70,
            gpt_num_audio_tokens=sounds,
            gpt_start_audio_token=sounds - 2,
            gpt_stop_audio_token=sounds - 1,
            gpt_use_perceiver_resampler=True,
            decoder_input_dim=self.wide,
        )
        network = Xtts.init_from_config(config)
        network.init_models()
        network.to(self.device)
        network.eval()  # This model's returns nothing; it also readies the network for generation.
        network.gpt.init_gpt_for_inference(kv_cache=True)
        self.network = network
        self.prompt = torch.randn(1, 32, self.wide, device=self.device)
        self.speaker = torch.nn.functional.normalize(torch.randn(1, 512, 1, device=self.device))
        most = self.size.pick(6681, 64)
        self.text = torch.randint(most, (1, self.size.pick(80, 8)), device=self.device)

    def work(self) -> float:
        import torch

        gpt, count = self.network.gpt, self.size.pick(108, 8)
        size = torch.tensor([self.text.shape[-1]], device=self.device)
        with torch.inference_mode():
            sounds = gpt.generate(
                cond_latents=self.prompt,
                text_inputs=self.text,
                do_sample=True,
                min_new_tokens=count,
                max_new_tokens=count,
                output_attentions=False,
            )
            length = torch.tensor([sounds.shape[-1] * gpt.code_stride_len], device=self.device)
            latents = gpt(
                self.text,
                size,
                sounds,
                length,
                cond_latents=self.prompt,
                return_attentions=False,
                return_latent=True,
            )
            sound = self.network.hifigan_decoder(latents, g=self.speaker)
        return sound.shape[-1] / 24000


NETWORKS: dict[str, type[Network]] = {
    "htdemucs": Separation,
    "whisper-large-v3": Transcription,
    "8B language model": LanguageModel,
    "xtts": Voice,
}
POOL = ("8B language model", "xtts")


@contextmanager
def _made_on(device: str) -> Iterator[None]:
    """Make networks where they will work, in half precision on a GPU: 8 billion weights at once."""
    import torch

    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if device == "cpu" else torch.bfloat16)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(usual)


def _generate(step: Callable[[Any, Any], Any], tokens: Any, count: int) -> int:
    """Take the likeliest token again and again; return how many were written."""
    past, rows = None, len(tokens)
    for _ in range(count):
        told = step(tokens, past)
        past, tokens = told.past_key_values, told.logits[:, -1:].argmax(-1)
    return rows * count


def run_network(name: str, device: str, work: Work) -> None:
    """In a process of its own: load; work at the word "go"; unload at the end of all words."""
    import torch

    warnings.filterwarnings("ignore")
    prepare_torchaudio()
    started = time.perf_counter()
    network = NETWORKS[name](device, work)
    network.load()
    network.work()  # The first pass compiles and grows buffers; it belongs to the loading.
    _settle(device)
    _tell(time.perf_counter() - started)
    for _ in sys.stdin:
        _tell(asdict(_turn(network, device, work.rounds)))
    del network
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
    _tell(0 if device == "cpu" else torch.cuda.memory_allocated())


def _turn(network: Network, device: str, rounds: int) -> Turn:
    import torch

    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    done = sum(network.work() for _ in range(rounds))
    _settle(device)
    work_s = time.perf_counter() - started
    return Turn(work_s, done, 0 if device == "cpu" else torch.cuda.max_memory_reserved())


def _settle(device: str) -> None:
    """Wait until the GPU has done what it was told."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()


def _tell(told: Any) -> None:
    print(_MARK + json.dumps(told), flush=True)


class Child:
    """A network's process."""

    def __init__(self, name: str, device: str, work: Work) -> None:
        told = json.dumps([name, device, asdict(work)])
        self.name = name
        self._used_before = _used_bytes()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "--network", told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.load_s = float(self._hear())

    def start(self) -> None:
        """Let it work for a turn."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def turn(self) -> Turn:
        """What it did, once it is done."""
        return Turn(**self._hear())

    def end(self) -> tuple[int, int]:
        """Unload and end it: bytes that it held then, and that the GPU holds more than before."""
        assert self._process.stdin
        self._process.stdin.close()
        after = int(self._hear())
        self._process.wait()
        return after, _used_bytes() - self._used_before

    def _hear(self) -> Any:
        """The next thing that it tells; libraries print between."""
        for line in self._process.stdout or ():
            if line.startswith(_MARK):
                return json.loads(line.removeprefix(_MARK))
        raise SystemExit(f"{self.name} failed; its words are above")


def measure(device: str, work: Work) -> list[Row]:
    """All rows: each network alone; then the pool's two side by side."""
    rows: list[Row] = []
    for name in (name for name in NETWORKS if name not in POOL):
        child = Child(name, device, work)
        child.start()
        rows += [*_speed(name, child.turn(), child.load_s), *_memory(child)]
    return rows + _pool(device, work)


def _pool(device: str, work: Work) -> list[Row]:
    """Both loaded: each works while the other waits, then both at once."""
    children = [Child(name, device, work) for name in POOL]
    rows: list[Row] = []
    alone: list[Turn] = []
    for child in children:
        child.start()
        alone.append(child.turn())
        rows += _speed(child.name, alone[-1], child.load_s)
    for child in children:
        child.start()
    for child, own in zip(children, alone, strict=True):
        other = next(name for name in POOL if name != child.name)
        share = child.turn().rate / own.rate
        floor = f"alone; {other} works beside it until it is done"
        rows.append(
            Row(
                f"{child.name}: speed side by side",
                round(share, 2),
                "x",
                better="higher",
                floor=floor,
            )
        )
    # The last that began ends first: what is left is told against what was there before each.
    for child in reversed(children):
        rows += _memory(child)
    return rows


def _speed(name: str, found: Turn, load_s: float) -> Iterator[Row]:
    if NETWORKS[name].unit == "tokens":
        yield Row(
            f"{name}: tokens", round(found.rate, 1), "tokens/s", better="higher", floor="8 at once"
        )
        floor = f"a film's hour of {TOKENS_PER_HOUR} tokens in one language"
        speed = 3600 * found.rate / TOKENS_PER_HOUR
        yield Row(f"{name}: speed", round(speed, 2), "x", better="higher", floor=floor)
    else:
        yield Row(f"{name}: speed", round(found.rate, 2), "x", better="higher", floor="real time")
    yield Row(f"{name}: load", round(load_s, 1), "s", floor="imports, weights, first pass")
    yield Row(f"{name}: VRAM at work", _gb(found.peak), "GB", floor="what PyTorch reserved")


def _memory(child: Child) -> Iterator[Row]:
    after, left = child.end()
    name = child.name
    yield Row(f"{name}: VRAM unloaded", _gb(after), "GB", 0.01, 0.0, floor="nothing")
    yield Row(f"{name}: VRAM left behind", _gb(left), "GB", 0.25, 0.0, floor="before it began")


def _used_bytes() -> int:
    return sum(device.used_bytes for device in devices())


def _gb(size: int) -> float:
    return round(size / 1e9, 2)


def machine() -> str:
    """The GPU's name, if there is one, and the system."""
    names = ", ".join(device.model for device in devices()) or "no GPU"
    return f"{names}; {platform.platform()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less work for each network")
    parser.add_argument("--tiny", action="store_true", help="networks of a few kB, on the CPU")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--network", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.network:
        name, device, work = json.loads(asked.network)
        run_network(name, device, Work(**work))
        return 0
    if not asked.tiny and not devices():
        print(
            "benchmarks/gpu.py needs a GPU, and nvidia-smi shows none here; "
            "--tiny runs the same code on the CPU",
            file=sys.stderr,
        )
        return NO_GPU
    rounds = 1 if asked.tiny else 3 if asked.quick else 20
    rows = measure("cpu" if asked.tiny else "cuda", Work(asked.tiny, rounds))
    show(rows, as_json=asked.json, machine=machine())
    return 0


if __name__ == "__main__":
    sys.exit(main())
