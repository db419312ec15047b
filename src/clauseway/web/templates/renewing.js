// Renews a page's parts, the elements marked `data-part`, from the same page fetched anew. Only what differs is changed
// in place: what is open stays open, and the keyboard stays where it is.
const renewing = (() => {
  // The page's own style is in force already; that of a fetched one would have another nonce.
  const unstyled = (html) => html.replace(/<style[\s\S]*?<\/style>/g, "");
  const keyOf = (node) => node.id || node.dataset?.key || node.nodeName;

  const followAttributes = (old, fresh) => {
    const kept = old.nodeName === "DETAILS" ? "open" : "";
    for (const { name } of [...old.attributes])
      if (name !== kept && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes)
      if (name !== kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
  };

  const follow = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    followAttributes(old, fresh);
    const left = new Set([...fresh.childNodes].map(keyOf));
    let at = old.firstChild;
    const leave = () => {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    };
    for (const next of fresh.childNodes) {
      while (at && !left.has(keyOf(at))) leave();
      if (at && keyOf(at) === keyOf(next) && at.nodeName === next.nodeName) {
        follow(at, next);
        at = at.nextSibling;
      } else old.insertBefore(document.importNode(next, true), at);
    }
    while (at) leave();
  };

  // Returns the page of an address; throws in words where it does not come.
  const fetched = async (address) => {
    const answer = await fetch(address, { cache: "no-store" }).catch(() => {
      throw new Error("the server does not answer");
    });
    if (answer.redirected) throw new Error("nobody is signed in any more; load the page again to sign in");
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    return new DOMParser().parseFromString(unstyled(await answer.text()), "text/html");
  };

  const renew = (fresh) => {
    for (const part of document.querySelectorAll("[data-part]")) {
      const replacement = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (replacement) follow(part, replacement);
    }
  };
  return { fetched, renew };
})();
