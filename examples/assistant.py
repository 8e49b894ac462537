"""A face that answers: `python examples/assistant.py ADDRESS PHOTO`, where the page is served.

Each line typed goes to a chat endpoint that speaks as OpenAI's does, and its answer to the live
face, sentence by sentence. CHAT_URL (such as http://127.0.0.1:8080/v1), CHAT_KEY and CHAT_MODEL
name the endpoint; without CHAT_URL the face says what you said. Enter alone interrupts it. Needs
websocket-client, httpx and opencv-python, and sounddevice to be heard.
"""

import json, os, re, struct, sys, threading
from base64 import b64encode
from pathlib import Path

import cv2
import httpx
import numpy as np
import websocket

try:
    import sounddevice

    speaker = sounddevice.OutputStream(48000, channels=1, dtype="int16")
    speaker.start()
except (ImportError, OSError):
    speaker = None
ROLE = "You are spoken aloud. Answer in one to three short sentences of plain words."


def answer(talk):
    """What the endpoint says, piece by piece."""
    if not (url := os.environ.get("CHAT_URL")):
        yield f"You said: {talk[-1]['content']}"
        return
    asked = {"model": os.environ.get("CHAT_MODEL", "default"), "messages": talk, "stream": True}
    key = {"Authorization": f"Bearer {os.environ.get('CHAT_KEY', 'none')}"}
    with httpx.stream("POST", f"{url}/chat/completions", json=asked, headers=key, timeout=60) as r:
        for line in r.raise_for_status().iter_lines():
            if line.startswith("data: {") and (choices := json.loads(line[6:])["choices"]):
                yield choices[0]["delta"].get("content") or ""


def show(socket):
    """Frames into a window, sound to the speaker, captions here."""
    while message := socket.recv():
        if isinstance(message, str):
            told = json.loads(message)
            print(told.get("error") or " ".join(told.get("saying", ["Ready: type, then Enter."])))
            continue
        size = struct.unpack_from("<dfI", message)[2]
        if speaker:
            speaker.write(np.frombuffer(message[16 : 16 + size], "<i2"))
        if "--hidden" not in sys.argv:
            cv2.imshow("Assistant", cv2.imdecode(np.frombuffer(message[16 + size :], "u1"), 1))
            cv2.waitKey(1)


socket = websocket.create_connection(sys.argv[1].replace("http", "ws", 1).rstrip("/") + "/live")
photo = b64encode(Path(sys.argv[2]).read_bytes()).decode()
socket.send(json.dumps({"photo": photo, "consent": True}))
threading.Thread(target=show, args=(socket,), daemon=True).start()
talk = [{"role": "system", "content": ROLE}]
for line in sys.stdin:
    socket.send('{"interrupt": true}')
    if not line.strip():
        continue
    talk.append({"role": "user", "content": line.strip()})
    whole = held = ""
    for piece in answer(talk):
        whole, held = whole + piece, held + piece
        if end := re.match(r"(.*[.!?])\s", held, re.DOTALL):  # what is whole is said at once
            socket.send(json.dumps({"say": end[1]}))
            held = held[end.end() :]
    if held.strip():
        socket.send(json.dumps({"say": held}))
    talk.append({"role": "assistant", "content": whole})
