// Talks to the server: models, answers as streams, votes.

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function asked(path, key, options = {}) {
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server does not answer. Is textmill serve running?", 0);
  }
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    throw new ServerError(body?.error?.message ?? `The server answered ${answer.status}.`, answer.status);
  }
  return answer;
}

// The models, and the index of pages that answers may come from (null = none).
export async function models(key) {
  const told = await (await asked("v1/models", key)).json();
  return { models: told.data, index: told.textmill_index };
}

export async function vote(key, ballot) {
  await asked("v1/textmill/votes", key, { method: "POST", body: JSON.stringify(ballot) });
}

// Yields {text, tokens, finish, sources} as the answer grows. A model that was taught no chat goes on from the last message.
export async function* answer(key, model, messages, sampling, fromPages, signal) {
  const chats = model.chats;
  const body = { model: model.id, stream: true, ...sampling };
  if (chats) Object.assign(body, { messages, logprobs: true, top_logprobs: 5, textmill_sources: fromPages });
  else Object.assign(body, { prompt: messages.at(-1).content, logprobs: 5, max_tokens: sampling.max_tokens ?? 200 });
  const path = chats ? "v1/chat/completions" : "v1/completions";
  const response = await asked(path, key, { method: "POST", body: JSON.stringify(body), signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (held + value).split("\n\n");
    held = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const made = JSON.parse(data);
      if (made.error) throw new ServerError(made.error.message, 500);
      const choice = made.choices[0];
      if (choice) yield { ...(chats ? chatPiece(choice) : completionPiece(choice)), sources: made.textmill_sources };
    }
  }
}

function chatPiece(choice) {
  const tokens = (choice.logprobs?.content ?? []).map((one) => ({
    text: one.token,
    logprob: one.logprob,
    top: one.top_logprobs.map((other) => [other.token, other.logprob]),
  }));
  return { text: choice.delta.content ?? "", tokens, finish: choice.finish_reason };
}

function completionPiece(choice) {
  const scores = choice.logprobs;
  const tokens = (scores?.tokens ?? []).map((text, place) => ({
    text,
    logprob: scores.token_logprobs[place],
    top: Object.entries(scores.top_logprobs?.[place] ?? {}),
  }));
  return { text: choice.text, tokens, finish: choice.finish_reason };
}
