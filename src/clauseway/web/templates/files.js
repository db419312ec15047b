// A form that takes files, dropped on it or chosen, as the text of its fields: each file goes into the field whose
// ending its name has, else into the first; then the form is sent.
(() => {
  const form = document.querySelector("form[data-takes-files]");
  const [first, ...others] = form.querySelectorAll("textarea");
  const take = async (files) => {
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
  chosen.addEventListener("change", () => take([...chosen.files]));
})();
