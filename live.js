/* The live face: sends the microphone or a text over a WebSocket, shows what comes back in time. */
"use strict";

const talkingFaceLive = (() => {
  const LEAD = 0.12; // seconds that moments wait, so that the network may be uneven
  const CHUNK = 0.04; // seconds of the microphone that are sent together
  const WORKLET = `registerProcessor("live-microphone", class extends AudioWorkletProcessor {
    process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
  });`;

  let live = null; // the session: socket, context, frames, …

  const stage = () => document.querySelector("#live-stage");
  const part = (name) => stage().querySelector(`[name=${name}]`);
  const pressed = (name) => part(name).getAttribute("aria-pressed") === "true";
  const tell = (text) => (stage().querySelector("output").textContent = text);
  const state = (name) => (stage().dataset.state = name);
  const send = (message) => live?.ready && live.socket.send(JSON.stringify(message));

  const stop = () => {
    if (!live) return;
    const { socket, context, microphone } = live;
    live = null;
    microphone?.getTracks().forEach((track) => track.stop());
    part("microphone").setAttribute("aria-pressed", "false");
    socket.close();
    context.close();
    state("off");
  };

  const start = (photo, face, consent) => {
    stop();
    if (!photo) return tell("Choose a photo first.");
    const context = new AudioContext({ sampleRate: 48000 });
    const address = new URL("live", document.baseURI.replace(/[^/]*$/, ""));
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    const session = { socket, context, ready: false, begin: null, frames: [] };
    live = session;
    state("starting");
    tell("Starting …");
    socket.onopen = () =>
      socket.send(
        JSON.stringify({
          photo: typeof photo === "string" ? photo : { path: photo.path },
          face: Number(face) || 0,
          consent: Boolean(consent),
          rate: context.sampleRate,
          microphone: true,
          edit: part("mood").value,
        }),
      );
    socket.onmessage = ({ data }) => {
      if (live !== session) return;
      if (data instanceof ArrayBuffer) return take(session, data);
      const message = JSON.parse(data);
      if (message.error) tell(message.error);
      if (message.saying) tell(message.saying.join(" "));
      if (message.ready) {
        session.ready = true;
        state("on");
        tell("");
      }
    };
    socket.onclose = () => live === session && stop();
  };

  // -- moments ----------------------------------------------------------------------------------

  const take = async (session, data) => {
    const view = new DataView(data);
    const [time, size] = [view.getFloat64(0, true), view.getUint32(12, true)];
    const { context } = session;
    const now = context.currentTime;
    session.begin ??= now + LEAD - time;
    if (session.begin + time < now) session.begin = now + LEAD / 2 - time; // it came late
    const due = session.begin + time;
    if (size && pressed("heard")) {
      const sound = Float32Array.from(new Int16Array(data.slice(16, 16 + size)), (s) => s / 32768);
      const buffer = context.createBuffer(1, sound.length, 48000);
      buffer.copyToChannel(sound, 0);
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(context.destination);
      source.start(due);
    }
    const picture = await createImageBitmap(new Blob([data.slice(16 + size)]));
    if (live !== session) return;
    session.frames.push({ due, picture });
    if (session.frames.length === 1) requestAnimationFrame(() => show(session));
  };

  const show = (session) => {
    if (live !== session) return;
    const { frames, context } = session;
    let next = null;
    while (frames.length && frames[0].due <= context.currentTime) next = frames.shift();
    while (frames.length > 50) frames.shift(); // a tab that wasn't looked at
    if (next) {
      const canvas = stage().querySelector("canvas");
      canvas.width = next.picture.width;
      canvas.height = next.picture.height;
      canvas.getContext("2d").drawImage(next.picture, 0, 0);
      canvas.dataset.frames = Number(canvas.dataset.frames ?? 0) + 1;
    }
    if (frames.length) requestAnimationFrame(() => show(session));
  };

  // -- the microphone ---------------------------------------------------------------------------

  const listen = async (session) => {
    const { context, socket } = session;
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true },
    });
    if (live !== session) return stream.getTracks().forEach((track) => track.stop());
    session.microphone = stream;
    const module = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
    await context.audioWorklet.addModule(module);
    URL.revokeObjectURL(module);
    const node = new AudioWorkletNode(context, "live-microphone");
    let held = [];
    node.port.onmessage = ({ data }) => {
      held.push(...data);
      if (held.length < CHUNK * context.sampleRate || live !== session || !session.ready) return;
      const samples = Int16Array.from(held, (s) => 32767 * Math.max(-1, Math.min(1, s)));
      held = [];
      if (pressed("microphone")) socket.send(samples.buffer);
    };
    context.createMediaStreamSource(stream).connect(node);
  };

  const press = async (button) => {
    const on = button.getAttribute("aria-pressed") !== "true";
    if (button.name === "microphone" && !live) return tell("Press Start first.");
    button.setAttribute("aria-pressed", String(on));
    if (button.name !== "microphone" || !on || live.microphone) return;
    part("heard").setAttribute("aria-pressed", "false"); // nobody wants to hear themselves late
    try {
      await listen(live);
    } catch (error) {
      button.setAttribute("aria-pressed", "false");
      tell("The microphone can't be used. Allow it in the browser, or type.");
    }
  };

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("#live-stage button[type=button]");
    if (button?.name === "interrupt") send({ interrupt: true });
    else if (button) press(button);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.closest?.("#live-stage") && target.name === "mood") send({ edit: target.value });
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.closest?.("#live-stage")) return;
    event.preventDefault();
    const text = part("text").value.trim();
    if (!live?.ready) return tell("Press Start first.");
    if (text) send({ say: text, ...(part("voice").value && { voice: part("voice").value }) });
    part("text").value = "";
  });
  window.addEventListener("pagehide", stop);
  return { start, stop };
})();
