"""The API does what its own description says, whatever it is asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def test_no_request_is_answered_in_another_way_than_documented(address: str) -> None:
    schemathesis = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if schemathesis is None:
        pytest.skip("schemathesis is not installed: pip install 'chiffres[dev]'")
    command = [schemathesis, "run", f"{address}/openapi.json", "--checks", ",".join(CHECKS)]
    command += ["--max-examples", "10", "--phases", "coverage,fuzzing", "--seed", "9000"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
