// Numbers and times as people read them, each with its unit.

// A score in the unit of its scorer: spikes per second, a rank, or a number of its own scale.
export const score = (value, unit) => (unit === "Hz" || value === null || value === undefined ? digits(value) : `${Number(value.toPrecision(3))}`);
export const signedScore = (value, unit) => `${value < 0 ? "−" : "+"}${score(Math.abs(value), unit)}`;
export const UNITS = { Hz: " sp/s", rank: " (rank)" };
export const digits = (value) =>
  value === null || value === undefined ? "–" : Math.abs(value) >= 99.95 ? value.toFixed(0) : value.toFixed(1);
export const signed = (value) => `${value < 0 ? "−" : "+"}${digits(Math.abs(value))}`;
export const count = (value) => value.toLocaleString("en");

export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString("en-GB");
}

export function date(at) {
  return new Date(at * 1000).toLocaleString("sv").slice(0, 16);
}

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

export function brief(seconds) {
  if (seconds < 0.0995) return `${Math.max(0, seconds * 1000).toFixed(0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}

const CAUSES = {
  fixation_broken: "fixation broken",
  frame_dropped: "frame dropped",
  not_shown: "given back, not shown",
  image_missing: "image missing",
  stopped_by_operator: "broken off by operator",
  display_lost: "display lost",
  not_measured: "not measured",
};
export const cause = (name) => CAUSES[name] ?? name.replaceAll("_", " ");
