// The sheet to draw on: finger, pen, mouse or keyboard. Points lie from 0 to 1 in both directions.

const PEN = 0.055;
const SENT = 196; // pixels along a side of what is sent: enough to read, and quick
const STEP = 0.03;

export class Sheet {
  /** Call `changed(finished)` whenever there is more, or less, on the canvas. */
  constructor(canvas, changed, spoken) {
    this.canvas = canvas;
    this.changed = changed;
    this.spoken = spoken;
    this.strokes = [];
    this.pen = { x: 0.5, y: 0.25, down: false, seen: false };
    this.sent = document.createElement("canvas");
    this.sent.width = this.sent.height = SENT;
    this.listen();
    new ResizeObserver(() => this.show()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
  }

  get empty() {
    return this.strokes.length === 0;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => this.end());
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.cursor(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.cursor(false));
  }

  begin(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.cursor(false);
    this.stroke = [this.point(event)];
    this.strokes.push(this.stroke);
    this.update(false);
  }

  go(event) {
    if (!this.stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.stroke.push(this.point(each));
    this.update(false);
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.update(true);
  }

  point(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
  }

  key(event) {
    const step = event.shiftKey ? STEP / 3 : STEP;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) this.move(...moves[event.key]);
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  move(across, down) {
    const inside = (value) => Math.min(0.97, Math.max(0.03, value));
    this.pen.x = inside(this.pen.x + across);
    this.pen.y = inside(this.pen.y + down);
    this.pen.seen = true;
    if (this.pen.down) this.strokes.at(-1).push({ x: this.pen.x, y: this.pen.y });
    if (this.pen.down) this.update(true);
    else this.show();
  }

  toggle() {
    this.pen.down = !this.pen.down;
    this.pen.seen = true;
    if (this.pen.down) this.strokes.push([{ x: this.pen.x, y: this.pen.y }]);
    this.spoken(this.pen.down ? "serve_pen_down" : "serve_pen_up");
    this.update(true);
  }

  cursor(seen) {
    this.pen.seen = seen;
    if (!seen) this.pen.down = false;
    this.show();
  }

  undo() {
    this.pen.down = false;
    if (this.strokes.pop()) this.update(true);
  }

  clear() {
    this.pen.down = false;
    this.strokes = [];
    this.update(true);
  }

  update(finished) {
    this.show();
    this.changed(finished);
  }

  show() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    const style = getComputedStyle(this.canvas);
    this.trace(context, side, style.getPropertyValue("--ink"));
    if (this.pen.seen) this.nib(context, side, style.getPropertyValue("--accent"));
  }

  nib(context, side, colour) {
    const x = this.pen.x * side;
    const y = this.pen.y * side;
    const radius = (PEN / 2) * side;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 2 * devicePixelRatio;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    if (this.pen.down) context.fill();
    context.stroke();
  }

  trace(context, side, colour) {
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = PEN * side;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x * side, stroke[0].y * side);
      for (let i = 1; i < stroke.length - 1; i++) {
        const [here, next] = [stroke[i], stroke[i + 1]];
        const middle = [((here.x + next.x) / 2) * side, ((here.y + next.y) / 2) * side];
        context.quadraticCurveTo(here.x * side, here.y * side, ...middle);
      }
      const last = stroke.at(-1);
      context.lineTo(last.x * side + 0.01, last.y * side);
      context.stroke();
    }
  }

  /** Return the drawing as a small PNG, black on white. */
  async png() {
    const context = this.sent.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, SENT, SENT);
    this.trace(context, SENT, "black");
    return new Promise((resolve) => this.sent.toBlob(resolve, "image/png"));
  }
}
