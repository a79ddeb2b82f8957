// Users and API tokens, for administrators. Loaded before app.js, whose helpers it calls once the page has started.
// A token is shown once, in answer to its making, and is in the page only until it is put away.
"use strict";

const SCOPES = ["read", "open", "operate", "admin"];
const SURE_MS = 5000;

let people = null;
let asking = false;

function scopeWord(scope) {
  return { read: t("s-read"), open: t("s-open"), operate: t("s-operate"), admin: t("s-admin") }[scope] || scope;
}

function isAdmin() {
  return Boolean(session && session.user && (session.scopes || []).includes("admin"));
}

// ---- asking -----------------------------------------------------------------------------------------------

async function loadPeople() {
  if (!isAdmin() || asking) return;
  asking = true;
  const paths = ["/api/v1/users", "/api/v1/tokens", "/api/v1/directory"];
  const [users, tokens, directory] = await Promise.all(paths.map((path) => ask("GET", path)));
  asking = false;
  if (!isAdmin()) return;
  if (users.ok && tokens.ok) people = { users: users.body.users, tokens: tokens.body.tokens, directory: directory.ok ? directory.body : null };
  drawAdmin();
}

function forgetPeople() {
  people = null;
  putAway();
  forgetCertificate();
  forgetStaff();
  forgetReport();
  for (const id of ["user-form", "token-form"]) {
    byId(id).reset();
    result(byId(id), "", false);
  }
  drawAdmin();
}

// What was ticked: scopes, and doors unless it is all of them.
function wish(form) {
  const ticked = (name) => [...form.elements].filter((e) => e.name === name && e.checked).map((e) => e.value);
  const doors = form.elements["which"].value === "some" ? ticked("door") : "all";
  return { scopes: ticked("scope"), doors };
}

function onAdmin(id, path, body, done) {
  const form = byId(id);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    result(form, t("asked"), false);
    const answer = await ask("POST", path, body(form));
    button.disabled = false;
    if (!answer.ok) {
      result(form, reason(answer), true);
      return;
    }
    form.reset();
    drawDoors(form);
    result(form, done(answer.body), false);
    await loadPeople();
  });
  form.addEventListener("change", () => drawDoors(form));
}

function startAdmin() {
  for (const id of ["user-form", "token-form"]) {
    part(byId(id), "scopes").append(...SCOPES.map((scope) => tick("scope", scope, scopeWord(scope))));
  }
  onAdmin("user-form", "/api/v1/users", (form) => {
    return { user: form.elements["user"].value, password: form.elements["password"].value, ...wish(form) };
  }, (made) => t("user-made", made.user));
  onAdmin("token-form", "/api/v1/tokens", (form) => {
    return { name: form.elements["name"].value, days: Number(form.elements["days"].value), ...wish(form) };
  }, (made) => {
    byId("token-text").value = made.token;
    byId("token-new").hidden = false;
    byId("token-text").focus();
    byId("token-text").select();
    return t("token-made", made.name);
  });
  byId("directory-find").addEventListener("input", drawDirectory);
  byId("token-away").addEventListener("click", putAway);
  byId("token-copy").addEventListener("click", async () => {
    byId("token-text").select();
    try {
      await navigator.clipboard.writeText(byId("token-text").value);
      byId("token-copy").textContent = t("copied");
    } catch {
      // plain HTTP has no clipboard: the text is selected, the person copies it
    }
  });
}

function putAway() {
  byId("token-new").hidden = true;
  byId("token-text").value = "";
  byId("token-copy").textContent = t("copy");
}

// ---- drawing ----------------------------------------------------------------------------------------------

function tick(name, value, text) {
  const label = make("label", "tick");
  const box = make("input");
  box.type = "checkbox";
  box.name = name;
  box.value = value;
  label.append(box, make("span", "", text));
  return label;
}

// Doors can be chosen where a choice makes sense: an administrator has all of them.
function drawDoors(form) {
  const admin = wish(form).scopes.includes("admin");
  const which = form.elements["which"];
  if (admin) which.value = "all";
  which.disabled = admin;
  part(form, "doors-of").hidden = which.value !== "some";
}

function drawAdmin() {
  const admin = isAdmin();
  byId("admin").hidden = !admin || !people;
  if (!admin || !people || !view) return;
  for (const id of ["user-form", "token-form"]) {
    const form = byId(id);
    const box = part(form, "doors-of");
    const wanted = JSON.stringify(view.doors.map((d) => [d.id, d.name]));
    if (box.dataset.of !== wanted) {
      box.dataset.of = wanted;
      box.replaceChildren(...view.doors.map((d) => tick("door", d.id, d.name)));
    }
    drawDoors(form);
  }
  const users = people.users.map((u) => ({ ...u, id: u.user, name: u.user }));
  cards(byId("users"), users, (u) => personCard(u, "/api/v1/users/", "user-gone"), fillPerson, "");
  cards(byId("tokens"), people.tokens, (k) => personCard(k, "/api/v1/tokens/", "token-gone"), fillPerson, t("no-tokens"));
  drawDirectory();
}

const SHOWN = 50;

// Contacts of the gateway first; of the directory those that are looked for.
function drawDirectory() {
  const directory = people && people.directory;
  const known = directory && (directory.read || directory.contacts.length > 0);
  byId("directory-section").hidden = !known;
  if (!known) return;
  const wanted = byId("directory-find").value.trim().toLowerCase();
  const fits = (item) => item.name.toLowerCase().includes(wanted) || item.number.includes(wanted);
  const own = directory.contacts.filter(fits).map((c) => ({ ...c, own: true, id: c.name }));
  const found = directory.entries.filter(fits);
  const shown = found.slice(0, SHOWN).map((e) => ({ ...e, id: "\u0000" + e.name + e.number }));
  const build = (item) => (item.own ? personCard(item, "/api/v1/contacts/", "contact-gone") : entryCard(item));
  cards(byId("contacts"), [...own, ...shown], build, fillContact, "");
  const read = directory.read ? t("directory-read", directory.entries.length, day(directory.read)) : "";
  byId("directory-read").textContent = read + (found.length > SHOWN ? " " + t("directory-more", found.length - SHOWN) : "");
}

function fillContact(card, item) {
  put(card, "name", item.name);
  put(card, "info", item.address ? item.number + "@" + item.address : item.number);
  put(card, "left", item.own ? t("contact-by", item.by, day(item.created)) : t("entry-opens-not"));
}

function entryCard(item) {
  const card = frame(item);
  const button = make("button", "wide quiet", t("copy-contact"));
  button.type = "button";
  button.setAttribute("aria-label", t("copy-contact") + ": " + item.name);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await ask("POST", "/api/v1/contacts", { name: item.name, number: item.number, address: item.address });
    button.disabled = false;
    const box = part(card, "result");
    box.textContent = answer.ok ? t("contact-made", item.name) : reason(answer);
    box.className = "result " + (answer.ok ? "good" : "bad");
    if (answer.ok) await loadPeople();
  });
  part(card, "buttons").append(button);
  return card;
}

function personCard(item, path, gone) {
  const card = frame(item);
  const label = item.user || item.own ? t("remove") : t("revoke");
  const button = make("button", "wide quiet", label);
  button.type = "button";
  button.setAttribute("aria-label", label + ": " + item.name);
  let sure = 0;
  button.addEventListener("click", async () => {
    if (performance.now() > sure) {
      // what cannot be undone is asked for twice
      sure = performance.now() + SURE_MS;
      button.textContent = t("really", item.name);
      setTimeout(() => (button.textContent = label), SURE_MS);
      return;
    }
    sure = 0;
    button.disabled = true;
    const answer = await ask("DELETE", path + encodeURIComponent(item.id));
    button.disabled = false;
    button.textContent = label;
    const box = part(card, "result");
    box.textContent = answer.ok ? t(gone, item.name) : reason(answer);
    box.className = "result " + (answer.ok ? "good" : "bad");
    if (answer.ok) await loadPeople();
  });
  part(card, "buttons").append(button);
  return card;
}

function fillPerson(card, item) {
  put(card, "name", item.name);
  chips(card, item.scopes.map((scope) => make("span", "chip", scopeWord(scope))));
  const doors = item.doors === null ? t("all-doors") : item.doors.map(doorName).join(", ") || t("no-doors-at-all");
  put(card, "info", doors);
  put(card, "left", item.expires ? t("token-life", item.by, day(item.expires)) : t("user-since", day(item.created)));
}

function day(at) {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? "?" : time.toLocaleDateString(lang, { year: "numeric", month: "short", day: "numeric" });
}

function doorName(id) {
  const door = view.doors.find((d) => d.id === id);
  return door ? door.name : id;
}
