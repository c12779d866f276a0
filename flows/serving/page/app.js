// The chat page: conversations with one model, or with two side by side.

import * as api from "./api.js";
import * as store from "./store.js";
import { answerTurn, element, userTurn } from "./turns.js";

const $ = (id) => document.getElementById(id);
const FIELDS = ["temperature", "top_p", "top_k", "max_tokens", "seed", "system"];
const state = store.load();
let models = [];
let index = null; // the pages that answers may come from
let running = null; // an AbortController while an answer grows

function current() {
  let one = state.conversations.find((other) => other.id === state.current);
  if (!one) {
    one = store.begun();
    state.conversations.unshift(one);
    state.current = one.id;
  }
  return one;
}

function say(sentence, bad = false) {
  $("status").textContent = sentence;
  $("status").classList.toggle("bad", bad);
}

function keep() {
  const problem = store.save(state);
  if (problem) say(problem, true);
}

function draw() {
  const list = state.conversations.map((one) => {
    const open = element("button", { type: "button", textContent: one.title, onclick: () => choose(one.id) });
    open.setAttribute("aria-current", String(one.id === state.current));
    const gone = element("button", { type: "button", textContent: "✕", onclick: () => remove(one.id) });
    gone.setAttribute("aria-label", `Delete ${one.title}`);
    return element("li", {}, open, gone);
  });
  $("conversations").replaceChildren(...list);
  drawTurns();
}

function drawTurns() {
  const { turns } = current();
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.replaceChildren(...turns.map((turn, place) =>
    turn.role === "user" ? userTurn(turn, place, act) : answerTurn(turn, place, act, state.settings)));
  if (!turns.length) log.append(element("p", { className: "hint", textContent: greeting() }));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function greeting() {
  if (!models.length) return "";
  const found = "Questions are looked up in the pages of the corpus, and the answer names them, as long as the box below is ticked.";
  return `This talks to the models of your lake. ${index ? found : "Choose one above, and type below."}`;
}

function choose(id) {
  stop();
  state.current = id;
  document.body.classList.remove("menu");
  keep();
  draw();
  $("message").focus();
}

function remove(id) {
  if (id === state.current) stop();
  state.conversations = state.conversations.filter((one) => one.id !== id);
  keep();
  draw();
}

function stop() {
  running?.abort();
}

function sampling() {
  const made = {};
  for (const name of ["temperature", "top_p", "top_k", "max_tokens", "seed"]) {
    const value = state.settings[name];
    if (value !== "" && value !== null && Number.isFinite(Number(value))) made[name] = Number(value);
  }
  return made;
}

// What the models are told: of two answers the one that was found better, or the first.
function history(turns) {
  const told = state.settings.system ? [{ role: "system", content: state.settings.system }] : [];
  for (const turn of turns) {
    if (turn.role === "user") told.push({ role: "user", content: turn.content });
    else told.push({ role: "assistant", content: turn.answers[turn.chosen ?? 0].content });
  }
  return told;
}

async function ask() {
  const conversation = current();
  const told = history(conversation.turns);
  const asked = [models.find((one) => one.id === $("model").value)];
  if ($("compare").checked) asked.push(models.find((one) => one.id === $("other").value));
  if (asked.some((one) => !one)) return say("There is no model to ask yet.", true);
  const turn = { role: "assistant", answers: asked.map((one) => ({ model: one.id, content: "", tokens: [] })) };
  conversation.turns.push(turn);
  const own = (running = new AbortController());
  busy(true);
  say("Answering…");
  await Promise.all(asked.map((model, number) => grow(model, told, turn.answers[number], own.signal)));
  if (running === own) running = null;
  const failed = turn.answers.find((one) => one.error);
  say(failed ? failed.error : "The answer is complete.", Boolean(failed));
  busy(false);
  keep();
  draw();
}

async function grow(model, told, answer, signal) {
  const fromPages = Boolean(index) && state.settings.pages;
  let drawn = 0;
  try {
    for await (const piece of api.answer(store.key.get(), model, told, sampling(), fromPages, signal)) {
      answer.content += piece.text;
      answer.tokens.push(...piece.tokens);
      if (piece.finish) answer.finish = piece.finish;
      if (piece.sources) answer.sources = piece.sources;
      if (Date.now() - drawn > 40) {
        drawTurns();
        drawn = Date.now();
      }
    }
    answer.finish ??= "stopped";
  } catch (error) {
    if (error.name === "AbortError") answer.finish = "stopped";
    else {
      answer.error = error.message;
      if (error.status === 401) $("settings").showModal();
    }
  }
}

function busy(is) {
  $("send").disabled = is;
  $("stop").hidden = !is;
}

const act = {
  copy: async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      say("This browser does not let the page copy; select the text instead.", true);
    }
  },
  edit: (place) => {
    if (running) return;
    const { turns } = current();
    $("message").value = turns[place].content;
    turns.length = place;
    keep();
    draw();
    $("message").focus();
  },
  retry: (place) => {
    if (running) return;
    current().turns.length = place;
    ask();
  },
  vote: async (place, better) => {
    const { turns } = current();
    const turn = turns[place];
    const [chosen, rejected] = [turn.answers[better], turn.answers[1 - better]];
    try {
      await api.vote(store.key.get(), {
        prompt: history(turns.slice(0, place)), chosen: chosen.content, rejected: rejected.content,
        chosen_model: chosen.model, rejected_model: rejected.model,
      });
      turn.chosen = better;
      say("Your vote is kept as a preference pair.");
    } catch (error) {
      say(error.message, true);
    }
    keep();
    draw();
  },
};

async function findModels() {
  try {
    ({ models, index } = await api.models(store.key.get()));
    say(models.length ? "" : "The server has no model yet.");
  } catch (error) {
    say(error.message, true);
    if (error.status === 401 && !$("settings").open) $("settings").showModal();
  }
  $("pages-pick").hidden = !index;
  if (!current().turns.length) drawTurns();
  for (const [id, place] of [["model", 0], ["other", 1]]) {
    const before = $(id).value;
    $(id).replaceChildren(...models.map((one) => element("option", { value: one.id, textContent: one.id })));
    $(id).value = models.some((one) => one.id === before) ? before : models[Math.min(place, models.length - 1)]?.id ?? "";
  }
}

function wire() {
  $("composer").onsubmit = (event) => {
    event.preventDefault();
    const content = $("message").value.trim();
    if (!content || running) return;
    const conversation = current();
    if (!conversation.turns.length) conversation.title = content.slice(0, 60);
    conversation.turns.push({ role: "user", content });
    $("message").value = "";
    ask();
    draw();
  };
  $("message").onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("composer").requestSubmit();
    }
  };
  document.onkeydown = (event) => {
    if (event.key === "Escape" && running && !$("settings").open) stop();
  };
  $("stop").onclick = stop;
  $("new").onclick = () => {
    const empty = state.conversations.find((one) => !one.turns.length) ?? store.begun();
    state.conversations = [empty, ...state.conversations.filter((one) => one !== empty)];
    choose(empty.id);
  };
  $("export").onclick = () => store.download(state);
  $("forget").onclick = () => {
    if (!confirm("Delete all conversations that this browser keeps?")) return;
    stop();
    state.conversations = [];
    keep();
    draw();
  };
  $("compare").onchange = () => {
    $("other-pick").hidden = !$("compare").checked;
  };
  $("pages").onchange = () => {
    state.settings.pages = $("pages").checked;
    keep();
  };
  $("menu").onclick = () => {
    const open = document.body.classList.toggle("menu");
    $("menu").setAttribute("aria-expanded", String(open));
  };
  $("open-settings").onclick = () => {
    $("key").value = store.key.get();
    $("settings").showModal();
  };
  $("settings").onclose = () => {
    for (const name of FIELDS) state.settings[name] = $(name).value;
    state.settings.probabilities = $("probabilities").checked;
    store.key.set($("key").value.trim());
    keep();
    findModels().then(draw);
  };
  for (const name of FIELDS) $(name).value = state.settings[name];
  $("probabilities").checked = state.settings.probabilities;
  $("pages").checked = state.settings.pages;
}

wire();
draw();
findModels();
