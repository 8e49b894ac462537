/* The live face: a WebSocket says what is wanted, and brings what is shown; where the server has
   WebRTC, and the two can reach each other, sound and pictures go that way. */
"use strict";

const talkingFaceLive = (() => {
  const LEAD = 0.12; // seconds that moments wait, so that the network may be uneven
  const MOST = 1; // seconds that they may wait; a tab that was asleep wakes to many at once
  const CHUNK = 0.04; // seconds of the microphone that are sent together
  const WORKLET = `registerProcessor("live-microphone", class extends AudioWorkletProcessor {
    process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
  });`;

  const MAKING = "Making the recording";
  const GATHER = 1000; // milliseconds for finding one's own addresses

  let live = null; // the session: socket, context, frames, …

  const stage = () => document.querySelector("#live-stage");
  const part = (name) => stage().querySelector(`[name=${name}]`);
  const pressed = (name) => part(name).getAttribute("aria-pressed") === "true";
  const tell = (text) => (stage().querySelector("output").textContent = text);
  const state = (name) => (stage().dataset.state = name);
  const send = (message) => live?.ready && live.socket.send(JSON.stringify(message));

  const stop = () => {
    if (!live) return;
    const { socket, context, microphone, call, unfinished } = live;
    live = null;
    microphone?.getTracks().forEach((track) => track.stop());
    for (const name of ["microphone", "record"]) part(name)?.setAttribute("aria-pressed", "false");
    part("record")?.removeAttribute("disabled");
    call?.peer.close();
    call?.video.remove();
    context.close();
    state("off");
    if (!unfinished || socket.readyState !== WebSocket.OPEN) return socket.close();
    tell(`${MAKING} …`); // the server closes when it is ready
    socket.send(JSON.stringify({ stop: true }));
  };

  const end = () => {
    if (live && !live.unfinished) tell(""); // it was about what is over
    stop();
  };

  const start = (photo, face, consent) => {
    stop();
    if (!photo) return tell("Choose a photo first.");
    const context = new AudioContext({ sampleRate: 48000 });
    const address = new URL("live", document.baseURI.replace(/[^/]*$/, ""));
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    const session = { socket, context, ready: false, begin: null, frames: [], look: null };
    session.sounds = new Set(); // that are still to be heard
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
      if (live !== session && !session.unfinished) return;
      if (!(data instanceof ArrayBuffer)) hear(session, JSON.parse(data));
      else if (live === session) take(session, data);
    };
    socket.onclose = () => {
      const said = stage().querySelector("output").textContent;
      if (session.unfinished && said.startsWith(MAKING)) tell("There is no recording.");
      else if (live === session && session.ready && !session.explained)
        tell("The live face has ended. Press Start again.");
      session.unfinished = false;
      if (live === session) stop();
    };
    window.addEventListener("pagehide", () => socket.close(), { once: true });
  };

  const hear = (session, message) => {
    if (message.error) tell(message.error);
    session.explained = Boolean(message.error || message.recorded);
    if (session.explained) part("record")?.removeAttribute("disabled");
    if (message.error && !session.unfinished) part("record")?.setAttribute("aria-pressed", "false");
    if (message.making) tell(`${MAKING}: ${Math.round(100 * message.making)} %`);
    if (message.recorded) offer(session, message);
    if (live !== session) return;
    if (message.recording) session.unfinished = true;
    if (message.recording) tell("Recording.");
    if (message.saying) tell(message.saying.join(" "));
    if (message.ready) {
      session.ready = true;
      state("on");
      tell("");
      const able = "requestVideoFrameCallback" in HTMLVideoElement.prototype;
      if (message.webrtc && able) call(session);
      return; // whether a call can stand isn't whether it does
    }
    if (message.answer) session.call.peer.setRemoteDescription(message.answer);
    if ("webrtc" in message && session.call) switched(session, message.webrtc);
  };

  // -- recordings -------------------------------------------------------------------------------

  const offer = (session, { recorded, seconds }) => {
    session.unfinished = false;
    const link = document.createElement("a");
    link.href = new URL(recorded, document.baseURI.replace(/[^/]*$/, ""));
    link.download = "live.mp4";
    link.textContent = `Save the recording (${Math.round(seconds)} s)`;
    stage().querySelector("output").replaceChildren(link);
  };

  const record = (button) => {
    if (!live?.ready) return tell("Press Start first.");
    const on = !pressed("record");
    button.setAttribute("aria-pressed", String(on));
    button.disabled = !on; // until it is ready
    send({ record: on });
    if (!on) tell(`${MAKING} …`);
  };

  // -- WebRTC -----------------------------------------------------------------------------------

  const call = async (session) => {
    const peer = new RTCPeerConnection(); // by the addresses that both have; nobody else is asked
    const video = Object.assign(document.createElement("video"), { playsInline: true });
    video.muted = !pressed("heard");
    stage().append(video);
    session.call = { peer, video, on: false };
    peer.ontrack = ({ streams }) => (video.srcObject = streams[0]);
    peer.addTransceiver("video", { direction: "recvonly" });
    session.call.sender = peer.addTransceiver("audio", { direction: "sendrecv" }).sender;
    await peer.setLocalDescription();
    const gathered = new Promise((done) => {
      peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
    });
    await Promise.race([gathered, new Promise((done) => setTimeout(done, GATHER))]);
    if (live === session) send({ offer: peer.localDescription });
  };

  const switched = (session, on) => {
    const { video } = session.call;
    session.call.on = on;
    session.begin = null;
    talk(session);
    if (!on) return video.pause();
    const look = () => {
      if (live !== session || !session.call.on) return;
      draw(video, video.videoWidth, video.videoHeight);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    video.play();
  };

  const talk = ({ call, microphone }) => {
    const heard = call?.on && pressed("microphone");
    call?.sender.replaceTrack((heard && microphone?.getAudioTracks()[0]) || null);
  };

  // -- moments ----------------------------------------------------------------------------------

  const take = async (session, data) => {
    const view = new DataView(data);
    const [time, size] = [view.getFloat64(0, true), view.getUint32(12, true)];
    const { context } = session;
    const now = context.currentTime;
    session.begin ??= now + LEAD - time;
    const early = Math.max(0, size / 96000 - 1 / 25); // sound of frames that were left out
    if (session.begin + time - early < now) session.begin = now + LEAD / 2 - time + early; // late
    if (session.begin + time > now + MOST) {
      session.begin = now + LEAD - time;
      session.sounds.forEach((sound) => sound.stop());
      session.frames.splice(0).forEach(({ picture }) => picture.close());
    }
    const due = session.begin + time;
    if (size && pressed("heard")) {
      const sound = Float32Array.from(new Int16Array(data.slice(16, 16 + size)), (s) => s / 32768);
      const buffer = context.createBuffer(1, sound.length, 48000);
      buffer.copyToChannel(sound, 0);
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(context.destination);
      source.start(due - early);
      session.sounds.add(source);
      source.onended = () => session.sounds.delete(source);
    }
    if (document.hidden) return; // nobody looks, and nothing is drawn
    const picture = await createImageBitmap(new Blob([data.slice(16 + size)]));
    if (live !== session) return picture.close();
    session.frames.push({ time, picture });
    session.look ??= requestAnimationFrame(() => show(session));
  };

  const show = (session) => {
    if (live !== session) return;
    const shown = session.context.currentTime - session.begin;
    const due = session.frames.filter(({ time }) => time <= shown);
    session.frames = session.frames.filter(({ time }) => time > shown);
    const next = due.reduce((a, b) => (a?.time > b.time ? a : b), null);
    if (next) draw(next.picture, next.picture.width, next.picture.height);
    if (next) stage().querySelector("canvas").dataset.time = next.time;
    due.forEach(({ picture }) => picture.close());
    session.look = session.frames.length ? requestAnimationFrame(() => show(session)) : null;
  };

  const draw = (picture, width, height) => {
    const canvas = stage().querySelector("canvas");
    if (canvas.width !== width) [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.frames = Number(canvas.dataset.frames ?? 0) + 1;
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
      if (session.call?.on) return (held = []);
      const samples = Int16Array.from(held, (s) => 32767 * Math.max(-1, Math.min(1, s)));
      held = [];
      if (pressed("microphone")) socket.send(samples.buffer);
    };
    context.createMediaStreamSource(stream).connect(node);
    talk(session);
  };

  const press = async (button) => {
    const on = button.getAttribute("aria-pressed") !== "true";
    if (button.name === "microphone" && !live) return tell("Press Start first.");
    button.setAttribute("aria-pressed", String(on));
    if (button.name === "heard" && live?.call) live.call.video.muted = !on;
    if (button.name !== "microphone") return;
    talk(live);
    if (!on || live.microphone) return;
    part("heard").setAttribute("aria-pressed", "false"); // nobody wants to hear themselves late
    if (live.call) live.call.video.muted = true;
    try {
      await listen(live);
    } catch (error) {
      button.setAttribute("aria-pressed", "false");
      tell("The microphone can't be used. Allow it in the browser, or type.");
    }
  };

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("#live-stage button[type=button]");
    if (button?.name === "interrupt")
      live?.ready ? send({ interrupt: true }) : tell("Press Start first.");
    else if (button?.name === "record") record(button);
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
  return { start, stop: end };
})();
