"""A visitor of the page without a browser: says what the page's own script would say, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

PATIENCE = 300.0  # seconds


class Visitor:
    """One open page.

    Args:
        address: of the page.
    """

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=f"{address}/gradio_api/", timeout=PATIENCE)
        config = httpx.get(f"{address}/config", timeout=PATIENCE).json()
        self._parts = {part["id"]: part["props"] for part in config["components"]}
        self._ids = {
            part["props"]["elem_id"]: part["id"]
            for part in config["components"]
            if part["props"].get("elem_id")
        } | {"samples": next(i for i, p in self._parts.items() if p.get("label") == "Samples")}
        self._events = config["dependencies"]
        self._heart: httpx.Response | None = None
        self.reload()

    def reload(self) -> None:
        """Close the page and open it again."""
        self.leave()
        self.session = uuid4().hex[:11]
        self._values: dict[int, Any] = {}
        beat = self._http.build_request("GET", f"heartbeat/{self.session}")
        self._heart = self._http.send(beat, stream=True)

    def leave(self) -> None:
        """Close the page."""
        if self._heart is not None:
            self._heart.close()
            self._heart = None

    def set(self, name: str, value: Any) -> None:
        """Fill in the part of that elem_id."""
        self._values[self._ids[name]] = value

    def put(self, name: str, path: Path) -> None:
        """Upload a file into the part of that elem_id."""
        with path.open("rb") as file:
            (stored,) = self._http.post("upload", files={"files": (path.name, file)}).json()
        record = {"path": stored, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}
        self.set(name, record)

    def generate(self) -> str:
        """Press "Generate" and wait; what the page's status says at last.

        Raises:
            ValueError: the sentence of an error.
        """
        for _ in self.generating():
            pass
        return self.status

    def generating(self) -> Iterator[str]:
        """The same, with the page's answers as they come; stop asking to look no further."""
        self._ask("_begin_new")
        self.running, answers = self._join("run")
        self.ordered = time.monotonic()
        status = self._ids["status"]
        place = self._event("run")["outputs"].index(status)
        try:
            for message in answers:
                output = message.get("output", {}).get("data") or []
                if len(output) > place and isinstance(output[place], str):
                    self.status = output[place]
                yield message["msg"]
        finally:
            self._post("_end")

    def cancel(self) -> None:
        """Press "Cancel" while an order runs; Gradio answers when what runs has come to an end."""
        event = {"session_hash": self.session, "event_id": self.running}
        event |= {"fn_index": self._event("run")["id"]}
        with ThreadPoolExecutor(1) as beside:
            beside.submit(self._http.post, "cancel", json=event)
            self._post("_stop")

    def _event(self, name: str) -> Any:
        return next(event for event in self._events if event["api_name"] == name)

    def _body(self, name: str) -> dict[str, Any]:
        event = self._event(name)
        data = [
            self._values.get(part, self._parts.get(part, {}).get("value"))
            for part in event["inputs"]
        ]
        return {"fn_index": event["id"], "data": data, "session_hash": self.session}

    def _post(self, name: str) -> None:
        """An event that doesn't queue."""
        self._http.post("run/predict", json=self._body(name)).raise_for_status()

    def _ask(self, name: str) -> None:
        _, answers = self._join(name)
        for _ in answers:
            pass

    def _join(self, name: str) -> tuple[str, Iterator[dict[str, Any]]]:
        """Queue an event; its number, and what is told of it until it ends."""
        number = self._http.post("queue/join", json=self._body(name)).json()["event_id"]

        def answers() -> Iterator[dict[str, Any]]:
            here = {"session_hash": self.session}
            with self._http.stream("GET", "queue/data", params=here) as stream:
                for line in stream.iter_lines():
                    if not line.startswith("data:"):
                        continue
                    message = json.loads(line[5:])
                    if message.get("event_id") not in (number, None):
                        continue
                    if message["msg"] == "process_completed":
                        if not message["success"]:
                            raise ValueError(str(message["output"].get("error")))
                        yield message
                        return
                    if message["msg"] in ("process_generating", "progress", "estimation"):
                        yield message

        return number, answers()
