/* Videos of one clip side by side, on one clock. The one that is heard is the clock; the others are pulled to it. */

const SPEEDS = [0.25, 0.5, 1];
const NUDGE = 0.2; // s of an arrow key
const NEAR = 0.012; // s: in step
const FAR = 0.12; // s: beyond this a video jumps, below it runs a little faster or slower

const WIDEST = 430; // px of a video

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && !name.includes("-")) made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const settled = (video, event, ready) => new Promise(resolve => {
  if (ready(video) || video.error) return resolve();
  const done = () => { video.removeEventListener(event, done); video.removeEventListener("error", done); resolve(); };
  video.addEventListener(event, done);
  video.addEventListener("error", done);
});

class Gallery {
  /* `clips`: {name, transcript, videos: [{method, file (address) or mp4 (base64), strip, mouth: [x, y, width, height] as
     shares of the picture}]}; `describe(clip, method)`: nodes for below a video; `shown`: names of methods. */
  constructor(root, clips, { fps, methods, shown, describe }) {
    Object.assign(this, { root, clips, fps, methods, describe, shown: new Set(shown), urls: [], index: 0, run: 0 });
    this.speed = 1; this.playing = false; this.looping = true; this.zoomed = false; this.frame = 0; this.voice = "";
    this.videos = new Map();
    this.build();
    document.addEventListener("keydown", event => this.onKey(event));
  }

  build() {
    const button = (name, text, title, action, pressed) => {
      const made = element("button", { type: "button", textContent: text, title, onclick: action, "data-do": name, "aria-label": title });
      if (pressed !== undefined) made.setAttribute("aria-pressed", pressed);
      return made;
    };
    this.buttons = {
      previous: button("previous", "‹ clip", "previous clip, key [", () => this.open(this.index - 1)),
      next: button("next", "clip ›", "next clip, key ]", () => this.open(this.index + 1)),
      play: button("play", "Play", "play or pause, key Space", () => this.toggle()),
      back: button("back", "−1", "one frame back, key , (comma)", () => this.step(-1)),
      forth: button("forth", "+1", "one frame on, key . (full stop)", () => this.step(1)),
      loop: button("loop", "Loop", "play again and again, key L", () => this.setLoop(!this.looping), true),
      zoom: button("zoom", "Mouth", "zoom to the mouth, key M", () => this.setZoom(!this.zoomed), false),
    };
    this.choice = element("select", { "aria-label": "clip", onchange: () => this.open(Number(this.choice.value)) },
      ...this.clips.map((clip, index) => element("option", { value: index, textContent: clip.name })));
    this.speeds = element("select", { "aria-label": "speed, key S", title: "speed, key S", onchange: () => this.setSpeed(Number(this.speeds.value)) },
      ...SPEEDS.map(speed => element("option", { value: speed, textContent: `${speed}×`, selected: speed === 1 })));
    this.voices = element("select", { "aria-label": "audio of", title: "whose audio plays", onchange: () => this.setVoice(this.voices.value) });
    this.slider = element("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "frame", oninput: () => this.seek(Number(this.slider.value)) });
    this.clock = element("output", { className: "clock" });
    this.transcript = element("p", { className: "said" });
    this.chips = element("div", { className: "chips", role: "group", "aria-label": "methods shown" });
    this.grid = element("div", { className: "videos" });
    const keys = [["Space", "play"], ["← →", "0.2 s"], [", .", "a frame"], ["1–9 0", "show a method"], ["S", "speed"], ["M", "mouth"], ["L", "loop"], ["[ ]", "clip"]];
    const { previous, next, play, back, forth, loop, zoom } = this.buttons;
    this.root.append(
      element("div", { className: "bar pick" }, previous, this.choice, next), this.transcript, this.chips, this.grid,
      element("div", { className: "controls" },
        element("div", { className: "bar seek" }, play, back, forth, this.slider, this.clock),
        element("div", { className: "bar" }, element("label", {}, "speed ", this.speeds), element("label", {}, "audio ", this.voices), loop, zoom)),
      element("p", { className: "keys" }, ...keys.flatMap(([key, use]) => [element("kbd", { textContent: key }), ` ${use} `])));
  }

  get clip() { return this.clips[this.index]; }
  get active() { return [...this.videos.values()].filter(item => this.shown.has(item.method)); }
  get master() { return this.videos.get(this.voice) ?? this.active[0]; }
  get count() {
    const lengths = this.active.map(item => item.video.duration).filter(Number.isFinite);
    return Math.max(1, Math.round(Math.min(...(lengths.length ? lengths : [0])) * this.fps));
  }

  async open(index, method) {
    this.pause();
    this.index = (index + this.clips.length) % this.clips.length;
    this.choice.value = this.index;
    this.urls.splice(0).forEach(url => URL.revokeObjectURL(url));
    if (method !== undefined) this.shown.add(method);
    this.transcript.textContent = this.clip.transcript ? `“${this.clip.transcript}”` : "";
    this.transcript.hidden = !this.clip.transcript;
    this.videos = new Map(this.clip.videos.map(item => [item.method, this.makeVideo(item)]));
    if (!this.active.length) this.shown.add(this.clip.videos[0].method);
    if (!this.videos.has(this.voice)) this.voice = this.active[0].method;
    this.buttons.zoom.hidden = !this.clip.videos.some(item => item.mouth);
    this.grid.replaceChildren(...[...this.videos.values()].map(item => item.figure));
    this.frame = 0;
    await this.arrange();
  }

  makeVideo(item) {
    const video = element("video", { muted: true, playsInline: true, preload: "none", "aria-label": `video of ${item.method}` });
    video.disablePictureInPicture = true;
    const screen = element("div", { className: "screen", onclick: () => this.toggle() }, video);
    const caption = element("figcaption", {}, element("b", { textContent: item.method }), ...this.describe(this.clip, item.method));
    const figure = element("figure", { "data-method": item.method }, screen, caption);
    if (item.strip) screen.after(element("img", { src: item.strip, alt: `faces of ${item.method}, evenly spread over the clip`, className: "strip" }));
    const made = { ...item, video, screen, figure };
    video.addEventListener("error", () => { if (video.hasAttribute("src")) figure.classList.add("broken"); });
    video.addEventListener("loadedmetadata", () => this.crop(made));
    return made;
  }

  address(item) {
    if (item.mp4 === undefined) return item.file;
    const bytes = Uint8Array.from(atob(item.mp4), letter => letter.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    this.urls.push(url);
    return url;
  }

  /* Loads what is shown, hides the rest, and puts all at the present frame. */
  async arrange() {
    const playing = this.playing;
    this.pause();
    for (const item of this.videos.values()) {
      const on = this.shown.has(item.method);
      item.figure.hidden = !on;
      if (on && !item.video.hasAttribute("src")) { item.video.preload = "auto"; item.video.src = this.address(item); }
    }
    this.grid.style.maxWidth = `${WIDEST * this.active.length}px`;
    this.listMethods();
    const index = this.index;
    await Promise.all(this.active.map(item => settled(item.video, "loadedmetadata", video => video.readyState >= 1)));
    if (index !== this.index) return;
    this.slider.max = this.count - 1;
    await this.seek(Math.min(this.frame, this.count - 1));
    this.root.dataset.ready = index;
    if (playing) await this.play();
  }

  listMethods() {
    const present = this.methods.filter(method => this.videos.has(method));
    this.chips.replaceChildren(...present.map(method => {
      const number = this.methods.indexOf(method) + 1;
      return element("button", { type: "button", "aria-pressed": this.shown.has(method), "data-method": method, onclick: () => this.show(method) },
        ...(number <= 10 ? [element("kbd", { textContent: number % 10 })] : []), ` ${method}`);
    }), element("button", { type: "button", "data-do": "all", textContent: "all", onclick: () => { present.forEach(method => this.shown.add(method)); this.arrange(); } }));
    if (!this.shown.has(this.voice) && this.voice !== "none") this.voice = this.active[0].method;
    this.voices.replaceChildren(...[...this.active.map(item => item.method), "none"].map(method => element("option", { value: method, textContent: method, selected: method === this.voice })));
    this.mute();
  }

  async show(method) {
    if (!this.videos.has(method)) return;
    if (!this.shown.delete(method)) this.shown.add(method);
    else if (!this.active.length) this.shown.add(method);
    await this.arrange();
    this.chips.querySelector(`[data-method="${CSS.escape(method)}"]`)?.focus();
  }

  mute() { for (const item of this.videos.values()) item.video.muted = item.method !== this.voice; }
  setVoice(method) { this.voice = method; this.mute(); }
  setSpeed(speed) { this.speed = speed; this.speeds.value = speed; this.active.forEach(item => { item.video.playbackRate = speed; }); }
  setLoop(on) { this.looping = on; this.buttons.loop.setAttribute("aria-pressed", on); }
  setZoom(on) { this.zoomed = on; this.buttons.zoom.setAttribute("aria-pressed", on); this.videos.forEach(item => this.crop(item)); }

  /* The mouth's box, grown to the picture's shape, fills the tile; or the whole picture does. */
  crop({ video, screen, mouth }) {
    if (!video.videoWidth) return;
    screen.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
    if (!this.zoomed || !mouth) { video.style.transform = ""; return; }
    const [x, y, width, height] = mouth, side = Math.min(1, Math.max(width, height));
    const left = Math.min(1 - side, Math.max(0, x + (width - side) / 2)), top = Math.min(1 - side, Math.max(0, y + (height - side) / 2));
    video.style.transform = `scale(${1 / side}) translate(${-100 * left}%, ${-100 * top}%)`;
  }

  tell() {
    this.slider.value = this.frame;
    this.slider.setAttribute("aria-valuetext", `frame ${this.frame + 1} of ${this.count}`);
    this.clock.textContent = `${String(this.frame + 1).padStart(String(this.count).length, "\u2007")} / ${this.count} · ${(this.frame / this.fps).toFixed(2)} s`;
    this.buttons.play.textContent = this.playing ? "Pause" : "Play";
  }

  /* Every video at the middle of a frame, so that none rounds to its neighbour. */
  async seek(frame) {
    this.frame = Math.min(this.count - 1, Math.max(0, frame));
    this.tell();
    const time = (this.frame + 0.5) / this.fps;
    await Promise.all(this.active.map(async ({ video }) => {
      // only where it was sought before: a video that was paused near this time may show the next frame already
      if (video.error || Math.abs(video.currentTime - time) < 1e-6) return;
      video.currentTime = time;
      await settled(video, "seeked", () => !video.seeking);
    }));
  }

  step(frames) { this.pause(); return this.seek(this.frame + frames); }

  toggle() { return this.playing ? this.step(0) : this.play(); }

  pause() {
    this.playing = false;
    this.run += 1;
    this.active.forEach(item => item.video.pause());
    if (this.videos.size) { this.read(); this.tell(); }
  }

  read() {
    const video = this.master?.video;
    if (video && video.readyState) this.frame = Math.min(this.count - 1, Math.floor(video.currentTime * this.fps + 1e-3));
  }

  async play() {
    const run = ++this.run;
    this.playing = true;
    if (this.frame >= this.count - 1) this.frame = 0;
    await this.seek(this.frame);
    const playable = this.active.filter(item => !item.video.error);
    await Promise.all(playable.map(item => settled(item.video, "canplay", video => video.readyState >= 3)));
    if (run !== this.run) return;
    this.setSpeed(this.speed);
    await Promise.all(playable.map(({ video }) => video.play().catch(() => { video.muted = true; return video.play().catch(() => {}); })));
    if (run === this.run) this.tick(run);
  }

  /* One turn of the clock: followers are nudged by their speed, or jump where they are far off. */
  tick(run) {
    if (run !== this.run) return;
    const clock = this.master.video, end = this.count / this.fps;
    this.read();
    this.tell();
    if (clock.ended || clock.error || clock.currentTime >= end - 0.5 / this.fps) {
      if (this.looping) { this.active.forEach(item => item.video.pause()); this.frame = 0; this.play(); } else { this.pause(); this.seek(this.count - 1); }
      return;
    }
    for (const { video } of this.active) {
      if (video === clock || video.seeking || video.error) continue;
      const late = clock.currentTime - video.currentTime;
      if (Math.abs(late) > FAR) video.currentTime = clock.currentTime;
      else video.playbackRate = this.speed * (Math.abs(late) > NEAR ? 1 + Math.sign(late) * Math.min(0.25, 4 * Math.abs(late)) : 1);
    }
    requestAnimationFrame(() => this.tick(run));
  }

  inView() {
    const box = this.root.getBoundingClientRect();
    return box.top < 0.8 * innerHeight && box.bottom > 0.2 * innerHeight;
  }

  onKey(event) {
    const at = event.target, here = this.root.contains(at), free = at === document.body || at === document.documentElement;
    if (event.ctrlKey || event.metaKey || event.altKey || !(here || (free && this.inView()))) return;
    if (at.matches("select, input:not([type=range])")) return;
    if (event.key === " " && at.matches("button")) return; // presses the button
    const keys = {
      " ": () => this.toggle(), ArrowLeft: () => this.step(-Math.round(NUDGE * this.fps)), ArrowRight: () => this.step(Math.round(NUDGE * this.fps)),
      ",": () => this.step(-1), ".": () => this.step(1), "[": () => this.open(this.index - 1), "]": () => this.open(this.index + 1),
      l: () => this.setLoop(!this.looping), m: () => this.setZoom(!this.zoomed),
      s: () => this.setSpeed(SPEEDS[(SPEEDS.indexOf(this.speed) + SPEEDS.length - 1) % SPEEDS.length]),
    };
    const digit = /^[0-9]$/.test(event.key) ? this.methods[(Number(event.key) + 9) % 10] : undefined;
    const action = digit !== undefined ? () => this.show(digit) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
