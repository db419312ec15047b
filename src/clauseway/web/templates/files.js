// A form that takes files, dropped on it or chosen, as the text of its fields: each file goes into the field whose
// ending its name has, else into the first; then the form is sent, unless it is too long for the server.
(() => {
  const form = document.querySelector("form[data-takes-files]");
  const fields = [...form.querySelectorAll("textarea")];
  const [first, ...others] = fields;
  const bytesMax = Number(form.dataset.bytesMax);

  const tooLong = document.createElement("p");
  tooLong.className = "problem";
  tooLong.setAttribute("role", "alert");
  const fits = (size) => {
    tooLong.remove();
    if (size <= bytesMax) return true;
    const [has, takes] = [size, bytesMax].map((bytes) => Math.ceil(bytes / 1024).toLocaleString("en-US"));
    tooLong.textContent = `The form is too long: it has ${has} KiB as it is sent, and a form takes ${takes} KiB. `;
    const command = document.createElement("code");
    command.textContent = form.dataset.command;
    tooLong.append("Use the command line: ", command);
    form.prepend(tooLong);
    return false;
  };
  form.addEventListener("submit", (event) => {
    if (!fits(new URLSearchParams(new FormData(form)).toString().length)) event.preventDefault();
  });

  const take = async (files) => {
    if (!fits(files.reduce((size, file) => size + file.size, 0))) return;
    for (const file of files) {
      const field = others.find((other) => file.name.endsWith(other.dataset.ends)) ?? first;
      field.value = await file.text();
    }
    if (files.length) form.requestSubmit();
  };
  for (const name of ["dragenter", "dragover"])
    form.addEventListener(name, (event) => {
      if (event.dataTransfer.types.includes("Files")) event.preventDefault();
    });
  form.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
  const chosen = form.querySelector("input[type=file]");
  chosen.addEventListener("change", () => {
    const files = [...chosen.files];
    chosen.value = ""; // a browser tells no change where the same file, edited, is chosen again
    take(files);
  });

  // The result is in no cache, so that nobody sees it after a sign-out. Whoever comes back to it, or loads it again,
  // would see an error of the browser: the entry of its history keeps what was sent, and the page sends it again.
  // A link to the same page begins anew, although its entry has the state of the one before.
  const { reader } = form.dataset;
  const isBegun = performance.getEntriesByType("navigation")[0]?.type === "navigate";
  if ("sent" in form.dataset) {
    const sent = Object.fromEntries(fields.map((field) => [field.name, field.value]));
    history.replaceState({ reader, sent }, "");
  } else if (!isBegun && history.state?.sent && history.state.reader === reader) {
    for (const field of fields) field.value = history.state.sent[field.name] ?? "";
    form.requestSubmit();
  }
})();
