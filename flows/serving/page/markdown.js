// Markdown as DOM nodes. A model's text is untrusted: it only ever becomes text nodes, never HTML.

const FENCE = /^\s*(```+|~~~+)/;
const INLINE = /(`+)([\s\S]*?[^`])\1(?!`)|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g;
const LINE = 20000; // longer lines are shown as they are: looking for pairs in them could take long

export function rendered(text) {
  const root = document.createDocumentFragment();
  const lines = text.split("\n");
  let paragraph = [];
  let list = null;
  const flush = () => {
    if (paragraph.length) root.append(filled("p", paragraph.join("\n")));
    paragraph = [];
  };
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    const fence = line.match(FENCE);
    const heading = line.match(/^(#{1,6})\s+(.*)$/);
    const item = line.match(/^\s*(?:[-*+]|\d{1,9}[.)])\s+(.*)$/);
    if (fence || heading || !item) list = null;
    if (fence) {
      flush();
      const code = [];
      for (at++; at < lines.length && !lines[at].trimStart().startsWith(fence[1]); at++) code.push(lines[at]);
      const pre = document.createElement("pre");
      pre.tabIndex = 0; // so that long lines can be scrolled to with the keyboard
      const inner = document.createElement("code");
      inner.textContent = code.join("\n");
      pre.append(inner);
      root.append(pre);
    } else if (heading) {
      flush();
      const strong = document.createElement("p");
      strong.append(filled("strong", heading[2]));
      root.append(strong);
    } else if (item) {
      flush();
      if (!list) root.append((list = document.createElement(/^\s*\d/.test(line) ? "ol" : "ul")));
      list.append(filled("li", item[1]));
    } else if (line.trim() === "") {
      flush();
    } else {
      paragraph.push(line);
    }
  }
  flush();
  return root;
}

function filled(tag, text) {
  const element = document.createElement(tag);
  if (text.length > LINE) {
    element.textContent = text;
    return element;
  }
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    element.append(text.slice(end, found.index), inline(found));
    end = found.index + found[0].length;
  }
  element.append(text.slice(end));
  return element;
}

function inline([whole, ticks, code, bold, italic, label, address]) {
  const element = document.createElement(ticks ? "code" : bold ? "strong" : italic ? "em" : "a");
  element.textContent = code ?? bold ?? italic ?? label ?? whole;
  if (address) {
    element.href = address;
    element.rel = "noopener noreferrer nofollow";
    element.target = "_blank";
  }
  return element;
}
