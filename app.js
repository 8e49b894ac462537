/* Plays all cards in step, and keeps the settings in the page's address. No more than that. */
"use strict";

const talkingFace = (() => {
  const STORAGE = "talking-face-settings";
  const DRIFT = 0.1; // seconds by which a clip may be off before it is put right
  const TITLES = {
    alone: "Play this one alone",
    roll: "Draw this one again, and no other",
    clip: "Download the clip (mp4)",
    motion: "Download the motion (npz)",
  };
  const BEAT = 150; // milliseconds between looks at the clips

  let playing = "nothing"; // or "all", or the number of the one card that plays alone
  let seeking = false;

  // -- cards ------------------------------------------------------------------------------------

  const clips = () =>
    [...document.querySelectorAll("#cards .card video")].map((video) => ({
      video,
      slot: Number(video.closest(".card").id.slice("card-".length)),
    }));

  const chosenSlot = () => {
    const radios = [...document.querySelectorAll("#chosen input[type=radio]")];
    const label = radios.find((radio) => radio.checked)?.closest("label");
    return label ? Number(label.textContent.trim()) - 1 : -1;
  };

  const leader = (all) => {
    const slot = typeof playing === "number" ? playing : chosenSlot();
    return all.find((clip) => clip.slot === slot) ?? all[0];
  };

  const choose = (slot) => {
    for (const label of document.querySelectorAll("#chosen label"))
      if (Number(label.textContent.trim()) === slot + 1) label.click();
  };

  // -- playing ----------------------------------------------------------------------------------

  const start = (video) => video.play().catch(() => {}); // a clip may be replaced as it starts

  const stop = () => {
    playing = "nothing";
    for (const { video } of clips()) video.pause();
    show();
  };

  const playAll = () => {
    if (playing === "all") return stop();
    const all = clips();
    const first = leader(all)?.video;
    if (!first) return;
    playing = "all";
    if (first.ended || first.currentTime >= first.duration - 0.05) first.currentTime = 0;
    for (const { video } of all) video.currentTime = first.currentTime;
    keepStep();
  };

  const alone = (slot) => {
    const clip = clips().find((one) => one.slot === slot);
    if (!clip) return;
    const again = playing === slot && !clip.video.paused;
    stop();
    if (again) return;
    choose(slot);
    playing = slot;
    if (clip.video.ended) clip.video.currentTime = 0;
    keepStep();
  };

  const seek = (seconds) => {
    for (const { video } of clips()) video.currentTime = Math.min(seconds, video.duration || 0);
    show();
  };

  // Also takes care of clips that arrive or are replaced while others play.
  const keepStep = () => {
    const all = clips();
    const first = leader(all);
    for (const clip of all) clip.video.muted = clip !== first;
    if (first && playing !== "nothing" && !seeking) {
      if (first.video.ended) return stop();
      if (first.video.paused) start(first.video);
      for (const { video, slot } of all) {
        if (video === first.video) continue;
        const silent = typeof playing === "number" && slot !== playing;
        const over = first.video.currentTime >= video.duration;
        if (silent || over) {
          if (!video.paused) video.pause();
          continue;
        }
        const off = Math.abs(video.currentTime - first.video.currentTime);
        if (off > DRIFT && video.readyState >= 1) video.currentTime = first.video.currentTime;
        if (video.paused) start(video);
      }
    }
    show();
  };

  const clock = (seconds) => {
    const whole = Math.floor(seconds || 0);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  };

  // For those who don't see the page: names that Gradio leaves out, and that work is done.
  const name = () => {
    for (const picture of document.querySelectorAll("#examples button:not([aria-label])")) {
      const file = picture.querySelector("img")?.src.split("/").pop().split(".")[0];
      if (file) picture.setAttribute("aria-label", `Example: ${file.replaceAll("_", " ")}`);
    }
    for (const id of ["faces", "mesh", "plot", "preview"]) {
      const said = document.querySelector(`#${id} [data-testid="block-label"]`)?.textContent.trim();
      for (const part of document.querySelectorAll(`#${id} :is(a, button):not([aria-label])`))
        part.setAttribute("aria-label", part.matches("[download], a *") ? `Download: ${said}` : said);
    }
    for (const field of document.querySelectorAll(":is(#recipe, #phonemes) textarea")) {
      const said = field.closest(".block").querySelector('[data-testid="block-info"]');
      field.setAttribute("aria-label", said?.textContent.trim() ?? "");
    }
    document.querySelector('#status [data-testid="markdown"]')?.setAttribute("aria-live", "polite");
  };

  const show = () => {
    const button = document.getElementById("play-all");
    if (!button) return;
    const all = clips();
    const first = leader(all)?.video;
    button.textContent = playing === "all" ? "⏸ Pause" : "▶ Play all";
    const bar = document.getElementById("seek");
    if (first && !seeking) {
      bar.max = first.duration || 1;
      bar.value = first.currentTime;
    }
    const told = `${clock(first?.currentTime)} / ${clock(first?.duration)}`;
    document.getElementById("clock").textContent = told;
    bar.setAttribute("aria-valuetext", told);
    for (const { video, slot } of all) {
      const card = video.closest(".card");
      card.classList.toggle("chosen", all.length > 1 && video === first);
      card.setAttribute("role", "group");
      card.setAttribute("aria-label", `Card ${slot + 1}`);
      for (const [name, title] of Object.entries(TITLES)) {
        const tool = card.querySelector(`.${name}`);
        tool?.setAttribute("title", title);
        tool?.setAttribute("aria-label", `${title}, card ${slot + 1}`);
      }
    }
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("#play-all")) playAll();
  });
  document.addEventListener("input", (event) => {
    if (event.target.id !== "seek") return;
    seeking = true;
    seek(Number(event.target.value));
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "seek") seeking = false;
  });
  // The player inside a card has buttons of its own: who starts one hears that one.
  document.addEventListener(
    "play",
    (event) => {
      const card = event.target.closest?.("#cards .card");
      if (card && playing === "nothing") alone(Number(card.id.slice("card-".length)));
    },
    true,
  );
  document.addEventListener(
    "pause",
    (event) => {
      const video = event.target;
      const mine = video.closest?.("#cards .card") && video === leader(clips())?.video;
      if (mine && playing !== "nothing" && !video.ended && !video.seeking) stop();
    },
    true,
  );
  setInterval(keepStep, BEAT);
  setInterval(name, 10 * BEAT);

  // -- where one looks --------------------------------------------------------------------------

  let asked = 0; // when something was last clicked, for example to order clips
  let scrolled = 0; // when the visitor last moved the page

  document.addEventListener("click", () => (asked = performance.now()), true);
  for (const kind of ["wheel", "touchmove"])
    document.addEventListener(kind, () => (scrolled = performance.now()), { passive: true });

  // An order was accepted: show where its clips will be, unless the visitor is on the way already.
  const toResults = () => {
    const results = document.getElementById("results");
    results.dataset.ordered = ""; // on phones, app.css makes room for the clips to come
    const { top } = results.getBoundingClientRect();
    if (scrolled > asked || (top >= 0 && top < window.innerHeight / 2)) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    results.scrollIntoView({ behavior: still ? "instant" : "smooth" });
  };

  // -- settings ---------------------------------------------------------------------------------

  const opened = { address: location.search, stored: read() };

  function read() {
    try {
      return JSON.parse(localStorage.getItem(STORAGE)) ?? {};
    } catch {
      return {};
    }
  }

  // A link says everything; without one, the browser remembers.
  const recall = () => {
    const query = new URLSearchParams(opened.address);
    query.delete("__theme");
    return JSON.stringify(query.size ? Object.fromEntries(query) : opened.stored);
  };

  const remember = (defaults, values) => {
    const names = Object.keys(defaults);
    const changed = Object.fromEntries(
      names
        .map((name, place) => [name, values[place]])
        .filter(([name, value]) => String(value ?? "") !== String(defaults[name])),
    );
    try {
      localStorage.setItem(STORAGE, JSON.stringify(changed));
    } catch {
      // Private windows may refuse; the link still works.
    }
    const here = new URL(location.href);
    for (const name of names) here.searchParams.delete(name);
    const link = new URL(location.pathname, location.origin); // nothing else that an address holds
    for (const [name, value] of Object.entries(changed))
      for (const address of [here, link]) address.searchParams.set(name, value);
    history.replaceState(history.state, "", here);
    return link.href;
  };

  // -- the choice of a feeling ------------------------------------------------------------------

  const STEP = 0.1; // of valence and arousal, a press of an arrow key
  const ARROWS = {
    ArrowLeft: [-STEP, 0],
    ArrowRight: [STEP, 0],
    ArrowDown: [0, -STEP],
    ArrowUp: [0, STEP],
  };
  const within = (number) => Math.min(1, Math.max(-1, Math.round(number * 100) / 100));
  const signed = (number) => number.toFixed(2).replace("-", "−");

  // Buttons for names and a pad for places; `tell` says that the visitor chose another one.
  const feelings = (element, props, tell, watch) => {
    const buttons = [...element.querySelectorAll("[data-feeling]")];
    const pad = element.querySelector(".pad");
    const dot = pad.querySelector("b");
    const centre = (word) => [parseFloat(word.style.left), parseFloat(word.style.top)];
    const places = Object.fromEntries(
      [...pad.querySelectorAll("[data-place]")].map((word) => {
        const [left, top] = centre(word);
        return [word.dataset.place, [(left - 50) / 46, (50 - top) / 46]];
      }),
    );
    const place = () => {
      const value = String(props.value);
      return value.includes(",") ? value.split(",").map(Number) : (places[value] ?? [0, 0]);
    };
    const draw = () => {
      const [valence, arousal] = place();
      const value = String(props.value);
      const named = buttons.some((button) => button.dataset.feeling === value);
      buttons.forEach((button, index) => {
        const checked = button.dataset.feeling === value;
        button.setAttribute("aria-checked", checked);
        button.tabIndex = checked || (!named && index === 0) ? 0 : -1;
      });
      dot.style.left = `${50 + 46 * valence}%`;
      dot.style.top = `${50 - 46 * arousal}%`;
      pad.classList.toggle("off", named && !(value in places));
      pad.setAttribute("aria-valuenow", valence);
      const told = `valence ${signed(valence)}, arousal ${signed(arousal)}`;
      pad.setAttribute("aria-valuetext", named ? `${value}: ${told}` : told);
    };
    const choose = (value) => {
      if (value === props.value) return;
      props.value = value;
      draw();
      tell();
    };
    const put = (valence, arousal) => choose(`${within(valence)},${within(arousal)}`);

    buttons.forEach((button, index) => {
      button.addEventListener("click", () => choose(button.dataset.feeling));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = buttons[(index + step + buttons.length) % buttons.length];
        next.focus();
        next.click();
      });
    });
    const follow = (event) => {
      const box = pad.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      put((x / box.width - 0.5) / 0.46, (0.5 - y / box.height) / 0.46);
    };
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      follow(event);
    });
    pad.addEventListener("pointermove", (event) => {
      if (pad.hasPointerCapture(event.pointerId)) follow(event);
    });
    pad.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow) return;
      event.preventDefault();
      const [valence, arousal] = place();
      put(valence + arrow[0], arousal + arrow[1]);
    });
    watch("value", draw);
    draw();
  };

  const moment = () => leader(clips())?.video.currentTime ?? 0;

  const chosenClip = () => leader(clips())?.video.currentSrc ?? "";

  const theme = () => (document.body.classList.contains("dark") ? "dark" : "light");

  return { alone, chosenClip, feelings, moment, recall, remember, theme, toResults };
})();
