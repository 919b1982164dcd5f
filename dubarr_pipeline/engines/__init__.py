"""Every model, behind what the pipeline asks of it.

`interfaces` says what is asked, `registry` which engines there are; each kind has a folder, and
there each engine a module of its name. What engines share: a process of their own (`child`), the
ladder they step down when memory runs out (`ladder`, `laddered_child`), what they cannot do without
(`needs`), and a language model that is asked (`language_model`).
"""
