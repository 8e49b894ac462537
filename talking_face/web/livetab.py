"""The page's part for live faces: a stage, and what is typed or chosen; live.js brings it to life.

Start takes the photo, the face and the consent that the page shows. All else is said over the
WebSocket of `talking_face.web.live`, by the browser itself.
"""

from __future__ import annotations

import gradio as gr

from talking_face.moods import MOODS, VOICE
from talking_face.sound.voice import voices
from talking_face.web.material import Material

HELP = """The face speaks while you do: into the microphone, or by what you type. It listens when
you pause. Choose a photo first; nothing is kept unless you press *Record*."""
STAGE = """<div id="live-stage" data-state="off">
  <canvas width="512" height="512" role="img" aria-label="The live face"></canvas>
  <output aria-live="polite"></output>
  <div class="choices">
    <button type="button" name="microphone" aria-pressed="false">Microphone</button>
    <button type="button" name="heard" aria-pressed="true">Sound</button>
    <button type="button" name="interrupt">Be quiet</button>
    <button type="button" name="record" aria-pressed="false">Record</button>
    <label>Mood <select name="mood">{moods}</select></label>
  </div>
  <form>
    <input name="text" maxlength="1000" placeholder="Type what to say, then press Enter"
      aria-label="What to say" autocomplete="off">
    <button>Say</button>
    <select name="voice" aria-label="Voice">{voices}</select>
  </form>
</div>"""


def create(material: Material, consent: gr.Checkbox) -> None:
    """The parts, wired to the photo that the page shows."""
    gr.Markdown(HELP)
    with gr.Row():
        start = gr.Button(
            "Start", variant="primary", size="sm", min_width=100, elem_id="live-start"
        )
        stop = gr.Button("Stop", size="sm", min_width=100, elem_id="live-stop")
    heard = f'<option value="{VOICE}">as the voice sounds</option>'
    moods = heard + "".join(f"<option>{mood}</option>" for mood in MOODS)
    there = "".join(f'<option value="{voice.id}">{voice.label}</option>' for voice in voices())
    gr.HTML(STAGE.format(moods=moods, voices=there), padding=False)
    given = [material.photo, material.face, consent]
    begin, end = "(...given) => talkingFaceLive.start(...given)", "() => talkingFaceLive.stop()"
    start.click(None, given, js=begin, api_visibility="private")
    stop.click(None, js=end, api_visibility="private")
