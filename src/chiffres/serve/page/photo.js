// A photo instead of a drawing: by file, drop, paste or camera, reduced here before it is sent.

const LONGEST = 1600;

export class Photo {
  constructor(frame, canvas, boxes, chosen) {
    this.frame = frame;
    this.canvas = canvas;
    this.boxes = boxes;
    this.chosen = chosen;
  }

  get shown() {
    return !this.frame.hidden;
  }

  /** Show an image and return it as a JPEG that is quick to send; what a camera added is left out. */
  async open(source) {
    const image = await createImageBitmap(source, { imageOrientation: "from-image" });
    const factor = Math.min(1, LONGEST / Math.max(image.width, image.height));
    this.canvas.width = Math.max(1, Math.round(image.width * factor));
    this.canvas.height = Math.max(1, Math.round(image.height * factor));
    const context = this.canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.boxes.replaceChildren();
    this.frame.style.setProperty("--ratio", this.canvas.width / this.canvas.height);
    this.frame.hidden = false;
    this.jpeg = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", 0.92));
  }

  close() {
    this.frame.hidden = true;
    this.boxes.replaceChildren();
    this.jpeg = null;
  }

  /** Draw a button around each digit; `label` says what it shows. */
  draw(digits, [width, height], selected, label) {
    if (this.boxes.childElementCount !== digits.length) {
      this.boxes.replaceChildren(...digits.map((_, number) => this.box(number)));
    }
    digits.forEach((digit, number) => {
      const button = this.boxes.children[number];
      const [left, top, wide, high] = digit.box;
      const places = { left: left / width, top: top / height, width: wide / width, height: high / height };
      for (const [name, share] of Object.entries(places)) button.style[name] = `${100 * share}%`;
      button.classList.toggle("unsure", digit.value === null);
      button.setAttribute("aria-pressed", String(number === selected));
      button.setAttribute("aria-label", label(digit));
      button.firstChild.textContent = digit.value ?? "?";
    });
  }

  box(number) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("span"));
    button.addEventListener("click", () => this.chosen(number));
    return button;
  }
}

/** Let images be dropped anywhere on the page, or pasted. */
export function acceptImages(stage, opened) {
  const first = (list) => [...(list ?? [])].find((file) => file.type.startsWith("image/"));
  document.addEventListener("paste", (event) => {
    const file = first(event.clipboardData?.files);
    if (file) opened(file);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    stage.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) stage.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    const file = first(event.dataTransfer?.files);
    if (file) opened(file);
  });
}

/** Let a dialog show what the camera sees, and take a picture of it. */
export function offerCamera(button, dialog, video, taken, failed) {
  if (!navigator.mediaDevices?.getUserMedia) return; // only where the page came safely
  button.hidden = false;
  let stream = null;
  button.addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: LONGEST } },
      });
      video.srcObject = stream;
      dialog.showModal();
    } catch {
      failed();
    }
  });
  dialog.addEventListener("close", () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  });
  dialog.querySelector("#take").addEventListener("click", async () => {
    const image = await createImageBitmap(video);
    dialog.close();
    taken(image);
  });
  dialog.querySelector("#no-camera").addEventListener("click", () => dialog.close());
}
