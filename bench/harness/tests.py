"""python3 -m unittest bench/harness/tests.py, from the root of the project."""

import unittest
import xml.etree.ElementTree as xml

from bench.harness import report
from bench.harness.cli import verdict
from bench.harness.columns import flat
from bench.harness.entries import all_entries
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
