// Which view is open, by the address behind #: the sessions, one of them, or the way in.

import { ask, send } from "./api.js";
import { byId, h, show } from "./dom.js";
import { openSession } from "./one_session.js";
import { openSessions } from "./sessions.js";
import { setTheme, toggleTheme } from "./theme.js";

let leave = () => {};

async function route() {
  leave();
  leave = () => {};
  byId("page-alarm").replaceChildren();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const me = await ask("/api/me");
  if (me.role === null) return openLogin();
  const name = decodeURIComponent(location.hash.replace(/^#\/?/, ""));
  const open = name ? openSession(name, me.role) : openSessions();
  leave = await open;
}

function openLogin() {
  show("login-view");
  byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send("/api/login", { token: byId("token").value });
      await begin();
    } catch (error) {
      byId("login-note").textContent = error.message;
    }
  });
}

async function begin() {
  try {
    await route();
  } catch (error) {
    if (error.status === 401) return openLogin();
    byId("view").replaceChildren(
      h("main", { id: "main", className: "login" }, h("h1", {}, "XDream"), h("p", { role: "alert" }, error.message),
        h("p", {}, h("a", { href: "#/" }, "All sessions"))),
    );
    byId("view").dataset.failed = "true";
  }
}

setTheme();
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-act=theme]")) toggleTheme();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  const main = byId("main");
  main.tabIndex = -1;
  main.focus();
});
addEventListener("hashchange", begin);
begin();
