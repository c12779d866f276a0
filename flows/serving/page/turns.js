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
  if (one.sources) made.append(...sources(one.sources, turn.answers.length > 1 ? one.model : ""));
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

// The pages that an answer comes from. Their addresses and titles come from the web: only plain links are links.
function sources(list, model) {
  const heading = element("h3", { textContent: list.length ? "From these pages" : "No page matches" });
  const items = list.map((one) => {
    const item = element("li");
    const name = one.title || one.url || one.source;
    if (isWeb(one.url)) {
      item.append(element("a", { href: one.url, textContent: name, target: "_blank", rel: "noopener noreferrer nofollow" }));
    } else item.append(name);
    const facts = [one.date ? `published ${one.date}` : "", one.fetched_at ? `fetched ${one.fetched_at.slice(0, 10)}` : "",
                   one.quoted_in.length ? "has the answer word for word" : ""];
    const more = element("details", {}, element("summary", { textContent: "passage" }), element("p", { textContent: one.text.trim() }));
    item.append(element("span", { className: "note", textContent: ` ${facts.filter(Boolean).join(", ")}` }), more);
    return item;
  });
  const made = element("ol", { className: "sources" }, ...items);
  made.setAttribute("aria-label", `Pages of the answer${model ? ` of ${model}` : ""}`);
  return list.length ? [heading, made] : [heading];
}

function isWeb(address) {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
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
