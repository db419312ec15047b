// Takes a file that is dropped on the field as its text, and leads from a mistake to its line.
(() => {
  const field = document.getElementById("draft");
  for (const name of ["dragenter", "dragover"])
    field.addEventListener(name, (event) => {
      if (event.dataTransfer.types.includes("Files")) event.preventDefault();
    });
  field.addEventListener("drop", async (event) => {
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    field.value = await file.text();
    field.form.requestSubmit();
  });
  for (const button of document.querySelectorAll("[data-line]"))
    button.addEventListener("click", () => {
      const lines = field.value.split("\n");
      const number = Number(button.dataset.line) - 1;
      const begin = lines.slice(0, number).reduce((size, line) => size + line.length + 1, 0);
      field.focus();
      field.setSelectionRange(begin, begin + (lines[number] ?? "").length);
      field.scrollTop = (number / lines.length) * field.scrollHeight - field.clientHeight / 2;
    });
})();
