// The answer: what was read, how surely, and a bar for each of the ten digits.

import { percent, say } from "./words.js";

const find = (id) => document.getElementById(id);

export function makeBars() {
  const bars = Array.from({ length: 10 }, (_, digit) => {
    const bar = document.createElement("li");
    for (const [kind, text] of [["digit", String(digit)], ["track", ""], ["share", ""]]) {
      const part = document.createElement("span");
      part.className = kind;
      part.textContent = text;
      bar.append(part);
    }
    bar.querySelector(".track").append(document.createElement("i"));
    return bar;
  });
  find("bars").replaceChildren(...bars);
}

/** Say what was read; return it as a sentence for a screen reader. */
export function showAnswer(answer, selected, choose) {
  const digit = answer?.digits[selected] ?? null;
  showBars(digit);
  showChoice(answer?.digits ?? [], selected, choose);
  const [said, sure, kind] = sentences(answer, digit);
  find("said").textContent = said;
  find("said").className = `said ${kind}`;
  find("sure").textContent = sure;
  return sure ? `${said}. ${sure}` : said;
}

function sentences(answer, digit) {
  if (!answer) return ["", say("serve_nothing_yet"), "empty"];
  if (!digit) return [say("serve_no_digit"), say("serve_no_ink"), "words"];
  if (!answer.picture.text) {
    const values = { digit: likeliest(digit), share: percent(digit.confidence) };
    return [say("serve_no_digit"), say("serve_at_best", values), "words"];
  }
  const text = answer.picture.text;
  const sure =
    digit.value === null
      ? say("serve_at_best", { digit: likeliest(digit), share: percent(digit.confidence) })
      : say("serve_sure", { digit: digit.value, share: percent(digit.confidence) });
  return [text, sure, text.length > 4 ? "long" : "digits"];
}

const likeliest = (digit) => digit.probabilities.indexOf(Math.max(...digit.probabilities));

export function describe(digit) {
  const share = percent(digit.confidence);
  return digit.value === null
    ? say("serve_at_best", { digit: likeliest(digit), share })
    : say("serve_sure", { digit: digit.value, share });
}

function showBars(digit) {
  [...find("bars").children].forEach((bar, number) => {
    const share = digit?.probabilities[number] ?? 0;
    bar.style.setProperty("--share", share);
    bar.classList.toggle("best", digit !== null && digit.value === number);
    bar.querySelector(".share").textContent = digit ? percent(share) : "";
  });
}

function showChoice(digits, selected, choose) {
  const found = find("found");
  found.hidden = digits.length < 2;
  if (found.childElementCount !== digits.length) {
    found.replaceChildren(
      ...digits.map((_, number) => {
        const button = document.createElement("button");
        button.type = "button";
        button.addEventListener("click", () => choose(number));
        return button;
      }),
    );
  }
  digits.forEach((digit, number) => {
    const button = found.children[number];
    button.textContent = digit.value ?? "?";
    button.setAttribute("aria-label", describe(digit));
    button.setAttribute("aria-pressed", String(number === selected));
  });
}
