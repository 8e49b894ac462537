/* Shows a talking head in three dimensions, in step with the chosen sample. Needs three.js, which is
   fetched from this page's own server when the first head is shown. */

const MOST_YAW = 35; // degrees that a head is made for
const MOST_PITCH = 20;
const STEP = 5; // degrees of an arrow key
const DRAG = 0.35; // degrees a pixel
const ZOOMS = [0.6, 2.5];
const FRAME = 1 / 25; // seconds

let three; // the module
let shown; // what is on the stage: renderer, scene, camera, mixer, parts, target, distance
const view = { yaw: 0, pitch: 0, zoom: 1, bare: false, mesh: false };
let asked = ""; // the address of the head that is to be shown
let begunFor = ""; // the clip whose head was made when the tab was opened
let stale = true; // whether what is seen has changed since it was drawn
let drawnTime = -1; // seconds of the clip that the picture shows

const stage = () => document.getElementById("head-stage");
const clamp = (value, most) => Math.min(Math.max(value, -most), most);

// -- showing a head -------------------------------------------------------------------------------

const prepare = () => {
  const renderer = new three.WebGLRenderer({ antialias: true, alpha: true });
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  const canvas = renderer.domElement;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Talking head; arrow keys turn it, plus and minus zoom");
  listen(canvas);
  return { renderer, scene: new three.Scene(), camera: new three.PerspectiveCamera(20, 1, 0.01, 20) };
};

const show = async (files) => {
  const glb = [files].flat().find((file) => file?.url?.split("?")[0].endsWith(".glb"));
  if (!glb) return;
  asked = glb.url;
  say("Loading the head …");
  try {
    three ??= await import(new URL(stage().dataset.three, document.baseURI).href);
    const loaded = await new three.GLTFLoader().loadAsync(glb.url);
    if (asked !== glb.url) return; // another one was, meanwhile
    shown ??= prepare();
    put(loaded);
    say("");
  } catch (error) {
    if (asked !== glb.url) return;
    say(`The head can't be shown here (${error.message}). Its files can be downloaded below.`);
  }
};

const put = (loaded) => {
  const { renderer, scene } = shown;
  for (const part of shown.parts ?? []) drop(part); // the head before
  scene.clear();
  scene.add(loaded.scene);
  shown.mixer = new three.AnimationMixer(loaded.scene);
  shown.action = shown.mixer.clipAction(loaded.animations[0]);
  shown.action.setLoop(three.LoopOnce).play();
  shown.action.clampWhenFinished = true;
  shown.parts = [];
  loaded.scene.traverse((part) => part.isMesh && shown.parts.push(part));
  for (const part of shown.parts) part.frustumCulled = false;
  const box = new three.Box3();
  for (const part of shown.parts) box.union(part.geometry.boundingBox ?? part.geometry.computeBoundingBox() ?? part.geometry.boundingBox);
  shown.target = new three.Vector3(0, (box.min.y + box.max.y) / 2, 0);
  shown.distance = ((box.max.y - box.min.y) / 2) * 6.2;
  Object.assign(view, { yaw: 0, pitch: 0, zoom: 1 });
  stage().querySelector(".picture").replaceChildren(renderer.domElement);
  drawnTime = -1;
  stale = true;
};

// What a mesh holds in the graphics card's memory, which nobody else lets go of.
const drop = ({ geometry, material, skeleton }) => {
  material.map?.dispose();
  material.dispose();
  skeleton?.dispose();
  geometry.dispose();
};

// The tab was opened: show the chosen sample by itself, once for each clip.
const begin = () => {
  const clip = talkingFace.chosenClip();
  if (!clip) return miss();
  if (clip === begunFor) return;
  begunFor = clip;
  say("Making the head …");
  document.getElementById("turn").click();
};

const miss = () => {
  begunFor = "";
  say("There is no head to show: choose a finished clip, or generate some first.");
};

const say = (text) => (stage().querySelector("output").textContent = text);

// -- drawing it -----------------------------------------------------------------------------------

const fit = () => {
  const { renderer, camera } = shown;
  const { clientWidth: width, clientHeight: height } = stage().querySelector(".picture");
  const size = renderer.domElement;
  if (!width || (size.clientWidth === width && size.clientHeight === height && !stale)) return;
  renderer.setSize(width, height);
  camera.aspect = width / height;
  camera.updateProjectionMatrix();
};

const draw = () => {
  requestAnimationFrame(draw);
  const place = stage();
  if (!shown?.mixer || !place?.offsetParent) return;
  const last = Math.max(shown.action.getClip().duration - FRAME / 10, 0);
  const time = Math.min(talkingFace.moment(), last);
  const [canvas, picture] = [shown.renderer.domElement, place.querySelector(".picture")];
  const resized =
    canvas.clientWidth !== picture.clientWidth || canvas.clientHeight !== picture.clientHeight;
  if (!stale && !resized && Math.abs(time - drawnTime) < FRAME / 10) return;
  fit();
  shown.mixer.setTime(time);
  for (const part of shown.parts) {
    part.visible = !(view.bare && part === shown.parts[1]);
    part.material.wireframe = view.mesh;
  }
  const yaw = (view.yaw * Math.PI) / 180;
  const pitch = (view.pitch * Math.PI) / 180;
  const away = shown.distance / view.zoom;
  const { camera, target } = shown;
  camera.position.set(
    target.x + away * Math.sin(yaw) * Math.cos(pitch),
    target.y + away * Math.sin(pitch),
    target.z + away * Math.cos(yaw) * Math.cos(pitch),
  );
  camera.lookAt(target);
  shown.renderer.render(shown.scene, camera);
  drawnTime = time;
  stale = false;
};

// -- turning it -----------------------------------------------------------------------------------

const turn = (yaw, pitch) => {
  view.yaw = clamp(view.yaw + yaw, MOST_YAW);
  view.pitch = clamp(view.pitch + pitch, MOST_PITCH);
  stale = true;
};

const zoom = (factor) => {
  view.zoom = Math.min(Math.max(view.zoom * factor, ZOOMS[0]), ZOOMS[1]);
  stale = true;
};

const listen = (canvas) => {
  const fingers = new Map();
  const apart = () => {
    const [one, other] = [...fingers.values()];
    return Math.hypot(one.x - other.x, one.y - other.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const spread = fingers.size === 2 ? apart() : 0;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) zoom(apart() / Math.max(spread, 1));
    if (fingers.size === 1)
      turn((before.x - event.clientX) * DRAG, (event.clientY - before.y) * DRAG);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => turn(-STEP, 0),
      ArrowRight: () => turn(STEP, 0),
      ArrowUp: () => turn(0, STEP),
      ArrowDown: () => turn(0, -STEP),
      "+": () => zoom(1.1),
      "-": () => zoom(1 / 1.1),
    };
    if (!keys[event.key]) return;
    keys[event.key]();
    event.preventDefault();
  });
};

document.addEventListener("change", (event) => {
  if (event.target.closest?.("#head-stage") && event.target.name in view) {
    view[event.target.name] = event.target.checked;
    stale = true;
  }
});

requestAnimationFrame(draw);

// For the page: the tab was opened; show a glb; the angles of now; and what tests look at.
window.talkingHead = {
  begin,
  show,
  miss,
  angles: () => [Math.round(view.yaw), Math.round(view.pitch)],
  state: () => {
    const { render, memory } = shown?.renderer.info ?? {};
    return { ...view, time: drawnTime, triangles: render?.triangles ?? 0, ...memory };
  },
  redraw: () => (stale = true),
};
