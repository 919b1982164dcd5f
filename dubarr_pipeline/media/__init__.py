"""Sound, pictures and subtitles: all that knows ffmpeg, mkvtoolnix, containers and samples.

In: `probe`, `streams`, `extract`, `subtitles`. Sound: `sound_reader`, `waveform`, `loudness`,
`stretch`. Out: `mixdown`, proven by `mix_proof`; `mux`, proven by `stream_proof`.
"""
