"""Language models and voices over HTTP: clients, and the servers that we start ourselves.

Clients: `llm`, `tts`, on `server` (time-outs, retries) with `queueing` in front. Processes of ours:
`processes` starts and watches them, `sharing` lets them take turns on a GPU, `speech_server`
speaks. `simulated` is the pretended server, for tests and dry runs. `keeper` keeps the processes of
`dubarr serve library` alive.
"""
