"""Video in and out: sources are iterators of `Frame`, sinks take `Result`.

    base.py       SourceInfo, the Source protocol and what all sources share
    sources.py    open_source: a path, a glob or `synthetic:…` → a Source
    files.py      video files, by PyAV            images.py     images, folders, globs, by Pillow
    generated.py  the synthetic driving scene     sinks.py      masks, JSON lines, a still
    writer.py     VideoSink: H.264 in mp4, mov or mkv

    probe.py, damage.py    what a file is before it is opened, and what is missing from it after
    planes.py, stamps.py   decoder frames → planes, decoder time stamps → monotonic ones
    output.py              what all sinks share: checks of output paths, opening, the output file
    pictures.py, audio.py, encoder.py    the writer's parts: picture pool, audio copy, H.264

Nothing is imported here.
"""
