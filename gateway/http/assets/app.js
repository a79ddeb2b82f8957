// The page: shows what the gateway last said, and says so when it says nothing.
// Nothing is drawn before the gateway has said it: a button shows "asked", then the answer.
"use strict";

const LOST_AFTER_MS = 2500;
const EVENTS_SHOWN = 50;
const NOTE_MS = 20000;
const HOLD_MINUTES = [5, 15, 30, 60, 120, 240, 480];
const QUIET_MINUTES = [30, 60, 120, 480];

const lang = document.documentElement.lang;
const byId = (id) => document.getElementById(id);

let words = {};
let session = null;
let view = null;
let viewAt = 0;
let socket = null;
let heardAt = 0;
let lost = true;
let lostSince = null;
let coreSilent = false;
let lastSeq = 0;
let retryMs = 500;
let retryTimer = 0;
let leaving = false;
const lastRing = new Map();
const notes = new Map();
const events = [];

function t(key, ...values) {
  const text = words[key] || key;
  return text.replace(/\{(\d)\}/g, (_, n) => String(values[Number(n)] ?? ""));
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function clock(at) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "?";
  const today = new Date().toDateString() === time.toDateString();
  const style = today
    ? { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }
    : { day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return time.toLocaleString(lang, style);
}

async function ask(method, path, body, key, match) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  if (match) headers["If-Match"] = match;
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), 12000);
  try {
    const answer = await fetch(path, {
      method, headers, signal: limit.signal, credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { ok: answer.ok, status: answer.status, tag: answer.headers.get("ETag"), body: text ? JSON.parse(text) : null };
  } catch {
    return { ok: false, status: 0, body: null };
  } finally {
    clearTimeout(timer);
  }
}

function reason(answer) {
  const body = answer.body || {};
  if (answer.status === 0) return t("no-answer");
  if (body.retry_after_s && body.reason === "locked") return t("locked-for", body.retry_after_s);
  if (body.reason === "login-failed") return t("login-failed");
  const known = words["r-" + body.reason];
  const detail = body.detail || String(answer.status);
  return t("refused", known ? known + " (" + detail + ")" : detail);
}

// ---- what may be seen -------------------------------------------------------------------------------------

function show() {
  const user = session && session.user;
  byId("setup").hidden = Boolean(user) || !session || !session.setup;
  byId("login").hidden = Boolean(user) || !session || session.setup;
  byId("site-view").hidden = !user || !view;
  byId("me").hidden = !user;
  byId("who").textContent = user || "";
  byId("link").hidden = Boolean(session && !user);
  if (!user) byId("lost").hidden = true;
}

async function refreshSession() {
  const answer = await ask("GET", "/api/v1/session");
  if (!answer.ok) return false;
  session = answer.body;
  show();
  return true;
}

async function begin() {
  if (!(await refreshSession())) {
    setLost();
    retry();
    return;
  }
  if (session.user) connect();
}

// ---- the connection ---------------------------------------------------------------------------------------

function connect() {
  clearTimeout(retryTimer);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const from = lastSeq ? "?from=" + (lastSeq + 1) : "";
  const mine = new WebSocket(scheme + "//" + location.host + "/api/v1/live" + from);
  socket = mine;
  heardAt = performance.now();
  mine.onmessage = (message) => {
    if (socket !== mine) return;
    heardAt = performance.now();
    hear(JSON.parse(message.data));
  };
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = null;
    if (!leaving) {
      setLost();
      retry();
    }
  };
}

function drop() {
  const old = socket;
  socket = null;
  if (old) old.close();
}

function retry() {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(begin, retryMs);
  retryMs = Math.min(retryMs * 2, 4000);
}

function hear(word) {
  if (word.type === "hello") {
    retryMs = 500;
    if (!lastSeq) lastSeq = word.seq;
    loadPast();
  } else if (word.type === "view") {
    view = word.view;
    viewAt = performance.now();
    const frozen = word.view.faults.some((f) => f.part === "core");
    if (!people) {
      loadPeople();
      loadCertificate();
    }
    if (!network) loadNetwork();
    if (!frozen) {
      lost = false;
      lostSince = null;
      coreSilent = false;
    }
    draw();
  } else if (word.type === "alive") {
    // the gateway talks, but its core does not: what stands here is old
    coreSilent = word.core_silent_ms !== undefined;
    if (coreSilent) setLost(t("core-silent", Math.floor(word.core_silent_ms / 1000)));
  } else if (word.type === "record") {
    take(word.record, true);
    drawEvents();
    drawSite();
  } else if (word.type === "missed") {
    lastSeq = Math.max(lastSeq, word.to);
    events.unshift({ seq: word.to, at: new Date().toISOString(), text: t("missed", word.to - word.from + 1) });
    drawEvents();
  } else if (word.type === "reset") {
    // the journal was restored: what stood in it after this is not there
    lastSeq = word.seq;
  } else if (word.type === "bye") {
    if (word.reason === "logged-out" || word.reason === "removed") {
      forget(t("logged-out"));
    } else if (word.reason === "not-allowed") {
      forget(t("not-allowed"));
    } else {
      setLost(t("stopping"));
    }
  }
}

function forget(text) {
  drop();
  view = null;
  lastSeq = 0;
  events.length = 0;
  lastRing.clear();
  notes.clear();
  forgetPeople();
  network = null;
  session = { ...session, user: null };
  show();
  result(byId("login-form"), text, true);
}

function setLost(text) {
  if (!text) coreSilent = false;
  if (!lost || !lostSince) lostSince = new Date();
  lost = true;
  byId("lost").textContent = text || t("lost", clock(lostSince));
  draw();
}

function watch() {
  const silent = performance.now() - heardAt > LOST_AFTER_MS;
  if (session && session.user && socket && silent) {
    drop();
    setLost();
    retry();
    return;
  }
  if (view && !lost) drawTimes();
}

async function loadPast() {
  const [journal, rings] = await Promise.all([
    ask("GET", "/api/v1/journal?order=desc&max=30"),
    ask("GET", "/api/v1/rings?max=20"),
  ]);
  if (journal.ok) journal.body.records.reverse().forEach((r) => take(r, false));
  if (rings.ok) {
    for (const story of rings.body.rings) {
      if (story.direction === "from-door" && !story.caller && !lastRing.has(story.panel)) lastRing.set(story.panel, story.began);
    }
  }
  draw();
}

function take(record, live) {
  if (live) lastSeq = Math.max(lastSeq, record.seq);
  if (live && record.kind.startsWith("user.")) loadPeople();
  if (live && record.kind.startsWith("user.certificate-")) loadCertificate();
  if (live && /^(port|relay)\.|^gateway\.(clock|network)$/.test(record.kind)) loadNetwork();
  if (record.kind === "panel.ring") lastRing.set(record.source, record.at);
  if (events.some((e) => e.seq === record.seq)) return;
  events.push({ seq: record.seq, at: record.at, record });
  events.sort((a, b) => b.seq - a.seq);
  events.length = Math.min(events.length, EVENTS_SHOWN);
}

// ---- drawing ----------------------------------------------------------------------------------------------

function draw() {
  show();
  const link = byId("link");
  const gone = coreSilent ? t("core-frozen") : t("disconnected");
  link.textContent = lost ? (lostSince ? gone : t("connecting")) : t("connected");
  link.className = "chip " + (lost ? (lostSince ? "bad" : "") : "good");
  document.body.classList.toggle("lost", lost && Boolean(lostSince));
  byId("lost").hidden = !(lost && lostSince && session && session.user);
  drawSite();
  drawEvents();
  drawAdmin();
  drawNetwork();
}

// What has a fault, in the reader's language. The rest of the text is what programs and commands say, in English.
function partName(part) {
  const [kind, ...name] = part.split(":");
  const key = "f-" + kind;
  return words[key] ? t(key, name.join(":")) : part;
}

function drawSite() {
  if (!view) return;
  byId("site").textContent = view.name || "Doorline";
  document.title = (view.name || "Doorline") + (lost ? " – " + t(coreSilent ? "core-frozen" : "disconnected") : "");
  byId("foot").textContent = t("foot", session ? session.version : "", view.seq);
  const fires = view.fire && (view.fire.alarm || view.fire.active) ? [{ ...view.fire, id: "fire" }] : [];
  cards(byId("fire"), fires, fireCard, fillFire, "");
  byId("fire-section").hidden = fires.length === 0;
  const locks = view.lockdowns.filter((l) => l.active || l.may_lock).map((l) => ({ ...l, id: l.group || "*" }));
  cards(byId("lockdowns"), locks, lockdownCard, fillLockdown, "");
  byId("lockdowns-section").hidden = locks.length === 0;
  cards(byId("alarms"), view.alarms, alarmCard, fillAlarm, "");
  byId("alarms-section").hidden = view.alarms.length === 0;
  const areas = view.may_reset_passback ? [{ id: "*", name: view.areas.join(", ") }] : [];
  cards(byId("areas"), areas, areaCard, fillArea, "");
  byId("areas-section").hidden = areas.length === 0;
  cards(byId("doors"), view.doors, doorCard, fillDoor, t("no-doors"));
  cards(byId("panels"), view.panels, panelCard, fillPanel, t("no-panels"));
  cards(byId("calls"), view.calls.map((c) => ({ ...c, id: c.ring_id })), callCard, fillCall, "");
  byId("calls-section").hidden = view.calls.length === 0;
  byId("faults").hidden = view.faults.length === 0;
  byId("fault-list").replaceChildren(...view.faults.map((f) => make("li", "", partName(f.part) + ": " + f.text)));
  drawTimes();
}

// Cards stay as long as their thing is there, so that a button keeps its focus.
function cards(box, items, build, fill, empty) {
  const old = new Map([...box.children].filter((c) => c.dataset.id).map((c) => [c.dataset.id, c]));
  const fresh = items.map((item) => {
    const card = old.get(item.id) || build(item);
    card.dataset.id = item.id;
    fill(card, item);
    return card;
  });
  if (fresh.length === 0 && empty) fresh.push(make("p", "soft", empty));
  const same = fresh.length === box.children.length && fresh.every((c, n) => c === box.children[n]);
  if (!same) box.replaceChildren(...fresh);
}

function chip(text, kind) {
  return lost ? make("span", "chip", t("unknown-was", text)) : make("span", "chip " + kind, text);
}

function frame(item) {
  const card = make("article", "card");
  card.append(make("h3", "name", item.name), make("div", "chips"), make("p", "soft info"), make("p", "soft left"));
  card.append(make("div", "buttons"));
  const note = make("p", "result");
  note.setAttribute("role", "status");
  card.append(note);
  return card;
}

function part(card, name) {
  return card.getElementsByClassName(name)[0];
}

function put(card, name, text) {
  const element = part(card, name);
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

function chips(card, all) {
  part(card, "chips").replaceChildren(...all);
}

function drawNote(card, key) {
  const note = notes.get(key);
  const box = part(card, "result");
  const text = note ? note.text : "";
  if (box.textContent !== text) box.textContent = text;
  box.className = "result " + (note ? note.kind : "");
}

function alarmCard(alarm) {
  const card = frame(alarm);
  const button = make("button", "wide", t("confirm-alarm"));
  button.type = "button";
  button.addEventListener("click", () => {
    command("alarm:" + alarm.id, "/api/v1/alarms/" + encodeURIComponent(alarm.id) + "/confirm", "alarm-done");
  });
  part(card, "buttons").append(button);
  return card;
}

function fillAlarm(card, alarm) {
  const raised = alarm.state !== "rest" && alarm.state !== "confirmed";
  put(card, "name", alarm.name);
  const state = "alarm-" + alarm.state;
  chips(card, [chip(t(state), raised ? "bad" : alarm.state === "rest" ? "good" : "warn")]);
  card.classList.toggle("alarm", raised);
  put(card, "info", "");
  put(card, "left", "");
  const button = part(card, "buttons").firstChild;
  button.setAttribute("aria-label", t("confirm-alarm") + ": " + alarm.name);
  button.hidden = !alarm.may_confirm;
  button.disabled = lost || Boolean(notes.get("alarm:" + alarm.id)?.waiting);
  drawNote(card, "alarm:" + alarm.id);
}

function fireCard(fire) {
  const card = frame(fire);
  const reset = () => command("fire", "/api/v1/fire/reset", "fire-was-reset");
  part(card, "buttons").append(sureButton(t("reset-fire"), t("reset-fire-sure"), reset));
  card.classList.add("alarm");
  return card;
}

function fillFire(card, fire) {
  put(card, "name", t("whole-site"));
  const input = fire.active ? chip(t("fire-input-active"), "bad") : chip(t("fire-input-rests"), "good");
  chips(card, fire.alarm ? [chip(t("fire-alarm"), "bad"), input] : [input]);
  put(card, "info", t(fire.alarm ? "fire-text" : "fire-only-told"));
  put(card, "left", "");
  const button = part(card, "buttons").firstChild;
  button.hidden = !fire.alarm || !fire.may_reset;
  button.disabled = lost || fire.active || Boolean(notes.get("fire")?.waiting);
  drawNote(card, "fire");
}

// Who is where is told to nobody; what can be done is to forget it.
function areaCard(areas) {
  const card = frame(areas);
  const reset = () => command("areas:*", "/api/v1/passback/reset", "passback-done");
  part(card, "buttons").append(sureButton(t("passback-reset"), t("passback-sure"), reset));
  return card;
}

function fillArea(card, areas) {
  put(card, "name", areas.name);
  put(card, "info", t("passback-text"));
  put(card, "left", "");
  part(card, "buttons").firstChild.disabled = lost || Boolean(notes.get("areas:*")?.waiting);
  drawNote(card, "areas:*");
}

function lockdownCard(lockdown) {
  const card = frame(lockdown);
  const button = make("button", "wide");
  button.type = "button";
  button.addEventListener("click", () => {
    const ends = button.dataset.ends === "yes";
    const body = lockdown.group ? { group: lockdown.group } : {};
    command("lockdown:" + lockdown.id, "/api/v1/lockdown/" + (ends ? "end" : "begin"), ends ? "lockdown-ended" : "lockdown-begun", body);
  });
  part(card, "buttons").append(button);
  return card;
}

function fillLockdown(card, lockdown) {
  const name = lockdown.group ? lockdown.name : t("whole-site");
  put(card, "name", name);
  chips(card, [lockdown.active ? chip(t("locked-down"), "bad") : chip(t("not-locked-down"), "good")]);
  card.classList.toggle("alarm", lockdown.active);
  put(card, "info", lockdown.active ? t("lockdown-text") : "");
  put(card, "left", "");
  const button = part(card, "buttons").firstChild;
  const text = lockdown.active ? t("end-lockdown") : t("begin-lockdown");
  if (button.textContent !== text) button.textContent = text;
  button.dataset.ends = lockdown.active ? "yes" : "no";
  button.setAttribute("aria-label", text + ": " + name);
  button.hidden = !lockdown.may_lock;
  button.disabled = lost || Boolean(notes.get("lockdown:" + lockdown.id)?.waiting);
  drawNote(card, "lockdown:" + lockdown.id);
}

function doorCard(door) {
  const card = frame(door);
  const button = make("button", "wide", t("open-door"));
  button.type = "button";
  button.setAttribute("aria-label", t("open-door") + ": " + door.name);
  button.addEventListener("click", () => {
    command("door:" + door.id, "/api/v1/doors/" + encodeURIComponent(door.id) + "/open", "opened");
  });
  const hold = make("select", "wide");
  hold.setAttribute("aria-label", t("hold") + ": " + door.name);
  hold.addEventListener("change", () => {
    const path = "/api/v1/doors/" + encodeURIComponent(door.id) + "/hold/";
    const minutes = hold.value;
    hold.value = "";
    if (minutes === "end") command("door:" + door.id, path + "end", "hold-over");
    else command("door:" + door.id, path + "begin", "hold-begun", { minutes: Number(minutes) });
  });
  part(card, "buttons").append(button, hold);
  return card;
}

// What can be asked of a door that may be held open: for so many minutes, or no longer.
function fillHold(select, door, off) {
  const most = door.may_hold_minutes || 0;
  const times = HOLD_MINUTES.filter((m) => m < most).concat(most > 0 ? [most] : []);
  const ends = Boolean(door.hold) && (most > 0 || (door.may_end_hold && door.hold.left_ms !== null));
  const wanted = times.join() + (ends ? " end" : "");
  if (select.dataset.of !== wanted) {
    select.dataset.of = wanted;
    const all = [["", t("hold")], ...times.map((m) => [String(m), t("hold-minutes", m)])];
    if (ends) all.push(["end", t("hold-end")]);
    select.replaceChildren(...all.map(([value, text]) => {
      const option = make("option", "", text);
      option.value = value;
      return option;
    }));
  }
  select.hidden = most === 0 && !ends;
  select.disabled = off;
}

function fillDoor(card, door) {
  const lock = door.lock === "unknown" ? t("lock-unknown") : door.lock === "locked" ? t("locked") : t("unlocked");
  const all = [chip(lock, door.lock === "unlocked" ? "warn" : "good")];
  const contact = door.contact === "unknown" ? t("contact-unknown") : door.contact === "open" ? t("open") : t("closed");
  all.push(chip(contact, door.contact === "open" ? "warn" : ""));
  if (door.forced) all.push(chip(t("forced"), "bad"));
  if (door.hold) all.push(chip(t(door.hold.schedule ? "hold-schedule" : "hold-command"), "warn"));
  if (door.held_open) all.push(chip(t("held"), "bad"));
  if (door.lockdown) all.push(chip(t("locked-down"), "bad"));
  else if (!door.available) all.push(chip(t("unavailable"), "bad"));
  if (door.simulated) all.push(make("span", "chip", t("simulated")));
  chips(card, all);
  card.classList.toggle("alarm", door.forced || door.held_open);
  put(card, "name", door.name);
  const rings = view.panels.filter((p) => p.doors.includes(door.id)).map((p) => lastRing.get(p.id)).filter(Boolean).sort();
  const last = rings[rings.length - 1];
  put(card, "info", last ? t("last-ring", clock(last)) : t("never-rang"));
  const busy = Boolean(notes.get("door:" + door.id)?.waiting);
  const button = part(card, "buttons").firstChild;
  button.hidden = !door.may_open;
  button.disabled = lost || busy || !door.available;
  fillHold(part(card, "buttons").lastChild, door, lost || busy);
  drawNote(card, "door:" + door.id);
}

function panelCard(panel) {
  return frame(panel);
}

function fillPanel(card, panel) {
  const broken = view.lines.some((line) => line.id === panel.line && line.state === "fault");
  const call = view.calls.find((call) => call.panel === panel.id);
  const quiet = panel.ring_id ? chip(t("rings-now"), "warn") : chip(t("quiet"), "");
  const all = [call?.state === "talking" ? chip(t("talking"), "warn") : quiet];
  if (broken) all.push(chip(t("line-fault"), "bad"));
  if (panel.quiet) {
    const left = panel.quiet.left_ms;
    all.push(chip(left === null ? t("dnd-on") : t("dnd-left", Math.ceil(left / 60000)), "warn"));
  }
  if (panel.ring_to_open) all.push(chip(t("rto-left", Math.ceil(panel.ring_to_open.left_ms / 60000)), "warn"));
  if (panel.simulated) all.push(make("span", "chip", t("simulated")));
  chips(card, all);
  put(card, "name", panel.name);
  const last = lastRing.get(panel.id);
  put(card, "info", last ? t("last-ring", clock(last)) : t("never-rang"));
  put(card, "left", "");
  const box = part(card, "buttons");
  const wanted = panel.may_press || panel.may_call ? panel.buttons : [];
  // a virtual panel rings, which is more
  const action = panel.may_press ? "press" : "call";
  const most = panel.may_ring_to_open_minutes || 0;
  const sayings = panel.may_announce ? panel.announcements : [];
  const of = JSON.stringify([wanted, action, sayings, panel.may_quiet, Boolean(panel.quiet), most, Boolean(panel.ring_to_open)]);
  if (box.dataset.of !== of) {
    box.dataset.of = of;
    box.replaceChildren(...wanted.map((b) => panelButton(panel, b, action)));
    if (sayings.length) box.append(announceSelect(panel, sayings));
    if (panel.may_quiet) box.append(quietSelect(panel));
    if (most || (panel.ring_to_open && panel.may_quiet)) box.append(ringToOpenSelect(panel, most));
  }
  const busy = Boolean(notes.get("panel:" + panel.id)?.waiting);
  for (const part of box.children) part.disabled = lost || busy || (broken && part.tagName === "BUTTON");
  drawNote(card, "panel:" + panel.id);
}

// Rings a virtual panel, or has a panel call those of a button though nobody rings.
function panelButton(panel, of, action) {
  const button = make("button", "wide", t(action === "press" ? "press" : "call-for", of.name));
  button.type = "button";
  const path = "/api/v1/panels/" + encodeURIComponent(panel.id) + "/" + action + "/" + encodeURIComponent(of.id);
  button.addEventListener("click", () => command("panel:" + panel.id, path, action === "press" ? "pressed" : "called"));
  return button;
}

// What the site file lists is heard at a panel, and by whoever has its call.
function announceSelect(panel, sayings) {
  const select = make("select", "wide");
  select.setAttribute("aria-label", t("announce") + ": " + panel.name);
  offer(select, [["", t("announce")], ...sayings.map((a) => [a.id, a.name])]);
  select.addEventListener("change", () => {
    const path = "/api/v1/panels/" + encodeURIComponent(panel.id) + "/announce/" + encodeURIComponent(select.value);
    select.value = "";
    command("panel:" + panel.id, path, "announced", { to: "both" });
  });
  return select;
}

// What can be asked of the bells of a panel: to be quiet for so long, or no longer.
function quietSelect(panel) {
  const select = make("select", "wide");
  select.setAttribute("aria-label", t("dnd") + ": " + panel.name);
  const all = [["", t("dnd")], ...QUIET_MINUTES.map((m) => [String(m), t("hold-minutes", m)]), ["open", t("dnd-open")]];
  if (panel.quiet) all.push(["end", t("dnd-end")]);
  offer(select, all);
  select.addEventListener("change", () => {
    const path = "/api/v1/panels/" + encodeURIComponent(panel.id) + "/quiet/";
    const wanted = select.value;
    select.value = "";
    if (wanted === "end") command("panel:" + panel.id, path + "end", "dnd-over");
    else command("panel:" + panel.id, path + "begin", "dnd-begun", wanted === "open" ? {} : { minutes: Number(wanted) });
  });
  return select;
}

function offer(select, all) {
  select.append(...all.map(([value, text]) => {
    const option = make("option", "", text);
    option.value = value;
    return option;
  }));
}

// Who rings is let in for so long, at most as the site file says, or no longer.
function ringToOpenSelect(panel, most) {
  const select = make("select", "wide");
  select.setAttribute("aria-label", t("rto") + ": " + panel.name);
  const times = HOLD_MINUTES.filter((m) => m < most).concat(most > 0 ? [most] : []);
  offer(select, [["", t("rto")], ...times.map((m) => [String(m), t("hold-minutes", m)])]);
  if (panel.ring_to_open) offer(select, [["end", t("rto-end")]]);
  select.addEventListener("change", () => {
    const path = "/api/v1/panels/" + encodeURIComponent(panel.id) + "/ring-to-open/";
    const wanted = select.value;
    select.value = "";
    if (wanted === "end") command("panel:" + panel.id, path + "end", "rto-over");
    else command("panel:" + panel.id, path + "begin", "rto-begun", { minutes: Number(wanted) });
  });
  return select;
}

function callCard(call) {
  const card = frame({ name: "" });
  const button = make("button", "wide", t("hang-up"));
  button.type = "button";
  button.addEventListener("click", () => command("call:" + call.id, "/api/v1/rings/" + call.id + "/hang-up", "hung-up"));
  part(card, "buttons").append(button);
  return card;
}

function fillCall(card, call) {
  const panel = view.panels.find((p) => p.id === call.panel);
  put(card, "name", panel ? panel.name : t("calls"));
  chips(card, [chip(call.state === "talking" ? t("talking") : t("ringing"), call.state === "talking" ? "good" : "warn")]);
  put(card, "info", call.parties.map((p, n) => ((call.names || [])[n] ? call.names[n] + " (" + p + ")" : p)).join(", "));
  put(card, "left", "");
  const button = part(card, "buttons").firstChild;
  button.hidden = !call.may_hang_up;
  button.disabled = lost || Boolean(notes.get("call:" + call.id)?.waiting);
  drawNote(card, "call:" + call.id);
}

function drawTimes() {
  for (const card of byId("doors").getElementsByClassName("card")) {
    const door = view.doors.find((d) => d.id === card.dataset.id);
    const left = door && door.pulse_left_ms !== null ? door.pulse_left_ms - (performance.now() - viewAt) : 0;
    const held = door && door.hold && door.hold.left_ms !== null ? door.hold.left_ms - (performance.now() - viewAt) : 0;
    const text = left > 0 ? t("seconds-left", Math.ceil(left / 1000)) : held > 0 ? t("hold-left", Math.ceil(held / 60000)) : "";
    put(card, "left", lost ? "" : text);
  }
}

function sentence(event) {
  if (!event.record) return event.text;
  const record = event.record;
  // a state, a right that is there or not, and a press that answers have sentences of their own
  const state = record.active ?? record.trusted ?? record.may_open ?? record.means;
  const template = words["k-" + record.kind + ":" + state] ?? words["k-" + record.kind];
  const all = view ? [...view.doors, ...view.panels] : [];
  const named = all.find((x) => x.id === record.source);
  const source = named ? named.name : record.source || "";
  if (!template) return record.kind + (source ? " · " + source : "");
  const group = (id) => (id ? view?.lockdowns.find((l) => l.group === id)?.name || id : t("whole-site"));
  const value = (name) => {
    if (name === "group") return group(record.group);
    if (name === "why") return words["v-hold-" + record.why] ?? record.why;
    const word = name === "source" ? source : String(record[name] ?? "?");
    return ["cause", "colour", "outcome", "reason", "state"].includes(name) ? words["v-" + word] ?? words["r-" + word] ?? word : word;
  };
  return template.replace(/\{([a-z_]+)\}/g, (_, name) => value(name));
}

function drawEvents() {
  byId("events").replaceChildren(...events.map((event) => {
    const row = make("li");
    const time = make("time", "", clock(event.at));
    time.dateTime = event.at;
    const what = make("div");
    what.append(make("span", "", sentence(event)), make("span", "soft", " #" + event.seq));
    row.append(time, what);
    return row;
  }));
}

// ---- asking -----------------------------------------------------------------------------------------------

function note(key, text, kind, waiting) {
  const entry = { text, kind, waiting };
  notes.set(key, entry);
  drawSite();
  if (!waiting) {
    setTimeout(() => {
      if (notes.get(key) === entry) {
        notes.delete(key);
        drawSite();
      }
    }, NOTE_MS);
  }
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return "web-" + [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

async function command(key, path, done, body) {
  note(key, t("asked"), "", true);
  const answer = await ask("POST", path, body, randomId());
  if (answer.ok) {
    note(key, t(done, answer.body.seq), "good", false);
  } else {
    note(key, reason(answer), "bad", false);
    if (answer.status === 401) await refreshSession();
  }
}

function result(form, text, bad) {
  const box = part(form, "result");
  box.textContent = text;
  box.className = "result " + (bad ? "bad" : "");
}

function onForm(id, path, fields) {
  const form = byId(id);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = Object.fromEntries(fields.map((f) => [f, form.elements[f].value]));
    const button = form.getElementsByTagName("button")[0];
    button.disabled = true;
    result(form, t("asked"), false);
    const answer = await ask("POST", path, body);
    button.disabled = false;
    if (!answer.ok) {
      result(form, reason(answer), true);
      return;
    }
    result(form, "", false);
    form.reset();
    session = answer.body;
    lost = true;
    lostSince = null;
    draw();
    connect();
  });
}

async function logout() {
  leaving = true;
  await ask("POST", "/api/v1/logout");
  forget(t("logged-out"));
  leaving = false;
  await refreshSession();
}

async function start() {
  const answer = await ask("GET", "/assets/" + lang + ".json");
  if (answer.ok) words = answer.body;
  onForm("setup-form", "/api/v1/setup", ["code", "user", "password"]);
  onForm("login-form", "/api/v1/login", ["user", "password"]);
  byId("logout").addEventListener("click", logout);
  startAdmin();
  startCertificate();
  startNetwork();
  startReports();
  startStaff();
  document.addEventListener("visibilitychange", watch);
  setInterval(watch, 250);
  await begin();
}

start();
