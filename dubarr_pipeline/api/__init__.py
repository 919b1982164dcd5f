"""The Python API; the command line calls nothing else.

`dubbing` dubs, `videos` tells how far the registered videos are, `libraries` and `backfill` work on
watched folders, `profiles` reads the settings and fetches models. ``dub``, ``plan`` and ``status``
are offered by ``dubarr_pipeline`` itself.

Every failure is one of `dubarr_pipeline.errors`. Settings that are handed in are the ones used;
what is not comes from ``$DUBARR_CONFIG`` and ``$DUBARR_WORK_DIR``. No variable is ever changed.
"""
