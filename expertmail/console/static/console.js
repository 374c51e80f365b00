// Progressive enhancement only: every page works without this file.
"use strict";

// The one way in which text of ours becomes part of a page: parsed as a document of its own, where no script runs.
const policy = window.trustedTypes?.createPolicy("console", { createHTML: text => text });
const parsed = text => new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");

// data-confirm: ask before a form is sent.
document.addEventListener("submit", event => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// data-copy="#id": copies that element's text.
document.addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});

// data-live="SECONDS": the element is replaced by the one of the same id in a fresh copy of the page, while somebody looks.
for (const live of document.querySelectorAll("[data-live]")) {
  const seconds = Number(live.dataset.live);
  setInterval(async () => {
    const now = document.getElementById(live.id);
    if (document.hidden || !now || now.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": live.id } });
      if (!answer.ok || answer.redirected) return;
      const fresh = parsed(await answer.text()).getElementById(live.id);
      if (!fresh || fresh.dataset.version === now.dataset.version) return;
      const open = new Set([...now.querySelectorAll("details[open][id]")].map(one => one.id));
      for (const one of fresh.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = true;
      now.replaceWith(fresh);
      document.getElementById("live-news")?.replaceChildren(fresh.dataset.news ?? "This page was brought up to date.");
    } catch { /* the server is away: the page stays as it is, and the next round tries again */ }
  }, seconds * 1000);
}

// data-drop="NAME": files that are dropped anywhere on the page go into that form's file field, and are sent.
for (const form of document.querySelectorAll("form[data-drop]")) {
  const field = form.elements[form.dataset.drop];
  const zone = field.closest(".drop");
  document.addEventListener("dragover", event => { event.preventDefault(); zone?.classList.add("over"); });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) zone?.classList.remove("over"); });
  document.addEventListener("drop", event => {
    event.preventDefault();
    zone?.classList.remove("over");
    if (!event.dataTransfer?.files.length) return;
    field.files = event.dataTransfer.files;
    form.requestSubmit();
  });
}
