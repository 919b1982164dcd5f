"""Where somebody speaks: `silero`; `listening` hears a film while it is being extracted."""
