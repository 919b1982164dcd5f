"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The real speech, music and video beside the checkout; a test that needs it says when it is absent."""
    if not SHARED_MEDIA.is_dir():
        pytest.skip(f"no shared media: {SHARED_MEDIA} is not there")
    return SHARED_MEDIA
