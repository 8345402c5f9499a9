// Two falling tones when an alarm begins, if somebody has asked for them on this device.

let context = null;

function tone(frequency, at) {
  const [oscillator, gain] = [context.createOscillator(), context.createGain()];
  oscillator.frequency.value = frequency;
  gain.gain.setValueAtTime(0.15, context.currentTime + at);
  gain.gain.exponentialRampToValueAtTime(0.001, context.currentTime + at + 0.3);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(context.currentTime + at);
  oscillator.stop(context.currentTime + at + 0.3);
}

function ring() {
  tone(880, 0);
  tone(587, 0.3);
}

export function watchAlarms() {
  const button = document.querySelector("[data-act=sound]");
  let known = new Set();
  button.setAttribute("aria-pressed", String(context !== null));
  button.addEventListener("click", () => {
    context = context ? null : new AudioContext();
    button.setAttribute("aria-pressed", String(context !== null));
    if (context) ring();
  });
  return (session) => {
    const open = new Set(session.standing.alarms.map((alarm) => alarm.key));
    if (context && [...open].some((key) => !known.has(key))) ring();
    known = open;
  };
}
