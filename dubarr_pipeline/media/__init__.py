"""Sound, containers and subtitles: everything about ffmpeg, mkvtoolnix and samples.

`container` probes films and extracts their sound, `subtitles` finds and reads cues, `audio` works
on samples. `mix` makes a track and checks it decoded; `mux` adds it to the film and proves that
every original stream came through.
"""
