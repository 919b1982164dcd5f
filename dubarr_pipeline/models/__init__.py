"""The models' store: which there are (`manifest`), where they lie (`store`), fetched by `pull`.

Also what they run on: `devices` chooses and leases it, `memory` measures it.
"""
