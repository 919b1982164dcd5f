"""A person's edits: facts about lines, speakers and terms that outlive every rerun.

- `model`: facts, and the table of the fields that they may set;
- `document`: ``edits/{language}.json``, read and added to;
- `history`: undo, redo, and the facts that are in effect;
- `base`: lasting ids of lines, and the script that facts were made on;
- `words`: lines found again in another script, by their words;
- `film`: the edits of a film, put into its script;
- `sheets`: the same facts as spreadsheets and subtitles.
"""
