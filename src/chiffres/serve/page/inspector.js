// One feature map from near: at each pixel, the window, the kernel and the sum of their products.

import { paint } from "./maps.js";
import { number, say } from "./words.js";

const find = (id) => document.getElementById(id);
const CELL = 10; // pixels of canvas for each pixel of a map

export class Inspector {
  constructor() {
    this.place = null;
    const large = find("large");
    large.addEventListener("click", (event) => this.point(event));
    large.addEventListener("keydown", (event) => this.key(event));
  }

  show(inspected, palette, marker) {
    find("inspector").hidden = !inspected;
    if (!inspected) return;
    Object.assign(this, { inspected, palette, marker });
    const map = inspected.activated;
    const outside = this.place && (this.place[0] >= map.length || this.place[1] >= map[0].length);
    if (!this.place || outside) this.place = highest(map);
    this.update();
  }

  point(event) {
    const map = this.inspected.activated;
    const { left, top, width, height } = find("large").getBoundingClientRect();
    const row = Math.floor(((event.clientY - top) / height) * map.length);
    const column = Math.floor(((event.clientX - left) / width) * map[0].length);
    this.go(row, column);
  }

  key(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.go(this.place[0] + steps[event.key][0], this.place[1] + steps[event.key][1]);
  }

  go(row, column) {
    const map = this.inspected.activated;
    const within = (value, length) => Math.min(length - 1, Math.max(0, value));
    this.place = [within(row, map.length), within(column, map[0].length)];
    this.update();
  }

  update() {
    const { inspected, place } = this;
    const [row, column] = place;
    find("inspector-title").textContent = say("serve_inspector_title", { number: inspected.map + 1 });
    this.enlarge(find("large"), inspected.activated, [row, column, 1, 1]);
    find("window").parentElement.hidden = !inspected.kernel;
    find("products").hidden = !inspected.kernel;
    if (inspected.kernel) this.convolve(row, column);
    else find("formula").textContent = this.valueHere();
    find("pooled").textContent = this.pooling(row, column);
  }

  convolve(row, column) {
    const { input, kernel, bias, strides, pads } = this.inspected;
    const top = row * strides[0] - pads[0];
    const left = column * strides[1] - pads[1];
    this.enlarge(find("window"), input, [top, left, kernel.length, kernel[0].length]);
    const cells = kernel.map((line, i) =>
      line.map((weight, j) => {
        const pixel = input[top + i]?.[left + j] ?? 0;
        return { pixel, weight, product: pixel * weight };
      }),
    );
    const total = cells.flat().reduce((sum, cell) => sum + cell.product, 0);
    find("products").replaceChildren(
      grid(say("serve_pixels"), cells, "pixel"),
      sign("×"),
      grid(say("serve_kernel"), cells, "weight"),
      sign("="),
      grid(say("serve_products"), cells, "product"),
    );
    find("formula").textContent = say("serve_formula", {
      row: row + 1,
      column: column + 1,
      sum: number(total),
      bias: `${bias < 0 ? "−" : "+"} ${number(Math.abs(bias))}`,
      total: number(total + bias),
      value: number(this.inspected.activated[row][column]),
    });
  }

  valueHere() {
    const [row, column] = this.place;
    const value = number(this.inspected.activated[row][column]);
    return say("serve_value_here", { row: row + 1, column: column + 1, value });
  }

  /** Say what the pooling makes of the window that a pixel lies in. */
  pooling(row, column) {
    const { pooling, activated } = this.inspected;
    if (!pooling || pooling.before.length !== activated.length) return "";
    const [i, j] = [Math.floor(row / pooling.strides[0]), Math.floor(column / pooling.strides[1])];
    const pooled = pooling.after[i]?.[j];
    if (pooled === undefined) return "";
    const [top, left] = [i * pooling.strides[0], j * pooling.strides[1]];
    const lines = pooling.before.slice(top, top + pooling.size[0]);
    const values = lines.flatMap((line) => line.slice(left, left + pooling.size[1]));
    const sentence = say(pooling.kind === "max" ? "serve_pool_max" : "serve_pool_mean", {
      values: values.map((value) => number(value)).join(" · "),
      value: number(pooled),
    });
    return pooling.direct ? sentence : `${say("serve_pool_later")} ${sentence}`;
  }

  enlarge(canvas, map, [top, left, height, width]) {
    const strongest = Math.max(1e-6, ...map.map((line) => Math.max(...line)));
    const [rows, columns] = [map.length, map[0].length];
    const level = (i) => {
      const row = Math.floor(i / (columns * CELL * CELL));
      const column = Math.floor((i % (columns * CELL)) / CELL);
      return Math.min(1, Math.max(0, map[row][column] / strongest));
    };
    paint(canvas, level, columns * CELL, rows * CELL, this.palette);
    const context = canvas.getContext("2d");
    context.strokeStyle = `rgb(${this.marker})`;
    context.lineWidth = 3;
    context.strokeRect(left * CELL, top * CELL, width * CELL, height * CELL);
  }
}

function highest(map) {
  let place = [0, 0];
  map.forEach((line, row) =>
    line.forEach((value, column) => {
      if (value > map[place[0]][place[1]]) place = [row, column];
    }),
  );
  return place;
}

function grid(caption, cells, what) {
  const most = Math.max(1e-6, ...cells.flat().map((cell) => Math.abs(cell[what])));
  const table = document.createElement("table");
  table.createCaption().textContent = caption;
  for (const line of cells) {
    const row = table.insertRow();
    for (const cell of line) {
      const place = row.insertCell();
      place.textContent = number(cell[what]);
      place.className = cell[what] < 0 ? "negative" : "positive";
      place.style.setProperty("--share", Math.abs(cell[what]) / most);
    }
  }
  return table;
}

function sign(text) {
  const element = document.createElement("span");
  element.className = "sign";
  element.textContent = text;
  return element;
}
