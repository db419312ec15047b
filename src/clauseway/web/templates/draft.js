// Leads from a mistake to its line.
(() => {
  const field = document.getElementById("draft");
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
