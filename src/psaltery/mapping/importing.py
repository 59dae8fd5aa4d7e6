"""The page that reads a CSV file: a report row by row first, then what is right is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from psaltery.adapters.errors import BadSettings
from psaltery.kit.clock import now
from psaltery.mapping.csv_io import MAPPING_COLUMNS, ROUTE_COLUMNS, Report, decoded
from psaltery.mapping.forms import UploadForm
from psaltery.mapping.lookup import KEYS
from psaltery.mapping.routing import FIELDS

T = TypeVar("T")
# What is wrong is always shown, what is right as far as a page goes.
REPORTED = 200


def file(text: str, name: str) -> HttpResponse:
    """A CSV text to save; the mark at its start makes Excel read it as UTF-8."""
    return HttpResponse(
        f"\ufeff{text}",
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}-{now().date().isoformat()}.csv"'
        },
    )


def page(
    request: HttpRequest,
    what: str,
    *,
    check: Callable[[str], Report[T]],
    save: Callable[[Report[T]], str],
    back: str,
    export: str,
) -> HttpResponse:
    """Upload, report, save. Between the two the text travels in the page: nothing is kept.

    `save` gets the judged file and returns what it did in a sentence. What was uploaded is judged
    again before it is saved, since the books may have changed meanwhile.
    """
    values: dict[str, Any] = {
        "title": f"Import {what}",
        "crumbs": [("Mapping", back)],
        "what": what,
        "replaces": what == "routes",
        "columns": ROUTE_COLUMNS if what == "routes" else MAPPING_COLUMNS,
        "kinds": KEYS,
        "fields": FIELDS,
        "back": back,
        "export": export,
        "form": UploadForm(),
    }
    if request.method != "POST":
        return render(request, "mapping/import.html", values)
    try:
        text = request.POST.get("text", "") or _uploaded(request)
        report = check(text)
        # The button says what the person saw: if rows went bad since then, the report comes again.
        if report.good and request.POST.get("save") == ("good" if report.bad else "all"):
            messages.success(request, save(report))
            return redirect(back)
    except BadSettings as failure:
        return render(request, "mapping/import.html", {**values, "problem": str(failure)})
    values |= {"report": report, "text": text, **_shown(report)}
    return render(request, "mapping/import.html", values)


def _uploaded(request: HttpRequest) -> str:
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        raise BadSettings("Choose a CSV file that is not empty.", which="file")
    return decoded(form.cleaned_data["file"].read())


def _shown(report: Report[T]) -> dict[str, Any]:
    right = [row for row in report.rows if not row.problem]
    # By line: bad rows stand where they are in the file, among the right ones.
    kept = {row.line for row in [*report.bad, *right[:REPORTED]]}
    return {
        "hidden": max(0, len(right) - REPORTED),
        "shown": [row for row in report.rows if row.line in kept],
    }
