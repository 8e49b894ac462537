"""A live face in twenty lines: `python examples/live_client.py ADDRESS PHOTO SPEECH.wav FOLDER`.

Sends 16-bit mono sound as it would be spoken, and keeps the frames. Needs websocket-client.
"""

import json, struct, sys, threading, time, wave
from base64 import b64encode
from pathlib import Path

import websocket

address, photo, speech, folder = sys.argv[1:]
Path(folder).mkdir(parents=True, exist_ok=True)
sound = wave.open(speech)
socket = websocket.create_connection(address.replace("http", "ws", 1).rstrip("/") + "/live")
image = b64encode(Path(photo).read_bytes()).decode()
socket.send(json.dumps({"photo": image, "consent": True, "rate": sound.getframerate()}))
print(socket.recv())  # {"ready": true, …}, or {"error": "…"}


def talk():
    while piece := sound.readframes(sound.getframerate() // 25):
        socket.send_binary(piece)
        time.sleep(1 / 25)
    time.sleep(1)
    socket.send('{"stop": true}')


threading.Thread(target=talk, daemon=True).start()
while isinstance(message := socket.recv(), bytes) and message:
    at, speaks, size = struct.unpack_from("<dfI", message)  # 16 bytes, the sound, then the picture
    Path(folder, f"{at:09.2f}.jpg").write_bytes(message[16 + size :])
