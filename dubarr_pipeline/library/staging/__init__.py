"""Work folders handed from machine to machine by an object store: manifest, session, commands."""
