// Dark or light: as was chosen here last; dark at first, for a dark room.

const KEY = "xdream-theme";
export const onTheme = new EventTarget();

export function setTheme(theme = localStorage.getItem(KEY) ?? "dark") {
  document.documentElement.dataset.theme = theme;
  onTheme.dispatchEvent(new Event("change"));
}

export function toggleTheme() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem(KEY, theme);
  setTheme(theme);
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
