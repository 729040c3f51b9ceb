"""What the slow tests share: servers, and the material beside the repository."""
import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))

URL = os.environ["CANDOR_URL"]
CHAT = os.environ["CANDOR_CHAT_MODEL"]
EMBED = os.environ["CANDOR_EMBED_MODEL"]


@pytest.fixture(scope="session")
def golden():
    """`../shared/golden`: texts and what the f32 reference says of them."""
    shared = Path(os.environ.get("CANDOR_SHARED") or TESTS.parent.parent / "shared")
    if not (shared / "golden").is_dir():
        pytest.fail(f"{shared}/golden is not there; set CANDOR_SHARED, or put it beside the repository")
    return shared / "golden"
