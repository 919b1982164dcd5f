#!/usr/bin/env bash
# The package firefox-translations says that it runs "official Firefox Translations models". It holds
# no model, and the first place that it asks for one is a third party's collection of OPUS-MT models
# (Helsinki-NLP) on a model hub; Mozilla's registry only comes after. So for a common pair the models
# are others, of another size and licence, and nothing states their checksums.
# Versions: firefox-translations 0.1.4, requests 2.32.5, tqdm 4.67.1, zstandard 0.25.0.
# Seen: en-es is asked for as opus-mt-tc-big-en-es in float16, by the hub's address.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps firefox-translations==0.1.4
"$folder/venv/bin/pip" install --quiet requests==2.32.5 tqdm==4.67.1 zstandard==0.25.0 2>/dev/null
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.util
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlsplit

import requests

asked = []


class Found:
    status_code = 200


def head(address, **_):
    """Say yes without a network: whatever is asked for first is what would be fetched."""
    asked.append(address)
    return Found()


requests.head = head
package = Path(sysconfig.get_path("purelib")) / "firefox_translations"
# Its registry alone: the package as a whole imports CTranslate2.
spec = importlib.util.spec_from_file_location("registry", package / "registry.py")
registry = importlib.util.module_from_spec(spec)
sys.modules["registry"] = registry
spec.loader.exec_module(registry)
model = registry.ModelRegistry().get_model_metadata("en", "es")
installed = distribution("firefox-translations")
largest = max(package.parent.joinpath(file).stat().st_size for file in installed.files)
path = urlsplit(model["url"]).path.split("/")
print(f"firefox-translations {installed.version}: largest file {largest / 1000:.0f} kB")
print(f"en-es: {path[2]} from {urlsplit(model['url']).hostname}; checksum: {model.get('sha256')}")
assert largest < 100_000, "it carries models now"
assert "opus-mt" in path[2], "it asks elsewhere first now"
assert not any("mozilla" in each or "moz-fx" in each for each in asked)
PYTHON
