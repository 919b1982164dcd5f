"""File events from Radarr, Sonarr and scripts: received, parsed, kept in an inbox."""
