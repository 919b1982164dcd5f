"""Documents that are sent and taken: `film_answers` of films and lines, `cast_answers` of casts."""
