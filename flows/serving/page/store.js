// Conversations and settings, kept in this browser only. The API key is kept for the tab alone.

const NAME = "textmill";
const DEFAULTS = { temperature: 0, top_p: 1, top_k: 0, max_tokens: 120, seed: "", system: "", probabilities: false, pages: true };

export function load() {
  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(NAME));
  } catch {
    // a browser without storage, or something else under our name: begin anew
  }
  const list = Array.isArray(kept?.conversations) ? kept.conversations.filter((one) => Array.isArray(one?.turns)) : [];
  return { conversations: list, current: kept?.current ?? null, settings: { ...DEFAULTS, ...kept?.settings } };
}

// Returns a sentence if the browser keeps nothing more.
export function save(state) {
  try {
    localStorage.setItem(NAME, JSON.stringify(state));
    return "";
  } catch {
    return "This browser's storage is full or off: the conversation will be gone when the page is closed.";
  }
}

export const key = {
  get: () => sessionStorage.getItem(`${NAME}-key`) ?? "",
  set: (value) => sessionStorage.setItem(`${NAME}-key`, value),
};

export function begun() {
  return { id: crypto.randomUUID?.() ?? String(Date.now()) + Math.random(), title: "New conversation", turns: [] };
}

export function download(state) {
  const file = new Blob([JSON.stringify(state.conversations, null, 2)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "textmill-conversations.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
