"""Set-up: other servers tested (`servers`), their keys kept (`keys`), folders matched (`folders`).

`settings_file` writes what a person wishes (`wishes`) into ``dubarr.toml``, and `connect` has
Radarr and Sonarr tell of their files. Terminal and page call all this by `api.setup`.
"""
