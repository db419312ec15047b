// Renews the engineer's screen every two seconds while somebody can see it.
(() => {
  const every = 2000;
  const state = document.getElementById("live-state");
  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };
  let waiting;
  let since = "";
  const poll = async () => {
    clearTimeout(waiting);
    if (document.hidden) return;
    try {
      // Without the request that was searched for, which nothing changes any more.
      renewing.renew(await renewing.fetched(location.pathname));
      since = new Date().toISOString().slice(11, 19);
      say("Live: renewed every two seconds.");
    } catch (error) {
      say(`Not renewed at present: ${error.message}.${since ? ` These figures are of ${since} UTC.` : ""}`);
    }
    clearTimeout(waiting);
    if (!document.hidden) waiting = setTimeout(poll, every);
  };
  document.addEventListener("visibilitychange", poll);
  poll();
})();
