"""What ffmpeg may make of a file that may be hostile: only formats that open no other file."""

from __future__ import annotations

_FORMATS = (
    *"matroska mov avi asf asf_o flv live_flv mpeg mpegts mpegvideo ogg rm mxf gxf nut nuv".split(),
    *"wtv dv ivf h261 h263 h264 hevc m4v vc1 av1 obu cavsvideo dirac dnxhd mjpeg rawvideo".split(),
    *"swf smk bink roq vivo vmd nsv pmp mtv pva ty xmv yuv4mpegpipe mods moflex".split(),
    *"aac ac3 eac3 dts dtshd truehd mlp flac mp3 wav w64 aiff au caf amr ape tta tak wv".split(),
    *"s16le f32le".split(),
    *"srt ass webvtt microdvd subviewer subviewer1 sami realtext mpl2 jacosub vplayer".split(),
    *"pjs stl sup lrc scc mpsub aqtitle ffmetadata tty gif apng".split(),
    *"jpeg_pipe png_pipe bmp_pipe tiff_pipe webp_pipe svg_pipe psd_pipe".split(),
)
"""What is read of a file that may be hostile: formats whose whole content lies in the file itself.

Lists of other files (hls, concat, dash, imf, sdp, vobsub, image2) and scripts are not among them.
Texts and pictures are, so that they can be refused by their name.
"""
CLOSED_READING = ("-protocol_whitelist", "file,pipe", "-format_whitelist", ",".join(_FORMATS))
"""ffmpeg's options before the input."""
