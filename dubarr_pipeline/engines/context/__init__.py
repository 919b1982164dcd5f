"""Readers of the whole script: `plain` counts; `llm` asks a language model, part by part."""
