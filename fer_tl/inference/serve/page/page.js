"use strict";

const FRAME = 640; // pixels of the longer side of a camera frame that is sent: detectors search at this size
const RATE_OF = 20; // frames over which the rate is measured
const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;

// turn: counts pictures and cameras, so that what answers an earlier one is dropped.
// sent: the picture that the shown answer is about. crop: whether it was taken for one face.
const state = { turn: 0, faces: [], names: [], chosen: 0, sent: null, crop: false, stream: null, address: null };

class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function ask(path, picture, query) {
  let answer;
  try {
    const headers = { "Content-Type": picture.type };
    answer = await fetch(`${path}?${new URLSearchParams(query)}`, { method: "POST", headers, body: picture });
  } catch {
    throw new Refused("The server does not answer. Is fer-tl serve still running?", 0);
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(sentence(found.error || `the server answered ${answer.status}`), answer.status);
  return found;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function sayError(text) {
  element("error").textContent = text;
  element("error").hidden = !text;
}

function say(text) {
  element("said").textContent = text;
}

const facesQuery = () => ({ faces: state.crop ? "crop" : "detect" });

// Pictures

function clear() {
  state.turn += 1;
  stopCamera();
  sayError("");
  say("");
  Object.assign(state, { faces: [], chosen: 0, sent: null, crop: element("crop").checked });
  for (const id of ["result", "answer", "photo", "video", "rate", "explanation"]) element(id).hidden = true;
  element("boxes").replaceChildren();
  if (state.address) URL.revokeObjectURL(state.address);
  state.address = null;
}

async function takePicture(file) {
  clear();
  const turn = state.turn;
  if (!document.body.dataset.types.split(" ").includes(file.type)) {
    return sayError(`${file.name || "This"} is not a picture of a kind that can be read: give JPEG, PNG, WebP, BMP or GIF.`);
  }
  if (file.size > Number(document.body.dataset.mostBytes)) {
    const most = Number(document.body.dataset.mostBytes) / 1e6;
    return sayError(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB, at most ${most} are taken: give a smaller one.`);
  }
  say("Looking at the picture …");
  try {
    const found = await ask("/predict", file, facesQuery());
    if (turn !== state.turn) return;
    showPhoto(file);
    state.sent = file;
    show(found);
    say(summary(found.faces));
  } catch (error) {
    if (turn !== state.turn) return;
    say("");
    sayError(error.message);
  }
}

function showPhoto(picture) {
  state.address = URL.createObjectURL(picture);
  element("photo").src = state.address;
  element("photo").hidden = false;
}

function summary(faces) {
  if (!faces.length) {
    return "No face was found. If the picture shows a face and little else, tick the box above and give it again.";
  }
  const said = faces.slice(0, 5).map((face) => `${face.label} ${percent(Math.max(...Object.values(face.probabilities)))}`);
  const count = faces.length === 1 ? "One face" : `${faces.length} faces, the largest first`;
  return `${count}: ${said.join(", ")}${faces.length > 5 ? " …" : ""}`;
}

// Answers

function show(found) {
  state.faces = found.faces;
  state.names = found.class_names;
  state.chosen = Math.min(state.chosen, Math.max(0, found.faces.length - 1));
  element("result").hidden = false;
  element("answer").hidden = !found.faces.length;
  fit(element("boxes"), found.faces.length, makeBox);
  fit(element("faces"), found.faces.length, makeFaceButton);
  element("faces").hidden = found.faces.length < 2;
  found.faces.forEach((face, index) => placeBox(element("boxes").children[index], face, index + 1, found));
  found.faces.forEach((face, index) => {
    element("faces").children[index].textContent = `Face ${index + 1}: ${face.label}`;
  });
  showChosen();
}

// Nodes are kept from frame to frame, so that a button keeps the keyboard's focus.
function fit(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make(parent.children.length));
}

function makeBox(index) {
  const box = document.createElement("div");
  box.className = "box";
  const title = document.createElement("span");
  title.append(document.createElement("b"), document.createElement("i"));
  box.append(title);
  box.addEventListener("click", () => choose(index));
  return box;
}

function makeFaceButton(index) {
  const button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", () => choose(index));
  return button;
}

function placeBox(node, face, number, { width, height }) {
  const { top, left, bottom, right } = face;
  const place = { left: left / width, top: top / height, width: (right - left) / width, height: (bottom - top) / height };
  for (const [edge, share] of Object.entries(place)) node.style[edge] = `${100 * share}%`;
  node.classList.toggle("below", top / height < 0.1);
  node.classList.toggle("within", top / height < 0.1 && bottom / height > 0.9);
  node.classList.toggle("leftwards", left / width > 0.6);
  const [shown, label] = node.firstElementChild.children;
  shown.textContent = String(number);
  label.textContent = ` ${face.label}`;
}

function choose(index) {
  state.chosen = index;
  element("explanation").hidden = true;
  showChosen();
}

function showChosen() {
  const face = state.faces[state.chosen];
  [...element("boxes").children].forEach((box, index) => box.classList.toggle("chosen", index === state.chosen));
  [...element("faces").children].forEach((button, index) => {
    button.setAttribute("aria-pressed", String(index === state.chosen));
  });
  if (!face) return;
  element("answer-heading").textContent = `${face.label}, ${percent(Math.max(...Object.values(face.probabilities)))}`;
  const which = state.faces.length > 1 ? ` for face ${state.chosen + 1}` : "";
  element("caption").textContent = `Probability of each expression${which}`;
  fit(element("bars"), state.names.length, makeBar);
  state.names.forEach((name, index) => fillBar(element("bars").children[index], name, face, index));
}

function makeBar() {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  const bar = document.createElement("span");
  bar.className = "bar";
  bar.append(document.createElement("span"));
  const cell = document.createElement("td");
  cell.setAttribute("aria-hidden", "true");
  cell.append(bar);
  row.append(name, cell, document.createElement("td"));
  return row;
}

function fillBar(row, name, face, index) {
  const [title, bar, value] = row.children;
  title.textContent = name;
  bar.firstElementChild.firstElementChild.style.width = percent(face.probabilities[state.names[index]]).replace(" ", "");
  value.textContent = percent(face.probabilities[state.names[index]]);
  row.classList.toggle("top", name === face.label);
}

// Explanations

const PLACES = {
  nowhere: (name) => `Nothing in the face speaks for ${name}`,
  "all alike": (name) => `All of the face speaks alike for ${name}`,
};

async function explain() {
  const button = element("explain");
  const { turn, chosen, sent } = state;
  button.disabled = true;
  button.textContent = "Working, the first time for some seconds …";
  sayError("");
  try {
    const found = await ask("/explain", sent, { ...facesQuery(), face: chosen });
    if (turn !== state.turn || chosen !== state.chosen) return;
    const name = found.class;
    const where = PLACES[found.place]?.(name) || `What speaks most for ${name} is here: ${found.place}`;
    element("map").src = found.picture;
    element("map").alt = `The face under a map in colours. ${where}.`;
    element("map-caption").textContent =
      `${where}. Grad-CAM of layer ${found.layer}, a map of ${found.map_size.join(" x ")} cells: yellow speaks for ${name}, dark blue does not.`;
    element("explanation").hidden = false;
  } catch (error) {
    if (turn === state.turn) sayError(error.message);
  } finally {
    button.disabled = false;
    button.textContent = "Show what the answer depends on";
  }
}

// Camera

const REASONS = {
  NotAllowedError: "The browser does not allow this page to use the camera: allow it in the address bar, then start again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera cannot be opened: another program may be using it.",
};

async function toggleCamera() {
  if (state.stream) return leaveCamera(state.turn, "The camera is off. Shown is the last frame.", say);
  clear();
  const turn = state.turn;
  if (!navigator.mediaDevices) {
    const port = location.port || 80;
    return sayError(
      "Browsers open the camera only to pages of their own machine or over https. Forward the port, " +
        `ssh -L ${port}:127.0.0.1:${port} ${location.hostname}, and open http://127.0.0.1:${port}/ here.`,
    );
  }
  let stream;
  try {
    const video = { width: { ideal: FRAME }, height: { ideal: 480 }, facingMode: "user" };
    stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    if (turn === state.turn) sayError(REASONS[error.name] || `The camera cannot be opened (${error.message}).`);
    return;
  }
  if (turn !== state.turn || document.hidden) return stream.getTracks().forEach((track) => track.stop());
  state.stream = stream;
  stream.getVideoTracks()[0].addEventListener("ended", () => leaveCamera(turn, "The camera has gone."));
  element("camera").textContent = "Stop the camera";
  const video = element("video");
  video.srcObject = stream;
  video.hidden = element("result").hidden = element("rate").hidden = false;
  say("The camera is on.");
  try {
    await video.play();
    await watch(turn, video);
  } catch (error) {
    leaveCamera(turn, error.message);
  }
}

function stopCamera() {
  if (!state.stream) return;
  state.stream.getTracks().forEach((track) => track.stop());
  state.stream = null;
  element("video").srcObject = null;
  element("video").hidden = element("rate").hidden = true;
  element("camera").textContent = "Start the camera";
}

// Leaves the last frame, which the answers are about, in place of the camera's picture.
function leaveCamera(turn, why, tell = sayError) {
  if (turn !== state.turn) return;
  stopCamera();
  state.turn += 1;
  if (state.sent) showPhoto(state.sent);
  say("");
  tell(why);
}

// One frame is sent when the one before is answered, so the camera never has more than one request in flight.
async function watch(turn, video) {
  const canvas = document.createElement("canvas");
  const times = [];
  while (turn === state.turn) {
    const frame = await grab(video, canvas);
    if (turn !== state.turn) return;
    state.crop = element("crop").checked;
    try {
      const found = await ask("/predict", frame, facesQuery());
      if (turn !== state.turn) return;
      state.sent = frame;
      show(found);
    } catch (error) {
      if (error.status !== 503) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      continue;
    }
    times.push(performance.now());
    if (times.length > RATE_OF) times.shift();
    const rate = (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
    const faces = state.faces.length;
    const found = faces === 0 ? "no face found" : faces === 1 ? "one face" : `${faces} faces`;
    element("rate").textContent = times.length > 1 ? `${rate.toFixed(1)} frames/s, ${found}` : found;
  }
}

async function grab(video, canvas) {
  await new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
  const scale = Math.min(1, FRAME / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(scale * video.videoWidth);
  canvas.height = Math.round(scale * video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
}

// What the user does

element("file").addEventListener("change", () => {
  const [file] = element("file").files;
  if (file) takePicture(file);
  element("file").value = ""; // so that the same file can be given again
});
element("camera").addEventListener("click", toggleCamera);
element("explain").addEventListener("click", explain);
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // else the browser leaves the page for the file
    element("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) takePicture(event.dataTransfer.files[0]);
  });
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden && state.stream) leaveCamera(state.turn, "The camera was stopped, since the page was hidden.");
});
addEventListener("pagehide", stopCamera);
