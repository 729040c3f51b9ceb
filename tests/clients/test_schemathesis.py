"""Schemathesis makes requests out of /openapi.json, right and wrong ones, and checks every answer against it.

Two things are added to what it makes. Generation is kept short (`max_tokens` and the like at most 4, `n` at most 2),
because the model takes real time; and a model's name that no server has, which would answer 404 to everything, becomes
the name of a model that is there. Neither touches a request that is meant to be refused for that very field.

Not checked: that every request which fits the document is accepted (`positive_data_acceptance`). A schema cannot say that
token ids must be in the model's vocabulary, that a regular expression or grammar must parse, or that of two fields only
one may be there; such requests are a 400 whose shape is checked instead.
"""
import os

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

URL = os.environ["CANDOR_URL"]
CHAT, EMBED = os.environ["CANDOR_CHAT_MODEL"], os.environ["CANDOR_EMBED_MODEL"]
EXAMPLES = int(os.environ.get("CANDOR_SCHEMATHESIS_EXAMPLES", "12"))

CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
]
SHORT = {"max_tokens": 4, "max_completion_tokens": 4, "max_output_tokens": 4, "n": 2, "best_of": 1}
LIMIT = {
    "/v1/chat/completions": "max_completion_tokens",
    "/v1/completions": "max_tokens",
    "/v1/responses": "max_output_tokens",
}

schema = schemathesis.openapi.from_url(f"{URL}/openapi.json")


def whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def shorten(case):
    """Keeps generation short and names a model that exists."""
    body = case.body
    if not isinstance(body, dict):
        return
    path = case.operation.path
    for field, most in SHORT.items():
        if whole(body.get(field)) and most < body[field] < 2**31:
            body[field] = most
    if path in LIMIT and all(body.get(field) is None for field in ("max_tokens", "max_completion_tokens", "max_output_tokens")):
        body[LIMIT[path]] = 2
    if isinstance(body.get("model"), str):
        body["model"] = EMBED if path == "/v1/embeddings" else CHAT


def is_an_error_as_openai_has_it(response):
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert len(error["message"]) > 10 and error["type"], error
    assert error["param"] is None or isinstance(error["param"], str), error


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(case):
    shorten(case)
    response = case.call(timeout=60)
    case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))
    if response.status_code >= 400 and case.method != "HEAD":
        is_an_error_as_openai_has_it(response)
