// The machine's network, to be read. Loaded before app.js, whose helpers it calls once the page has started.
"use strict";

const NETWORK_MS = 30000;

let network = null;
let askingNetwork = false;

async function loadNetwork() {
  // who has a list of doors is not told of the machine
  if (!session || !session.user || session.doors || askingNetwork) return;
  askingNetwork = true;
  const answer = await ask("GET", "/api/v1/network");
  askingNetwork = false;
  // what cannot be read is not known; what was shown before may be wrong by now
  network = answer.ok ? answer.body : null;
  drawNetwork();
}

// By the site's own clock and calendar: whoever looks may be elsewhere, and a clock that is a year off must show it.
function siteTime(time) {
  const style = { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" };
  try {
    return new Intl.DateTimeFormat(lang, { ...style, timeZone: time.time_zone }).format(new Date(time.now));
  } catch {
    // a time zone that this browser does not know
    return time.now;
  }
}

function drawNetwork() {
  byId("network-section").hidden = !network || !view;
  if (!network || !view) return;
  const rows = [];
  const row = (name, value, bad) => rows.push(make("dt", "", name), make("dd", bad ? "bad" : "", value));
  for (const port of network.ports) {
    const name = port.name + (port.vlan ? ", " + t("n-vlan", port.vlan) : "");
    const parts = [port.link ? t("n-link") : t("n-no-link"), port.addresses.join(", ") || t("n-no-address")];
    if (port.gateways.length) parts.push(t("n-gateway", port.gateways.join(", ")));
    row(t("n-port", name), parts.join(" · "), port.main && (!port.link || !port.addresses.length));
  }
  for (const access of network.dot1x) row("802.1X", access.text || sentence({ record: { kind: "port." + access.state, source: access.id, text: "" } }), access.state !== "authorized");
  row(t("n-dns"), network.dns.join(", ") || "–", false);
  row(t("n-name"), network.name || "–", false);
  row("LLDP", network.lldp ? t("n-on") : t("n-off"), false);
  const time = network.clock;
  const sync = time.synchronised === null ? t("n-unknown") : time.synchronised ? t("n-synchronised") : t("n-unsynchronised");
  row(t("n-clock"), [siteTime(time), time.time_zone, sync, time.trusted ? "" : t("n-untrusted")].filter(Boolean).join(" · "), !time.trusted);
  for (const relay of network.relays) row(t("n-relay", relay.id), relay.active ? t("n-lost", relay.text) : t("n-well"), relay.active);
  byId("network").replaceChildren(...rows);
}

function startNetwork() {
  setInterval(() => {
    if (!lost) loadNetwork();
  }, NETWORK_MS);
}
