// Small things that every view needs of the document.

export const byId = (id) => document.getElementById(id);

/** An element with attributes (`class`, `text` and `on…` besides) and children. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** The children of a node, in this order: what is in its place already is not touched, and the focus stays. Where what
 * had it is gone, it goes to the link of what has taken its place. */
export function setChildren(parent, nodes) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...parent.children].findIndex((each) => each.contains(focused)) : -1;
  const wanted = new Set(nodes);
  for (const each of [...parent.children]) if (!wanted.has(each)) each.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  const next = focused?.isConnected ? focused : nodes[place]?.querySelector("a");
  if (focused && document.activeElement !== next) next?.focus();
}

/** Writes only what differs: an unchanged cell costs no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** up, down or flat, as a data attribute that the style sheet colours. */
export function setDirection(node, value) {
  setAttribute(node, "data-direction", value > 0 ? "up" : value < 0 ? "down" : null);
}

/** Terms and their values as a definition list; made once, then only the changed texts are written. */
export function setPairs(list, pairs) {
  if (list.childElementCount !== pairs.length) {
    list.replaceChildren(...pairs.map(() => el("div", {}, el("dt"), el("dd"))));
  }
  pairs.forEach(([term, value], index) => {
    const [dt, dd] = list.children[index].children;
    setText(dt, term);
    setText(dd, value);
  });
}
