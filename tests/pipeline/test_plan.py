"""What Flink's planner makes of the jobs' SQL: each record is decoded, deduplicated and written once."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.jvm_program import answer_of

pytestmark = pytest.mark.servers
EXECUTION = "== Optimized Execution Plan =="


@pytest.fixture(scope="module")
def plans(planner_environment: Mapping[str, str]) -> dict[str, str]:
    """Views of the bars job, and the store job -> the plan that is executed; explained in one JVM."""
    plans = answer_of("tests.pipeline.explain_plans", planner_environment)
    return {job: plan[plan.index(EXECUTION) :] for job, plan in plans.items()}


def operators(plan: str) -> list[str]:
    """Names of the plan's operators, from the sinks to the sources."""
    return re.findall(r"^[ :+-]*(\w+)\(", plan, re.MULTILINE)


def nodes(plan: str) -> list[dict[str, Any]]:
    """Of the graph that runs."""
    graph = json.loads(plan.partition("== Physical Execution Plan ==")[2])
    found: list[dict[str, Any]] = graph["nodes"]
    return found


def test_a_trade_is_decoded_once(plans: dict[str, str]) -> None:
    """There is one source, whose records go to Python only where it has not decoded them itself."""
    plan = plans["decoded_trades"]
    assert plan.count("decode_trades(") == 1
    assert operators(plan).count("PythonCalc") == 1
    assert "Exchange(" not in plan
    lines = plan.splitlines()
    before_python = lines[next(at for at, line in enumerate(lines) if "decode_trades(" in line) + 1]
    assert "IS NOT TRUE AND payload IS NOT NULL" in before_python
    [source] = re.findall(r"Reused\(reference_id=\[(\d+)\]\)", plan)
    [whole] = [line for line in lines if f"(reuse_id=[{source}])" in line]
    assert "TableSourceScan(" in whole
    assert "default_database, trades," in whole
    assert "watermark=[" in whole


def test_a_trade_goes_to_its_slice_by_symbol(plans: dict[str, str]) -> None:
    """Where its copies come, too; from there the watermark goes on to the bars."""
    assert "watermark=[SOURCE_WATERMARK()]" in plans["slices"]
    [slices] = [node for node in nodes(plans["bars"]) if node["type"] == "slices"]
    assert [before["ship_strategy"] for before in slices["predecessors"]] == ["HASH"]


def test_a_gap_goes_to_its_bars_by_itself_and_holds_their_watermark(plans: dict[str, str]) -> None:
    """Its topic has a watermark of its own: bars are not final before they know what is told of them."""
    scans = [line for line in plans["slices"].splitlines() if "TableSourceScan(" in line]
    [gaps] = [scan for scan in scans if "default_database, gaps," in scan]
    assert "watermark=[" in gaps
    assert plans["slices"].count("decode_gaps(") == 1
    after = plans["slices"].partition("decode_gaps(")[2]
    assert "Exchange(" not in after
    assert "where=[payload IS NOT NULL]" in after.splitlines()[1], "a heartbeat is no Python batch"


def test_a_quote_is_decoded_once_for_both_branches(plans: dict[str, str]) -> None:
    """In slices of a second, or by itself."""
    plan = plans["quote_slices"]
    assert plan.count("decode_quotes(") == 1
    assert operators(plan).count("PythonCalc") == 1
    assert operators(plan).count("TableSourceScan") == 1
    assert plan.count("Exchange(") == 1
    assert "size=[1 s]" in plan


def test_a_provider_bar_is_decoded_once_and_has_no_part_in_event_time(plans: dict[str, str]) -> None:
    """No watermark of it holds up the bars of ours, or hurries them."""
    plan = plans["decoded_provider_bars"]
    assert plan.count("decode_provider_bars(") == 1
    assert operators(plan).count("PythonCalc") == 1
    assert operators(plan).count("TableSourceScan") == 1
    assert "WatermarkAssigner" not in plan
    assert "watermark=" not in plan
    assert "watermark=" in plans["decoded_trades"]


def test_python_decodes_four_topics_and_keeps_three_states(plans: dict[str, str]) -> None:
    """And has no other part in the job: to key rows they need not go there and back."""
    names = [re.sub(r"\[\d+\]", "", node["type"]) for node in nodes(plans["bars"])]
    assert names.count("PythonCalc") == 4
    keyed = {"bars", "quotes", "provider_bars"}
    others = ("Source", "Calc", "Filter", "Local", "Global", "SinkConversion", "DataStreamToTable")
    of_java = (*others, "TableToDataStream", "slices", "ConstraintEnforcer", "records")
    assert {name for name in names if not name.startswith(of_java)} == keyed | {"PythonCalc"}


def test_nothing_of_it_works_in_mini_batches(plans: dict[str, str]) -> None:
    """Their assigner would replace the event-time watermarks."""
    for plan in plans.values():
        assert "MiniBatch" not in plan


def test_each_record_is_written_once(plans: dict[str, str]) -> None:
    """One call for a record that is no plain trade, however many columns hang on the result, and one for all
    topics but that of trades; a plain trade never comes to Python."""
    names = [re.sub(r"\[\d+\]", "", node["type"]) for node in nodes(plans["store"])]
    kinds = [re.match(r"Source|PythonCalc|trades|rows|dead_letters: Writer", each) for each in names]
    assert [kind[0] for kind in kinds if kind] == [
        "Source",
        "trades",
        "PythonCalc",
        "Source",
        "PythonCalc",
        "rows",
        "dead_letters: Writer",
    ]
    assert plans["store"].count("make_rows(") == 2
    assert plans["store"].count("where=[payload IS NOT NULL]") == 2, "a heartbeat is no Python batch"
