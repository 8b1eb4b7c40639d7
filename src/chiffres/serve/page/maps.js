// Drawing grey levels and feature maps, in the colours of the page.

/** Return the colours of the page as [red, green, blue] each, from 0 to 255. */
export function colours(element, ...names) {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const style = getComputedStyle(element);
  return names.map((name) => {
    probe.fillStyle = style.getPropertyValue(name);
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
  });
}

/** Draw `levels`, each from 0 to 1, row by row, on a canvas of as many pixels. */
export function paint(canvas, levels, width, height, [low, high]) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const share = levels(i);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = low[c] + share * (high[c] - low[c]);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** A list of feature maps, of which one can be chosen by click or arrow keys. */
export class Maps {
  constructor(list, chosen) {
    this.list = list;
    this.chosen = chosen;
    list.addEventListener("keydown", (event) => this.key(event));
  }

  show(maps, levels, palette, selected, label) {
    const [count, height, width] = maps.shape;
    if (this.list.childElementCount !== count) {
      this.list.replaceChildren(...Array.from({ length: count }, (_, number) => this.item(number)));
    }
    const size = height * width;
    [...this.list.children].forEach((item, number) => {
      paint(item.firstChild, (i) => levels[number * size + i] / 255, width, height, palette);
      item.setAttribute("aria-selected", String(number === selected));
      item.setAttribute("aria-label", label(number));
      item.tabIndex = number === (selected ?? 0) ? 0 : -1;
    });
  }

  item(number) {
    const item = document.createElement("div");
    item.setAttribute("role", "option");
    item.append(document.createElement("canvas"));
    item.addEventListener("click", () => this.chosen(number));
    return item;
  }

  key(event) {
    const items = [...this.list.children];
    const here = items.indexOf(document.activeElement);
    if (here < 0) return;
    const columns = items.filter((item) => item.offsetTop === items[0].offsetTop).length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (event.key in steps) {
      const next = items[here + steps[event.key]];
      if (next) {
        items[here].tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") this.chosen(here);
    else return;
    event.preventDefault();
  }
}
