// People and their credentials, for administrators: a list, additions, withdrawals, and an import with its report.
// Loaded before app.js, whose helpers it calls once the page has started.
"use strict";

const PEOPLE_PAGE = 100;

let staff = [];
let staffNext = null;

async function loadStaff(path) {
  if (!isAdmin()) return;
  const answer = await ask("GET", path || "/api/v1/people?max=" + PEOPLE_PAGE);
  if (!answer.ok) {
    result(byId("person-form"), reason(answer), true);
    return;
  }
  staff = path ? staff.concat(answer.body.people) : answer.body.people;
  staffNext = answer.body.next;
  drawStaff();
}

function drawStaff() {
  const byPerson = new Map();
  for (const line of staff) {
    const id = line.person || "";
    if (!byPerson.has(id)) byPerson.set(id, []);
    byPerson.get(id).push(line);
  }
  const cards = [...byPerson].map(([id, lines]) => staffCard(id, lines));
  byId("staff").replaceChildren(...cards);
  byId("staff-none").hidden = cards.length > 0;
  byId("staff-more").hidden = !staffNext;
}

// Whoever logs in next sees nothing of it.
function forgetStaff() {
  staff = [];
  staffNext = null;
  byId("staff-section").open = false;
  byId("import-faults").replaceChildren();
  for (const id of ["person-form", "import-form"]) {
    byId(id).reset();
    result(byId(id), "", false);
  }
  drawStaff();
}

// A second press within a few seconds does it.
function sureButton(text, really, act) {
  const button = make("button", "quiet", text);
  button.type = "button";
  let sure = 0;
  button.addEventListener("click", () => {
    if (Date.now() < sure) {
      act();
      return;
    }
    sure = Date.now() + SURE_MS;
    button.textContent = really;
    setTimeout(() => { button.textContent = text; }, SURE_MS);
  });
  return button;
}

function staffCard(id, lines) {
  const first = lines[0];
  const card = make("div", "card");
  card.append(make("h3", "", (id && first.name) || id || t("p-nobody")));
  card.append(make("p", "soft", [id, first.groups, first.blocked ? t("p-blocked") : ""].filter(Boolean).join(" · ")));
  for (const line of lines.filter((one) => one.credential)) {
    const ofSite = line.origin === "site-file";
    const texts = [ofSite && line.name, line.kind, line.value, line.doors, line.until, ofSite && t("p-of-site", line.credential)];
    const row = make("p", "", texts.filter(Boolean).join(" · "));
    // what stands in the site file is changed there
    if (!ofSite) {
      const path = "/api/v1/credentials/" + encodeURIComponent(line.credential);
      row.append(" ", sureButton(t("p-withdraw"), t("really", line.kind), () => staffDelete(path)));
    }
    card.append(row);
  }
  if (id && lines.some((one) => one.origin !== "site-file")) {
    const path = "/api/v1/people/" + encodeURIComponent(id);
    const buttons = make("div", "buttons");
    buttons.append(sureButton(t("remove"), t("really", id), () => staffDelete(path)));
    buttons.append(sureButton(t("p-erase"), t("p-erase-really", id), () => staffErase(path, id)));
    card.append(buttons);
  }
  return card;
}

async function staffDelete(path) {
  const answer = await ask("DELETE", path);
  result(byId("person-form"), answer.ok ? "" : reason(answer), !answer.ok);
  await loadStaff();
}

async function staffErase(path, id) {
  const answer = await ask("POST", path + "/erase", { confirm: id });
  const text = answer.ok ? t(answer.body.finished ? "p-erased" : "p-erasing") : reason(answer);
  result(byId("person-form"), text, !answer.ok);
  await loadStaff();
}

// What a change did, or each bad line of it.
function staffReport(form, answer) {
  const list = byId("import-faults");
  const faults = answer.ok ? [] : (answer.body && answer.body.faults) || [];
  list.replaceChildren(...faults.map((fault) => make("li", "", t("p-line", fault.line, fault.column, fault.text))));
  list.hidden = !faults.length;
  if (!answer.ok) {
    result(form, faults.length ? t("p-nothing-done", answer.body.count) : reason(answer), true);
    return;
  }
  const { people: persons, credentials, codes } = answer.body;
  const made = codes.map((code) => t("p-code", code.credential, code.code)).join(" ");
  const sums = t("p-done", persons.new, persons.changed, credentials.new, credentials.changed);
  result(form, [sums, made].filter(Boolean).join(" "), false);
}

async function sendCsv(text, dry) {
  try {
    const answer = await fetch("/api/v1/people" + (dry ? "?dry-run=1" : ""), {
      method: "POST", headers: { "Content-Type": "text/csv" }, credentials: "same-origin", body: text,
    });
    return { ok: answer.ok, status: answer.status, body: JSON.parse(await answer.text()) };
  } catch {
    return { ok: false, status: 0, body: null };
  }
}

function startStaff() {
  byId("staff-section").addEventListener("toggle", () => {
    if (byId("staff-section").open) loadStaff();
  });
  byId("staff-more").addEventListener("click", () => staffNext && loadStaff(staffNext));
  const form = byId("person-form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const of = (name) => form.elements[name].value.trim();
    const person = {};
    for (const name of ["person", "name", "groups"]) if (of(name)) person[name] = of(name);
    const lines = ["card", "pin", "phone"].filter(of).map((kind) => ({ ...person, kind, value: of(kind) }));
    const answer = await ask("POST", "/api/v1/people", lines.length ? lines : [person]);
    staffReport(form, answer);
    if (answer.ok) form.reset();
    await loadStaff();
  });
  const upload = byId("import-form");
  upload.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = upload.elements["file"].files[0];
    if (!file) return;
    const dry = upload.elements["dry"].checked;
    const answer = await sendCsv(await file.text(), dry);
    staffReport(upload, answer);
    if (!dry) await loadStaff();
  });
}
