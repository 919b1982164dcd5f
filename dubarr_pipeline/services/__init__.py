"""Language models and voices over HTTP: clients, and our own servers.

Clients: `llm_client` and `speech_client` on `http_client` (schemas, time-outs, retries), with
`call_queue` in front; `llm_process` serves a language model while it is used. Servers: `web` is
their frame (token, limits, uvicorn), `speech_server` speaks through `xtts_model`, `bearer_auth`
puts a token before `transformers serve`.
"""
