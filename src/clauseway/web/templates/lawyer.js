// Both clocks as sliders: what they are set to goes into the form's fields, and the answer for it takes the answer's place.
(() => {
  const form = document.querySelector("form.question");
  const fields = { asOf: document.getElementById("field-as_of"), knownAt: document.getElementById("field-known_at") };
  const asOf = document.getElementById("slide-as-of");
  const knownAt = document.getElementById("slide-known-at");
  const points = [...document.querySelectorAll("#points li")];
  const begin = Date.parse(asOf.dataset.begin);

  const written = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" });

  const set = (slider, value, label, shown, field) => {
    slider.setAttribute("aria-valuetext", label);
    document.getElementById(shown).textContent = label;
    field.value = value;
  };
  const showAsOf = () => {
    const day = new Date(begin + Number(asOf.value) * 86400000);
    set(asOf, day.toISOString().slice(0, 10), written.format(day), "as-of-shown", fields.asOf);
  };
  const showKnownAt = () => {
    const point = points[Number(knownAt.value)];
    set(knownAt, point.dataset.value, point.textContent, "known-at-shown", fields.knownAt);
  };

  let latest = 0;
  const ask = async () => {
    const address = `/lawyer?${new URLSearchParams(new FormData(form))}`;
    const number = ++latest;
    const fresh = await renewing.fetched(address).catch(() => null);
    if (number !== latest) return; // it was slid on since
    if (!fresh?.querySelector("[data-part]")) return location.assign(address);
    renewing.renew(fresh);
    document.title = fresh.title;
    history.replaceState(null, "", address);
  };

  let waiting;
  const slid = (show) => () => {
    show();
    clearTimeout(waiting);
    waiting = setTimeout(ask, 120);
  };
  asOf.addEventListener("input", slid(showAsOf));
  knownAt.addEventListener("input", slid(showKnownAt));
  document.getElementById("sliders").hidden = false;
  asOf.setAttribute("aria-valuetext", document.getElementById("as-of-shown").textContent);
  knownAt.setAttribute("aria-valuetext", document.getElementById("known-at-shown").textContent);
})();
