"""python3 -m unittest bench/harness/tests.py, from the root of the project."""

import unittest
import xml.etree.ElementTree as xml

from bench.harness import growing, growth, question, report
from bench.harness.cli import verdict
from bench.harness.columns import flat
from bench.harness.entries import all_entries
from bench.harness.plan import FULL, QUICK
from bench.harness.summary import cells


def record(entry, run, numbers, **more):
    return {"entry": entry, "run": run, "measure": "goodput", "scene": "link", "control": "cubic", "loss": 3.0,
            "numbers": numbers, "steal_pct": 0.5, "idle_pct": 50.0, **more}


def result(records):
    return {"machine": {"cores": 2, "versions": {}}, "plan": {"runs": 3}, "absent": {"rathole": ["rathole"]}, "notes": [],
            "records": records}


RECORDS = [record(entry, run, {"goodput_mbit": base + run})
           for entry, base in (("direct", 90), ("ours-quic", 60), ("tuic", 40), ("vless", 70)) for run in (3, 1, 2)]


class Reports(unittest.TestCase):
    def test_a_cell_has_the_median_and_the_spread(self):
        cell = cells(RECORDS)["tuic"]["goodput_mbit cubic 3"]
        self.assertEqual((cell.median, cell.low, cell.high, cell.runs), (42, 41, 43, 3))

    def test_what_was_not_measured_is_no_number(self):
        self.assertEqual(flat(record("tuic", 1, {"ttfb_p50_ms": None, "goodput_mbit": 1})), {"goodput_mbit cubic 3": 1})

    def test_ours_are_compared_with_the_best_of_their_kind_and_of_all(self):
        text = report.markdown(result(RECORDS))
        self.assertIn("| ours-quic | 62.0 (61.0–63.0) |", text)
        self.assertIn("| 62.0 | **1.48** of tuic 42.0 | 0.86 of vless 72.0 |", text)
        self.assertIn("rathole (rathole)", text)

    def test_an_error_is_told(self):
        failed = record("ours-quic", 1, {}, error="no visitor got through")
        self.assertIn("ours-quic, goodput, cubic, 3 %, run 1: no visitor got through",
                      report.markdown(result([*RECORDS, failed])))

    def test_plots_are_xml_and_name_every_entry(self):
        more = [{**each, "loss": 5.0} for each in RECORDS]
        plots = report.plots(result(RECORDS + more))
        self.assertIn("goodput-over-loss-cubic.svg", plots)
        for text in plots.values():
            xml.fromstring(text)
            self.assertIn("ours-quic", text)


def grown(entry, run, size, numbers, kind="sessions", **more):
    return {"entry": entry, "run": run, "measure": "growth", "scene": "growth", "control": "cubic", "kind": kind,
            "size": size, "numbers": numbers, "steal_pct": 0.5, "idle_pct": 50.0, **more}


GROWN = [grown("ours-ws", run, size, {"sessions_kib": 60 + run, "sessions_ping_us": size / 10})
         for size in (1000, 1) for run in (1, 3, 2)]


class Growth(unittest.TestCase):
    def test_sessions_add_up_whatever_their_number(self):
        for count in (1, 10, 63, 64, 65, 100, 1000):
            self.assertEqual(sum(growth.replicas(count)), count)
            self.assertLessEqual(max(growth.replicas(count)), growth.REPLICAS)
        self.assertEqual(len(growth.replicas(1000)), 16)

    def test_each_kind_grows_in_order_and_quick_is_less(self):
        self.assertEqual([size for kind, size in growth.steps(FULL) if kind == "sessions"], [1, 10, 100, 1000])
        self.assertEqual({kind for kind, _ in growth.steps(FULL, ("growth-groups", "bulk"))}, {"groups"})
        self.assertEqual(growth.steps(FULL, ("bulk",)), [])
        self.assertTrue(set(growth.steps(QUICK)) < set(growth.steps(FULL)))

    def test_only_ours_grow(self):
        self.assertEqual([entry.name for entry in all_entries() if growth.applies(entry)], ["ours-quic", "ours-ws"])

    def test_sessions_are_counted_over_groups_and_transports(self):
        text = """# TYPE anyproxy_sessions gauge
anyproxy_sessions{group="bench",transport="quic"} 900
anyproxy_sessions{group="bench",transport="ws"} 101
anyproxy_session_moves{group="bench"} 5
"""
        self.assertEqual(question.counted(text), 1001)
        self.assertEqual(question.sessions("/nonexistent"), 0)

    def test_a_row_has_a_median_for_each_number(self):
        text = report.markdown(result(GROWN))
        self.assertIn("## Growth with sessions", text)
        self.assertIn("| sessions | entry | 1 | 1,000 |", text)
        self.assertIn("| gateway's memory for each, KiB | ours-ws | 62.0 (61.0–63.0) | 62.0 (61.0–63.0) |", text)
        self.assertNotIn("Growth with groups", text)

    def test_an_error_tells_the_number(self):
        failed = grown("ours-ws", 1, 1000, {}, error="too few")
        self.assertIn("ours-ws, growth, 1,000 sessions, run 1: too few", report.markdown(result([*GROWN, failed])))
        self.assertEqual(verdict(all_entries(), [failed]), 1)

    def test_kinds_of_the_same_number_do_not_mix(self):
        rows = growing.tables([*GROWN, grown("ours-ws", 1, 1, {"groups_kib": 7}, "groups")])
        self.assertIn("| groups | entry | 1 |", rows)
        self.assertIn("| gateway's memory for each, KiB | ours-ws | 7.0 |", rows)

    def test_a_plot_has_a_logarithmic_axis(self):
        middle = [grown("ours-ws", 1, 10, {"sessions_ping_us": 50}), grown("ours-ws", 1, 100, {"sessions_ping_us": 50})]
        plots = report.plots(result(GROWN + middle))
        image = xml.fromstring(plots["growth-sessions-ping-us.svg"])
        places = [float(each.get("cx")) for each in image.iter() if each.tag.endswith("circle")]
        steps = [after - before for before, after in zip(places, places[1:])]
        self.assertEqual(len(steps), 3)
        self.assertAlmostEqual(min(steps), max(steps), delta=0.11)
        self.assertIn(">1,000</text>", plots["growth-sessions-ping-us.svg"])


class Verdicts(unittest.TestCase):
    def verdict(self, entry, **more):
        return verdict(all_entries(), [record(entry, 1, {"whole": 1}), record(entry, 1, **{"numbers": {}, **more})])

    def test_ours_must_work_and_lose_nothing(self):
        self.assertEqual(self.verdict("ours-ws"), 0)
        self.assertEqual(self.verdict("ours-ws", error="gone"), 1)
        self.assertEqual(self.verdict("ours-ws", numbers={"whole_tail": 0}), 1)

    def test_a_peer_may_fail(self):
        self.assertEqual(self.verdict("tuic", error="gone"), 0)


if __name__ == "__main__":
    unittest.main()
