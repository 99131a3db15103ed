(() => {
  "use strict";
  const form = document.getElementById("form");
  const words = form.dataset;
  const items = [...form.querySelectorAll("[data-item]")];
  const code = document.getElementById("class-code");
  const message = document.getElementById("message");
  const people = []; // one row of cells a person; it leaves this page only when someone saves the file
  let unsaved = 0;
  let warned = null; // the button that was pressed while questions were open

  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));

  const say = (text, alarm = false) => {
    message.classList.toggle("alarm", alarm);
    message.textContent = text;
  };

  // ------------------------------------------------------------------------ answers
  const field = (item) => item.querySelector("textarea, input[type=number]");
  const chosen = (item) => item.querySelector("input[type=radio]:checked");

  const answer = (item) => {
    const text = field(item) ? field(item).value.trim() : "";
    return text || (chosen(item) ? chosen(item).value : "");
  };

  const wrong = (item) => {
    const input = item.querySelector("input[type=number]");
    return input !== null && !input.validity.valid;
  };

  const show = () => {
    for (const item of items) {
      item.classList.toggle("answered", answer(item) !== "" || wrong(item));
    }
    const asked = items.filter((item) => !("optional" in item.dataset));
    const done = asked.filter((item) => answer(item) !== "").length;
    document.getElementById("progress").textContent = filled(words.progress, { done, all: asked.length });
    document.getElementById("count").textContent = filled(words.count, { kept: people.length, unsaved });
  };

  const clear = (item) => {
    for (const input of item.querySelectorAll("input[type=radio]")) input.checked = false;
    if (field(item)) {
      field(item).value = "";
      field(item).removeAttribute("aria-invalid");
    }
  };

  // ------------------------------------------------------------------------ keeping
  const letters = "bcdfghjkmnpqrstvwxz"; // no vowels: no words, and nothing a spreadsheet takes for a number

  const name = () => {
    const drawn = Array.from(crypto.getRandomValues(new Uint32Array(8)), (n) => letters[n % letters.length]).join("");
    return people.some((row) => row[1] === drawn) ? name() : drawn;
  };

  // Free text that begins like a formula must not be run by a spreadsheet.
  const harmless = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

  const stored = (item) => (item.querySelector("textarea") ? harmless(answer(item)) : answer(item));

  // True: kept. False: something has to be looked at first. Null: there was nothing to keep.
  const keep = (button) => {
    const bad = items.find(wrong);
    if (bad) {
      const input = field(bad);
      input.setAttribute("aria-invalid", "true");
      say(filled(words.numberWrong, { n: bad.dataset.number, low: input.min, high: input.max }), true);
      input.focus();
      return false;
    }
    if (items.every((item) => answer(item) === "")) return null;
    const open = items.filter((item) => answer(item) === "" && !("optional" in item.dataset));
    if (open.length > 0 && warned !== button) {
      warned = button;
      say(filled(words.gaps, { list: open.map((item) => item.dataset.number).join(", ") }), true);
      return false;
    }
    people.push([harmless(code.value.trim()), name(), ...items.map(stored)]);
    unsaved += 1;
    empty();
    return true;
  };

  const empty = () => {
    const group = code.value;
    form.reset();
    code.value = group;
    warned = null;
    show();
  };

  const next = (event) => {
    const kept = keep(event.currentTarget);
    if (kept === false) return;
    say(kept ? words.kept : words.nothing, !kept);
    if (kept) {
      window.scrollTo(0, 0);
      document.getElementById("top").focus();
    }
  };

  // ------------------------------------------------------------------------ saving
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);

  const table = () => {
    const header = ["class_id", "respondent", ...items.map((item) => item.dataset.item)];
    const rows = [...people].sort((a, b) => (a[1] < b[1] ? -1 : 1)); // not in the order in which people came
    return [header, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
  };

  const save = (event) => {
    if (keep(event.currentTarget) === false) return;
    if (people.length === 0) {
      say(words.nothingToSave, true);
      return;
    }
    const file = `${words.instrument}-answers.csv`;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv;charset=utf-8" }));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = 0;
    show();
    say(filled(words.saved, { file, kept: people.length }));
  };

  // ------------------------------------------------------------------------ what people do
  form.addEventListener("submit", (event) => event.preventDefault());

  form.addEventListener("input", (event) => {
    const item = event.target.closest("[data-item]");
    if (item && event.target.type === "radio" && field(item)) field(item).value = "";
    if (item && event.target.type === "number") {
      event.target.removeAttribute("aria-invalid");
      if (chosen(item)) chosen(item).checked = false;
    }
    warned = null;
    say("");
    show();
  });

  // On a question that has the focus, the digits choose an answer by its place: quick for typing in paper forms.
  form.addEventListener("keydown", (event) => {
    if (event.target.type !== "radio" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (!/^[1-9]$/.test(event.key)) return;
    const choices = [...event.target.closest("[data-item]").querySelectorAll("input[type=radio]")];
    const choice = choices[Number(event.key) - 1];
    if (!choice) return;
    event.preventDefault();
    choice.checked = true;
    choice.focus();
    choice.dispatchEvent(new Event("input", { bubbles: true }));
  });

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button.clear");
    if (!button) return;
    const item = button.closest("[data-item]");
    clear(item);
    warned = null;
    show();
    item.querySelector("input").focus();
  });

  document.getElementById("next").addEventListener("click", next);
  document.getElementById("save").addEventListener("click", save);
  document.getElementById("print").addEventListener("click", () => window.print());

  window.addEventListener("beforeunload", (event) => {
    if (unsaved === 0 && items.every((item) => answer(item) === "" && !wrong(item))) return;
    event.preventDefault();
    event.returnValue = "";
  });

  const first = code.defaultValue;
  form.reset();
  code.value = first;
  show();
})();
