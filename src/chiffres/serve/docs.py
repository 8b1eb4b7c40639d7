"""The page at ``/docs``: the API's own description, for a person, without any script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from string import Template
from typing import Any

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title $version: the API</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css">
<body class="docs">
<main>
<h1>The API of $title $version</h1>
<p>$description <a href="/">The page to draw on</a> uses it, too. The same for programs:
<a href="/openapi.json">openapi.json</a>. What goes wrong is answered as a problem document
(<a href="https://www.rfc-editor.org/rfc/rfc9457">RFC 9457</a>).</p>
<pre><code>curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/v1/read
curl -F picture=@photo.jpg http://127.0.0.1:8000/v1/read</code></pre>
$operations
</main>
</body>
</html>
""")
OPERATION = Template("""<section>
<h2 id="$anchor"><span class="method">$method</span> <code>$path</code></h2>
<p>$description</p>
$parameters$body
<h3>Answers</h3>
<table><tbody>$answers</tbody></table>
</section>
""")


def docs_page(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as HTML."""
    about = document["info"]
    operations = [
        _operation(method, path, operation, document["components"]["schemas"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return PAGE.substitute(
        title=escape(about["title"]),
        version=escape(about["version"]),
        description=escape(about["description"]),
        operations="".join(operations),
    )


def _operation(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> str:
    answers = operation["responses"].items()
    return OPERATION.substitute(
        anchor=escape(operation["operationId"]),
        method=method.upper(),
        path=escape(path),
        description=escape(operation.get("description", "")),
        parameters=_parameters(operation.get("parameters", [])),
        body=_body(operation.get("requestBody", {}).get("content", {})),
        answers="".join(_answer(status, answer, schemas) for status, answer in answers),
    )


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    rows = [
        f"<tr><th scope='row'><code>{escape(each['name'])}</code></th>"
        f"<td>{escape(each.get('description', ''))}</td></tr>"
        for each in parameters
    ]
    return f"<h3>Parameters</h3><table><tbody>{''.join(rows)}</tbody></table>" if rows else ""


def _body(content: Mapping[str, Any]) -> str:
    kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in content)
    return f"<p>Takes {kinds}.</p>" if kinds else ""


def _answer(status: str, answer: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    shown = escape(answer["description"])
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and kind == "application/json":
            form = escape(json.dumps(schemas[name], indent=2, ensure_ascii=False))
            shown += f"<details><summary>{escape(name)}</summary><pre>{form}</pre></details>"
    return f"<tr><th scope='row'>{escape(status)}</th><td>{shown}</td></tr>"
