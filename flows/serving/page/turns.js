// One turn of a conversation on the screen: a message, an answer, or two answers side by side.

import { rendered } from "./markdown.js";

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function button(label, does, title = label) {
  const made = element("button", { type: "button", textContent: label, onclick: does });
  if (title !== label) made.setAttribute("aria-label", title);
  return made;
}

export function userTurn(turn, place, act) {
  const body = element("div", { className: "text" });
  body.append(element("p", { textContent: turn.content }));
  return element(
    "article", { className: "turn user" },
    element("h2", { textContent: "You" }), body,
    element("div", { className: "row" },
      button("Edit", () => act.edit(place), `Edit message ${place + 1}`),
      button("Copy", () => act.copy(turn.content), `Copy message ${place + 1}`)),
  );
}

export function answerTurn(turn, place, act, settings) {
  const cards = turn.answers.map((one, number) => card(turn, one, number, place, act, settings));
  if (cards.length === 1) return cards[0];
  return element("div", { className: "pair" }, ...cards);
}

function card(turn, one, number, place, act, settings) {
  const body = element("div", { className: "text" });
  if (settings.probabilities && one.tokens?.length) body.append(tokens(one.tokens));
  else body.append(rendered(one.content));
  const made = element("article", { className: "turn answer" }, element("h2", { textContent: one.model }), body);
  if (turn.chosen === number) {
    made.classList.add("chosen");
    made.append(element("p", { className: "note", textContent: "You found this one better." }));
  }
  const note = one.error ?? { length: "Ended because the longest answer or the context was reached.",
                              stopped: "You stopped it." }[one.finish];
  if (note) made.append(element("p", { className: "note", textContent: note }));
  if (one.finish || one.error) {
    const which = turn.answers.length > 1 ? ` of ${one.model}` : "";
    const row = element("div", { className: "row" },
      button("Copy", () => act.copy(one.content), `Copy answer ${place + 1}${which}`));
    if (number === 0) row.append(button("Retry", () => act.retry(place), `Retry answer ${place + 1}`));
    if (turn.answers.length > 1 && turn.chosen === undefined && turn.answers.every((other) => other.finish)) {
      row.append(button("This one is better", () => act.vote(place, number), `The answer${which} is better`));
    }
    made.append(row);
  }
  return made;
}

function tokens(list) {
  const made = element("p", { className: "tokens" });
  for (const one of list) {
    const likely = Math.exp(one.logprob);
    const rank = likely < 0.1 ? "p0" : likely < 0.5 ? "p1" : likely < 0.9 ? "p2" : "p3";
    const others = one.top.map(([text, logprob]) => `${JSON.stringify(text)} ${(100 * Math.exp(logprob)).toFixed(1)} %`);
    made.append(element("span", {
      className: rank, textContent: one.text,
      title: `${JSON.stringify(one.text)}: ${(100 * likely).toFixed(1)} %\n${others.join("\n")}`,
    }));
  }
  return made;
}
