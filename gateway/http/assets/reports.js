// Reports: who opened which door when, calls, figures. Loaded before app.js, whose helpers it calls once the page has
// started. Nothing is asked for before somebody presses the button.
"use strict";

const REPORT_ROWS = 50;

let reportNext = null;

function reportPath(kind, csv) {
  const form = byId("report-form");
  const query = new URLSearchParams();
  if (kind === "events") {
    const of = form.elements["class"].value;
    if (of) query.set("class", of);
    if (!csv) query.set("order", "desc");
  }
  const door = form.elements["door"].value;
  if (door) query.set("door", door);
  const day = (name, plus) => {
    const at = form.elements[name].value ? new Date(form.elements[name].value + "T00:00:00") : null;
    if (!at || Number.isNaN(at.getTime())) return null;
    at.setDate(at.getDate() + plus);
    return at.toISOString();
  };
  const since = day("since", 0);
  const until = day("until", 1);
  if (since) query.set("since", since);
  if (until) query.set("until", until);
  if (kind === "openings" && form.elements["refused"].checked) query.set("refused", "1");
  if (csv) query.set("format", "csv");
  else if (kind !== "doors") query.set("max", String(REPORT_ROWS));
  const text = query.toString();
  if (kind === "events" && !csv) return "/api/v1/journal?" + text;
  return "/api/v1/reports/" + kind + (text ? "?" + text : "");
}

function reportLine(at, text, soft) {
  const line = make("li");
  const body = make("div", "", text);
  if (soft) body.append(make("div", "soft", soft));
  line.append(make("time", "", at ? clock(at) : ""), body);
  return line;
}

function openingLine(row) {
  const who = row.name || row.who || "–";
  const what = row.result === "refused" ? t("rep-refused", row.door, who) : t("rep-opened", row.door, who);
  return reportLine(row.at, what, [row.by, row.why].filter(Boolean).join(" · "));
}

function callLine(row) {
  const what = row.direction === "alarm" ? t("rep-alarm-call", row.alarm || "–", row.targets.join(", ") || "–") : row.direction === "to-door" ? t("rep-called", row.panel || "–", row.caller || "–") : row.caller ? t("rep-asked", row.panel || "–", row.targets.join(", ") || "–", row.caller) : t("rep-rang", row.panel || "–", row.targets.join(", ") || "–");
  const seconds = (ms) => Math.round(ms / 1000) + " s";
  const parts = [row.outcome ? words["v-" + row.outcome] || row.outcome : ""];
  if (row.answered_by) parts.push(row.answered_by);
  if (row.ring_ms !== null) parts.push(t("rep-after", seconds(row.ring_ms)));
  if (row.talk_ms) parts.push(t("rep-talk", seconds(row.talk_ms)));
  if (row.received) {
    const lost = (100 * row.lost) / (row.received + row.lost);
    parts.push(t("rep-speech", lost.toFixed(1), Math.round(row.jitter_us / 1000)));
  }
  if (row.opened.length) parts.push(t("rep-opened-doors", row.opened.join(", ")));
  return reportLine(row.began, what, parts.filter(Boolean).join(" · "));
}

function figureLines(body) {
  const doors = body.doors.map((door) => {
    const means = Object.entries(door.by_means).map(([by, n]) => by + " " + n).join(" · ");
    const text = t("rep-door", door.door, door.granted, door.refused);
    return reportLine("", text, [means, t("rep-alarms", door.forced, door.held_open)].filter(Boolean).join(" · "));
  });
  const panels = body.panels.map((panel) => {
    const median = panel.median_answer_ms === null ? "" : t("rep-median", Math.round(panel.median_answer_ms / 1000));
    return reportLine("", t("rep-panel", panel.panel, panel.rings, panel.answered), median);
  });
  return doors.concat(panels);
}

async function loadReport(path, more) {
  const form = byId("report-form");
  result(form, t("asked"), false);
  const answer = await ask("GET", path);
  if (!answer.ok) {
    result(form, reason(answer), true);
    return;
  }
  const body = answer.body;
  const told = (record) => reportLine(record.at, sentence({ record }), "");
  const lines = body.records ? body.records.map(told) : body.openings ? body.openings.map(openingLine) : body.calls ? body.calls.map(callLine) : figureLines(body);
  const list = byId("report");
  if (!more) list.replaceChildren();
  list.append(...lines);
  list.hidden = !list.children.length;
  result(form, list.children.length ? "" : t("rep-nothing"), false);
  reportNext = body.next;
  byId("report-more").hidden = !reportNext;
}

function forgetReport() {
  reportNext = null;
  byId("report").replaceChildren();
  byId("report").hidden = true;
  byId("report-more").hidden = true;
  result(byId("report-form"), "", false);
}

function drawReportDoors() {
  const select = byId("report-form").elements["door"];
  const wanted = ["", ...(view ? view.doors : []).map((door) => door.id)];
  if (wanted.join() === [...select.options].map((option) => option.value).join()) return;
  const had = select.value;
  select.replaceChildren(...wanted.map((id) => {
    const option = make("option", "", id || t("all-doors"));
    option.value = id;
    return option;
  }));
  select.value = wanted.includes(had) ? had : "";
}

function startReports() {
  const form = byId("report-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    loadReport(reportPath(form.elements["kind"].value, false), false);
  });
  form.addEventListener("focusin", drawReportDoors);
  form.elements["kind"].addEventListener("change", () => {
    byId("report-class").hidden = form.elements["kind"].value !== "events";
  });
  byId("report-more").addEventListener("click", () => reportNext && loadReport(reportNext, true));
  byId("report-csv").addEventListener("click", () => {
    byId("report-csv").href = reportPath(form.elements["kind"].value, true);
  });
  drawReportDoors();
}
