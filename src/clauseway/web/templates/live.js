// Asks for the counts once a second. When the edition changes (a day has begun, a statement was posted) the page's
// parts are fetched anew and put in place; what the reader has opened stays open.
(() => {
  const body = document.getElementById("counts");
  const state = document.getElementById("counts-state");
  const clock = document.getElementById("clock");
  const main = document.querySelector("main");
  const columns = ["served", "refused", "failed", "tokens"];
  const written = (number) => number.toLocaleString("en-US");

  const rowOf = (cloud) => {
    const there = body.querySelector(`[data-cloud="${CSS.escape(cloud.cloud)}"]`);
    if (there) return there;
    const row = body.insertRow();
    row.dataset.cloud = cloud.cloud;
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = cloud.name || cloud.cloud;
    row.append(head);
    for (const column of columns) row.insertCell().dataset.count = column;
    return row;
  };

  const show = (counts) => {
    if (counts.clouds.length) body.querySelector(".none")?.remove();
    for (const cloud of counts.clouds) {
      const row = rowOf(cloud);
      for (const column of columns) {
        const cell = row.querySelector(`[data-count="${column}"]`);
        const text = written(cloud[column]);
        if (cell.textContent === text) continue;
        cell.textContent = text;
        cell.classList.remove("changed");
        void cell.offsetWidth; // so that the same animation can run again
        cell.classList.add("changed");
      }
    }
    clock.textContent = counts.clock;
  };

  const renew = async (edition) => {
    renewing.renew(await renewing.fetched(location.href));
    main.dataset.edition = edition;
  };

  const poll = async () => {
    try {
      const answer = await fetch("/counts.json", { cache: "no-store" });
      if (answer.status === 401) {
        state.textContent = "Not counted any more: nobody is signed in. Load the page again to sign in.";
        return;
      }
      const counts = await answer.json();
      if (counts.unavailable) throw new Error(counts.unavailable);
      show(counts);
      if (counts.edition !== main.dataset.edition) await renew(counts.edition);
      state.textContent = "Live: counted every second.";
    } catch (error) {
      // What the server says is a sentence of its own.
      state.textContent = `Not counted at present: ${error.message.replace(/\.$/, "")}.`;
    }
    setTimeout(poll, 1000);
  };
  poll();
})();
