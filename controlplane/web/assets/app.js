// The form for sending files, made comfortable: drag and drop, a list to look over, one progress bar a file. Without this
// script the form sends itself.
"use strict";
(() => {
  const form = document.getElementById("send");
  if (!form) return;
  const say = form.dataset;
  const input = document.getElementById("file");
  const drop = document.getElementById("drop");
  const list = document.getElementById("chosen");
  const submit = form.querySelector("button.primary");
  let entries = []; // {file, item, state, bar}
  form.classList.add("scripted");

  const element = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const size = (n) => {
    const units = ["B", "kB", "MB", "GB"];
    let u = 0;
    for (; n >= 1000 && u < 3; u++) n /= 1000;
    return (n >= 10 || u === 0 ? n.toFixed(0) : n.toFixed(1)) + " " + units[u];
  };
  const route = () => form.querySelector("input[name=to]:checked");

  // What can be said before sending, to save a wait. The gate decides by content, whatever is said here.
  const doubt = (file) => {
    const to = route();
    if (file.size === 0) return say.empty;
    if (!to) return "";
    if (file.size > Number(to.dataset.max)) return say.tooLarge;
    const kinds = to.dataset.formats.trim().split(/\s+/);
    const ext = file.name.toLowerCase().split(".").pop();
    const plain = { jpg: "jpeg", text: "txt", docm: "docx", xlsm: "xlsx", pptm: "pptx" }[ext] || ext;
    return kinds.includes(plain) || kinds.includes(ext) ? "" : say.format;
  };
  const judge = () => {
    for (const e of entries) {
      const why = doubt(e.file);
      e.item.classList.toggle("doubt", why !== "");
      e.state.textContent = why;
    }
  };

  const add = (files) => {
    for (const file of files) {
      if (entries.length >= 20) break;
      const item = element("li");
      const row = element("div", "row");
      row.append(element("b", "", file.name), element("small", "", size(file.size)));
      const remove = element("button", "quiet", say.remove);
      remove.type = "button";
      remove.setAttribute("aria-label", say.remove + ": " + file.name);
      row.append(remove);
      const bar = element("progress");
      bar.max = 1;
      bar.value = 0;
      bar.hidden = true;
      bar.setAttribute("aria-label", file.name);
      const state = element("p", "state");
      item.append(row, bar, state);
      list.append(item);
      const entry = { file, item, state, bar, remove };
      remove.addEventListener("click", () => {
        entries = entries.filter((e) => e !== entry);
        item.remove();
        input.required = entries.length === 0;
        input.focus();
      });
      entries.push(entry);
    }
    input.value = ""; // the list holds them now
    input.required = entries.length === 0;
    judge();
  };

  input.addEventListener("change", () => add(Array.from(input.files)));
  form.addEventListener("change", (e) => e.target.name === "to" && judge());
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (e) => {
      e.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (e) => {
    e.preventDefault();
    add(Array.from(e.dataTransfer.files));
  });

  // send passes one file on and resolves to {transfer} or {error}.
  const send = (entry) =>
    new Promise((resolve) => {
      const data = new FormData();
      data.append("to", route().value);
      data.append("note", form.elements.note.value);
      data.append("passwords", form.elements.passwords.value);
      data.append("file", entry.file, entry.file.name);
      const x = new XMLHttpRequest();
      x.open("POST", form.action);
      x.setRequestHeader("Accept", "application/json");
      x.responseType = "json";
      x.upload.addEventListener("progress", (e) => {
        if (!e.lengthComputable) return;
        entry.bar.value = e.loaded / e.total;
        entry.state.textContent = e.loaded < e.total ? say.sending + " " + Math.floor((100 * e.loaded) / e.total) + " %" : say.checking;
      });
      x.addEventListener("load", () => {
        const r = x.response || {};
        const refusal = (r.refused && r.refused[0]) || r;
        if (x.status === 201 && r.transfers && r.transfers[0]) resolve({ transfer: r.transfers[0] });
        else if (x.status === 401) resolve({ error: say.signedOut });
        else resolve({ error: refusal.error || say.broken });
      });
      for (const kind of ["error", "abort", "timeout"]) x.addEventListener(kind, () => resolve({ error: say.broken }));
      x.send(data);
    });

  form.addEventListener("submit", async (e) => {
    if (entries.length === 0) return; // the browser's own check says what is missing
    e.preventDefault();
    submit.disabled = true;
    input.disabled = true;
    const waiting = entries;
    let last = null;
    for (const entry of waiting) {
      if (entry.done) continue;
      entry.remove.hidden = true;
      entry.bar.hidden = false;
      entry.item.classList.remove("doubt", "failed");
      entry.state.textContent = say.sending;
      const answer = await send(entry);
      if (answer.transfer) {
        last = answer.transfer;
        entry.done = true;
        entry.bar.value = 1;
        entry.item.classList.add("sent");
        entry.state.textContent = say.sent + " ";
        const open = element("a", "", say.open);
        open.href = "/transfers/" + encodeURIComponent(answer.transfer.id);
        entry.state.append(open);
      } else {
        entry.bar.hidden = true;
        entry.remove.hidden = false;
        entry.item.classList.add("failed");
        entry.state.textContent = answer.error;
      }
    }
    entries = entries.filter((x) => !x.done);
    if (entries.length === 0 && waiting.length === 1 && last) {
      window.location.assign("/transfers/" + encodeURIComponent(last.id) + "?done=sent");
      return;
    }
    document.getElementById("after").hidden = false;
    submit.hidden = entries.length === 0; // all are on their way: go to the list, or begin a new form
    drop.hidden = entries.length === 0;
    submit.disabled = false;
    input.disabled = false;
  });
})();
