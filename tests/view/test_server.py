"""The view over HTTP, from a real server: what it answers, to whom, and that nothing outside the runs is ever read."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from planning_helpers import make_recipe

from w2s_rm import cli
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import record
from w2s_rm.files import write_json, write_text
from w2s_rm.runs.folder import LOG, METRICS, StageFolder
from w2s_rm.runs.progress import Progress, write_progress
from w2s_rm.view.places import Places, within
from w2s_rm.view.server import ViewServer

__all__ = ["make_recipe"]

SECRET = "the secret"
Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def plan(make_recipe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan that is written down."""
    folder = tmp_path_factory.mktemp("planned")
    plan = make_plan(load_recipe(make_recipe(folder), ["seeds=[0]"]), folder / "runs")
    record(plan)
    return plan


@pytest.fixture
def runs(plan: Plan, tmp_path: Path) -> Path:
    """Runs `small` and `odd name`, and around them what must not be read."""
    runs = tmp_path / "runs"
    for name in ("small", "odd name"):
        shutil.copytree(plan.run_folder, runs / name)
        write_text(runs / name / "report.html", f"<title>report of {name}</title>")
    write_text(tmp_path / "report.html", SECRET)
    write_text(tmp_path / "secret" / "report.html", SECRET)
    write_text(tmp_path / "secret" / "plan.json", (runs / "small" / "plan.json").read_text(encoding="utf-8"))
    return runs


@pytest.fixture
def server(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ViewServer]:
    monkeypatch.setenv("W2S_RM_CACHE", str(runs.parent / "cache"))
    with ViewServer(runs, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ask(server: ViewServer) -> Ask:
    """Send a request whose address is left as it is written."""

    def ask(target: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        connection.putrequest(method, target, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{server.server_port}", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    return ask


def folder_of(runs: Path, plan: Plan, title: str) -> Path:
    return runs / "stages" / next(stage.folder.name for stage in plan.stages if stage.title == title)


def state(ask: Ask, *unfolded: str) -> dict[str, dict[str, Any]]:
    query = "&".join(f"run={quote(name)}" for name in unfolded)
    status, _, body = ask(f"/state.json?{query}")
    assert status == 200
    return {run["name"]: run for run in json.loads(body)["runs"]}


def test_the_page_and_what_it_asks_for(ask: Ask, runs: Path) -> None:
    status, headers, body = ask("/")
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8" and b"<title>Runs</title>" in body
    assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY" and "access-control-allow-origin" not in headers
    assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in body
    found = state(ask, "small")
    assert set(found) == {"small", "odd name"} and "all" in found["small"] and "all" not in found["odd name"]
    assert ask("/report/small")[2] == b"<title>report of small</title>"
    status, headers, body = ask("/report/odd%20name")
    assert status == 200 and body == b"<title>report of odd name</title>"
    # An origin of its own: a report that came from elsewhere cannot ask for the state of other runs.
    assert headers["content-security-policy"] == "sandbox allow-scripts allow-downloads"
    # Nor is its own icon, which browsers ask for unbidden, an error in its console.
    assert ask("/favicon.ico")[1]["cross-origin-resource-policy"] == "cross-origin"
    for target in ("/", "/state.json", "/report/small", "/nothing"):
        assert ask(target)[1]["cross-origin-resource-policy"] == "same-origin"


def test_a_head_has_the_headers_alone(ask: Ask) -> None:
    for target in ("/", "/state.json", "/report/small", "/nothing"):
        got, head = ask(target), ask(target, "HEAD")
        assert (head[0], head[2]) == (got[0], b"")
        assert {name: value for name, value in head[1].items() if name != "date"} == {
            name: value for name, value in got[1].items() if name != "date"
        }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_it_is_for_reading_only(ask: Ask, method: str) -> None:
    for target in ("/", "/state.json", "/report/small"):
        status, headers, _ = ask(target, method)
        assert status == 405 and headers["allow"] == "GET, HEAD"


OUTSIDE = [
    "/report/..",
    "/report/../report.html",
    "/report/../secret",
    "/report/small/../../secret",
    "/report/%2e%2e",
    "/report/%2e%2e%2fsecret",
    "/report/..%2fsecret",
    "/report/..%5csecret",
    "/report/%252e%252e%252fsecret",
    "/report/.",
    "/report/",
    "/report/{root}/secret",
    "/report/%2f{root}%2fsecret",
    "/report//{root}/secret/report.html",
    "{root}/secret/report.html",
    "//{root}/secret/report.html",
    "/report/small%00",
    "/report/small/report.html",
    "/report/small/plan.json",
    "/report/stages",
    "/report/link",
    "/report/%ff%fe",
    "/small/report.html",
    "/../report.html",
    "/report.html",
    "/stages",
    "/plan.json",
    "http://127.0.0.1/state.json",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("target", OUTSIDE)
def test_nothing_outside_the_runs_is_fetched(ask: Ask, runs: Path, target: str) -> None:
    (runs / "link").symlink_to(runs.parent / "secret")
    status, _, body = ask(target.format(root=str(runs.parent).lstrip("/")))
    assert status == 404 and SECRET.encode() not in body


def test_a_name_is_one_entry_of_a_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "file", "x")
    places = Places(tmp_path / "a", cache=tmp_path / "cache")
    assert within(tmp_path / "a", "b", "file") == tmp_path / "a" / "b" / "file"
    for names in (
        ("b/file",),
        ("..", "a", "b", "file"),
        ("b", ".", "file"),
        ("b", "", "file"),
        ("b\\file",),
        ("b",),
    ):
        assert within(tmp_path / "a", *names) is None
    assert within(tmp_path / "a", str(tmp_path / "a" / "b" / "file")) is None
    assert within(tmp_path / "a", "b\0", "file") is None
    (tmp_path / "a" / "stages" / "x-1").mkdir(parents=True)
    assert places.stage("x-1") == tmp_path / "a" / "stages" / "x-1"
    assert [places.stage(name) for name in ("..", ".", "", "../b", "x-1/../../b")] == [None] * 5


def test_a_run_that_is_a_link_is_none_and_so_is_a_report_that_is_one(ask: Ask, runs: Path) -> None:
    (runs / "link").symlink_to(runs.parent / "secret")
    (runs / "small" / "report.html").unlink()
    (runs / "small" / "report.html").symlink_to(runs.parent / "secret" / "report.html")
    (runs / "small" / "report.json").symlink_to(runs.parent / "secret" / "report.json")
    write_json(runs.parent / "secret" / "report.json", [{"method": SECRET}])
    found = state(ask, "small", "link")
    assert set(found) == {"small", "odd name"} and found["small"]["report"] is False
    assert found["small"]["all"]["results"] == []
    assert ask("/report/small")[0] == 404
    assert SECRET.encode() not in ask("/compare.json?first=small&second=link")[2]


def test_files_of_stages_that_are_links_are_not_read(ask: Ask, runs: Path, plan: Plan) -> None:
    """Nor folders: a plan that came from elsewhere may name any."""
    first, second, third = (runs / "stages" / stage.folder.name for stage in plan.stages[:3])
    outside = runs.parent / "secret"
    write_progress(outside, Progress(1, 2, problem=SECRET))
    write_text(outside / LOG, SECRET)
    write_text(outside / METRICS, json.dumps({"step": 1, "loss": 0.1234}) + "\n")
    (runs / "stages").mkdir()
    first.symlink_to(outside)
    write_progress(second, Progress(problem="its own"))
    (second / LOG).symlink_to(outside / LOG)
    (second / METRICS).symlink_to(outside / METRICS)
    third.mkdir()
    (third / "progress.json").symlink_to(outside / "progress.json")
    _, _, body = ask("/state.json?run=small")
    assert SECRET.encode() not in body and b"its own" in body and b"0.1234" not in body
    # The same files without links are there.
    (second / LOG).unlink()
    write_text(second / LOG, SECRET)
    assert SECRET.encode() in ask("/state.json?run=small")[2]


def test_a_plan_names_no_folder_elsewhere(ask: Ask, runs: Path) -> None:
    from w2s_rm.files import read_signed, write_signed

    outside = runs.parent / "secret" / "stages" / "train-1"
    write_progress(outside, Progress(1, 2, problem=SECRET))
    plan = read_signed(runs / "small" / "plan.json")
    for folder in (str(outside), "../../secret/stages/train-1", "/", "..", "."):
        plan["stages"][0]["folder"] = folder
        write_signed(runs / "small" / "plan.json", plan)
        os.utime(runs / "small" / "plan.json")
        status, _, body = ask("/state.json?run=small")
        assert status == 200 and SECRET.encode() not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_a_name_that_was_made_to_lead_here_is_refused(ask: Ask, server: ViewServer, host: str) -> None:
    for target in ("/", "/state.json", "/report/small"):
        status, _, body = ask(target, Host=host.format(port=server.server_port))
        assert status == 403 and b"small" not in body


def test_a_request_without_a_host_or_with_two_is_refused(server: ViewServer, ask: Ask) -> None:
    assert ask("/", Host=f"localhost:{server.server_port}")[0] == 200
    good = f"Host: 127.0.0.1:{server.server_port}\r\n"
    for headers in ("", good + "Host: evil.example\r\n", good + good):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
            assert b" 403 " in connection.makefile("rb").readline()


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost\r\n\r\n",
            b"\x16\x03\x01\x02\r\n\r\n",
        ),
        *(
            b"BREW / HTTP/1.1\r\n\r\n",
            b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        ),
    ],
)
def test_what_is_no_request_ends_nothing(server: ViewServer, ask: Ask, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert b" 200 " not in answer[:20] and b"Traceback" not in answer
    assert ask("/")[0] == 200


def test_queries_of_any_form_are_answered(ask: Ask) -> None:
    for query in ("?", "?run", "?run=", "?run=../x", "?run=%00&run=%ff", "?a=b" + "&run=x" * 5000, "?first=small"):
        assert ask(f"/state.json{query}")[0] == 200
        assert ask(f"/compare.json{query}")[0] == 404


def test_what_is_no_plan_or_no_result_is_said_and_the_others_are_there(ask: Ask, runs: Path) -> None:
    from w2s_rm.files import write_signed

    write_text(runs / "small" / "plan.json", "{")
    assert "does not parse" in state(ask, "small")["small"]["problem"]
    for number, content in enumerate(({}, {"stages": 3}, {"stages": [{"folder": 3}]})):
        write_signed(runs / "small" / "plan.json", content)
        os.utime(runs / "small" / "plan.json", (number, number))
        found = state(ask, "small")
        assert found["small"]["problem"] and found["odd name"]["status"]
    for text in ("", "3", "{}", "[3]", '[{"method": 3}]', '[{"method": "x", "pgr": "y"}]', "[[]]"):
        write_text(runs / "odd name" / "report.json", text)
        assert state(ask, "odd name")["odd name"]["all"]["results"] in ([], [["method"], ["x"]])


def test_a_stage_that_failed_has_its_log(ask: Ask, runs: Path, plan: Plan) -> None:
    prepare, weak = (folder_of(runs, plan, title) for title in ("prepare", "weak seed 0"))
    write_text(prepare / "config.yaml", "x")
    StageFolder(prepare).seal({})
    write_progress(weak, Progress(7, 20, problem="NaN in step 7"))
    write_text(weak / LOG, "".join(f"line {number}\n" for number in range(1000)) + "error: NaN in step 7\n")
    found = state(ask, "small")["small"]
    assert found["counts"] == {
        "waiting": found["counts"]["waiting"],
        "running": 0,
        "stopped": 0,
        "failed": 1,
        "done": 1,
        "cached": 0,
    }
    assert found["status"].endswith(f"1 of {len(found['all']['stages'])} stages done, 1 failed")
    (failed,) = found["all"]["failed"]
    assert failed["title"] == "weak seed 0" and failed["problem"] == "NaN in step 7"
    assert failed["log"].splitlines()[0] == "line 801" and failed["log"].endswith("error: NaN in step 7")


def test_a_stage_that_runs_says_how_far_it_is(ask: Ask, runs: Path, plan: Plan) -> None:
    weak = folder_of(runs, plan, "weak seed 0")
    write_text(weak / ".lock", f"process {os.getpid()} on {os.uname().nodename}")
    assert [line["words"] for line in state(ask, "small")["small"]["all"]["running"]] == ["runs"]
    write_progress(weak, Progress(50, 200, speed=5.0, accuracy=0.812, loss=0.5))
    write_text(weak / METRICS, '{"step": 10, "loss": 0.7}\n{"step": 20, "loss": NaN}\nrubbish\n{"step": 30, "lo')
    found = state(ask, "small")["small"]
    (line,) = found["all"]["running"]
    assert line["title"] == "weak seed 0" and line["share"] == 0.25
    assert line["words"].startswith("50 of 200 steps, 5/s, ") and line["words"].endswith(
        ", accuracy 81.2 %, loss 0.500"
    )
    assert ", 1 running; about " in found["status"]
    assert found["all"]["curves"] == {
        "loss": {"label": "loss", "lines": [{"title": "weak seed 0", "kind": "weak", "points": [[10, 0.7]]}]}
    }
    with (weak / METRICS).open("a", encoding="utf-8") as file:
        file.write('ss": 0.6}\n')
    assert state(ask, "small")["small"]["all"]["curves"]["loss"]["lines"][0]["points"] == [[10, 0.7], [30, 0.6]]
    write_text(weak / METRICS, '{"step": 5, "loss": 0.9}\n')
    assert state(ask, "small")["small"]["all"]["curves"]["loss"]["lines"][0]["points"] == [[5, 0.9]], "begun again"


def test_what_was_done_before_the_run_is_cached(ask: Ask, runs: Path, plan: Plan) -> None:
    write_text(folder_of(runs, plan, "prepare") / "config.yaml", "x")
    StageFolder(folder_of(runs, plan, "prepare")).seal({})
    os.utime(runs / "small" / "plan.json")
    assert state(ask)["small"]["counts"]["done"] + state(ask)["small"]["counts"]["cached"] == 1
    os.utime(runs / "small" / "plan.json", (4e9, 4e9))
    assert state(ask)["small"]["counts"]["cached"] == 1


def test_two_runs_side_by_side(ask: Ask, runs: Path) -> None:
    row = {
        **{"method": "naive", "weak_accuracy": 0.75, "weak_low": 0.7, "weak_high": 0.8},
        **{
            "student_accuracy": 0.9,
            "student_low": 0.85,
            "student_high": 0.925,
            "pgr": 0.6,
            "pgr_low": None,
            "pgr_high": 0.9,
        },
    }
    write_json(runs / "small" / "report.json", [row, {**row, "method": "logconf"}])
    write_json(
        runs / "odd name" / "report.json",
        [{**row, "weak_accuracy": None, "pgr": -0.5, "pgr_low": -1.0, "pgr_high": 0.0}],
    )
    status, _, body = ask("/compare.json?first=small&second=odd%20name")
    found = json.loads(body)
    assert status == 200 and found["header"] == ["method", "figure", "small", "odd name"]
    assert found["note"] == "Both were tested on examples of the same data."
    assert found["lines"][:4] == [
        ["naive", "weak supervisor, %", "75.0 [70.0, 80.0]", "–"],
        ["naive", "student, %", "90.0 [85.0, 92.5]", "90.0 [85.0, 92.5]"],
        ["naive", "PGR", "0.60 [−∞, 0.90]", "−0.50 [−1.00, 0.00]"],
        ["logconf", "weak supervisor, %", "75.0 [70.0, 80.0]", "–"],
    ]
    assert state(ask, "small")["small"]["all"]["results"][:2] == [
        ["method", "weak supervisor, %", "student, %", "PGR"],
        ["naive", "75.0 [70.0, 80.0]", "90.0 [85.0, 92.5]", "0.60 [−∞, 0.90]"],
    ]


def test_nothing_is_written_by_looking(ask: Ask, runs: Path) -> None:
    (runs / "stages").mkdir()
    before = {path: path.lstat().st_mtime_ns for path in runs.rglob("*")}
    state(ask, "small", "odd name")
    assert {path: path.lstat().st_mtime_ns for path in runs.rglob("*")} == before


def test_a_wrong_folder_or_port_is_one_message(
    tmp_path: Path, server: ViewServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["view", str(tmp_path / "absent")]) == 2
    assert "absent: no such folder; give the folder of all runs" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=rf"--port {server.server_port}: Address already in use; give another one"):
        ViewServer(tmp_path, server.server_port)
    for port in ("x", "-1", "70000"):
        with pytest.raises(SystemExit):
            cli.main(["view", str(tmp_path), "--port", port])
        assert "is no port; give a number from 0 to 65535" in capsys.readouterr().err
