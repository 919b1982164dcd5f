"""A person's edits: facts about lines, speakers and terms that outlive every rerun.

- `model`: facts, and the table of the fields that they may set;
- `document`: ``edits/{language}.json``, read and added to; `checks`: what a fact must be;
- `history`: undo, redo, and the facts that are in effect;
- `words`: lines found again in another script, by their words;
- `base`: lasting ids of lines, and the scripts that facts were stated on;
- `structure`: texts, speakers, splits, merges, additions and removals put into the script;
- `film`: the edits of a film, for the stages and the workbench;
- `people`: what is said of speakers, taken to another script;
- `sheets`, `workbooks`: the lines as CSV, subtitles and XLSX, out and in again;
- `old_forms`: corrections by line number, and corrected subtitles;
- `schema`: the JSON schema of the file;
- `files`: whole files, one writer at a time.
"""
