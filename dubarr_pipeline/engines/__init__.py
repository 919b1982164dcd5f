"""Adapters for models, one folder per kind of work and one module per engine.

`interfaces` defines the kinds, `registry` lists the engines. Shared by engines: a child process
that falls back when memory runs out (`laddered_child`), requirements with their cures
(`requirements`), a language model (`llm_engine`), and what it costs (`usage`).
"""

from dubarr_pipeline.engines.registry import EngineRow as EngineRow
from dubarr_pipeline.engines.registry import register as register
