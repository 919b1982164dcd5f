"""Publication of finished films into folders and object stores."""
