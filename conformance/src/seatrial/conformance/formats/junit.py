"""JUnit XML of results files: one suite per runtime, requirement ids as properties."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.conformance.registry import Registry
    from seatrial.conformance.results import Results
    from seatrial.conformance.verdicts import Verdict


_UNWRITABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(files: Iterable[Results], registry: Registry) -> str:
    """Return the XML text; a failure is what was seen, whether it is known or not."""
    root = ET.Element("testsuites", name="seatrial")
    for results in files:
        _suites(root, results, registry)
    ET.indent(root)
    # In ASCII, so that it is what its first line says however it is printed.
    content: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return content.decode("ascii")


def _suites(root: ET.Element, results: Results, registry: Registry) -> None:
    for runtime in results.header["runtimes"]:
        own = [verdict for verdict in results.verdicts if verdict.runtime == runtime["name"]]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"{runtime['name']} {runtime['version']}",
            timestamp=results.header["started"],
            tests=str(len(own)),
            failures=str(sum(verdict.status == "fail" for verdict in own)),
            errors=str(sum(verdict.status == "error" for verdict in own)),
            skipped=str(sum(verdict.status == "skip" for verdict in own)),
            time=f"{sum(verdict.duration_s for verdict in own):.3f}",
        )
        for verdict in own:
            _case(suite, verdict, registry)


def _case(suite: ET.Element, verdict: Verdict, registry: Registry) -> None:
    folder, _, name = verdict.test.rpartition("::")
    case = ET.SubElement(
        suite,
        "testcase",
        classname=folder.removesuffix(".py").replace("/", "."),
        name=name + (" (audit)" if verdict.audit else ""),
        time=f"{verdict.duration_s:.4f}",
    )
    properties = ET.SubElement(case, "properties")
    for identifier in verdict.requirements:
        ET.SubElement(properties, "property", name="requirement", value=identifier)
        ET.SubElement(properties, "property", name="level", value=registry[identifier].level)
    if verdict.status == "fail":
        ET.SubElement(case, "failure", type=verdict.kind or "wrong", message=_xml(verdict.message))
    elif verdict.status == "error":
        ET.SubElement(case, "error", message=_xml(verdict.message))
    elif verdict.status == "skip":
        ET.SubElement(case, "skipped", message=_xml(verdict.evidence))
    if verdict.notes or verdict.reproduce:
        text = "\n".join([*verdict.notes, verdict.reproduce])
        ET.SubElement(case, "system-out").text = _xml(text)


def _xml(text: str) -> str:
    # XML 1.0 has no way to write these.
    return _UNWRITABLE.sub(lambda found: ascii(found[0])[1:-1], text)
