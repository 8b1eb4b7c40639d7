// The page as a whole: what is drawn or opened goes to the server, and its answer is shown.

import { describe, makeBars, showAnswer } from "./answer.js";
import { Problem, bytes, get, newest, post } from "./api.js";
import { Sheet } from "./drawing.js";
import { Inspector } from "./inspector.js";
import { Maps, colours, paint } from "./maps.js";
import { Photo, acceptImages, offerCamera } from "./photo.js";
import { current, preferred, say, speak } from "./words.js";

const find = (id) => document.getElementById(id);
const PAUSE = 700; // milliseconds without a stroke after which a screen reader is told

const state = { model: null, answer: null, seen: null, digit: 0, map: null, milliseconds: null };
let pause = null;

const inspector = new Inspector();
const sheet = new Sheet(find("paper"), drawn, (key) => announce(say(key)));
const photo = new Photo(find("photo"), find("picture"), find("boxes"), choose);
const lists = {
  convolution: new Maps(find("convolution").querySelector(".maps"), inspect),
  pooling: new Maps(find("pooling").querySelector(".maps"), inspect),
};

const read = newest(async (finished) => {
  const body = photo.shown ? photo.jpeg : sheet.empty ? null : await sheet.png();
  if (!body) return forget();
  const began = performance.now();
  const { model, digit, map } = state;
  const parameters = { model, digit, map, drawn: !photo.shown };
  await tried(async () => {
    const answer = await post("/v1/explain", parameters, body, body.type);
    if (photo.shown !== (body === photo.jpeg)) return;
    Object.assign(state, { answer, seen: answer.seen, milliseconds: performance.now() - began });
    const chosenSince = state.digit !== parameters.digit || state.map !== parameters.map;
    state.digit = Math.min(state.digit, Math.max(0, answer.digits.length - 1));
    show(finished);
    if (chosenSince) look();
  }, () => read(finished));
});

const look = newest(async () => {
  const digit = state.answer?.digits[state.digit];
  if (!digit) return;
  const parameters = { model: state.model, map: state.map };
  await tried(async () => {
    const body = bytes(digit.image);
    state.seen = await post("/v1/layers", parameters, body, "application/octet-stream");
    show(false);
  }, look);
});

function drawn(finished) {
  if (photo.shown) return;
  find("hint").hidden = !sheet.empty;
  read(finished);
}

function forget() {
  Object.assign(state, { answer: null, seen: null, digit: 0, milliseconds: null });
  show(false);
}

function choose(number) {
  state.digit = number;
  look();
  show(true);
}

function inspect(number) {
  state.map = state.map === number ? null : number;
  inspector.place = null;
  look();
}

/** Do something that asks the server; say what went wrong, and where it was busy, do it again. */
async function tried(work, again) {
  try {
    await work();
    find("problem").hidden = true;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return askKey(again);
    if (error instanceof Problem && error.status === 503) {
      complain(say("serve_busy"));
      setTimeout(again, 1000 * error.retryAfter);
      return;
    }
    complain(error instanceof Problem ? error.message : say("serve_unreachable"));
  }
}

function complain(text) {
  find("problem").textContent = text;
  find("problem").hidden = false;
}

function askKey(again) {
  const dialog = find("key-dialog");
  if (dialog.open) return;
  dialog.showModal();
  dialog.addEventListener("close", () => {
    sessionStorage.setItem("key", find("key").value);
    find("key").value = "";
    again();
  }, { once: true });
}

function announce(text) {
  find("announce").textContent = text;
}

function show(finished) {
  const said = showAnswer(state.answer, state.digit, choose);
  clearTimeout(pause);
  if (finished && state.answer) pause = setTimeout(() => announce(said), PAUSE);
  if (photo.shown && state.answer) {
    photo.draw(state.answer.digits, state.answer.size, state.digit, describe);
  }
  find("undo").disabled = photo.shown || sheet.empty;
  find("clear").disabled = !photo.shown && sheet.empty;
  const time = state.milliseconds;
  find("time").textContent = time === null ? "" : say("serve_time", { time: Math.round(time) });
  showNetwork();
}

function showNetwork() {
  const { seen } = state;
  const digit = state.answer?.digits[state.digit];
  find("flow").hidden = !seen || !digit;
  find("lead").textContent = say(lead(seen));
  const names = ["--map-low", "--map-high", "--marker"];
  const [low, high, marker] = colours(document.body, ...names);
  if (!seen || !digit) return inspector.show(null);
  const image = bytes(digit.image);
  paint(find("given"), (i) => image[i] / 255, 28, 28, [low, high]);
  for (const [name, list] of Object.entries(lists)) {
    const maps = seen[name];
    find(name).hidden = !maps;
    if (!maps) continue;
    const label = (number) => say("serve_map", { number: number + 1 });
    list.show(maps, bytes(maps.maps), [low, high], state.map, label);
    const [count, height, width] = maps.shape;
    find(name).querySelector(".size").textContent = `${count} × ${height} × ${width}`;
  }
  inspector.show(seen.inspected, [low, high], marker);
}

function lead(seen) {
  if (!seen) return "serve_network_empty";
  return seen.convolution ? "serve_network_text" : "serve_network_dense";
}

async function open(source) {
  try {
    await photo.open(source);
  } catch {
    return complain(say("serve_not_an_image"));
  }
  find("stage").classList.add("with-photo");
  state.digit = 0;
  await read(true);
}

function clear() {
  find("stage").classList.remove("with-photo");
  photo.close();
  sheet.clear();
}

async function listModels() {
  await tried(async () => {
    const { models } = await get("/v1/models");
    find("model").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
    state.model = find("model").value;
  }, listModels);
}

async function change(language) {
  localStorage.setItem("language", language);
  await speak(language);
  show(false);
}

makeBars();
find("undo").addEventListener("click", () => sheet.undo());
find("clear").addEventListener("click", clear);
find("file").addEventListener("change", ({ target }) => {
  if (target.files[0]) open(target.files[0]);
  target.value = "";
});
find("model").addEventListener("change", ({ target }) => {
  Object.assign(state, { model: target.value, map: null });
  read(true);
});
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    if (button.dataset.language !== current()) change(button.dataset.language);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && !photo.shown) sheet.undo();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(false));
acceptImages(find("stage"), open);
offerCamera(find("camera"), find("camera-dialog"), find("video"), open, () =>
  complain(say("serve_no_camera")),
);
await speak(preferred());
document.body.classList.add("ready");
show(false);
await listModels();
