// The certificate of page and API, for administrators: what is served, another one in its place, back to the gateway's own.
// Loaded before app.js, whose helpers it calls once the page has started. The key goes to the gateway and stays in no field.
"use strict";

const CERTIFICATE = "/api/v1/certificate";

let certificate = null;
let certificateTag = null;

async function loadCertificate() {
  if (!isAdmin()) return;
  const answer = await ask("GET", CERTIFICATE);
  // without TLS there is none
  certificate = answer.ok && isAdmin() ? answer.body : null;
  certificateTag = answer.ok ? answer.tag : null;
  drawCertificate();
}

function forgetCertificate() {
  certificate = null;
  certificateTag = null;
  byId("certificate-form").reset();
  result(byId("certificate-form"), "", false);
  drawCertificate();
}

function drawCertificate() {
  const shown = certificate;
  byId("certificate-section").hidden = !shown || !isAdmin();
  if (!shown) return;
  const rows = [];
  const row = (name, value, bad) => rows.push(make("dt", "", name), make("dd", bad ? "bad" : "", value));
  row(t("c-from"), { files: t("c-files"), own: t("c-own"), uploaded: t("c-uploaded") }[shown.from] || shown.from, false);
  row(t("c-names"), shown.names.join(", ") + (shown.covers_host ? "" : " · " + t("c-other-host")), !shown.covers_host);
  row(t("c-subject"), shown.subject, false);
  row(t("c-issuer"), shown.issuer, false);
  row(t("c-until"), day(shown.not_after), Boolean(shown.fault));
  row(t("c-print"), shown.fingerprint, false);
  if (shown.fault) row(t("faults"), shown.fault, true);
  byId("certificate").replaceChildren(...rows);
  // what the site file names is changed there
  byId("certificate-in-files").hidden = shown.from !== "files";
  byId("certificate-change").hidden = shown.from === "files";
  byId("certificate-back").hidden = shown.from !== "uploaded";
}

function startCertificate() {
  const form = byId("certificate-form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [chain, key] = ["chain", "key"].map((name) => form.elements[name].files[0]);
    if (!chain || !key || !certificateTag) return;
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    result(form, t("asked"), false);
    const body = { certificate: await chain.text(), key: await key.text() };
    const answer = await ask("PUT", CERTIFICATE, body, undefined, certificateTag);
    button.disabled = false;
    form.reset();
    result(form, answer.ok ? t("c-taken", answer.body.names.join(", ")) : reason(answer), !answer.ok);
    await loadCertificate();
  });
  byId("certificate-back").append(
    sureButton(t("c-back"), t("c-back-sure"), async () => {
      const answer = await ask("DELETE", CERTIFICATE);
      result(form, answer.ok ? t("c-backed") : reason(answer), !answer.ok);
      await loadCertificate();
    }),
  );
}
