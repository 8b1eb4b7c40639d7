// What the page says, in the language that the reader chose or the browser prefers.

const LANGUAGES = ["fr", "en"];
let language = "en";
let sentences = {};

export const current = () => language;

export function preferred() {
  const chosen = localStorage.getItem("language");
  const wanted = [chosen, ...navigator.languages.map((each) => each.slice(0, 2))];
  return wanted.find((each) => LANGUAGES.includes(each)) ?? "en";
}

/** Load a language and put its sentences wherever the page asks for them. */
export async function speak(wanted) {
  const response = await fetch(`/words/${wanted}.json`);
  sentences = await response.json();
  language = wanted;
  document.documentElement.lang = wanted;
  document.title = say("serve_title");
  for (const element of document.querySelectorAll("[data-words]")) {
    element.textContent = say(element.dataset.words);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === wanted));
  }
}

/** Return a sentence with the values in their places. */
export function say(key, values = {}) {
  return (sentences[key] ?? "").replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function percent(share) {
  const style = { style: "percent", maximumFractionDigits: 1 };
  const shown = new Intl.NumberFormat(language, style).format(Math.min(share, 0.999));
  return share > 0.999 ? `> ${shown}` : shown;
}

export function number(value, digits = 2) {
  const style = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const shown = new Intl.NumberFormat(language, { ...style, signDisplay: "negative" }).format(value);
  return shown.replace("-", "−");
}
