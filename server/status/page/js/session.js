// What the page knows of one session: filled by the events of the live stream, read by the panels.

const MAX_LOG = 5000; // lines kept; far more than a session has, and a bound all the same

export class Session {
  constructor(about, role) {
    this.about = about;
    this.name = about.name;
    this.role = role;
    this.standing = null;
    this.lost = false; // the page hears nothing of its own server: what it knows is old
    this.offsetS = 0; // this device's clock against the page server's
    this.evolutions = new Map(about.evolutions.map((each) => [each.number, { ...each, generations: [], gains: [] }]));
    this.log = new Map();
    this.nScored = 0;
  }

  // The channels are known when the acquisition side has joined; parts may be changed on the way.
  describe(about) {
    this.about = about;
    for (const each of about.evolutions) {
      const known = this.evolutions.get(each.number);
      Object.assign(known, each, { generations: known.generations });
    }
  }

  take(event) {
    if (event.reset) {
      for (const each of this.evolutions.values()) Object.assign(each, { generations: [], gains: [] });
      this.log.clear();
    }
    for (const row of event.generations) this.#add(row);
    for (const [number, gains] of Object.entries(event.gains)) this.evolutions.get(Number(number)).gains = gains;
    for (const line of event.log) this.log.set(line.key, line);
    if (this.log.size > MAX_LOG) for (const key of [...this.log.keys()].slice(0, this.log.size - MAX_LOG)) this.log.delete(key);
    this.standing = event.standing;
    this.offsetS = Date.now() / 1000 - event.standing.now;
  }

  #add(row) {
    const rows = this.evolutions.get(row.evolution)?.generations;
    if (!rows || rows.at(-1)?.generation >= row.generation) return;
    rows.push(row);
    this.nScored += 1;
  }

  get now() {
    return Date.now() / 1000 - this.offsetS;
  }

  // The state in a word: what the server says, or that there is none although the session has not ended.
  get state() {
    const { state, live, changed_at: changedAt } = this.standing;
    if (this.lost && state !== "ended") return "unknown";
    return state !== "ended" && !live && this.now - changedAt > 5 ? "unattended" : state;
  }

  get canAct() {
    return this.role === "operator" && !this.lost && this.standing.live && this.standing.state !== "ended";
  }

  last(evolution) {
    return this.evolutions.get(evolution)?.generations.at(-1);
  }

  lines() {
    return [...this.log.values()].sort((a, b) => b.at - a.at);
  }
}
